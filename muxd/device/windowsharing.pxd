cdef class WindowSharing:
    cdef public long long packet, least, _window, _counted
    cdef public dict _sharers, _next
    cdef object __weakref__
    cpdef saw(self, long long size)
    cpdef received(self, session, long long size)
    cpdef forget(self, session)
