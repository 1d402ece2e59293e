from muxd.net.packetmemory cimport PacketMemory
from muxd.device.counters cimport MuxerCounters
from muxd.device.ends cimport SessionEnd
from muxd.device.framing cimport Framing
from muxd.device.lending cimport Lender
from muxd.device.window cimport ReceiveWindow, SendWindow
cimport cython

# In compiled code these are no names of the module's, but numbers.
cdef long long ACK, RST

cdef class Ported:
    cdef public long long sourcePort, port
    cpdef segmentReceived(self, long long seq, long long ack, int flags, long long window, PacketMemory memory, long long start, long long size)

cdef class Sender(Ported):
    cdef public SessionEnd end
    cdef public long long available
    cdef public bint waiting
    cdef public SendWindow send
    cdef public ReceiveWindow receive
    cpdef bint isQuiet(self) except -1
    cpdef advance(self, long long size)
    cpdef bint isSmall(self, long long limit) except -1
    cpdef ranDry(self)
    cpdef bint acknowledge(self) except -1

cdef class Outbound:
    cdef public object observer, _control, _owing, _ready, _strays
    cdef public MuxerCounters _counters
    cdef public Framing _framing
    cdef public Lender _lender
    cdef public long long _window, _smallWrite, _controlQueue, _endedReady, _row
    cdef public Sender _latest, _lone
    cdef object __weakref__
    @cython.locals(source=cython.longlong, destination=cython.longlong)
    cpdef segment(self, Ported session, long long flags, long long seq, long long ack)
    cpdef acknowledge(self, Sender session)
    @cython.locals(lender=Lender, send=SendWindow, size=cython.longlong, most=cython.longlong, overhead=cython.longlong, isDry=cython.bint)
    cpdef ready(self, Sender session)
    @cython.locals(small=cython.longlong)
    cpdef bint _mayOvertake(self, Sender session, long long size) except -1
    @cython.locals(lender=Lender, session=Sender, send=SendWindow, size=cython.longlong, most=cython.longlong, overhead=cython.longlong, isDry=cython.bint)
    cpdef flush(self)
    cpdef forget(self, Sender session)
    @cython.locals(framing=Framing, lender=Lender, memory=PacketMemory, size=cython.longlong)
    cpdef _transmit(self, long long source, long long destination, long long seq, long long ack, long long flags, long long window)
    cpdef _acknowledge(self, Sender session)
    @cython.locals(framing=Framing, lender=Lender, end=SessionEnd, memory=PacketMemory, overhead=cython.longlong, size=cython.longlong, length=cython.longlong, seq=cython.longlong, counters=MuxerCounters)
    cpdef long long _send(self, Sender session, long long most) except -1
