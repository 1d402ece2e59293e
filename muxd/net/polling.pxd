# What other compiled modules may use directly: see polling.pyx.

cdef enum:
    PLACES = 64

cdef class Poller:
    cdef int epoll
    cdef list owners
    cdef Py_ssize_t owned
    cdef int[PLACES] descriptors
    cdef readonly list ready
    cdef readonly list events
    cdef readonly int count
    cdef readonly double looked
    cdef int check(self, Py_ssize_t descriptor, Py_ssize_t events) except -1
    cpdef int fileno(self) except? -1
    cpdef add(self, Py_ssize_t descriptor, Py_ssize_t events, owner)
    cpdef modify(self, Py_ssize_t descriptor, Py_ssize_t events)
    cpdef bint remove(self, Py_ssize_t descriptor) except? -1
    cpdef double seconds(self) except? -1
    cpdef list watched(self)
    cpdef Py_ssize_t size(self) except -1
    cpdef int wait(self, double seconds) except? -1
    cpdef int look(self, double seconds) except? -1
    cdef int tell(self, int found, int *descriptors, unsigned int *events) except? -1
    cpdef close(self)
