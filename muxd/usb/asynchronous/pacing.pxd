cimport cython

cdef class BusPace:
    cdef public long long depth, payload
    cdef public object _seconds, _limits
    cdef public double _since, _time, _bytes
    cdef object __weakref__
    cpdef began(self)
    @cython.locals(now=double)
    cpdef ended(self, long long size)
