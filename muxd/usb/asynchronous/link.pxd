from muxd.device.lending cimport Lender
from muxd.usb.asynchronous.pacing cimport BusPace
from muxd.usb.asynchronous.pollfds cimport LibusbDescriptors
from muxd.usb.asynchronous.reads cimport Reads
from muxd.usb.asynchronous.stalls cimport Stalls
from muxd.usb.asynchronous.transfers cimport BusMemory
from muxd.usb.asynchronous.writes cimport Writes
cimport cython

# In compiled code these are no names of the module's, but numbers.
cdef long long CANCELLED, COMPLETED, STALL

cdef class AsynchronousLink:
    cdef public object state
    cdef public Lender lender
    cdef public object _context, _phone, _reactor, _limits, _receiver, _showPlaced, _watchable
    cdef public object _deadline, _retry
    cdef public long long maxPacketSize
    cdef public bint isFast, _cancelling, _handling, _memoryReported
    cdef public list _closed
    cdef public LibusbDescriptors _descriptors
    cdef public BusPace _pace
    cdef public Reads _reads
    cdef public Stalls _stalls
    cdef public Writes _writes
    cdef object __weakref__
    cpdef handleEvents(self)
    @cython.locals(status=cython.int, failed=cython.int, isIn=cython.bint, wrote=cython.bint, reads=Reads, writes=Writes, transfer=BusMemory)
    cpdef _transfersEnded(self, list ended)
    cpdef _deliver(self, list packets)
    cpdef _goOn(self)
    cpdef _read(self)
