from muxd.net.packetmemory cimport PacketMemory
from muxd.net.streams cimport StreamSocket
from muxd.device.ends cimport SessionEnd
from muxd.device.session cimport Session
cimport cython

cdef class SocketEnd(SessionEnd):
    cdef public object _halfClosed, _held, _loop, _opening, _owner
    cdef public Session _session
    cdef public StreamSocket socket
    cdef public bint _hasEnded, _isCancelled, _isEnding, _isFinished, _isGone, _isReadable, _isUnknown
    cdef public long long _kept, _looks
    cdef object __weakref__
    cpdef happened(self, long long events)
    @cython.locals(count=cython.longlong)
    cpdef long long fill(self, PacketMemory memory, long long start, long long most) except -1
    cpdef ranDry(self)
    cpdef long long waiting(self) except -1
    cpdef sent(self)
    cpdef bint isFinished(self) except -1
    @cython.locals(count=cython.longlong)
    cpdef deliver(self, PacketMemory memory, long long start, long long size)
