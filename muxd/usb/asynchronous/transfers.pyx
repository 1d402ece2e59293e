# cython: language_level=3, boundscheck=True, wraparound=False, binding=True
"""
The compiled twin of C{transfers.py}, which says what everything here means, and what
keeps it safe.
"""

cimport cython
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport uintptr_t

import ctypes

BUILD = "compiled"
NOT_FOUND = -5

cdef enum:
    BULK = 2
    NOT_IN_FLIGHT = -5


cdef void completed(usb_transfer *structure) noexcept with gil:
    """
    Called by libusb, in whatever thread handles events.  It can neither fail nor run code
    of anything else.
    """
    cdef Transfer transfer = <Transfer> structure.user_data
    cdef Transfers transfers = transfer.transfers
    if not transfer.isInFlight or transfer.hasEnded:
        return
    transfer.hasEnded = True
    transfer.nextEnded = NULL
    if transfers.lastEnded == NULL:
        transfers.firstEnded = <void *> transfer
    else:
        (<Transfer> transfers.lastEnded).nextEnded = <void *> transfer
    transfers.lastEnded = <void *> transfer
    transfers.countEnded += 1


cdef void *_function(library, str name) except NULL:
    function = getattr(library, "libusb_" + name)
    return <void *> <uintptr_t> ctypes.cast(function, ctypes.c_void_p).value


# Its pointers are good for as long as it is there, garbage or not.
@cython.no_gc_clear
cdef class Transfers:
    def __cinit__(self):
        self.isClosed = True

    def __init__(self, library, Py_ssize_t context, Py_ssize_t handle):
        if self.keptLibrary is not None:
            raise RuntimeError("these transfers have a library")
        self.allocateTransfer = <usb_transfer *(*)(int) noexcept> _function(library, "alloc_transfer")
        self.submitTransfer = <int (*)(usb_transfer *) noexcept> _function(library, "submit_transfer")
        self.cancelTransfer = <int (*)(usb_transfer *) noexcept> _function(library, "cancel_transfer")
        self.freeTransfer = <void (*)(usb_transfer *) noexcept> _function(library, "free_transfer")
        self.handleUSBEvents = <int (*)(void *, timeval *, int *) noexcept> _function(
            library, "handle_events_timeout_completed"
        )
        self.keptLibrary = library
        self.contextAddress = <void *> <uintptr_t> context
        self.deviceAddress = <void *> <uintptr_t> handle
        self.isClosed = False

    @property
    def inFlight(self):
        cdef void *one = self.firstInFlight
        found = []
        while one != NULL:
            found.append(<Transfer> one)
            one = (<Transfer> one).next
        return found

    cpdef Transfer transfer(self, Py_ssize_t endpoint, Py_ssize_t size):
        cdef Transfer made
        if self.isClosed:
            raise RuntimeError("these transfers are closed")
        if endpoint < 0 or endpoint > 0xFF:
            raise ValueError(f"expected an endpoint's address, got {endpoint}")
        made = Transfer(self, endpoint, size)
        return made

    cpdef list handleEvents(self):
        cdef timeval now
        cdef Transfer transfer
        cdef list ended
        cdef Py_ssize_t place, count
        if self.isClosed:
            return []
        now.tv_sec = 0
        now.tv_usec = 0
        self.handleUSBEvents(self.contextAddress, &now, NULL)
        # If there is no memory for this, they are found the next time.
        count = self.countEnded
        ended = [None] * count
        for place in range(count):
            transfer = <Transfer> self.firstEnded
            ended[place] = transfer
            self.countEnded -= 1
            self.firstEnded = transfer.nextEnded
            if self.firstEnded == NULL:
                self.lastEnded = NULL
            if transfer.previous == NULL:
                self.firstInFlight = transfer.next
            else:
                (<Transfer> transfer.previous).next = transfer.next
            if transfer.next == NULL:
                self.lastInFlight = transfer.previous
            else:
                (<Transfer> transfer.next).previous = transfer.previous
            self.countInFlight -= 1
            transfer.isInFlight = transfer.hasEnded = False
            transfer.status = transfer.structure.status
            # More than was asked for is what no library says, and no memory has.
            transfer.actualLength = min(
                max(transfer.structure.actual_length, 0), transfer.structure.length
            )
            Py_DECREF(transfer)
        return ended

    cpdef close(self):
        # What is in flight owns itself, and this through it.
        self.isClosed = True


@cython.no_gc_clear
cdef class BusMemory(PacketMemory):
    def __init__(self, Py_ssize_t size):
        PacketMemory.__init__(self, size)

    cpdef int submit(self, Py_ssize_t length) except? -99:
        raise NotImplementedError


@cython.no_gc_clear
cdef class Transfer(BusMemory):
    def __init__(self, Transfers transfers not None, Py_ssize_t endpoint, Py_ssize_t size):
        if transfers.isClosed:
            raise RuntimeError("these transfers are closed")
        BusMemory.__init__(self, size)
        self.structure = transfers.allocateTransfer(0)
        if self.structure == NULL:
            raise MemoryError("libusb_alloc_transfer")
        self.transfers = transfers
        self.isIn = (endpoint & 0x80) != 0
        self.structure.handle = transfers.deviceAddress
        self.structure.endpoint = <unsigned char> endpoint
        self.structure.type = BULK
        self.structure.timeout = 0
        self.structure.callback = completed
        self.structure.user_data = <void *> self
        self.structure.buffer = self.data

    def __dealloc__(self):
        # What is in flight cannot come here, as it owns itself.
        if self.structure != NULL:
            self.transfers.freeTransfer(self.structure)

    @property
    def address(self):
        return <uintptr_t> self.structure

    cpdef int submit(self, Py_ssize_t length) except? -99:
        cdef Transfers transfers = self.transfers
        cdef int code
        if self.structure == NULL:
            raise RuntimeError("this transfer has been freed")
        if transfers.isClosed:
            raise RuntimeError("these transfers are closed")
        self.check(0, length)
        self.structure.length = <int> length
        code = transfers.submitTransfer(self.structure)
        if code == 0:
            self.length = length
            self.isInFlight = True
            Py_INCREF(self)
            self.next = NULL
            self.previous = transfers.lastInFlight
            if self.previous == NULL:
                transfers.firstInFlight = <void *> self
            else:
                (<Transfer> self.previous).next = <void *> self
            transfers.lastInFlight = <void *> self
            transfers.countInFlight += 1
        return code

    cpdef int cancel(self):
        if not self.isInFlight or self.transfers.isClosed:
            return NOT_IN_FLIGHT
        return self.transfers.cancelTransfer(self.structure)

    cpdef free(self):
        PacketMemory.free(self)
        cdef usb_transfer *structure = self.structure
        self.structure = NULL
        if structure != NULL:
            self.transfers.freeTransfer(structure)
