cdef class BusyPolling:
    cdef public bint isPossible
    cdef public double longest, average, _worth, _weight
    cdef public long long _trying, _resting, _rest
    cpdef bint isDue(self) except? False
    cpdef looked(self, double seconds)
    cpdef _giveUp(self)
