from muxd.net.eventloop cimport Watched
from muxd.net.packetmemory cimport PacketMemory

cdef class SessionEnd(Watched):
    cpdef long long fill(self, PacketMemory memory, long long start, long long most) except -1
    cpdef ranDry(self)
    cpdef long long waiting(self) except -1
    cpdef sent(self)
    cpdef bint isFinished(self) except -1
    cpdef lost(self, reason, bint later)
    cpdef forgetHeld(self)
    cpdef deliver(self, PacketMemory memory, long long start, long long size)
