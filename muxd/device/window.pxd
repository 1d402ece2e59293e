cdef class SendWindow:
    cdef public long long next, acknowledged, size
    cpdef long long room(self)
    cpdef long long inFlight(self)
    cpdef sent(self, long long count)
    cpdef bint acknowledge(self, long long ack, long long size)

cdef class ReceiveWindow:
    cdef public long long expected, delivered, acknowledged, reserve, size
    cpdef begin(self, long long seq)
    cpdef long long owed(self)
    cpdef bint acknowledge(self)
    cpdef long long behind(self, long long seq)
    cpdef bint admits(self, long long count)
