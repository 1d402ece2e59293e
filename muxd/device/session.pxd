from muxd.net.packetmemory cimport PacketMemory
from muxd.device.acknowledging cimport Debtor
from muxd.device.ends cimport SessionEnd
from muxd.device.outbound cimport Outbound
from muxd.device.owner cimport SessionOwner
from muxd.device.window cimport ReceiveWindow, SendWindow
cimport cython

# In compiled code these are no names of the module's, but numbers.
cdef long long ACK, RST, MASK

cdef class Session(Debtor):
    cdef public SessionOwner owner
    cdef public object state, _reason, _timer
    cdef public Outbound outbound
    cdef public long long bytesSent, stalls
    cdef public double since, stalledSince
    cdef public bint isWithheld
    cdef object __weakref__
    cpdef bint isQuiet(self) except -1
    cpdef bint isSmall(self, long long limit) except -1
    @cython.locals(end=SessionEnd)
    cpdef ranDry(self)
    cpdef offer(self)
    @cython.locals(receive=ReceiveWindow, send=SendWindow)
    cpdef advance(self, long long size)
    cpdef bint acknowledgeable(self) except -1
    cpdef bint acknowledge(self) except -1
    @cython.locals(receive=ReceiveWindow)
    cpdef taken(self, long long size)
    cpdef stalled(self)
    cpdef bint isHolding(self) except -1
    @cython.locals(behind=cython.longlong, known=cython.longlong, owner=SessionOwner, receive=ReceiveWindow, end=SessionEnd)
    cpdef segmentReceived(self, long long seq, long long ack, int flags, long long window, PacketMemory memory, long long start, long long size)
    cpdef reserve(self, long long size)
    cpdef resumed(self)
    @cython.locals(end=SessionEnd)
    cpdef close(self)
    cpdef closeHalf(self)
    @cython.locals(end=SessionEnd)
    cpdef checkFlushed(self, bint later=*)
    @cython.locals(timer=object)
    cpdef _enter(self, state, delay=*, expired=*)
    cpdef _reset(self)
    @cython.locals(end=SessionEnd)
    cpdef _finish(self, reason, bint reset, bint later)
