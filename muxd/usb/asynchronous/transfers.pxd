# What other compiled modules may use directly: see transfers.pyx.

from muxd.net.packetmemory cimport PacketMemory

cdef extern from *:
    """
    #ifndef MUXD_USB_TRANSFER
    #define MUXD_USB_TRANSFER
    #include <sys/time.h>

    /* The public part of libusb's structure, whose layout is part of its ABI. */
    struct usb_transfer {
        void *handle;
        unsigned char flags;
        unsigned char endpoint;
        unsigned char type;
        unsigned int timeout;
        int status;
        int length;
        int actual_length;
        void (*callback)(struct usb_transfer *);
        void *user_data;
        unsigned char *buffer;
        int isochronous_packets;
    };
    #endif
    """
    struct usb_transfer
    ctypedef void (*usb_callback)(usb_transfer *) noexcept
    struct usb_transfer:
        void *handle
        unsigned char endpoint
        unsigned char type
        unsigned int timeout
        int status
        int length
        int actual_length
        usb_callback callback
        void *user_data
        unsigned char *buffer
    struct timeval:
        long tv_sec
        long tv_usec

cdef class Transfers:
    cdef usb_transfer *(*allocateTransfer)(int) noexcept
    cdef int (*submitTransfer)(usb_transfer *) noexcept
    cdef int (*cancelTransfer)(usb_transfer *) noexcept
    cdef void (*freeTransfer)(usb_transfer *) noexcept
    cdef int (*handleUSBEvents)(void *, timeval *, int *) noexcept
    cdef void *contextAddress
    cdef void *deviceAddress
    cdef object keptLibrary
    cdef bint isClosed
    # Chains of transfers, each of which is owned by being in one.
    cdef void *firstInFlight
    cdef void *lastInFlight
    cdef void *firstEnded
    cdef void *lastEnded
    cdef Py_ssize_t countEnded
    cdef readonly Py_ssize_t countInFlight
    cpdef Transfer transfer(self, Py_ssize_t endpoint, Py_ssize_t size)
    cpdef list handleEvents(self)
    cpdef close(self)

cdef class BusMemory(PacketMemory):
    cdef public bint isIn, isBulk
    cdef public int status
    cdef public Py_ssize_t length, actualLength
    cdef public BusMemory below
    cpdef int submit(self, Py_ssize_t length) except? -99

cdef class Transfer(BusMemory):
    cdef usb_transfer *structure
    cdef Transfers transfers
    cdef void *previous
    cdef void *next
    cdef void *nextEnded
    cdef bint hasEnded
    cpdef int cancel(self)
