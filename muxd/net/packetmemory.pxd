# What other compiled modules may use directly: see packetmemory.pyx.

from muxd.net.streams cimport StreamSocket

cdef class PacketMemory:
    cdef Py_buffer memory
    cdef unsigned char *data
    cdef readonly Py_ssize_t size
    cdef readonly object view
    cdef readonly bint isInFlight, wasCut
    cdef readonly long long protocol, packetLength, transmitted, received
    cdef readonly Py_ssize_t sourcePort, destinationPort, seq, ack
    cdef readonly int dataOffset, flags
    cdef readonly Py_ssize_t window
    cdef int check(self, Py_ssize_t start, Py_ssize_t length) except -1
    cpdef Py_ssize_t receive(self, StreamSocket source, Py_ssize_t start, Py_ssize_t limit) except? -1
    cpdef Py_ssize_t receiveNoting(self, StreamSocket source, Py_ssize_t start, Py_ssize_t limit) except? -1
    cpdef Py_ssize_t send(self, StreamSocket target, Py_ssize_t start, Py_ssize_t length) except? -1
    cpdef Py_ssize_t write(self, Py_ssize_t start, data) except -1
    cpdef bytes read(self, Py_ssize_t start, Py_ssize_t length)
    cpdef long long readHeader(self, Py_ssize_t start) except -1
    cpdef int readSegment(self, Py_ssize_t version, Py_ssize_t start) except -1
    cpdef Py_ssize_t writeSegment(
        self, Py_ssize_t version, Py_ssize_t payload, Py_ssize_t transmitted, Py_ssize_t received,
        Py_ssize_t sourcePort, Py_ssize_t destinationPort, Py_ssize_t seq, Py_ssize_t ack,
        Py_ssize_t flags, Py_ssize_t window,
    ) except -1
    cpdef writeCounters(self, Py_ssize_t transmitted, Py_ssize_t received)
    cpdef free(self)
