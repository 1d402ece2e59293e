from muxd.net.packetmemory cimport PacketMemory
from muxd.device.framing cimport Framing
cimport cython

cdef class Outbound:
    cdef public object observer, _link, _counters, _control, _owing, _ready, _strays
    cdef public Framing _framing
    cdef public long long _window, _smallWrite, _controlQueue, _endedReady
    cdef object __weakref__
    cpdef control(self, long long source, long long destination, long long seq, long long ack, long long flags, long long window)
    cpdef acknowledge(self, session)
    @cython.locals(size=cython.longlong, most=cython.longlong, overhead=cython.longlong)
    cpdef ready(self, session)
    cpdef bint _mayOvertake(self, session, long long size) except -1
    @cython.locals(size=cython.longlong, most=cython.longlong, overhead=cython.longlong)
    cpdef flush(self)
    cpdef _transmit(self, tuple segment)
    cpdef _acknowledge(self, session)
    @cython.locals(memory=PacketMemory, overhead=cython.longlong, size=cython.longlong, length=cython.longlong)
    cpdef long long _send(self, session, long long most) except -1
