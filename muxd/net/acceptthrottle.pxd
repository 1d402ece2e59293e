cdef class AcceptThrottle:
    cdef public object ports, makeRoom, _clock, _limits, _allowed, _highest, _lowestFree
    cdef public object _slowing, _retry, _limit
    cdef public bint isClosed, _wary
    cdef public long long pauses
    cdef object __weakref__
    cpdef descriptorTaken(self, int descriptor)
    cpdef clientGone(self)
