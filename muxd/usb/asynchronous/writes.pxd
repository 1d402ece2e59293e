from muxd.usb.asynchronous.transfers cimport Transfer
from muxd.usb.asynchronous.pacing cimport BusPace
cimport cython

cdef class Writes:
    cdef public long long bulk, small, _bulkBytes, _endedBytes, _mostInFlight, _capacity, _endpoint, _packetSize
    cdef public object _context, _limits, _noMemory, _failed, _backlog
    cdef public BusPace _pace
    cdef public list _freeBulk, _freeSmall
    cdef object __weakref__
    cpdef borrow(self, long long size)
    cpdef giveBack(self, transfer)
    cpdef transmit(self, transfer, long long size)
    cpdef bint hasRoom(self, long long size) except -1
    cpdef bint isIdle(self) except -1
    cpdef resume(self)
    cpdef ended(self, transfer)
