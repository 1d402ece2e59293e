/* phone: any number of simulated iPhones in one process.
 *
 * It plays the host controller and the bus (transfers, short packets, zero
 * length packets, pacing), the phone's side of the mux protocol (VERSION, SETUP,
 * TCP) with a strict eye on the host, and the services: see README.md. */
#ifndef RIG_PHONE_H
#define RIG_PHONE_H
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>
#include "../wire.h"
#include "../pattern.h"

#define PRODUCT 0x12a8 /* an iPhone */

#define TH_SYN 2
#define TH_RST 4
#define TH_ACK 16
enum { P_VERSION = 0, P_CONTROL = 1, P_SETUP = 2, P_TCP = 6 };
enum { T_COMPLETED = 0, T_OVERFLOW = 6 }; /* libusb_transfer_status */
enum { ECHO = 7, DISCARD = 9, CHARGEN = 19, EXCHANGE = 21, STREAM = 23 }; /* a service is its port */
enum { ORDER = 20 }; /* what an exchange begins with: phase (32 bits), upload, download (64 each) */
enum { RATE = 4, FRAMES = 60 }; /* what a stream begins with: bytes a second (32 bits), sent in frames */

/* What a host may do wrong; each is counted by its name. */
#define VIOLATIONS(X) X(seq) X(ack) X(window) X(flags) X(tcphdr) X(length) X(proto) X(magic) \
	X(tx_seq) X(rx_seq) X(missing_zlp) X(oversize) X(syn) X(state) X(window_shrink) X(pattern) \
	X(version)
#define VIOLATION_ENUM(name) V_##name,
enum { VIOLATIONS(VIOLATION_ENUM) V_COUNT };

/* What is counted for the statistics, in the order of their JSON. */
#define COUNTERS(X) X(out_transfers) X(out_bytes) X(in_transfers) X(in_bytes) X(payload_in) \
	X(payload_out) X(acks_in) X(dup_acks_in) X(conns) X(refused) X(rst_in) X(rst_out) X(late)
#define COUNTER_FIELD(name) uint64_t name;
struct stats {
	COUNTERS(COUNTER_FIELD)
	uint64_t violation[V_COUNT];
};

struct conn {
	struct conn *hnext;          /* same host port */
	struct conn *anext;          /* active list */
	struct conn *pnext, **pprev; /* all of the phone */
	int active, open, need_ack;
	uint16_t sport, dport;       /* sport: the host's port */
	uint32_t snd_una, snd_nxt, snd_right, rcv_nxt, rcv_right;
	uint32_t last_ack, last_win;
	uint64_t sent, got;          /* payload bytes of this connection */
	unsigned char order[ORDER];  /* exchange, stream */
	uint32_t order_len, phase;
	uint64_t upload, download;   /* of a stream: a second's bytes, and those that are due */
	unsigned char *ring;         /* echo */
	uint32_t ring_rd, ring_len;
};

struct pkt {
	struct pkt *next;
	unsigned char hdr[40];
	uint32_t hlen;
	const unsigned char *payload;
	unsigned char *own;          /* the payload, if it is this packet's alone */
	uint32_t total, off;
};

struct urb { uint64_t id; uint32_t len; };
struct held { uint32_t len; int flags; unsigned char data[]; };
struct outmsg { struct outmsg *next; size_t len; unsigned char b[]; };

enum { K_PHONE = 1, K_HOST, K_SIGNAL, K_CONTROL_LISTEN, K_CONTROL };
struct ep { int kind, fd; };     /* first member of everything in epoll */

/* A device handle that some program opened. */
struct host {
	struct ep e;
	struct phone *ph;
	struct host *next;
	int evfd, hello, dead;
	uint32_t mps, full_duplex, kbps, lat_us;
	struct urb *urbs;            /* ring of posted IN transfers */
	uint32_t u_cap, u_rd, u_n;
	uint32_t out_done;
	struct outmsg *txq, **txq_tail;
	int kick, want_out, pump_timer;
};

struct phone {
	struct ep e;                 /* listening socket */
	int index, addr, plugged;
	char serial[80], path[108];
	struct host *hosts, *mux;    /* mux: the one that claimed the interface */
	unsigned char *acc;          /* OUT bytes whose transfer has not ended */
	uint32_t acc_len, acc_cap;
	struct pkt *cur, *ctl, **ctl_tail;
	int zlp;                     /* IN: the last packet's end still has to show */
	int versioned, setup;
	uint16_t tx_seq, host_seq, host_last;
	struct conn **ports, *all, *act, **act_tail;
	uint32_t nconn;
	struct stats st;
};

struct options {
	const char *dir, *sys, *control;
	int count, unplugged;
	uint32_t mtu, window;
};

extern struct options opt;
extern struct phone *phones;
extern int epfd;
extern unsigned char *pattern;

/* main.c */
void *xmalloc(size_t);
void *xcalloc(size_t);
void *xrealloc(void *, size_t);
void die(const char *what);
uint64_t now_ns(void);

/* timeline.c: what happens later, on a paced bus, and when the next frame of a stream is due */
enum { E_SEND, E_OUT, E_PUMP, E_FRAME };
void event_push(uint64_t due, int type, struct host *, void *);
void events_forget(struct host *);
uint64_t events_next(void); /* when the next is due, 0: none */
void events_run(void);

/* statistics.c */
int stats_json(char *, int room, const struct phone *);
int totals_json(char *, int room);
void violation(struct phone *, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* packets.c: what the phone says */
struct pkt *pkt_new(struct phone *, int proto, uint32_t extra, uint32_t payload);
void pkt_free(struct pkt *);
void own_payload(struct pkt *, const void *, uint32_t);
void ctl_queue(struct phone *, struct pkt *);
struct pkt *tcp_pkt(struct phone *, uint16_t dport, uint16_t hport, uint32_t seq, uint32_t ack,
	int flags, uint32_t win, uint32_t payload);
void send_rst(struct phone *, uint16_t dport, uint16_t hport, uint32_t seq, uint32_t ack, const char *why);
struct pkt *next_packet(struct phone *);

/* connections.c */
struct conn *conn_open(struct phone *, uint16_t sport, uint16_t dport, uint32_t seq, uint32_t win);
struct conn *conn_find(struct phone *, uint16_t sport, uint16_t dport);
void conn_free(struct phone *, struct conn *);
void activate(struct phone *, struct conn *);
void deactivate(struct phone *, struct conn *);
uint32_t conn_window(struct conn *);
void note_right(struct conn *, uint32_t win);
uint32_t conn_sendable(struct conn *);
struct pkt *conn_packet(struct phone *, struct conn *);
void service_data(struct phone *, struct conn *, const unsigned char *, uint32_t);
void frame_due(struct phone *, void *frame);

/* mux.c: what the host says */
void mux_reset(struct phone *);
void mux_input(struct phone *, const unsigned char *, uint32_t);

/* endpoints.c: the IN and OUT endpoints */
void put_urb(struct host *, uint64_t id, uint32_t len);
void pump(struct phone *);
void usb_out(struct host *, const unsigned char *, uint32_t, int flags);
int paced(const struct host *);
uint64_t bus_take(struct host *, uint64_t now, uint32_t n, int in);

/* messages.c: to the library */
void host_kick(struct host *);
void txq_add(struct host *, const struct iovec *, int n);
void txq_append(struct host *, struct outmsg *);
void txq_flush(struct host *);
void send_status(struct host *, int type, uint64_t id);
struct fu_msg *batch_slot(struct iovec **);
void batch_add(struct host *, int parts, struct pkt *finished);
void batch_flush(struct host *);

/* hosts.c */
void host_accept(struct phone *);
void host_input(struct host *);
void host_turn(struct host *);
void host_free(struct host *);

/* kernel.c */
void kernel_add(const struct phone *);
void kernel_remove(const struct phone *);

/* control.c */
void plug(struct phone *);
void unplug(struct phone *);
int control(struct ep *); /* 1: what else was about to happen is out of date */

static inline uint32_t be32(const unsigned char *p) { return (uint32_t)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3]; }
static inline uint64_t be64(const unsigned char *p) { return (uint64_t)be32(p) << 32 | be32(p + 4); }
static inline uint16_t be16(const unsigned char *p) { return p[0] << 8 | p[1]; }
static inline void w32(unsigned char *p, uint32_t v) { p[0] = v >> 24; p[1] = v >> 16; p[2] = v >> 8; p[3] = v; }
static inline void w16(unsigned char *p, uint16_t v) { p[0] = v >> 8; p[1] = v; }
#endif
