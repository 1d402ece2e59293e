from muxd.net.busypolling cimport BusyPolling
from muxd.net.polling cimport Poller
cimport cython

# In compiled code this is no name of the module's, but a number.
cdef double NEVER

cdef class Watched:
    cpdef happened(self, long long events)
    cpdef failed(self, failure)

cdef class WatchedLast:
    cpdef finishTurn(self)
    cpdef failed(self, failure)

cdef class _Reactor(Watched):
    cdef public bint isReady
    cpdef happened(self, long long events)
    cpdef failed(self, failure)

cdef class EventLoop:
    cdef public object _reactor, _doPoll
    cdef public _Reactor _reactorTurn
    cdef public BusyPolling _busy
    cdef public long long turns
    cdef public Poller _poller
    cdef public list _last
    cdef public Py_ssize_t _lastCount
    cdef public bint _isAround
    cdef object __weakref__
    @cython.locals(poller=Poller)
    cpdef watch(self, int descriptor, long long events, Watched owner)
    cpdef change(self, int descriptor, long long events)
    @cython.locals(poller=Poller)
    cpdef forget(self, int descriptor)
    @cython.locals(poller=Poller)
    cpdef _closeIfIdle(self)
    @cython.locals(last=list, count=Py_ssize_t, place=Py_ssize_t)
    cpdef afterwards(self, WatchedLast owner)
    @cython.locals(place=Py_ssize_t, ready=list, events=list, owner=Watched, last=WatchedLast)
    cpdef _handle(self, Poller poller)
    @cython.locals(poller=Poller, busy=BusyPolling, reactorTurn=_Reactor, known=Py_ssize_t, seconds=double, end=double, ahead=double, newCalls=list)
    cpdef _doIteration(self, timeout)
    @cython.locals(busy=BusyPolling, found=int)
    cpdef int _wait(self, Poller poller, double seconds) except? -1
