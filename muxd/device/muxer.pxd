from muxd.net.packetmemory cimport PacketMemory
from muxd.device.acknowledging cimport Debtor, DelayedAcknowledgements
from muxd.device.counters cimport MuxerCounters
from muxd.device.framing cimport Framing
from muxd.device.opening cimport PendingSession as Opening
from muxd.device.outbound cimport Ported
from muxd.device.owner cimport SessionOwner
from muxd.device.ports cimport SourcePorts
from muxd.device.session cimport Session
from muxd.device.windowsharing cimport WindowSharing
cimport cython

# In compiled code these are no names of the module's, but numbers.
cdef long long COUNTER, DATA_OFFSET, RST, TCP, V2_SEGMENT

cdef class Muxer(SessionOwner):
    cdef public object state, observer
    cdef public SourcePorts _ports
    cdef public object _link, _ready, _handshakeTimer, _waiting, _lost
    cdef public int version
    cdef public PacketMemory _memory
    cdef public Framing _framing
    cdef public dict _sessions
    cdef public list _touched
    cdef object __weakref__
    cpdef open(self, long long port, request)
    @cython.locals(ports=SourcePorts, most=cython.longlong)
    cpdef _portFor(self)
    cpdef _open(self, long long sourcePort, long long port, request)
    cpdef sessionOpened(self, Ported session)
    @cython.locals(ended=Session)
    cpdef sessionEnded(self, Ported session)
    @cython.locals(sharing=WindowSharing)
    cpdef touch(self, Debtor session, long long size)
    @cython.locals(touched=list, one=Debtor, delayed=DelayedAcknowledgements)
    cpdef _batchEnded(self)
    @cython.locals(counters=MuxerCounters, sessions=dict, memory=PacketMemory, start=cython.longlong, size=cython.longlong, headers=cython.longlong, place=cython.longlong, payload=cython.longlong, counter=cython.longlong, framing=Framing, found=Ported)
    cpdef placedPacketsReceived(self, packets)
    cpdef roomAvailable(self)
