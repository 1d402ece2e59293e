cdef class Histogram:
    cdef public tuple bounds
    cdef public list counts
    cdef public double total
    cpdef add(self, double value)

cdef class SessionTimes:
    cdef public Histogram connects, stalls
