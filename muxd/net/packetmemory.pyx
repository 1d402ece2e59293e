# cython: language_level=3, boundscheck=True, wraparound=False, binding=True
"""
The compiled twin of C{packetmemory.py}, which says what everything here means.

What is pointed to is the memory of a C{bytearray}, which cannot be resized and lives as
long as anything has a view of it.
"""

cimport cython
from cpython.buffer cimport (
    PyBUF_SIMPLE,
    PyBUF_WRITABLE,
    PyBuffer_Release,
    PyObject_GetBuffer,
)
from libc.errno cimport EINTR, errno
from libc.stdint cimport uint16_t, uint32_t
from libc.string cimport memmove

cdef extern from *:
    """
    #include <stdint.h>
    #include <sys/socket.h>

    static ssize_t receive_noting(int fd, void *to, size_t size, int *flags)
    {
        struct iovec place = {to, size};
        struct msghdr message = {0};
        ssize_t count;

        message.msg_iov = &place;
        message.msg_iovlen = 1;
        count = recvmsg(fd, &message, MSG_DONTWAIT);
        *flags = message.msg_flags;
        return count;
    }

    static uint32_t get32(const unsigned char *p)
    {
        return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
    }

    static uint16_t get16(const unsigned char *p)
    {
        return (uint16_t)(p[0] << 8 | p[1]);
    }

    static void put16(unsigned char *p, uint16_t value)
    {
        p[0] = value >> 8;
        p[1] = value;
    }

    static void put32(unsigned char *p, uint32_t value)
    {
        put16(p, value >> 16);
        put16(p + 2, value);
    }
    """
    const int MSG_CTRUNC
    const int MSG_DONTWAIT
    const int MSG_NOSIGNAL
    uint32_t get32(const unsigned char *place)
    uint16_t get16(const unsigned char *place)
    void put32(unsigned char *place, uint32_t value)
    void put16(unsigned char *place, uint16_t value)
    ssize_t receive_noting(int descriptor, void *data, size_t size, int *flags)
    ssize_t c_recv "recv"(int descriptor, void *data, size_t size, int flags)
    ssize_t c_send "send"(int descriptor, const void *data, size_t size, int flags)

cdef enum:
    V1_HEADER = 8
    V2_HEADER = 16
    TCP_HEADER = 20
    TCP = 6
    OFFSET = 0x50
    MAGIC = 0xFEEDFACE
    MOST = 1 << 24

BUILD = "compiled"
V1_SEGMENT = V1_HEADER + TCP_HEADER
V2_SEGMENT = V2_HEADER + TCP_HEADER
LARGEST = MOST


cdef int _headerSize(Py_ssize_t version) except -1:
    if version == 2:
        return V2_HEADER
    if version == 1:
        return V1_HEADER
    raise ValueError(f"expected version 1 or 2, got {version}")


# Its pointers are good for as long as it is there, garbage or not.
@cython.no_gc_clear
cdef class PacketMemory:
    def __init__(self, Py_ssize_t size):
        if self.data != NULL:
            raise RuntimeError("this memory is in use")
        if size < 1 or size > MOST:
            raise ValueError(f"expected a size from 1 to {LARGEST}, got {size}")
        content = bytearray(size)
        PyObject_GetBuffer(content, &self.memory, PyBUF_WRITABLE)
        self.data = <unsigned char *> self.memory.buf
        self.size = size
        self.view = memoryview(content)

    def __dealloc__(self):
        if self.data != NULL:
            PyBuffer_Release(&self.memory)

    cdef int check(self, Py_ssize_t start, Py_ssize_t length) except -1:
        if self.isInFlight:
            raise RuntimeError("this memory is in flight")
        if start < 0 or length < 0 or start > self.size or length > self.size - start:
            raise ValueError(f"expected a part of {self.size} bytes, got {length} from {start}")
        return 0

    cpdef Py_ssize_t receive(
        self, StreamSocket source, Py_ssize_t start, Py_ssize_t limit
    ) except? -1:
        cdef ssize_t count
        if source is None:
            raise TypeError("expected a StreamSocket, got None")
        self.check(start, limit)
        if limit == 0:
            raise ValueError("expected room for a byte or more, got 0")
        while True:
            count = c_recv(source.descriptor, self.data + start, limit, MSG_DONTWAIT)
            if count >= 0:
                return count
            if errno != EINTR:
                return -errno

    cpdef Py_ssize_t receiveNoting(
        self, StreamSocket source, Py_ssize_t start, Py_ssize_t limit
    ) except? -1:
        cdef ssize_t count
        cdef int flags = 0
        if source is None:
            raise TypeError("expected a StreamSocket, got None")
        self.check(start, limit)
        if limit == 0:
            raise ValueError("expected room for a byte or more, got 0")
        self.wasCut = False
        while True:
            count = receive_noting(source.descriptor, self.data + start, limit, &flags)
            if count >= 0:
                self.wasCut = flags & MSG_CTRUNC != 0
                return count
            if errno != EINTR:
                return -errno

    cpdef Py_ssize_t send(
        self, StreamSocket target, Py_ssize_t start, Py_ssize_t length
    ) except? -1:
        cdef ssize_t count
        if target is None:
            raise TypeError("expected a StreamSocket, got None")
        self.check(start, length)
        if length == 0:
            return 0
        while True:
            count = c_send(
                target.descriptor, self.data + start, length, MSG_DONTWAIT | MSG_NOSIGNAL
            )
            if count >= 0:
                return count
            if errno != EINTR:
                return -errno

    cpdef Py_ssize_t write(self, Py_ssize_t start, data) except -1:
        cdef Py_buffer view
        try:
            PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        except BufferError as error:
            raise TypeError(str(error)) from None
        try:
            self.check(start, view.len)
            if view.len:
                memmove(self.data + start, view.buf, view.len)
            return start + view.len
        finally:
            PyBuffer_Release(&view)

    cpdef bytes read(self, Py_ssize_t start, Py_ssize_t length):
        self.check(start, length)
        return (<char *> self.data + start)[:length]

    cpdef long long readHeader(self, Py_ssize_t start) except -1:
        self.check(start, V1_HEADER)
        self.protocol = get32(self.data + start)
        self.packetLength = get32(self.data + start + 4)
        return self.packetLength

    cpdef int readSegment(self, Py_ssize_t version, Py_ssize_t start) except -1:
        cdef unsigned char *place
        cdef int header
        self.check(0, 0)
        header = _headerSize(version)
        self.check(start, header + TCP_HEADER)
        place = self.data + start
        self.protocol = get32(place)
        self.packetLength = get32(place + 4)
        if version == 2:
            self.transmitted = get16(place + 12)
            self.received = get16(place + 14)
        else:
            self.transmitted = self.received = 0
        place += header
        self.sourcePort = get16(place)
        self.destinationPort = get16(place + 2)
        self.seq = get32(place + 4)
        self.ack = get32(place + 8)
        self.dataOffset = place[12]
        self.flags = place[13]
        self.window = get16(place + 14) << 8
        return header + TCP_HEADER

    cpdef Py_ssize_t writeSegment(
        self, Py_ssize_t version, Py_ssize_t payload, Py_ssize_t transmitted, Py_ssize_t received,
        Py_ssize_t sourcePort, Py_ssize_t destinationPort, Py_ssize_t seq, Py_ssize_t ack,
        Py_ssize_t flags, Py_ssize_t window,
    ) except -1:
        cdef unsigned char *place = self.data
        cdef int header
        if self.isInFlight:
            raise RuntimeError("this memory is in flight")
        header = _headerSize(version)
        if payload < 0 or payload > self.size - header - TCP_HEADER:
            raise ValueError(f"expected a part of {self.size} bytes, got a payload of {payload}")
        if (
            version == 2 and (transmitted | received) & ~0xFFFFLL
            or (sourcePort | destinationPort) & ~0xFFFFLL
            or (seq | ack) & ~0xFFFFFFFFLL
            or flags & ~0xFFLL
            or window & ~0xFFFFFFLL
        ):
            raise ValueError("expected numbers that fit their fields")
        put32(place, TCP)
        put32(place + 4, <uint32_t> (header + TCP_HEADER + payload))
        if version == 2:
            put32(place + 8, MAGIC)
            put16(place + 12, <uint16_t> transmitted)
            put16(place + 14, <uint16_t> received)
        place += header
        put16(place, <uint16_t> sourcePort)
        put16(place + 2, <uint16_t> destinationPort)
        put32(place + 4, <uint32_t> seq)
        put32(place + 8, <uint32_t> ack)
        place[12] = OFFSET
        place[13] = <unsigned char> flags
        put16(place + 14, <uint16_t> (window >> 8))
        put32(place + 16, 0)
        return header + TCP_HEADER + payload

    cpdef writeCounters(self, Py_ssize_t transmitted, Py_ssize_t received):
        self.check(0, V2_HEADER)
        if (transmitted | received) & ~0xFFFFLL:
            raise ValueError(f"expected counters of 16 bits, got {transmitted} and {received}")
        put16(self.data + 12, <uint16_t> transmitted)
        put16(self.data + 14, <uint16_t> received)

    cpdef free(self):
        if self.isInFlight:
            raise RuntimeError("memory in flight cannot be freed")
        if self.data != NULL:
            self.size = 0
            self.data = NULL
            self.view = memoryview(bytearray())
            PyBuffer_Release(&self.memory)
