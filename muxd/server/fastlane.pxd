from muxd.device.socketend cimport SocketEnd, SocketOwner
from muxd.device.muxer cimport Muxer
from muxd.net.eventloop cimport EventLoop
from muxd.net.packetmemory cimport PacketMemory
from muxd.net.streams cimport StreamSocket
from muxd.net.turns cimport Turns
from muxd.server.accounts cimport Account, Accounts
from muxd.server.attendance cimport Attendance
from muxd.server.counters cimport ServerCounters
cimport cython

# In compiled code these are no names of the module's, but numbers.
cdef long long AF_UNIX, AT_ONCE, BLOCKED, PEER_ENDED, PLIST, READABLE, READ_SIZE

cdef class FastLane:
    cdef public EventLoop loop
    cdef public Accounts accounts
    cdef public Attendance attendance
    cdef public Turns turns
    cdef public ServerCounters counters
    cdef public object server, _reactor, _known
    cdef public long long device, port, tag
    cdef public bytes _request
    cdef public PacketMemory memory
    cdef object __weakref__
    cpdef bint understands(self, bytes request) except -1
    cpdef target(self, bytes body)
    @cython.locals(one=LaneClient)
    cpdef _arrived(self, entrance, StreamSocket client, int family)

cdef class LaneClient(SocketOwner):
    cdef public object _attached, entrance
    cdef public FastLane _lane
    cdef public Account _account
    cdef public bytes _request
    cdef public SocketEnd _end
    cdef public StreamSocket _socket
    cdef public bint _isWatched
    cdef public int _family
    cdef public long long _port, _tag
    cdef object __weakref__
    cpdef int fileno(self)
    cpdef happened(self, long long events)
    cpdef failed(self, failure)
    @cython.locals(account=Account, lane=FastLane)
    cpdef begin(self)
    @cython.locals(count=cython.longlong, memory=PacketMemory, lane=FastLane, turns=Turns)
    cpdef _read(self)
    cpdef _leave(self)
    @cython.locals(lane=FastLane, account=Account, port=cython.longlong, tag=cython.longlong)
    cpdef _requested(self, bytes data)
    cpdef bint _isPermitted(self, attached, long long port) except -1
    @cython.locals(lane=FastLane, end=SocketEnd, muxer=Muxer, counters=ServerCounters)
    cpdef _connect(self, attached, device, long long port, long long tag)
    cpdef _streamOver(self)
    @cython.locals(account=Account)
    cpdef _gone(self)
