from muxd.net.eventloop cimport Watched

cdef class _Watch(Watched):
    cdef public object _reactor, _selectable
    cdef public int descriptor
    cdef public long long events
    cdef object __weakref__
    cpdef happened(self, long long events)
    cpdef failed(self, failure)
