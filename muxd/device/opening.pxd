from muxd.net.packetmemory cimport PacketMemory
# By other names, so that these stay names of the module's, where tests put others.
from muxd.device.session cimport Session as EstablishedSession
from muxd.device.outbound cimport Ported
from muxd.device.owner cimport SessionOwner
from muxd.device.window cimport SendWindow as Sending, ReceiveWindow
cimport cython

# In compiled code these are no names of the module's, but numbers.
cdef long long ACK, RST, SYN, SYN_ACK

cdef class PendingSession(Ported):
    cdef public SessionOwner _owner
    cdef public object _request
    cdef public double _began
    cdef public Sending _send
    cdef public EstablishedSession _session
    cdef object __weakref__
    @cython.locals(receive=ReceiveWindow, owner=SessionOwner, now=double)
    cpdef segmentReceived(self, long long seq, long long ack, int flags, long long window, PacketMemory memory, long long start, long long size)
    @cython.locals(owner=SessionOwner, session=EstablishedSession)
    cpdef _establish(self, ReceiveWindow receive, double now)
