from muxd.net.eventloop cimport EventLoop
from muxd.net.packetmemory cimport PacketMemory
from muxd.net.streams cimport StreamSocket
cimport cython

# In compiled code these are no names of the module's, but numbers.
cdef long long BLOCKED, GONE, READABLE

cdef class ShortSide:
    cdef public StreamSocket socket, target
    cdef public long long received
    cdef public ShortPipe _pipe
    cdef object __weakref__
    @cython.locals(pipe=ShortPipe, memory=PacketMemory, count=cython.longlong, sent=cython.longlong)
    cpdef happened(self, long long events)
    cpdef forgetPipe(self)

cdef class ShortPipe:
    cdef public object client, _keeper, _attempt
    cdef public double began
    cdef public PacketMemory memory
    cdef public EventLoop _loop
    cdef public StreamSocket _arrived
    cdef public int _family
    cdef public ShortSide _first, _second
    cdef object __weakref__
    @cython.locals(first=ShortSide, second=ShortSide)
    cpdef socketReady(self, StreamSocket connected, bytes data)
    @cython.locals(second=ShortSide)
    cpdef over(self, reason)
    @cython.locals(side=ShortSide)
    cpdef _leave(self)
