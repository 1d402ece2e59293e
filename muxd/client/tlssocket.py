# -*- test-case-name: tests.client.test_tlssocket -*-
"""
A plain socket whose other end is a server with TLS.

What Python gives for TLS is no socket that can do all that a socket can: be written and read
by two threads at once, be waited for, be handed on, be shut down one way.  So a thread
speaks TLS, and what its user has is one of a pair of sockets, as to a daemon on this machine.

A server hears nothing of a client that has only finished sending, since with TLS that would be
the end of both directions for most; it goes on, as phones do that are not told of it either.
"""

from __future__ import annotations

import select
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from threading import Thread
from time import monotonic

from muxd.client.address import UnusableFiles
from muxd.net.resetting import resetAtEnd
from muxd.net.tlsfiles import TLSFiles, contentOf
from muxd.net.tlsreasons import tlsReason
from muxd.net.tlstarget import TLSTarget

CHUNK = 65536

LINGER = 15_000
"""
Milliseconds for which a server may take nothing of what was sent before the end, and then
until it has closed.
"""


LOOK = 1.0
"""Seconds between two looks at what was revoked."""

REVOKED = "its certificate was revoked"


class TLSSocket(socket.socket):
    """
    The user's end.

    @ivar trouble: Why TLS has ended, when it has; empty if it was closed.
    @ivar isAborted: Whether the server is to find the connection lost, when this is closed.
    """

    trouble = ""
    isAborted = False


def contextOf(target: TLSTarget) -> ssl.SSLContext:
    """
    What is shown and believed.

    @raise OSError: A file cannot be used.
    """
    files = target.files
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_verify_locations(files.ca)
    if files.crl:
        context.load_verify_locations(files.crl)
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    context.load_cert_chain(files.cert, files.key)
    return context


def secured(sock: socket.socket, target: TLSTarget) -> socket.socket:
    """
    A socket for what is said by TLS on another, which is ours from then on.

    @param sock: Connected, with the time-out that the handshake may take.
    @raise OSError: The server is not believed, a file cannot be used, or it took too long.
    """
    # What comes after this is looked at later.
    stamp = target.files.stamp()
    try:
        context = contextOf(target)
    except OSError as error:
        reason = str(error) if isinstance(error, ssl.SSLError) else error.strerror
        raise UnusableFiles(f"{target.files.cert} and the files beside it: {reason}") from error
    protected = context.wrap_socket(sock, server_hostname=target.server)
    near, far = socket.socketpair()
    users = TLSSocket(near.family, near.type, near.proto, near.detach())
    protected.setblocking(False)
    far.setblocking(False)
    shown = protected.getpeercert(binary_form=True) or b""
    _Pump(protected, far, users, Revocation(target.files, stamp, shown)).start()
    return users


class Revocation:
    """
    Whether a certificate that was believed has been revoked since.

    Python asks when it shakes hands, and cannot later: for that the C{cryptography} package is
    used, if it is there, once there is another list.
    """

    def __init__(
        self,
        files: TLSFiles,
        stamp: object,
        certificate: bytes,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """
        @param stamp: The files', as they were when it was believed.
        @param certificate: As DER.
        """
        self.isWatched = bool(files.crl)
        self._files = files
        self._stamp = stamp
        self._certificate = certificate
        self._clock = clock
        self._next = clock() + LOOK

    def has(self) -> bool:
        """
        Whether it has, as far as was looked by now.
        """
        if not self.isWatched or self._clock() < self._next:
            return False
        self._next = self._clock() + LOOK
        stamp = self._files.stamp()
        if stamp == self._stamp:
            return False
        self._stamp = stamp
        try:
            from cryptography import x509
        except ImportError:
            self.isWatched = False
            return False
        try:
            shown = x509.load_der_x509_certificate(self._certificate)
            revoked = x509.load_pem_x509_crl(contentOf(self._files.crl))
        except (OSError, ValueError):
            # Perhaps half of it: it is another file when it is whole.
            return False
        number = shown.serial_number
        isOn = revoked.get_revoked_certificate_by_serial_number(number) is not None
        return isOn and revoked.issuer == shown.issuer


class _Pump(Thread):
    """
    Moves bytes between the two until either end is closed.
    """

    def __init__(
        self,
        protected: ssl.SSLSocket,
        plain: socket.socket,
        users: TLSSocket,
        revocation: Revocation,
    ) -> None:
        # A daemon thread: a program may end without closing its sockets.
        super().__init__(name=f"TLS to {protected.server_hostname}", daemon=True)
        self._protected = protected
        self._plain = plain
        self._users = users
        self._revocation = revocation
        self._up = b""
        self._down = b""
        self._hasMoreUp = True
        self._hasMoreDown = True
        self._wantsWriting = False
        self._isGone = False

    def run(self) -> None:
        """
        Until it is done.
        """
        try:
            while self._mayMove():
                if self._revocation.has():
                    self._users.trouble = REVOKED
                    break
                # Each in its turn, even if the other has been moved.
                moved = not self._isGone and self._moveDown()
                moved = self._moveUp() or moved
                if not moved and not self._wait():
                    break
        except OSError as error:
            self._users.trouble = tlsReason(error)
        finally:
            self._plain.close()
            if self._users.isAborted:
                with socket.socket(fileno=self._protected.detach()) as sock:
                    resetAtEnd(sock)
            else:
                with suppress(OSError):
                    self._protected.unwrap()
                _end(self._protected)

    def _mayMove(self) -> bool:
        if self._isGone:
            # What was sent before is still to be taken.
            return self._hasMoreUp or bool(self._up)
        return self._hasMoreDown or bool(self._down)

    def _moveDown(self) -> bool:
        """
        From the server: whether anything was done.
        """
        if self._down:
            try:
                sent = self._plain.send(self._down)
            except BlockingIOError:
                return False
            self._down = self._down[sent:]
            return True
        if not self._hasMoreDown:
            return False
        self._wantsWriting = False
        try:
            self._down = self._protected.recv(CHUNK)
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLWantWriteError:
            self._wantsWriting = True
            return False
        self._hasMoreDown = bool(self._down)
        return True

    def _moveUp(self) -> bool:
        """
        To the server: whether anything was done.
        """
        if not self._up and self._hasMoreUp:
            try:
                self._up = self._plain.recv(CHUNK)
            except BlockingIOError:
                return False
            self._hasMoreUp = bool(self._up)
            if not self._hasMoreUp:
                return True
        if not self._up:
            return False
        try:
            sent = self._protected.send(self._up)
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLWantWriteError:
            self._wantsWriting = True
            return False
        self._up = self._up[sent:]
        return True

    def _wait(self) -> bool:
        """
        Wait until something can be done.

        @return: Whether it may be worth going on.
        """
        fromServer = not self._isGone and not self._down
        toServer = bool(self._up) or self._wantsWriting
        fromUser = self._hasMoreUp and not self._up
        toUser = bool(self._down) and not self._isGone
        patience = LOOK if self._revocation.isWatched else None
        if not hasattr(select, "poll"):
            # A user's end that is closed is seen when there is something for it.
            readers = [self._protected] * fromServer + [self._plain] * fromUser
            writers = [self._protected] * toServer + [self._plain] * toUser
            select.select(readers, writers, [], patience)
            return True
        poll = select.poll()
        if fromServer or toServer:
            events = (select.POLLIN if fromServer else 0) | (select.POLLOUT if toServer else 0)
            poll.register(self._protected, events)
        if not self._isGone:
            events = (select.POLLIN if fromUser else 0) | (select.POLLOUT if toUser else 0)
            poll.register(self._plain, events)
        if self._isGone:
            return bool(poll.poll(LINGER))
        found = dict(poll.poll(None if patience is None else patience * 1000))
        if found.get(self._plain.fileno(), 0) & (select.POLLHUP | select.POLLERR):
            self._isGone = True
            self._down = b""
        return True


def _end(protected: ssl.SSLSocket) -> None:
    """
    Close a connection, on which everything was sent.  A socket that is closed with something
    unread in it, and be it a ticket of TLS that has just come, resets its connection, and the
    server's kernel throws away what the server has not read yet.  So its end is waited for.
    """
    with socket.socket(fileno=protected.detach()) as sock, suppress(OSError):
        sock.shutdown(socket.SHUT_WR)
        deadline = monotonic() + LINGER / 1000
        while (left := deadline - monotonic()) > 0:
            sock.settimeout(left)
            if not sock.recv(CHUNK):
                break
