cdef class ServerCounters:
    cdef public object commands, denials
    cdef public long long connections, malformedMessages, badVersions, timeouts, droppedClients, clientsOverBudget
    cdef public long long refusedClients, refusedStreams, refusedListeners, refusedSaves, droppedSilent, flushTimeouts
    cdef public long long connects, refusedConnects, cancelledConnects, bytesToPhones, bytesFromPhones
    cpdef moved(self, long long toPhone, long long fromPhone)
