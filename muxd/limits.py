# -*- test-case-name: tests.test_limits -*-
"""
What phones and clients may cost: the limits that an operator or a test may want to change.

Nothing that a phone or a client sends may grow memory, hold a file descriptor or keep a
timer without bound.  The bounds that belong to the service as a whole are fields of
L{Limits}, which is passed in where it is needed.  A number that belongs to one algorithm or
format, such as the size of a key or how often a pipe looks at a socket, is a constant of the
module that has it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """
    The limits of one service.  Sizes are bytes, times are seconds, unless said otherwise.
    """

    receiveWindow: int = 131072
    """
    What each session offers the phone; a multiple of 256, at most 65535 * 256.  128 KiB
    is what every phone has seen from every host (protocol 3.2).
    """
    acknowledgeAt: int = 16384
    """
    Delivered but unacknowledged bytes at which an acknowledgement goes out at once
    (protocol 3.5); half the window, if that is less.
    """
    acknowledgeDelay: float = 0.030
    """The longest a delivered byte waits for its acknowledgement otherwise (protocol 3.5)."""
    sendBuffer: int = 98304
    """
    Bytes written to a session and not yet taken by the link at which a registered
    producer is paused.
    """
    smallWrite: int = 4096
    """The largest write of an idle session that may overtake other sessions' bulk data."""
    handshakeTimeout: float = 5.0
    """From VERSION to the phone's answer (protocol 1.2)."""
    handshakeRetry: float = 5.0
    """
    How long a phone that has not answered twice is left alone before it is opened again;
    twice as long after each further time.
    """
    longestHandshakeRetry: float = 60.0
    """The longest that a phone is left alone so."""
    connectTimeout: float = 10.0
    """From SYN to the phone's answer (protocol 9, edge 37)."""
    flushTimeout: float = 15.0
    """
    How long the receiver of what is still buffered after C{loseConnection} may take
    nothing of it (protocol 3.7).
    """
    halfCloseGrace: float = 1.0
    """
    How long nothing may move, after a peer has finished sending of which it is not known
    whether it is still there, before that is taken for its end (protocol 3.7).  0 is at
    once.
    """
    greetingTimeout: float = 60.0
    """How long a client that begins to listen may take nothing of what it is told first."""
    portReuseDelay: float = 5.0
    """How long a source port rests after its session ended (protocol 3.3)."""
    sessionsPerPhone: int = 16384
    """Sessions alive on one phone at once."""
    controlQueue: int = 256
    """
    Answers to segments of no session that may wait until there is nothing else to send;
    more are dropped and counted.
    """
    captureQueue: int = 16 << 20
    """
    Bytes of a capture that may wait for its file or its reader; of what comes then, whole
    packets are dropped from the capture, and counted.
    """
    messageSize: int = 65536
    """The longest client message, header included (protocol 4.6)."""
    messageTimeout: float = 30.0
    """From the first byte of a client message to its last."""
    requestsAtOnce: int = 16
    """
    Requests of a client that are performed before other clients have their turn; fewer,
    if they are long.
    """
    requestBytesAtOnce: int = 6144
    """
    How long they may be together, in bytes, but for the last one: as long as sixteen of the
    usual ones.
    """
    turnLength: float = 0.004
    """
    How long requests of all clients are performed before everything else has its turn; the
    last one may take half a millisecond longer.  What has to wait then is shared fairly by
    users, and not by clients.
    """
    clientQueue: int = 1 << 20
    """
    Bytes of events queued for a listener that does not read before it is disconnected.  A
    client that does not read its last reply gets no other.
    """
    unreadBytes: int = 128 << 20
    """Bytes that may wait for all clients together; what several wait for counts once."""
    unreadPerUser: int = 32 << 20
    """
    The same for the clients of one user of this machine, or of one other machine; beyond
    these the client is disconnected that has not read for the longest.
    """
    connectionsPerUser: int = 8192
    """
    Connections of one user of this machine, or of one other machine; one more is closed.
    Sixty phones with twenty sessions each are 1,200.
    """
    streamsPerUser: int = 4096
    """
    Streams of one user; one more Connect is refused.  Where this process may have few files open,
    at most five of eight that clients may have.
    """
    listenersPerUser: int = 1024
    """
    Listeners of one user; one more is refused.  At most one of four files that clients may have.
    """
    absentRecordsPerUser: int = 1024
    """
    Pair records of phones that are not attached that one user may store in an hour; all of them
    may be at once.
    """
    records: int = 4096
    """Files that the directory of pair records may have for more to be added."""
    recordBytes: int = 64 << 20
    """How long all of them may be together."""
    leastSilence: float = 1.0
    """
    How long a client must have said nothing before it may be disconnected so that others find a
    free descriptor.
    """
    descriptorReserve: int = 128
    """
    File descriptors that clients may not take: phones, pair records, and clients that are
    accepted together with the last one need them.  At most a quarter of all that the
    process may have.
    """
    admissionRetry: float = 1.0
    """
    How long clients wait, when there are no more descriptors or the system is short of
    something, before accepting is tried again.
    """
    orphanedRequests: int = 64
    """
    Requests of one user for pair records that are not done although their clients have
    finished sending, or have gone; with this many none of the user's clients is let in.
    """
    heldPerUser: int = 32 << 20
    """
    Bytes that the clients of one user have sent and that are not done yet; beyond these the
    client is disconnected that has sent more.
    """
    heldBytes: int = 128 << 20
    """The same for all users together."""
    stopTimeout: float = 5.0
    """
    What each step of a stop may take: closing the listening sockets, ending the sources,
    flushing the clients.
    """
    socketLook: float = 2.0
    """Between two looks whether the file of a UNIX socket is still the one that was made."""
    pendingInput: int = 65536
    """
    Bytes of a client held while its Connect is under way, or its pair record, beyond
    which its socket is not read (protocol 4.5).
    """
    bulkInFlight: int = 2
    """
    Bulk packets handed to a link and not yet on the bus beyond which it has no room: the
    queue is short so that a small packet is never far behind.
    """
    bulkQueueTime: float = 0.0005
    """
    The same in time, for an engine that measures the bus: as much as it carries meanwhile
    may be on its way, if that is more.
    """
    bulkBytesInFlight: int = 6 * 49152
    """The most bytes of bulk packets on their way, whatever the bus carries."""
    packetsInFlight: int = 32
    """
    Packets of any kind handed to a link and not yet on the bus beyond which it has no
    room.
    """
    readsInFlight: int = 6
    """
    Bulk IN transfers of 32 KiB that an asynchronous engine keeps with the kernel: 2 fill
    a USB 2 bus.  All phones of a machine share 16 MB for them, so sixty phones may have 6
    each.
    """
    fastReadsInFlight: int = 8
    """The same for a phone on a SuperSpeed bus, which needs 6."""
    memoryRetry: float = 0.05
    """How long to wait before asking again for transfer memory that the kernel refused."""
    linkFlushTimeout: float = 0.25
    """How long a link that is closed keeps trying to send what it has accepted."""
    linkCloseTimeout: float = 5.0
    """When a close that does not end is given up."""
    readBacklog: int = 64
    """
    Transfers read from a phone and not yet looked at, beyond which its link reads no
    further.
    """
    replySize: int = 16 << 20
    """
    The longest message that a client takes from a daemon, header included: a list of very
    many phones, or a pair record.
    """
    recordSize: int = 262144
    """The largest file that is read as a pair record; real ones have ten kilobytes."""
    answerTimeout: float = 5.0
    """
    How long a client gives a daemon to answer a command that no phone has a part in, the
    opening of the connection included.
    """
    listSilence: float = 0.1
    """
    A listener that has heard nothing for so long has been told of all phones that are
    there, from a daemon that has no command to list them (protocol 4.12).
    """
    firstLook: float = 2.0
    """
    How long after a start lists of phones and listeners wait for the phones that are there
    already.
    """
    hiddenTime: float = 5.0
    """
    The longest that a phone stays invisible after it was plugged in, whatever its
    lockdownd does.
    """
    preflightStep: float = 30.0
    """
    The longest that one step of preflight may take, but for making keys, which other
    phones' keys may precede.
    """
    preflightRetry: float = 60.0
    """The longest time between two attempts at preflight."""
    trustPoll: float = 10.0
    """
    How often a phone is asked whether its owner has tapped Trust, in case it does not
    tell.
    """
    reconnectDelay: float = 1.0
    """Between two attempts to reach a daemon that is not there."""
    relayConnections: int = 4096
    """
    Connections that a relay carries at once; one that comes when there are so many is
    closed.
    """
    usbipConnections: int = 256
    """Connections of USB/IP hosts to simulated phones at once."""
    usbipRequestTimeout: float = 10.0
    """How long a USB/IP host may take to say what it wants."""
    usbipTransfer: int = 16 << 20
    """
    The largest single transfer that a USB/IP host may submit; Linux has no more memory
    for all of a program's.
    """
    usbipTransfers: int = 4096
    """Transfers of a USB/IP host that may wait at once for a phone."""
    usbipPending: int = 64 << 20
    """Bytes of a host's transfers that may wait at once for a phone."""
    controlLine: int = 1 << 20
    """The longest line of a control socket of simulated phones."""
    controlConnections: int = 64
    """Connections to such a socket at once."""
    statusConnections: int = 128
    """Connections to the status socket at once."""
    statusStreams: int = 64
    """Those of them whose answer has no end: events, lines of the log, packets."""
    statusBody: int = 65536
    """The longest body of a request to the status socket."""
    statusTimeout: float = 30.0
    """
    From the opening of a connection to the status socket, or from the last answer, to the
    end of the next request.
    """
    statusPatience: float = 20.0
    """How long the reader of a stream may take nothing, while some waits for it."""
    actionTimeout: float = 60.0
    """How long an operator waits for what was asked for to be done."""
    tunnelSessions: int = 1024
    """TCP connections in one tunnel at once."""
    tunnelWindow: int = 1 << 20
    """
    Bytes that each of them offers the other end; it holds no more of what has come, in order or
    not.
    """
    tunnelInFlight: int = 1 << 20
    """Bytes of each that have been sent and are not acknowledged yet."""
    tunnelSendBuffer: int = 1 << 18
    """Bytes written to one of them, and not sent, at which a registered producer is paused."""
    tunnelTimeout: float = 10.0
    """From the opening of a tunnel's stream to the end of its handshake, and that of RSD's."""


LIMITS = Limits()
