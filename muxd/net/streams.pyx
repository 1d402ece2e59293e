# cython: language_level=3, boundscheck=True, wraparound=False, binding=True
"""
The compiled twin of C{streams.py}, which says what everything here means.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.errno cimport EAGAIN, EBADF, EINTR, errno

import os

cdef extern from *:
    """
    #include <fcntl.h>
    #include <sys/ioctl.h>
    #include <errno.h>
    #include <string.h>
    #include <sys/socket.h>
    #include <sys/un.h>
    #include <netinet/in.h>
    #include <unistd.h>

    #ifndef _GNU_SOURCE
    int accept4(int, struct sockaddr *, socklen_t *, int);
    #endif
    #ifndef SO_PEERCRED
    #define SO_PEERCRED 17
    #endif

    static int is_socket(int fd)
    {
        int type;
        socklen_t size = sizeof type;
        return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size);
    }

    static int unblock(int fd)
    {
        int flags = fcntl(fd, F_GETFL);
        return flags < 0 ? -1 : fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    }

    static int accept_one(int fd)
    {
        return accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    }

    static int peer_user(int fd)
    {
        int credentials[3];
        socklen_t size = sizeof credentials;
        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, credentials, &size) || size != sizeof credentials)
            return -1;
        return credentials[1];
    }

    static int internet_names(int fd, char *peer, socklen_t *peer_size, char *own, socklen_t *own_size)
    {
        sa_family_t family;
        if (getpeername(fd, (struct sockaddr *)peer, peer_size))
            return -1;
        family = ((struct sockaddr *)peer)->sa_family;
        if (family != AF_INET && family != AF_INET6)
            return -1;
        return getsockname(fd, (struct sockaddr *)own, own_size);
    }

    static int open_unix(const char *path, size_t length)
    {
        struct sockaddr_un address;
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0)
            return -1;
        memset(&address, 0, sizeof address);
        address.sun_family = AF_UNIX;
        memcpy(address.sun_path, path, length);
        while (connect(fd, (struct sockaddr *)&address, sizeof address))
            if (errno != EINTR) {
                close(fd);
                return -1;
            }
        return fd;
    }

    static int count_waiting(int fd)
    {
        int count;
        return ioctl(fd, FIONREAD, &count) ? -1 : count;
    }
    """
    const int MSG_DONTWAIT
    const int MSG_NOSIGNAL
    const int SHUT_WR
    ctypedef unsigned int socklen_t
    int internet_names(int descriptor, char *peer, socklen_t *peerSize, char *own, socklen_t *ownSize)
    int is_socket(int descriptor)
    int unblock(int descriptor)
    int accept_one(int descriptor)
    int count_waiting(int descriptor)
    int open_unix(const char *path, size_t length)
    int peer_user(int descriptor)
    int c_close "close"(int descriptor)
    int c_shutdown "shutdown"(int descriptor, int how)
    ssize_t c_send "send"(int descriptor, const void *data, size_t size, int flags)

BUILD = "compiled"
BLOCKED = -EAGAIN
CLOSED = -EBADF
LONGEST_PATH = 108


cdef _raise(int code):
    raise OSError(code, os.strerror(code))


cdef class StreamSocket:
    def __cinit__(self):
        self.descriptor = -1

    def __init__(self, Py_ssize_t descriptor):
        if self.descriptor >= 0:
            raise RuntimeError("this socket has a descriptor")
        if descriptor < 0 or descriptor > 0x7FFFFFFF:
            raise OSError(EBADF, f"expected the descriptor of a socket, got {descriptor}")
        if is_socket(<int> descriptor) or unblock(<int> descriptor):
            _raise(errno)
        self.descriptor = <int> descriptor

    def __dealloc__(self):
        if self.descriptor >= 0:
            c_close(self.descriptor)

    cpdef int fileno(self):
        return self.descriptor

    cpdef Py_ssize_t send(self, data, Py_ssize_t start=0) except? -1:
        cdef Py_buffer view
        cdef ssize_t sent = 0
        try:
            PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        except BufferError as error:
            raise TypeError(str(error)) from None
        try:
            if start < 0 or start > view.len:
                raise ValueError(f"expected a start within {view.len} bytes, got {start}")
            if start == view.len:
                return 0
            while True:
                sent = c_send(
                    self.descriptor, <char *> view.buf + start, <size_t> (view.len - start),
                    MSG_NOSIGNAL | MSG_DONTWAIT,
                )
                if sent >= 0:
                    return sent
                if errno != EINTR:
                    return -errno
        finally:
            PyBuffer_Release(&view)

    cpdef int peerUser(self):
        return peer_user(self.descriptor)

    cpdef tuple names(self):
        cdef char[128] peer
        cdef char[128] own
        cdef socklen_t peerSize = 128, ownSize = 128
        if internet_names(self.descriptor, peer, &peerSize, own, &ownSize):
            return None
        return peer[:peerSize], own[:ownSize]

    cpdef int waiting(self):
        cdef int count = count_waiting(self.descriptor)
        return -errno if count < 0 else count

    cpdef int shutdown(self):
        return -errno if c_shutdown(self.descriptor, SHUT_WR) else 0

    cpdef int detach(self):
        cdef int descriptor = self.descriptor
        self.descriptor = -1
        return descriptor

    cpdef close(self):
        cdef int descriptor = self.detach()
        if descriptor >= 0:
            c_close(descriptor)


cpdef StreamSocket openUNIX(bytes path):
    cdef StreamSocket opened
    cdef int descriptor
    if path is None:
        raise TypeError("expected bytes, got None")
    if not 0 < len(path) < 108 or b"\0" in path:
        raise ValueError(f"expected a path of 1 to {LONGEST_PATH - 1} bytes, got {path!r}")
    opened = StreamSocket.__new__(StreamSocket)
    descriptor = open_unix(path, len(path))
    if descriptor < 0:
        return None
    opened.descriptor = descriptor
    return opened


cdef class Acceptor:
    def __init__(self, listening not None):
        listening.setblocking(False)
        self.listening = listening
        self.error = 0

    cpdef StreamSocket accept(self):
        # Asked each time: when it has been closed, its number may be another file's.
        cdef int descriptor = self.listening.fileno()
        cdef int connected = accept_one(descriptor)
        cdef StreamSocket accepted
        while connected < 0 and errno == EINTR:
            connected = accept_one(descriptor)
        if connected < 0:
            self.error = errno
            return None
        self.error = 0
        try:
            accepted = StreamSocket.__new__(StreamSocket)
        except BaseException:
            c_close(connected)
            raise
        accepted.descriptor = connected
        return accepted
