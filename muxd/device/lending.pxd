from muxd.net.packetmemory cimport PacketMemory

cdef class Lender:
    cdef public long long lonePayload, payload
    cpdef bint hasRoom(self, long long size) except -1
    cpdef PacketMemory borrow(self, long long size)
    cpdef transmit(self, PacketMemory memory, long long size)
    cpdef giveBack(self, PacketMemory memory)

cdef class CopyingLender(Lender):
    cdef public object _link
    cdef public PacketMemory _memory
