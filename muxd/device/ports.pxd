cdef class SourcePorts:
    cdef public object _clock, _since
    cdef public double _rest
    cdef public long long _last
    cdef public set _used, _resting
    cdef object __weakref__
    cpdef take(self)
    cpdef release(self, long long port)
    cpdef _wake(self)
    cpdef long long _next(self) except -1
