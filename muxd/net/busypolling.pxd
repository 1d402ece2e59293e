cdef class BusyPolling:
    cdef public bint isPossible
    cdef public double longest, balance, _worth, _most
    cdef public long long _resting, _rest
    cpdef bint isDue(self) except? False
    cpdef looked(self, double seconds)
    cpdef _giveUp(self)
