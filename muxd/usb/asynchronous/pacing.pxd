cimport cython

# In compiled code these are no names of the module's, but numbers.
cdef long long BULK_PAYLOAD, LARGE_FROM, LARGE_PAYLOAD, LONE_PAYLOAD
cdef double MEMORY

cdef class BusPace:
    cdef public long long depth, lonePayload, payload, _most
    cdef public object _seconds
    cdef public double _queueTime, _since, _time, _bytes
    cdef object __weakref__
    cpdef began(self)
    @cython.locals(now=double, depth=cython.longlong)
    cpdef ended(self, long long size)
