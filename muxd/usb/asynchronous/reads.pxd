from muxd.usb.asynchronous.transfers cimport BusMemory
cimport cython

# In compiled code these are no names of the module's, but numbers.
cdef long long CANCELLED, COMPLETED, NO_MEMORY, SHORTEST

cdef class Reads:
    cdef public long long waiting
    cdef public object _context, _interface, _assembler, _noMemory, _failed, _surplus
    cdef public BusMemory unread
    cdef object __weakref__
    @cython.locals(size=cython.longlong)
    cpdef ended(self, BusMemory transfer, int status, list packets)
    @cython.locals(code=cython.int, transfer=BusMemory)
    cpdef submit(self)
    cpdef bint isSurplus(self, BusMemory transfer) except -1
