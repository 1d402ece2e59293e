from muxd.client.rememberedlist cimport RememberedList
from muxd.net.eventloop cimport EventLoop, Watched
from muxd.net.packetmemory cimport PacketMemory
from muxd.net.streams cimport StreamSocket
cimport cython

# In compiled code these are no names of the module's, but numbers.
cdef long long BLOCKED, READABLE

cdef class ShortAttempt(Watched):
    cdef public object _way, _taker, _timer, _device, _exchange
    cdef public RememberedList _remembered
    cdef public EventLoop _loop
    cdef public StreamSocket _socket
    cdef public tuple _asked
    cdef public long long _listener
    cdef public double _begun, _seconds
    cdef object __weakref__
    cpdef bint begin(self) except? -1
    @cython.locals(memory=PacketMemory, connected=StreamSocket, count=cython.longlong)
    cpdef happened(self, long long events)
    cpdef failed(self, failure)
    @cython.locals(connected=StreamSocket)
    cpdef bint _ask(self, bytes question) except? -1
    cpdef StreamSocket _leave(self)
    @cython.locals(connected=StreamSocket)
    cpdef _over(self, bint keepsSocket=*)
    cpdef _needsTransport(self)
    cpdef bint _askForList(self) except? -1
    cpdef _found(self, bytes data)
    cpdef _giveTime(self, double most)
    cpdef _answered(self, StreamSocket connected, bytes data)
    cpdef _refused(self, error)
    cpdef _lookAgain(self)
    @cython.locals(connected=StreamSocket)
    cpdef _close(self)
