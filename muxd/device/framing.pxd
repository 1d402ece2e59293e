from muxd.net.packetmemory cimport PacketMemory
cimport cython

cdef class Framing:
    cdef public int overhead, version
    cdef public long long received, transmitted
    @cython.locals(transmitted=cython.longlong)
    cpdef long long write(self, PacketMemory memory, long long size, long long source, long long destination, long long seq, long long ack, long long flags, long long window) except -1
