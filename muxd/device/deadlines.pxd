cdef class Deadlines:
    cdef public object _clock, _timer
    cdef public double _seconds
    cdef public dict _began
    cdef object __weakref__
    cpdef add(self, one, double began)
    cpdef remove(self, one)
    cpdef stop(self)
