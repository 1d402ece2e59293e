cimport cython

cdef class SourcePorts:
    cdef public object _clock, _since
    cdef public double _rest
    cdef public long long _last
    cdef public set _used, _resting
    cdef object __weakref__
    cpdef take(self)
    cpdef release(self, long long port)
    @cython.locals(before=double)
    cpdef _wake(self)
    @cython.locals(port=cython.longlong)
    cpdef long long _next(self) except -1
