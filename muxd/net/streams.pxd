# What other compiled modules may use directly: see streams.pyx.

cdef class StreamSocket:
    cdef int descriptor
    cpdef int fileno(self)
    cpdef Py_ssize_t send(self, data, Py_ssize_t start=*) except? -1
    cpdef int peerUser(self)
    cpdef tuple names(self)
    cpdef int waiting(self)
    cpdef int shutdown(self)
    cpdef int detach(self)
    cpdef close(self)


cdef class Acceptor:
    cdef object listening
    cdef public int error
    cpdef StreamSocket accept(self)


cpdef StreamSocket openUNIX(bytes path)
