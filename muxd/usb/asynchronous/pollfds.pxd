from muxd.net.eventloop cimport EventLoop, Watched, WatchedLast
cimport cython

# In compiled code these are no names of the module's, but numbers.
cdef long long GONE, READABLE, WRITABLE

cdef class LibusbDescriptor(Watched):
    cdef public bint isReadable
    cdef public int _fd
    cdef public LibusbDescriptors _owner
    cdef object __weakref__
    @cython.locals(owner=LibusbDescriptors)
    cpdef happened(self, long long events)
    cpdef failed(self, failure)

cdef class LibusbDescriptors(WatchedLast):
    cdef public object happened, _reactor, _lost
    cdef public EventLoop loop
    cdef public dict _watched
    cdef public bint _isPaused
    cdef object __weakref__
    cpdef finishTurn(self)
    cpdef failed(self, failure)
