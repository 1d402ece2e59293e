/* The stand-in library's objects, and what its parts ask of each other.
 *
 * $FAKEUSB_DIR is the bus: every socket <bus>-<addr>-<pid hex>-<serial>.sock
 * in it is one plugged phone.  This library plays the part of libusb plus
 * usbfs (descriptors, transfer queues, cancel, timeouts, pollfds); the phone
 * process at the other end of the socket is host controller, wire and device.
 *
 * System calls are kept close in number to libusb on usbfs, so that a daemon
 * costs here what it costs on a real bus: submitting is one send (SUBMITURB),
 * completing is one recv (REAPURB) plus one that finds the queue empty, waiting
 * is one poll over {control fd, timerfd, one POLLOUT fd per opened device}. */
#ifndef RIG_FAKEUSB_H
#define RIG_FAKEUSB_H
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include "../wire.h"
#include "libusb.h"

#define API __attribute__((visibility("default")))
#define OWNER(p, type, field) ((type *)((char *)(p) - offsetof(type, field)))
#define APPLE 0x05ac
#define INTERFACES 8

struct list { struct list *next, *prev; };

struct libusb_device {
	atomic_int ref;
	libusb_context *ctx;
	struct list link;          /* in ctx->devs */
	uint8_t bus, addr;
	uint16_t pid;
	char serial[128];
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	ino_t ino;
	struct timespec ctim;
	int seen, listed;
	atomic_int gone;
	int config;                /* active bConfigurationValue */
	int epconfig;              /* epmap is of that configuration */
	int8_t epmap[256];         /* endpoint -> interface number, or -1 */
	int vmode;                 /* Apple's vendor "mode" */
};

struct libusb_device_handle {
	struct list link;          /* in ctx->handles */
	libusb_context *ctx;
	libusb_device *dev;
	atomic_int ref;
	int sock, evfd;
	int claimfd[INTERFACES];   /* flock()ed files, one per claimed interface */
	atomic_int dead, closed, pollfd_shown;
	pthread_mutex_t slock;     /* sending order; taken before qlock */
	pthread_mutex_t qlock;     /* in_q, out_q, other_q */
	struct list in_q, out_q;   /* transfers the phone knows of, in order */
	struct list other_q;       /* transfers that wait for nothing but cancel */
	struct list unsent;        /* struct unsent, when the socket was full */
	int want_out;
};

struct itransfer {
	struct list q;             /* in_q, out_q, other_q or ctx->local_done */
	struct list tlink;         /* ctx->timers */
	libusb_device_handle *h;
	uint64_t id;
	uint64_t deadline;         /* ns, 0 = none */
	atomic_int inflight;       /* submitted, callback not called yet */
	atomic_int where;          /* enum below */
	int timed_out, cancelled;
	int actual;
	int zlp;
	size_t charged;
	int lstatus;               /* status when it completes locally */
	struct libusb_transfer pub; /* must be last: flexible array */
};
enum { W_NONE, W_IN, W_OUT, W_OTHER, W_LOCAL };

struct unsent {
	struct list l;
	struct fu_msg m;
	struct itransfer *out;     /* OUT: the rest of this transfer, from `off` */
	int off;
};

struct hotplug_cb {
	struct list link;
	int handle, events, vid, pid, cls;
	libusb_hotplug_callback_fn fn;
	void *data;
	int dead;
};

struct libusb_context {
	int ref;
	pthread_mutex_t lock;      /* devs, handles, cbs */
	struct list devs, handles, cbs;
	pthread_mutex_t ev_lock;   /* held by the thread that handles events */
	atomic_int ev_active, closers;
	pthread_mutex_t wait_lock;
	pthread_cond_t wait_cond;
	int ctl, evfd, timerfd, inofd;
	pthread_mutex_t llock;
	struct list local_done;
	pthread_mutex_t tlock;
	struct list timers;
	uint64_t armed;
	libusb_pollfd_added_cb fd_added;
	libusb_pollfd_removed_cb fd_removed;
	void *fd_data;
};

struct environment {
	int done;
	const char *dir;
	int speed, mps, hotplug;
	uint32_t kbps, lat_us;
	long memlimit;
};

/* A descriptor as it travels on the wire. */
struct raw { uint8_t b[512]; int n; };

/* environment.c */
extern struct environment env;
void env_read(void);
uint64_t now_ns(void);

/* context.c */
extern struct libusb_context *default_ctx;
libusb_context *context_or_default(libusb_context *);

/* descriptors.c */
int raw_config(int value, struct raw *);
void raw_device(libusb_device *, struct raw *);
int raw_string(libusb_device *, int index, struct raw *);
void raw_put(struct raw *, int n, ...);
int ep_interface(libusb_device *, int ep);

/* bus.c */
int connect_phone(const char *path);
void bus_scan(libusb_context *, struct list *left);
void bus_drop(struct list *left);

/* hotplug.c */
void hotplug_scan(libusb_context *);

/* control.c: bytes of the answer, or -1 for a stall */
int control_request(libusb_device_handle *, const uint8_t *setup, uint8_t *data, int room);

/* completion.c */
void wake(libusb_context *);
void timer_add(libusb_context *, struct itransfer *);
void timer_del(libusb_context *, struct itransfer *);
void expire(libusb_context *);
extern atomic_long mem_used;
void uncharge(struct itransfer *);
void complete(libusb_context *, struct itransfer *, int status);
void complete_later(libusb_context *, struct itransfer *, int status);
void run_local(libusb_context *);

/* sending.c: 1 done or queued, 0 socket full, -1 the phone is gone */
int flush_unsent(libusb_device_handle *);
int post(libusb_device_handle *, struct fu_msg *, struct itransfer *out);
void post_simple(libusb_device_handle *, int type);

/* reaping.c */
int reap_one(libusb_device_handle *);
void reap(libusb_device_handle *);
void disconnected(libusb_device_handle *);
void steal_all(libusb_device_handle *, struct list *to);
void fd_removed(libusb_device_handle *);
void handle_put(libusb_device_handle *);

/* transfers.c */
int cancel(struct itransfer *);

/* events.c */
extern __thread libusb_context *in_events;
void ctl_add(libusb_context *, int fd, uint32_t events, void *ptr);

static inline void list_init(struct list *l) { l->next = l->prev = l; }
static inline int list_empty(const struct list *l) { return l->next == l; }
static inline void list_add_tail(struct list *l, struct list *n)
{
	n->prev = l->prev;
	n->next = l;
	l->prev->next = n;
	l->prev = n;
}
static inline void list_del(struct list *n)
{
	n->prev->next = n->next;
	n->next->prev = n->prev;
	n->next = n->prev = n;
}
#endif
