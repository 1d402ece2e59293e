/* What the phone says: mux packets, and whose turn it is. */
#include "phone.h"

struct pkt *pkt_new(struct phone *ph, int proto, uint32_t extra, uint32_t payload)
{
	struct pkt *p = xcalloc(sizeof *p);
	uint32_t h = proto == P_VERSION ? 8 : 16;
	p->hlen = h + extra;
	p->total = p->hlen + payload;
	w32(p->hdr, proto);
	w32(p->hdr + 4, p->total);
	if (h == 16) {
		w32(p->hdr + 8, 0xfeedface);
		w16(p->hdr + 12, ph->tx_seq++);
		w16(p->hdr + 14, ph->host_last);
	}
	return p;
}

void pkt_free(struct pkt *p)
{
	free(p->own);
	free(p);
}

void own_payload(struct pkt *p, const void *data, uint32_t n)
{
	p->own = xmalloc(n ? n : 1);
	memcpy(p->own, data, n);
	p->payload = p->own;
}

void ctl_queue(struct phone *ph, struct pkt *p)
{
	*ph->ctl_tail = p;
	ph->ctl_tail = &p->next;
}

struct pkt *tcp_pkt(struct phone *ph, uint16_t dport, uint16_t hport, uint32_t seq, uint32_t ack,
	int flags, uint32_t win, uint32_t payload)
{
	struct pkt *p = pkt_new(ph, P_TCP, 20, payload);
	unsigned char *t = p->hdr + p->hlen - 20;
	w16(t, dport);
	w16(t + 2, hport);
	w32(t + 4, seq);
	w32(t + 8, ack);
	t[12] = 5 << 4;
	t[13] = flags;
	w16(t + 14, win >> 8);
	return p;
}

void send_rst(struct phone *ph, uint16_t dport, uint16_t hport, uint32_t seq, uint32_t ack, const char *why)
{
	struct pkt *p = tcp_pkt(ph, dport, hport, seq, ack, TH_RST, 0, strlen(why));
	own_payload(p, why, strlen(why));
	ctl_queue(ph, p);
	ph->st.rst_out++;
}

/* The next packet the phone wants on the wire: control first, then the
 * connections by turns, one packet each. */
struct pkt *next_packet(struct phone *ph)
{
	struct pkt *p = ph->ctl;
	if (p) {
		ph->ctl = p->next;
		if (!ph->ctl)
			ph->ctl_tail = &ph->ctl;
		p->next = NULL;
		return p;
	}
	while (ph->act) {
		struct conn *c = ph->act;
		deactivate(ph, c);
		p = conn_packet(ph, c);
		if (!p)
			continue;
		if (conn_sendable(c))
			activate(ph, c);
		return p;
	}
	return NULL;
}
