from muxd.net.packetmemory cimport PacketMemory
from muxd.device.acknowledging cimport Debtor
from muxd.device.outbound cimport Outbound
from muxd.device.window cimport SendWindow, ReceiveWindow
cimport cython

cdef class Session(Debtor):
    cdef public object owner, state, _reason, _timer
    cdef public Outbound outbound
    cdef public long long available, bytesSent, stalls
    cdef public double since, stalledSince
    cdef public SendWindow send
    cdef public ReceiveWindow receive
    cdef public bint isWithheld
    cdef object __weakref__
    @cython.locals(room=cython.longlong, size=cython.longlong)
    cpdef long long sendable(self, long long most) except -1
    cpdef bint isQuiet(self) except -1
    cpdef bint isSmall(self, long long limit) except -1
    cpdef ranDry(self)
    cpdef offer(self)
    @cython.locals(seq=cython.longlong)
    cpdef tuple advance(self, long long size)
    cpdef bint acknowledgeable(self)
    cpdef tuple acknowledgement(self)
    @cython.locals(owed=cython.longlong)
    cpdef long long owed(self) except -1
    cpdef taken(self, long long size)
    cpdef stalled(self)
    cpdef bint isHolding(self)
    @cython.locals(behind=cython.longlong, known=cython.longlong)
    cpdef segmentReceived(self, long long seq, long long ack, int flags, long long window, PacketMemory memory, long long start, long long size)
    cpdef reserve(self, long long size)
