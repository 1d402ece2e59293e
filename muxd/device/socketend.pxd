from muxd.net.packetmemory cimport PacketMemory
from muxd.net.streams cimport StreamSocket
from muxd.device.session cimport Session
cimport cython

cdef class SocketEnd:
    cdef public object _halfClosed, _held, _loop, _opening, _owner
    cdef public Session _session
    cdef public StreamSocket socket
    cdef public bint _hasEnded, _isCancelled, _isEnding, _isGone, _isReadable, _isUnknown
    cdef public long long _kept, _looks
    cdef object __weakref__
    cpdef happened(self, long long events)
    @cython.locals(count=cython.longlong)
    cpdef fill(self, PacketMemory memory, long long start, long long most)
    @cython.locals(count=cython.longlong)
    cpdef deliver(self, PacketMemory memory, long long start, long long size)
