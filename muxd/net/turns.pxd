cdef class Turns:
    cdef public long long waits, _depth, _count
    cdef public double began, _length, _left, _ended
    cdef public object _clock, _seconds, _waiting, _next
    cdef public bint _isTurning
    cdef object __weakref__
    cpdef bint begin(self) except -1
    cpdef bint isOver(self) except -1
    cpdef end(self)
    cpdef wait(self, worker)
    cpdef forget(self, worker)
