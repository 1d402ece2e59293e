from muxd.device.lending cimport Lender
from muxd.net.packetmemory cimport PacketMemory
from muxd.usb.asynchronous.pacing cimport BusPace
from muxd.usb.asynchronous.transfers cimport BusMemory
cimport cython

# In compiled code these are no names of the module's, but numbers.
cdef long long COMPLETED, DEVICE_MRU, ERROR, NO_MEMORY, SMALL_PACKET

cdef class Writes(Lender):
    cdef public long long bulk, small, _bulkBytes, endedBytes, _mostInFlight, _capacity, _endpoint, _packetSize
    cdef public long long _bulkInFlight, _packetsInFlight
    cdef public bint isOpen
    cdef public object _context, _noMemory, _failed, backlog
    cdef public BusPace _pace
    cdef public BusMemory _freeBulk, _freeSmall
    cdef object __weakref__
    @cython.locals(free=BusMemory)
    cpdef PacketMemory borrow(self, long long size)
    cpdef bint isIdle(self) except -1
    cpdef resume(self)
    @cython.locals(transfer=BusMemory)
    cpdef transmit(self, PacketMemory memory, long long size)
    @cython.locals(status=cython.int)
    cpdef int ended(self, BusMemory transfer) except -99
    cpdef measure(self)
    @cython.locals(transfer=BusMemory)
    cpdef giveBack(self, PacketMemory memory)
    @cython.locals(code=cython.int)
    cpdef bint _submit(self, BusMemory transfer, long long size) except -1
