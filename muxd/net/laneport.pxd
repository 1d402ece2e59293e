from muxd.net.eventloop cimport EventLoop, Watched
from muxd.net.streams cimport Acceptor, StreamSocket
cimport cython

# In compiled code these are no names of the module's, but numbers.
cdef long long AT_ONCE, READABLE

cdef class LanePort(Watched):
    cdef public long long numberAccepts, _atOnce, _expected, _turn
    cdef public object _arrived, _port, _acceptFailed
    cdef public EventLoop _loop
    cdef public bint _isReading
    cdef public int _family
    cdef public Acceptor _acceptor
    cdef object __weakref__
    @cython.locals(client=StreamSocket, error=cython.int, most=cython.longlong, before=cython.longlong, expected=cython.longlong, count=cython.longlong)
    cpdef happened(self, long long events)
    cpdef failed(self, failure)
