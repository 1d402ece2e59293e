from muxd.usb.asynchronous.transfers cimport BusMemory

cdef class Stalls:
    cdef public object _reactor, _phone, _descriptors, _writes, _cleared, _makeThread, _thread
    cdef public set _seen
    cdef public list _waiting
    cdef public bint isClearing, isWaiting
    cdef public long long _clearing
    cdef object __weakref__
    cpdef bint isFirst(self, BusMemory transfer) except -1
    cpdef bint clear(self) except -1
