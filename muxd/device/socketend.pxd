from muxd.net.packetmemory cimport PacketMemory
from muxd.net.streams cimport StreamSocket
from muxd.device.ends cimport SessionEnd
from muxd.device.opening cimport PendingSession
from muxd.net.eventloop cimport EventLoop, Watched
from muxd.device.session cimport Session
cimport cython

# In compiled code these are no names of the module's, but numbers.
cdef long long BLOCKED, EVENTS, GONE, PEER_ENDED, READABLE, URGENT, WRITABLE

cdef class SocketOwner(Watched):
    cpdef sessionOpened(self)
    cpdef sessionRefused(self, reason)
    cpdef requestCancelled(self)
    cpdef socketClosed(self)
    cpdef streamEnded(self, long long sent, long long received)

cdef class SocketEnd(SessionEnd):
    cdef public object _halfClosed, _held
    cdef public EventLoop _loop
    cdef public PendingSession _opening
    cdef public SocketOwner _owner
    cdef public Session _session
    cdef public StreamSocket socket
    cdef public bint _hasEnded, _isCancelled, _isEnding, _isFinished, _isGone, _isReadable, _isUneven, _isUnknown
    cdef public long long _kept, _looks, _needless
    cdef object __weakref__
    cpdef begin(self, PendingSession opening)
    cpdef accepted(self)
    cpdef established(self, Session session)
    @cython.locals(session=Session)
    cpdef happened(self, long long events)
    cpdef failed(self, failure)
    cpdef _happenedEarly(self, long long events)
    @cython.locals(events=cython.longlong)
    cpdef _listen(self)
    @cython.locals(session=Session, needless=cython.longlong)
    cpdef _ranOut(self)
    @cython.locals(session=Session)
    cpdef _peerGone(self)
    @cython.locals(session=Session)
    cpdef lost(self, reason, bint later)
    @cython.locals(descriptor=cython.int, owner=SocketOwner)
    cpdef _close(self)
    @cython.locals(count=cython.longlong, session=Session)
    cpdef long long fill(self, PacketMemory memory, long long start, long long most) except -1
    @cython.locals(session=Session)
    cpdef ranDry(self)
    cpdef long long waiting(self) except -1
    cpdef sent(self)
    cpdef forgetHeld(self)
    cpdef bint isFinished(self) except -1
    @cython.locals(count=cython.longlong, session=Session)
    cpdef deliver(self, PacketMemory memory, long long start, long long size)
