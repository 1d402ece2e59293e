cdef class _Watch:
    cdef public object _reactor, _selectable
    cdef public int descriptor
    cdef public long long events
    cdef object __weakref__
    cpdef happened(self, long long events)
