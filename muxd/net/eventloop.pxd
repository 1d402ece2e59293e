from muxd.net.polling cimport Poller
cimport cython

cdef class EventLoop:
    cdef public object _reactor, _reactorTurn, _doPoll
    cdef public Poller _poller
    cdef public dict _watched
    cdef public list _last
    cdef public bint _isAround
    cdef object __weakref__
    cpdef watch(self, int descriptor, long long events, owner)
    cpdef change(self, int descriptor, long long events)
    cpdef forget(self, int descriptor)
    cpdef afterwards(self, owner)
    @cython.locals(place=int, ready=list, events=list)
    cpdef _handle(self, Poller poller)
    @cython.locals(poller=Poller, known=Py_ssize_t, seconds=double, end=double, newCalls=list)
    cpdef _doIteration(self, timeout)
