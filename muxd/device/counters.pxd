cdef class MuxerCounters:
    cdef public long long packetsReceived, packetsSent, bytesReceived, bytesSent, acknowledgements, sessionsOpened
    cdef public long long sessionsRefused, connectTimeouts, malformed, counterGaps, duplicates
    cdef public long long sequenceGaps, overruns, badAcknowledgements, unexpectedFlags, strays, straysUnanswered
