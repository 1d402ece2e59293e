cdef class BusPace:
    cdef public long long depth, payload
    cdef public object _seconds, _limits
    cdef public double _since, _time, _bytes
    cdef object __weakref__
