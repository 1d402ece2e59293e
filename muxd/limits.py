# -*- test-case-name: tests.test_limits -*-
"""
Every limit of the daemon is a number in this one place.

Nothing that a phone or a client sends may grow memory, hold a file descriptor
or keep a timer beyond what is written here.  A L{Limits} is passed in where it
is needed, so that a test can use small ones and an operator other ones.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """
    Sizes are bytes, times are seconds, unless said otherwise.

    @ivar receiveWindow: What each session offers the phone; a multiple of 256,
        at most 65535 * 256.  128 KiB is what every phone has seen from every
        host (facts: protocol 3.2).
    @ivar acknowledgeAt: Delivered but unacknowledged bytes at which an
        acknowledgement goes out at once (protocol 3.5); half the window, if that
        is less.
    @ivar acknowledgeDelay: The longest a delivered byte waits for its
        acknowledgement otherwise (protocol 3.5).
    @ivar sendBuffer: Bytes written to a session and not yet taken by the link
        at which a registered producer is paused.
    @ivar smallWrite: The largest write of an idle session that may overtake
        other sessions' bulk data.
    @ivar handshakeTimeout: From VERSION to the phone's answer (protocol 1.2).
    @ivar handshakeRetry: How long a phone is left alone that has not answered twice, before
        it is opened again; twice as long after each further time.
    @ivar longestHandshakeRetry: But never longer than this.
    @ivar connectTimeout: From SYN to the phone's answer (protocol 9, edge 37).
    @ivar flushTimeout: How long whoever is to have what is still buffered, after
        C{loseConnection}, may take nothing of it (protocol 3.7); after half an end,
        as long as a phone may take nothing and say nothing.
    @ivar halfCloseGrace: Silence of the phone, after a client has finished
        sending, that ends a session (protocol 3.7).
    @ivar portReuseDelay: How long a source port rests after its session ended
        (protocol 3.3).
    @ivar sessionsPerPhone: Sessions alive on one phone at once.
    @ivar controlQueue: Answers to segments of no session that may wait until there
        is nothing else to send; more are dropped and counted.
    @ivar messageSize: The longest client message, header included
        (protocol 4.6).
    @ivar messageTimeout: From the first byte of a client message to its last.
    @ivar requestsAtOnce: Requests of a client that are performed before it is others'
        turn; fewer, if they are more bytes than the longest one may be.
    @ivar clientQueue: Bytes queued for a listener, or for a client that sends
        commands and never reads, before it is disconnected.
    @ivar descriptorReserve: File descriptors that clients may not take: phones, pair
        records, and whoever is let in in the same breath as the last one need
        them.  At most a quarter of all that the process may have.
    @ivar admissionRetry: How long clients wait, when there are no more or the system
        is short of something, before it is tried again to let one in.
    @ivar leftBehind: Clients who have finished sending, or have gone, while a request of
        theirs for a pair record is not done; with so many nobody is let in until half
        of them are.
    @ivar stopTimeout: What each step of a stop may take: closing the listening
        sockets, ending the sources, flushing the clients.
    @ivar pendingInput: Bytes of a client held while its Connect is under way, or
        its pair record, beyond which its socket is not read (protocol 4.5).
    @ivar bulkInFlight: Bulk packets handed to a link and not yet on the bus
        beyond which it has no room: the queue is short so that a small packet
        is never far behind.
    @ivar bulkQueueTime: The same in time, for an engine that measures the bus: as
        much as it carries meanwhile may be on its way, if that is more.
    @ivar bulkBytesInFlight: And at most so much, in bytes.
    @ivar packetsInFlight: The same for all packets, small ones included.
    @ivar readsInFlight: Bulk IN transfers of 32 KiB that an asynchronous engine
        keeps with the kernel: 2 fill a USB 2 bus.  All phones of a machine
        share 16 MB for them, so sixty phones may have 6 each.
    @ivar fastReadsInFlight: The same for a phone on a SuperSpeed bus, which
        needs 6.
    @ivar memoryRetry: How long to wait before asking again for transfer memory
        that the kernel refused.
    @ivar linkFlushTimeout: How long a link that is closed keeps trying to send
        what it has accepted.
    @ivar linkCloseTimeout: When a close that does not end is given up.
    @ivar readBacklog: Transfers read from a phone and not yet looked at, beyond
        which its link reads no further.
    @ivar replySize: The longest message that a client takes from a daemon,
        header included: a list of very many phones, or a pair record.
    @ivar recordSize: The largest file that is read as a pair record; real ones have
        ten kilobytes.
    @ivar reachTimeout: How long a client tries to open a connection to a daemon.
    @ivar answerTimeout: How long a client gives a daemon to answer a command
        that no phone has a part in.
    @ivar listSilence: A listener that has heard nothing for so long has been
        told of all phones that are there, where there is no command to list
        them (protocol 4.12).
    @ivar hiddenTime: The longest that a phone stays invisible after it was plugged
        in, whatever its lockdownd does.
    @ivar preflightStep: The longest that one step of preflight may take, but for
        making keys, of which as many as there are phones may come first.
    @ivar preflightRetry: The longest time between two attempts at preflight.
    @ivar trustPoll: How often a phone is asked whether somebody has tapped Trust,
        in case it does not tell.
    @ivar reconnectDelay: Between two attempts to reach a daemon that is not
        there.
    @ivar relayConnections: Connections that a relay carries at once; one that
        comes when there are so many is closed.
    @ivar usbipConnections: Connections of USB/IP hosts to simulated phones at once.
    @ivar usbipRequestTimeout: How long such a host may take to say what it wants.
    @ivar usbipTransfer: The largest single transfer that a host may submit; Linux
        has no more memory for all of a program's.
    @ivar usbipTransfers: Transfers of a host that may wait at once for a phone.
    @ivar usbipPending: And their bytes.
    @ivar controlLine: The longest line of a simulated phones' control socket.
    @ivar controlConnections: Connections to it at once.
    """

    receiveWindow: int = 131072
    acknowledgeAt: int = 16384
    acknowledgeDelay: float = 0.030
    sendBuffer: int = 98304
    smallWrite: int = 4096
    handshakeTimeout: float = 5.0
    handshakeRetry: float = 5.0
    longestHandshakeRetry: float = 60.0
    connectTimeout: float = 10.0
    flushTimeout: float = 15.0
    halfCloseGrace: float = 5.0
    portReuseDelay: float = 5.0
    sessionsPerPhone: int = 16384
    controlQueue: int = 256
    messageSize: int = 65536
    messageTimeout: float = 30.0
    requestsAtOnce: int = 16
    clientQueue: int = 1 << 20
    descriptorReserve: int = 128
    admissionRetry: float = 1.0
    leftBehind: int = 64
    stopTimeout: float = 5.0
    pendingInput: int = 65536
    bulkInFlight: int = 2
    bulkQueueTime: float = 0.001
    bulkBytesInFlight: int = 12 * 49152
    packetsInFlight: int = 32
    readsInFlight: int = 6
    fastReadsInFlight: int = 8
    memoryRetry: float = 0.05
    linkFlushTimeout: float = 0.25
    linkCloseTimeout: float = 5.0
    readBacklog: int = 64
    replySize: int = 16 << 20
    recordSize: int = 262144
    reachTimeout: float = 30.0
    answerTimeout: float = 5.0
    listSilence: float = 0.1
    hiddenTime: float = 5.0
    preflightStep: float = 30.0
    preflightRetry: float = 60.0
    trustPoll: float = 10.0
    reconnectDelay: float = 1.0
    relayConnections: int = 4096
    usbipConnections: int = 256
    usbipRequestTimeout: float = 10.0
    usbipTransfer: int = 16 << 20
    usbipTransfers: int = 4096
    usbipPending: int = 64 << 20
    controlLine: int = 1 << 20
    controlConnections: int = 64


LIMITS = Limits()
