from muxd.net.packetmemory cimport PacketMemory
from muxd.device.session cimport Session
from muxd.device.window cimport SendWindow, ReceiveWindow
cimport cython

cdef class PendingSession:
    cdef public object _owner, _request, _timer
    cdef public long long port, sourcePort
    cdef public double _began
    cdef public SendWindow _send
    cdef public Session _session
    cdef object __weakref__
    @cython.locals(receive=ReceiveWindow)
    cpdef segmentReceived(self, long long seq, long long ack, int flags, long long window, PacketMemory memory, long long start, long long size)
    cpdef _establish(self, ReceiveWindow receive)
