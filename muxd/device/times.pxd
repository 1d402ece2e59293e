cimport cython

cdef class Histogram:
    cdef public tuple bounds
    cdef public list counts
    cdef public double total
    @cython.locals(bound=double, place=cython.Py_ssize_t)
    cpdef add(self, double value)

cdef class SessionTimes:
    cdef public Histogram connects, stalls
