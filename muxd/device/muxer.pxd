from muxd.net.packetmemory cimport PacketMemory
from muxd.device.acknowledging cimport Debtor, DelayedAcknowledgements
from muxd.device.framing cimport Framing
from muxd.device.outbound cimport Outbound
from muxd.device.session cimport Session
from muxd.device.windowsharing cimport WindowSharing
cimport cython

cdef class Muxer:
    cdef public object clock, label, limits, state, counters, phoneLog, times, observer, openings
    cdef public object _link, _ports, _ready, _handshakeTimer, _waiting, _lost
    cdef public Outbound outbound
    cdef public DelayedAcknowledgements delayed
    cdef public int version
    cdef public PacketMemory _memory
    cdef public Framing _framing
    cdef public dict _sessions
    cdef public list _touched
    cdef object __weakref__
    @cython.locals(counter=cython.longlong, framing=Framing)
    cpdef _packetReceived(self, PacketMemory memory, long long start, long long size)
    @cython.locals(session=Session)
    cpdef _segmentReceived(self, PacketMemory memory, long long start, long long size)
    @cython.locals(sharing=WindowSharing)
    cpdef touch(self, Debtor session, long long size)
    @cython.locals(touched=list, one=Debtor, delayed=DelayedAcknowledgements)
    cpdef _batchEnded(self)
    cpdef placedPacketsReceived(self, packets)
    cpdef roomAvailable(self)
