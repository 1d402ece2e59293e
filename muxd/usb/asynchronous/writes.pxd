from muxd.device.lending cimport Lender
from muxd.net.packetmemory cimport PacketMemory
from muxd.usb.asynchronous.pacing cimport BusPace
cimport cython

cdef class Writes(Lender):
    cdef public long long bulk, small, _bulkBytes, _endedBytes, _mostInFlight, _capacity, _endpoint, _packetSize
    cdef public bint isOpen
    cdef public object _context, _limits, _noMemory, _failed, _backlog
    cdef public BusPace _pace
    cdef public list _freeBulk, _freeSmall
    cdef object __weakref__
    cpdef bint isIdle(self) except -1
    cpdef resume(self)
    cpdef ended(self, transfer)
    cpdef measure(self)
    cpdef _free(self, transfer)
    cpdef bint _submit(self, transfer, long long size) except -1
