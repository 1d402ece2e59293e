cimport cython

# In compiled code these are no names of the module's, but numbers.
cdef long long MASK, HALF

cdef class SendWindow:
    cdef public long long next, acknowledged, size
    @cython.locals(room=cython.longlong)
    cpdef long long room(self, long long available, long long most) except -1
    cpdef long long inFlight(self) except -1
    cpdef sent(self, long long count)
    cpdef bint acknowledge(self, long long ack, long long size) except -1

cdef class ReceiveWindow:
    cdef public long long expected, delivered, acknowledged, reserve, size
    cpdef begin(self, long long seq)
    cpdef long long owed(self) except -1
    @cython.locals(count=cython.longlong)
    cpdef long long due(self) except -1
    @cython.locals(count=cython.longlong)
    cpdef bint acknowledge(self) except -1
    @cython.locals(distance=cython.longlong)
    cpdef long long behind(self, long long seq)
    cpdef bint admits(self, long long count) except -1
