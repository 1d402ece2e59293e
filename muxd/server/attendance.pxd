from muxd.net.acceptthrottle cimport AcceptThrottle
from muxd.server.accounts cimport Account, Accounts

cdef class Attendance:
    cdef public set clients
    cdef public Accounts _accounts
    cdef public AcceptThrottle _throttle
    cdef public object emptied
    cdef object __weakref__
    cpdef come(self, client, transport)
    cpdef comeOnSocket(self, client, int descriptor)
    cpdef gone(self, client, Account account)
    cpdef replaced(self, client)
    cpdef _lookWhetherEmpty(self)
