# cython: language_level=3, boundscheck=True, wraparound=False, binding=True
"""
The compiled twin of C{polling.py}, which says what everything here means.
"""

from cpython.exc cimport PyErr_CheckSignals
from libc.errno cimport EINTR, errno
from libc.math cimport ceil, isnan

import os

cdef extern from *:
    """
    #include <sched.h>
    #include <sys/epoll.h>
    #include <time.h>
    #include <unistd.h>

    #define PLACES 64

    static int control(int epoll, int operation, int fd, unsigned events)
    {
        struct epoll_event event = {.events = events, .data = {.fd = fd}};
        return epoll_ctl(epoll, operation, fd, &event);
    }

    static double now(void)
    {
        struct timespec time;
        clock_gettime(CLOCK_MONOTONIC, &time);
        return time.tv_sec + time.tv_nsec * 1e-9;
    }

    static int wait_for(int epoll, int *descriptors, unsigned *events, int milliseconds)
    {
        struct epoll_event found[PLACES];
        int count = epoll_wait(epoll, found, PLACES, milliseconds);
        for (int i = 0; i < count; i++) {
            descriptors[i] = found[i].data.fd;
            events[i] = found[i].events;
        }
        return count;
    }

    static int look_for(int epoll, int *descriptors, unsigned *events, double seconds, double *looked)
    {
        double began = now();
        for (;;) {
            int count = wait_for(epoll, descriptors, events, 0);
            *looked = now() - began;
            if (count || *looked >= seconds)
                return count;
            sched_yield();
        }
    }
    """
    const int EPOLL_CLOEXEC
    const int EPOLL_CTL_ADD
    const int EPOLL_CTL_MOD
    const int EPOLL_CTL_DEL
    double now()
    int epoll_create1(int flags)
    int control(int epoll, int operation, int descriptor, unsigned int events)
    int wait_for(int epoll, int *descriptors, unsigned int *events, int milliseconds) nogil
    int look_for(
        int epoll, int *descriptors, unsigned int *events, double seconds, double *looked
    ) nogil
    int c_close "close"(int descriptor)

BUILD = "compiled"
MOST = PLACES
LONGEST = 86400.0
LONGEST_LOOK = 0.01


cdef _raise():
    raise OSError(errno, os.strerror(errno))


cdef class Poller:
    def __cinit__(self):
        self.epoll = -1

    def __init__(self):
        if self.epoll >= 0:
            raise RuntimeError("this poller is open")
        self.owners = []
        self.owned = 0
        self.ready = [None] * PLACES
        self.events = [0] * PLACES
        self.count = 0
        self.epoll = epoll_create1(EPOLL_CLOEXEC)
        if self.epoll < 0:
            _raise()

    def __dealloc__(self):
        if self.epoll >= 0:
            c_close(self.epoll)

    cdef int check(self, Py_ssize_t descriptor, Py_ssize_t events) except -1:
        if self.epoll < 0:
            raise ValueError("this poller is closed")
        if descriptor < 0 or descriptor > 0x7FFFFFFF:
            raise ValueError(f"expected a descriptor, got {descriptor}")
        if events < 0 or events > 0xFFFFFFFF:
            raise ValueError(f"expected events of 32 bits, got {events}")
        return 0

    cpdef int fileno(self) except? -1:
        self.check(0, 0)
        return self.epoll

    cpdef add(self, Py_ssize_t descriptor, Py_ssize_t events, owner):
        self.check(descriptor, events)
        if owner is None:
            raise ValueError("expected an owner, got None")
        if control(self.epoll, EPOLL_CTL_ADD, <int> descriptor, <unsigned int> events):
            _raise()
        cdef Py_ssize_t known = len(self.owners)
        if descriptor >= known:
            try:
                self.owners.extend([None] * (descriptor + 1 - known))
            except MemoryError:
                control(self.epoll, EPOLL_CTL_DEL, <int> descriptor, 0)
                raise
        self.owners[descriptor] = owner
        self.owned += 1

    cpdef modify(self, Py_ssize_t descriptor, Py_ssize_t events):
        self.check(descriptor, events)
        if control(self.epoll, EPOLL_CTL_MOD, <int> descriptor, <unsigned int> events):
            _raise()

    cpdef bint remove(self, Py_ssize_t descriptor) except? -1:
        cdef int place
        self.check(descriptor, 0)
        if descriptor >= len(self.owners) or self.owners[descriptor] is None:
            return False
        self.owners[descriptor] = None
        self.owned -= 1
        for place in range(self.count):
            if self.descriptors[place] == descriptor:
                self.ready[place] = None
        # If it fails, then since it was closed, which has removed it.
        control(self.epoll, EPOLL_CTL_DEL, <int> descriptor, 0)
        return True

    cpdef double seconds(self) except? -1:
        return now()

    cpdef list watched(self):
        return [owner for owner in self.owners if owner is not None]

    cpdef Py_ssize_t size(self) except -1:
        return self.owned

    cpdef int wait(self, double seconds) except? -1:
        cdef int[PLACES] descriptors
        cdef unsigned int[PLACES] events
        cdef int found, epoll = self.epoll, milliseconds = -1
        cdef double end = 0
        if isnan(seconds):
            raise ValueError("expected a number of seconds, got nan")
        if epoll < 0:
            raise ValueError("this poller is closed")
        if seconds == 0:
            found = wait_for(epoll, descriptors, events, 0)
        else:
            if seconds > 0:
                seconds = min(seconds, 86400.0)
                end = now() + seconds
                milliseconds = <int> ceil(seconds * 1000)
            while True:
                with nogil:
                    found = wait_for(epoll, descriptors, events, milliseconds)
                if found >= 0 or errno != EINTR:
                    break
                PyErr_CheckSignals()
                if self.epoll != epoll:
                    raise ValueError("this poller is closed")
                if milliseconds >= 0:
                    milliseconds = <int> ceil(max(end - now(), 0.0) * 1000)
        return self.tell(found, descriptors, events)

    cpdef int look(self, double seconds) except? -1:
        cdef int[PLACES] descriptors
        cdef unsigned int[PLACES] events
        cdef int found, epoll = self.epoll
        cdef double looked
        if not (0 <= seconds <= LONGEST_LOOK):
            raise ValueError(f"expected at most {LONGEST_LOOK} seconds, got {seconds}")
        if epoll < 0:
            raise ValueError("this poller is closed")
        with nogil:
            found = look_for(epoll, descriptors, events, seconds, &looked)
        self.looked = looked
        if self.epoll != epoll:
            raise ValueError("this poller is closed")
        return self.tell(found, descriptors, events)

    cdef int tell(self, int found, int *descriptors, unsigned int *events) except? -1:
        cdef int i, count = 0
        cdef Py_ssize_t known = len(self.owners)
        if found < 0:
            if errno != EINTR:
                _raise()
            found = 0
        for i in range(found):
            owner = self.owners[descriptors[i]] if descriptors[i] < known else None
            if owner is not None:
                self.ready[count] = owner
                self.events[count] = events[i]
                self.descriptors[count] = descriptors[i]
                count += 1
        for i in range(count, self.count):
            self.ready[i] = None
        self.count = count
        return count

    cpdef close(self):
        cdef int epoll = self.epoll
        self.epoll = -1
        if epoll >= 0:
            c_close(epoll)
        self.owners = []
        self.owned = 0
        self.ready[:] = [None] * PLACES
        self.count = 0
