/* Connections of the phone, and the services at their ends. */
#include "phone.h"

void activate(struct phone *ph, struct conn *c)
{
	if (c->active)
		return;
	c->active = 1;
	c->anext = NULL;
	*ph->act_tail = c;
	ph->act_tail = &c->anext;
}

void deactivate(struct phone *ph, struct conn *c)
{
	if (!c->active)
		return;
	struct conn **pp = &ph->act;
	while (*pp != c)
		pp = &(*pp)->anext;
	*pp = c->anext;
	if (!c->anext)
		ph->act_tail = pp;
	c->active = 0;
}

struct conn *conn_find(struct phone *ph, uint16_t sport, uint16_t dport)
{
	if (!ph->ports)
		ph->ports = xcalloc(65536 * sizeof *ph->ports);
	struct conn *c = ph->ports[sport];
	while (c && c->dport != dport)
		c = c->hnext;
	return c;
}

struct conn *conn_open(struct phone *ph, uint16_t sport, uint16_t dport, uint32_t seq, uint32_t win)
{
	struct conn *c = xcalloc(sizeof *c);
	c->sport = sport;
	c->dport = dport;
	c->rcv_nxt = c->rcv_right = seq + 1;
	c->snd_nxt = 1; /* iPhones begin at 0, and the SYN takes one */
	c->snd_right = 1 + win;
	c->last_win = win;
	c->hnext = ph->ports[sport];
	ph->ports[sport] = c;
	c->pnext = ph->all;
	if (ph->all)
		ph->all->pprev = &c->pnext;
	ph->all = c;
	c->pprev = &ph->all;
	ph->nconn++;
	ph->st.conns++;
	return c;
}

void conn_free(struct phone *ph, struct conn *c)
{
	deactivate(ph, c);
	struct conn **pp = &ph->ports[c->sport];
	while (*pp != c)
		pp = &(*pp)->hnext;
	*pp = c->hnext;
	*c->pprev = c->pnext;
	if (c->pnext)
		c->pnext->pprev = c->pprev;
	free(c->ring);
	free(c);
	ph->nconn--;
}

uint32_t conn_window(struct conn *c)
{
	return (opt.window - c->ring_len) & ~255u;
}

/* The right edge that the host has been told of: it may only move on. */
void note_right(struct conn *c, uint32_t win)
{
	uint32_t right = c->rcv_nxt + win;
	if ((int32_t)(right - c->rcv_right) > 0)
		c->rcv_right = right;
}

/* How much may go out in the next packet of c (0: nothing now). */
uint32_t conn_sendable(struct conn *c)
{
	if (!c->open)
		return 0;
	uint32_t mss = opt.mtu - 36;
	uint32_t available = c->dport == CHARGEN ? mss : c->dport == ECHO ? c->ring_len : 0;
	if (c->dport == EXCHANGE && c->order_len == ORDER && c->got == c->upload)
		available = c->download - c->sent < mss ? c->download - c->sent : mss;
	if (c->dport == STREAM)
		available = c->download - c->sent < mss ? c->download - c->sent : mss;
	int32_t win = (int32_t)(c->snd_right - c->snd_nxt);
	if (!available || win <= 0)
		return 0;
	uint32_t n = available < mss ? available : mss;
	if ((uint32_t)win >= n)
		return n;
	/* no small packets just because the window opened a crack */
	return (uint32_t)win < mss / 2 && c->snd_nxt != c->snd_una ? 0 : (uint32_t)win;
}

static unsigned char *ring_take(struct conn *c, uint32_t n)
{
	unsigned char *b = xmalloc(n);
	uint32_t first = opt.window - c->ring_rd;
	if (first > n)
		first = n;
	memcpy(b, c->ring + c->ring_rd, first);
	memcpy(b + first, c->ring, n - first);
	c->ring_rd = (c->ring_rd + n) % opt.window;
	c->ring_len -= n;
	return b;
}

/* The next packet of c: data, an acknowledgement, or both; NULL: neither. */
struct pkt *conn_packet(struct phone *ph, struct conn *c)
{
	uint32_t n = conn_sendable(c);
	if (!n && !c->need_ack)
		return NULL;
	const unsigned char *payload = pattern + (c->phase + c->sent) % PATTERN_PERIOD;
	unsigned char *own = NULL;
	if (n && c->dport == ECHO)
		payload = own = ring_take(c, n);
	uint32_t win = conn_window(c);
	struct pkt *p = tcp_pkt(ph, c->dport, c->sport, c->snd_nxt, c->rcv_nxt, TH_ACK, win, n);
	note_right(c, win);
	p->payload = payload;
	p->own = own;
	c->sent += n;
	c->snd_nxt += n;
	c->need_ack = 0;
	ph->st.payload_out += n;
	return p;
}

static void ring_put(struct conn *c, const unsigned char *p, uint32_t n)
{
	if (!c->ring)
		c->ring = xmalloc(opt.window);
	uint32_t at = (c->ring_rd + c->ring_len) % opt.window, first = opt.window - at;
	if (first > n)
		first = n;
	memcpy(c->ring + at, p, first);
	memcpy(c->ring, p + first, n - first);
	c->ring_len += n;
}

/* The order says which part of the pattern comes up, and how much of it is then to
 * come down: its first byte is the receipt for all that came up. */
static void exchange_data(struct phone *ph, struct conn *c, const unsigned char *p, uint32_t n)
{
	if (c->order_len < ORDER) {
		for (; n && c->order_len < ORDER; n--)
			c->order[c->order_len++] = *p++;
		if (c->order_len < ORDER)
			return;
		c->phase = be32(c->order) % PATTERN_PERIOD;
		c->upload = be64(c->order + 4);
		c->download = be64(c->order + 12);
	}
	if (n && (c->got + n > c->upload || memcmp(p, pattern + (c->phase + c->got) % PATTERN_PERIOD, n)))
		violation(ph, V_pattern, "port %u->21 at byte %lu of the upload (%u bytes)", c->sport, c->got, n);
	c->got += n;
}

/* A stream is found again by its ports: it may have ended before its frame is due. */
struct frame { uint16_t sport; };

static void next_frame(struct phone *ph, uint16_t sport)
{
	struct frame *f = xmalloc(sizeof *f);
	f->sport = sport;
	event_push(now_ns() + 1000000000 / FRAMES, E_FRAME, ph->mux, f);
}

void frame_due(struct phone *ph, void *frame)
{
	struct frame *f = frame;
	struct conn *c = conn_find(ph, f->sport, STREAM);
	if (c && c->upload) {
		c->download += c->upload / FRAMES;
		activate(ph, c);
		next_frame(ph, f->sport);
	}
	free(f);
}

/* The rate; nothing else comes up. */
static void stream_data(struct phone *ph, struct conn *c, const unsigned char *p, uint32_t n)
{
	for (; n && c->order_len < RATE; n--)
		c->order[c->order_len++] = *p++;
	if (n)
		violation(ph, V_pattern, "port %u->23: %u bytes behind the rate", c->sport, n);
	else if (c->order_len == RATE && !c->upload && (c->upload = be32(c->order)))
		next_frame(ph, c->sport);
}

void service_data(struct phone *ph, struct conn *c, const unsigned char *p, uint32_t n)
{
	if (c->dport == EXCHANGE) {
		exchange_data(ph, c, p, n);
		return;
	}
	if (c->dport == STREAM) {
		stream_data(ph, c, p, n);
		return;
	}
	if (c->dport == ECHO)
		ring_put(c, p, n);
	else if (c->dport == DISCARD && memcmp(p, pattern + c->got % PATTERN_PERIOD, n))
		violation(ph, V_pattern, "port %u->9 at byte %lu of the upload (%u bytes)", c->sport, c->got, n);
	c->got += n;
}
