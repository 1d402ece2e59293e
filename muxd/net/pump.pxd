from muxd.net.packetmemory cimport PacketMemory
from muxd.net.streams cimport StreamSocket
cimport cython

# In compiled code these are no names of the module's, but numbers.
cdef long long BLOCKED

cdef class SocketPump:
    cdef public object _end, _writer
    cdef public PacketMemory _memory
    cdef public StreamSocket _source, _target
    cdef object __weakref__
    @cython.locals(memory=PacketMemory, count=cython.longlong, sent=cython.longlong)
    cpdef doRead(self)
