from muxd.device.socketend cimport SocketEnd
from muxd.net.packetmemory cimport PacketMemory
from muxd.net.streams cimport StreamSocket
from muxd.server.accounts cimport Account
cimport cython

cdef class FastLane:
    cdef public object loop
    cdef public object server, _reactor, _known
    cdef public PacketMemory memory
    cdef object __weakref__
    cpdef target(self, bytes body)

cdef class LanePort:
    cdef public object numberAccepts, _entrance, _port, _acceptFailed
    cdef public FastLane _lane
    cdef public bint _isReading
    cdef public int _family
    cdef public object _acceptor
    cdef object __weakref__
    @cython.locals(client=StreamSocket, error=cython.int)
    cpdef happened(self, long long events)

cdef class LaneClient:
    cdef public object _attached, entrance
    cdef public FastLane _lane
    cdef public Account _account
    cdef public bytes _body
    cdef public SocketEnd _end
    cdef public StreamSocket _socket
    cdef public bint _isWatched
    cdef public int _family
    cdef public long long _port, _tag
    cdef object __weakref__
    cpdef int fileno(self)
    cpdef begin(self)
    @cython.locals(count=cython.longlong, memory=PacketMemory, lane=FastLane)
    cpdef _read(self)
    cpdef _leave(self)
    @cython.locals(lane=FastLane, account=Account, body=bytes)
    cpdef _requested(self, bytes data)
    @cython.locals(lane=FastLane)
    cpdef _connect(self, attached, device, long long port, long long tag)
    cpdef sessionOpened(self)
    cpdef socketClosed(self)
    cpdef _streamOver(self)
    @cython.locals(account=Account)
    cpdef _gone(self)
    cpdef streamEnded(self, sent, received)
