cimport cython

cdef class SourcePorts:
    cdef public object _clock, _since
    cdef public double _rest
    cdef public long long _last
    cdef public set _used, _resting
    cdef object __weakref__
    @cython.locals(highest=cython.longlong)
    cpdef take(self)
    @cython.locals(now=double)
    cpdef release(self, long long port)
    cpdef _wake(self, double now)
    @cython.locals(port=cython.longlong, highest=cython.longlong)
    cpdef long long _next(self) except -1
