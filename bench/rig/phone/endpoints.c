/* The IN and OUT endpoints of the phone, and the time that the bus takes. */
#include "phone.h"

static uint64_t bus_free_at[2]; /* a full duplex bus has one for each direction */

void put_urb(struct host *h, uint64_t id, uint32_t len)
{
	if (h->u_n == h->u_cap) {
		uint32_t cap = h->u_cap ? h->u_cap * 2 : 16;
		struct urb *u = xmalloc(cap * sizeof *u);
		for (uint32_t i = 0; i < h->u_n; i++)
			u[i] = h->urbs[(h->u_rd + i) & (h->u_cap - 1)];
		free(h->urbs);
		h->urbs = u;
		h->u_cap = cap;
		h->u_rd = 0;
	}
	h->urbs[(h->u_rd + h->u_n++) & (h->u_cap - 1)] = (struct urb){ id, len };
}

int paced(const struct host *h) { return h->kbps || h->lat_us; }

/* Takes n bytes' time on the bus; returns when the transfer is over. */
uint64_t bus_take(struct host *h, uint64_t now, uint32_t n, int in)
{
	uint64_t *free_at = &bus_free_at[h->full_duplex ? in : 0];
	uint64_t t = *free_at > now ? *free_at : now;
	if (h->kbps)
		t += (uint64_t)n * 1000000 / h->kbps;
	*free_at = t;
	return t + h->lat_us * 1000ULL;
}

/* Whether it is too early to decide what to send next: on a paced bus not before
 * its turn is near, at most about one 16 KiB transfer ahead, or a byte of echo
 * would queue behind data that was chosen long before. */
static int too_early(struct host *h, uint64_t now)
{
	uint64_t ahead = 300000 + 16384ULL * 1000000 / h->kbps;
	uint64_t free_at = bus_free_at[h->full_duplex ? 1 : 0];
	if (free_at <= now + ahead)
		return 0;
	if (!h->pump_timer) {
		h->pump_timer = 1;
		event_push(free_at - ahead, E_PUMP, h, NULL);
	}
	return 1;
}

/* Fills one IN transfer of `room` bytes from the current packet; returns the
 * number of parts in `v`, and the packet if this was its end. */
static int fill(struct phone *ph, uint32_t room, uint32_t mps, struct fu_msg *m, struct iovec *v,
	struct pkt **finished)
{
	struct pkt *p = ph->cur;
	uint32_t rest = p->total - p->off, n = rest < room ? rest : room;
	int nv = 1;
	if (rest > room && room % mps) { /* babble: a full packet does not fit */
		m->status = T_OVERFLOW;
		n = room - room % mps;
		fprintf(stderr, "phone %d: overflow, IN transfer of %u bytes\n", ph->index, room);
	}
	uint32_t a = p->off, b = p->off + n;
	if (a < p->hlen) {
		uint32_t k = (b < p->hlen ? b : p->hlen) - a;
		v[nv++] = (struct iovec){ p->hdr + a, k };
		a += k;
	}
	if (a < b)
		v[nv++] = (struct iovec){ (void *)(p->payload + (a - p->hlen)), b - a };
	m->len = n;
	p->off += n;
	if (m->status == T_OVERFLOW)
		p->off += rest - n < mps ? rest - n : mps;
	if (p->off == p->total) {
		/* The end shows by a short packet, or needs a zero length one: in
		 * this transfer if there is room, else it fills the next one. */
		ph->zlp = p->total % mps == 0 && rest == room;
		ph->cur = NULL;
		*finished = p;
	}
	return nv;
}

/* Serves posted IN transfers as long as the phone has something to say. */
void pump(struct phone *ph)
{
	struct host *h = ph->mux;
	if (!h || h->dead)
		return;
	uint64_t now = paced(h) ? now_ns() : 0;
	while (h->u_n && !h->txq && !(h->kbps && too_early(h, now))) {
		if (!ph->cur && !ph->zlp && !(ph->cur = next_packet(ph)))
			break;
		struct urb u = h->urbs[h->u_rd & (h->u_cap - 1)];
		h->u_rd = (h->u_rd + 1) & (h->u_cap - 1);
		h->u_n--;
		struct iovec *v;
		struct fu_msg *m = batch_slot(&v);
		struct pkt *finished = NULL;
		int nv = 1;
		*m = (struct fu_msg){ .type = FU_INDATA, .ep = FU_EP_IN, .id = u.id };
		if (ph->zlp)
			ph->zlp = 0;
		else
			nv = fill(ph, u.len, h->mps, m, v, &finished);
		ph->st.in_transfers++;
		ph->st.in_bytes += m->len;
		if (!now) {
			m->out_done = h->out_done;
			h->out_done = 0;
			batch_add(h, nv, finished);
			continue;
		}
		struct outmsg *o = xmalloc(sizeof *o + sizeof *m + m->len);
		o->len = 0;
		for (int i = 0; i < nv; i++) {
			memcpy(o->b + o->len, v[i].iov_base, v[i].iov_len);
			o->len += v[i].iov_len;
		}
		event_push(bus_take(h, now, m->len, 1), E_SEND, h, o);
		if (finished)
			pkt_free(finished);
	}
	batch_flush(h);
	if (h->out_done && !h->dead)
		send_status(h, FU_OUTDONE, 0);
	host_kick(h);
}

static void oversize(struct phone *ph, uint32_t len)
{
	char t[120];
	int n = snprintf(t, sizeof t, "\003asyncReadComplete, message was too large (%u bytes, max = 65535)", len);
	violation(ph, V_oversize, "transfer of %u bytes", len);
	if (!ph->versioned)
		return;
	struct pkt *p = pkt_new(ph, P_CONTROL, 0, n);
	own_payload(p, t, n);
	ctl_queue(ph, p);
}

/* A whole OUT transfer as the phone's endpoint sees it. */
static void transfer_input(struct phone *ph, const unsigned char *b, uint32_t len)
{
	if (!len)
		return;
	if (len > 65535)
		oversize(ph, len);
	if (len >= 8 && be32(b + 4) == len) {
		mux_input(ph, b, len);
		return;
	}
	/* Not one packet.  Either several in a row: the end of the first did not
	 * show, a zero length packet is missing; or nonsense. */
	uint32_t o = 0, n = 0, l;
	while (len - o >= 8 && (l = be32(b + o + 4)) >= 8 && l <= len - o) {
		o += l;
		n++;
	}
	if (o != len) {
		violation(ph, V_length, "transfer of %u bytes, header says %u", len, len >= 8 ? be32(b + 4) : 0);
		return;
	}
	violation(ph, V_missing_zlp, "%u packets stuck together in a transfer of %u bytes", n, len);
	for (o = 0; o < len; o += l) {
		l = be32(b + o + 4);
		mux_input(ph, b + o, l);
	}
}

/* OUT bytes arrive at the device. */
void usb_out(struct host *h, const unsigned char *b, uint32_t len, int flags)
{
	struct phone *ph = h->ph;
	int end = !(flags & FU_MORE);
	int eot = end && (!len || len % h->mps || flags & FU_ZLP);
	if (end)
		h->out_done++;
	if (!ph->mux)
		ph->mux = h;
	if (h != ph->mux) /* another handle's traffic; the phone has one mux */
		return;
	ph->st.out_bytes += len;
	ph->st.out_transfers += end;
	if (eot && !ph->acc_len) {
		transfer_input(ph, b, len);
		return;
	}
	if (ph->acc_len + len > ph->acc_cap) {
		ph->acc_cap = (ph->acc_len + len) * 2 + 65536;
		ph->acc = xrealloc(ph->acc, ph->acc_cap);
	}
	memcpy(ph->acc + ph->acc_len, b, len);
	ph->acc_len += len;
	uint32_t n = ph->acc_len;
	if (eot) {
		ph->acc_len = 0;
		transfer_input(ph, ph->acc, n);
	} else if (n > 1 << 20) {
		ph->acc_len = 0;
		violation(ph, V_missing_zlp, "%u bytes without an end of transfer, dropped", n);
	}
}
