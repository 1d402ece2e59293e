from muxd.net.eventloop cimport EventLoop, Watched
from muxd.net.packetmemory cimport PacketMemory
from muxd.net.streams cimport StreamSocket
cimport cython

# In compiled code these are no names of the module's, but numbers.
cdef long long BLOCKED, GONE, PIECES, READABLE, WRITABLE

cdef class ShortSide(Watched):
    cdef public StreamSocket socket, target
    cdef public long long received
    cdef public bytes held
    cdef public long long heldFrom
    cdef public bint isStopped
    cdef public ShortPipe _pipe
    cdef public ShortSide _other
    cdef object __weakref__
    @cython.locals(other=ShortSide)
    cpdef happened(self, long long events)
    cpdef failed(self, failure)
    @cython.locals(pipe=ShortPipe, memory=PacketMemory, size=cython.longlong, count=cython.longlong, sent=cython.longlong)
    cpdef passOn(self, long long events)
    cpdef hold(self, bytes data)
    cpdef bytes rest(self)
    cpdef _takeNot(self, long long sent, bytes data)
    @cython.locals(length=cython.longlong, sent=cython.longlong)
    cpdef bint _giveHeld(self) except? -1
    cpdef _readNothing(self, ShortPipe pipe, long long count, long long events)
    @cython.locals(pipe=ShortPipe, other=ShortSide)
    cpdef _stopOrGoOn(self)
    @cython.locals(other=ShortSide)
    cpdef long long wanted(self) except? -1
    cpdef join(self, ShortSide other)
    cpdef forgetPipe(self)

cdef class ShortPipe:
    cdef public object client, _keeper, _attempt
    cdef public double began
    cdef public PacketMemory memory
    cdef public EventLoop _loop
    cdef public StreamSocket _arrived
    cdef public int _family
    cdef public bytes _question
    cdef public ShortSide _first, _second
    cdef object __weakref__
    @cython.locals(first=ShortSide, second=ShortSide)
    cpdef socketReady(self, StreamSocket connected, bytes data)
    @cython.locals(second=ShortSide)
    cpdef over(self, reason)
    @cython.locals(side=ShortSide)
    cpdef _leave(self)
    cpdef watchAgain(self, ShortSide side)
    @cython.locals(first=ShortSide, second=ShortSide)
    cpdef bint _holds(self) except? -1
