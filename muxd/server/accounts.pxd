cimport cython

cdef class Account:
    cdef public object owner, _silent
    cdef public long long connections, held, listeners, orphans, streams
    cdef object __weakref__
    cpdef bint isNeeded(self) except -1
    cpdef forget(self, client)
    cpdef silent(self, client, double now)

cdef class Accounts:
    cdef public object _clock, _limits
    cdef public dict _accounts
    cdef public Account _empty
    cdef public long long held, mostStreams, mostListeners
    cdef object __weakref__
    @cython.locals(account=Account)
    cpdef enter(self, owner)
    cpdef leave(self, Account account)
    @cython.locals(before=Account)
    cpdef _forget(self, Account account)
