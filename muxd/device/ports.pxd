cimport cython

# In compiled code these are no names of the module's, but numbers.
cdef long long FREE, RESTING, USED

cdef class SourcePorts:
    cdef public object _rested, _seconds, _since
    cdef public bytearray _ports
    cdef public double _rest
    cdef public long long _last, _resting, _used
    cdef object __weakref__
    @cython.locals(highest=cython.longlong)
    cpdef take(self)
    @cython.locals(now=double)
    cpdef release(self, long long port)
    @cython.locals(ports=bytearray, began=double)
    cpdef _wake(self, double now)
    @cython.locals(ports=bytearray, port=cython.longlong, highest=cython.longlong)
    cpdef long long _next(self) except -1
