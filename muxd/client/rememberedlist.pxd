from muxd.net.eventloop cimport EventLoop, Watched
from muxd.net.packetmemory cimport PacketMemory
from muxd.net.streams cimport StreamSocket
cimport cython

# In compiled code these are no names of the module's, but numbers.
cdef long long BLOCKED, READABLE

cdef class RememberedList(Watched):
    cdef public long long listener, _listeners, _news
    cdef public object _clock, _makeExchange, _exchange, _timer
    cdef public EventLoop _loop
    cdef public bytes _path
    cdef public PacketMemory _memory
    cdef public tuple _devices
    cdef public double _until, _askedAt, _openAfter
    cdef public StreamSocket _socket
    cdef public bint _isWanted
    cdef object __weakref__
    cpdef tuple current(self)
    cpdef tuple asking(self)
    cpdef answered(self, tuple asked, tuple devices)
    cpdef bint isHeard(self, long long listener) except? -1
    cpdef forget(self)
    @cython.locals(connected=StreamSocket)
    cpdef close(self)
    cpdef happened(self, long long events)
    cpdef failed(self, failure)
    @cython.locals(memory=PacketMemory, connected=StreamSocket, count=cython.longlong)
    cpdef bint _hear(self) except? -1
