from muxd.device.acknowledging cimport Debtor, DelayedAcknowledgements
from muxd.device.counters cimport MuxerCounters
from muxd.device.deadlines cimport Deadlines
from muxd.device.outbound cimport Outbound, Ported
from muxd.device.times cimport SessionTimes

cdef class SessionOwner:
    cdef public object clock, label, limits, phoneLog, seconds
    cdef public MuxerCounters counters
    cdef public SessionTimes times
    cdef public Outbound outbound
    cdef public DelayedAcknowledgements delayed
    cdef public Deadlines openings
    cpdef sessionOpened(self, Ported session)
    cpdef sessionEnded(self, Ported session)
    cpdef touch(self, Debtor session, long long size)
