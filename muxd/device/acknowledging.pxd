from muxd.device.outbound cimport Outbound

cdef class DelayedAcknowledgements:
    cdef public object _clock, _timer, _outbound, sharing
    cdef public dict _owing
    cdef public long long _threshold
    cdef public double _delay
    cdef object __weakref__
    cpdef owes(self, session, long long size)
