from muxd.device.outbound cimport Outbound, Sender
from muxd.device.windowsharing cimport WindowSharing

cdef class Debtor(Sender):
    cdef public long long bytesReceived
    cdef public bint touched
    cpdef reserve(self, long long size)

cdef class DelayedAcknowledgements:
    cdef public object _clock, _timer
    cdef public Outbound _outbound
    cdef public WindowSharing sharing
    cdef public dict _owing
    cdef public long long _threshold
    cdef public double _delay
    cdef object __weakref__
    cpdef owes(self, Debtor session, long long size)
    cpdef forget(self, Debtor session)
    cpdef _wait(self, Debtor session)
