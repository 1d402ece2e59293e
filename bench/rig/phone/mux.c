/* What the host says, with a strict eye on it. */
#include "phone.h"

void mux_reset(struct phone *ph)
{
	while (ph->all)
		conn_free(ph, ph->all);
	while (ph->ctl) {
		struct pkt *p = ph->ctl;
		ph->ctl = p->next;
		pkt_free(p);
	}
	ph->ctl_tail = &ph->ctl;
	if (ph->cur)
		pkt_free(ph->cur);
	ph->cur = NULL;
	ph->zlp = 0;
	ph->acc_len = 0;
	ph->versioned = ph->setup = 0;
	ph->tx_seq = ph->host_seq = 0;
	ph->host_last = 0xffff;
}

struct segment { uint16_t sport, dport; uint32_t seq, ack, win, len; int flags; const unsigned char *data; };

static struct segment parse(struct phone *ph, const unsigned char *t, uint32_t len)
{
	struct segment s = { be16(t), be16(t + 2), be32(t + 4), be32(t + 8), (uint32_t)be16(t + 14) << 8,
		len - 20, t[13], t + 20 };
	if (t[12] != 5 << 4)
		violation(ph, V_tcphdr, "data offset byte 0x%02x (%u->%u)", t[12], s.sport, s.dport);
	return s;
}

static void reset_input(struct phone *ph, struct conn *c, const struct segment *s)
{
	ph->st.rst_in++;
	if (s->flags != TH_RST && s->flags != (TH_RST | TH_ACK))
		violation(ph, V_flags, "RST with flags 0x%02x (%u->%u)", s->flags, s->sport, s->dport);
	if (c)
		conn_free(ph, c);
	else
		ph->st.late++;
}

static void syn_input(struct phone *ph, struct conn *c, const struct segment *s)
{
	if (c) {
		violation(ph, V_syn, "SYN on a connection that is open (%u->%u)", s->sport, s->dport);
		conn_free(ph, c);
	}
	if (s->len)
		violation(ph, V_syn, "SYN with %u bytes of data (%u->%u)", s->len, s->sport, s->dport);
	if (s->dport != ECHO && s->dport != DISCARD && s->dport != CHARGEN && s->dport != EXCHANGE && s->dport != STREAM) {
		ph->st.refused++;
		send_rst(ph, s->dport, s->sport, 0, s->seq + 1, "Connection refused");
		return;
	}
	c = conn_open(ph, s->sport, s->dport, s->seq, s->win);
	uint32_t w = conn_window(c);
	note_right(c, w);
	ctl_queue(ph, tcp_pkt(ph, s->dport, s->sport, 0, c->rcv_nxt, TH_SYN | TH_ACK, w, 0));
}

static void ack_input(struct phone *ph, struct conn *c, const struct segment *s)
{
	if ((int32_t)(s->ack - c->snd_una) < 0 || (int32_t)(s->ack - c->snd_nxt) > 0) {
		violation(ph, V_ack, "ack %u outside %u..%u (%u->%u)", s->ack, c->snd_una, c->snd_nxt,
			s->sport, s->dport);
	} else {
		uint32_t right = s->ack + s->win;
		if ((int32_t)(right - c->snd_right) < 0)
			violation(ph, V_window_shrink, "window shrinks by %u (%u->%u)", c->snd_right - right,
				s->sport, s->dport);
		else
			c->snd_right = right;
		c->snd_una = s->ack;
	}
	if (!c->open) {
		if (s->ack != c->snd_nxt)
			violation(ph, V_state, "SYN/ACK not acknowledged: ack %u, want %u (%u->%u)", s->ack,
				c->snd_nxt, s->sport, s->dport);
		c->open = 1;
	} else if (!s->len) {
		ph->st.acks_in++;
		if (s->ack == c->last_ack && s->win == c->last_win)
			ph->st.dup_acks_in++;
	}
	c->last_ack = s->ack;
	c->last_win = s->win;
}

static void give_up(struct phone *ph, struct conn *c, const char *why)
{
	send_rst(ph, c->dport, c->sport, c->snd_nxt, c->rcv_nxt, why);
	conn_free(ph, c);
}

static void tcp_input(struct phone *ph, const unsigned char *t, uint32_t len)
{
	struct segment s = parse(ph, t, len);
	struct conn *c = conn_find(ph, s.sport, s.dport);
	if (s.flags & TH_RST) {
		reset_input(ph, c, &s);
		return;
	}
	if (s.flags == TH_SYN) {
		syn_input(ph, c, &s);
		return;
	}
	if (!c) { /* it crossed our RST, or the host made it up */
		ph->st.late++;
		return;
	}
	if (s.flags != TH_ACK) {
		violation(ph, V_flags, "flags 0x%02x, want ACK alone (%u->%u)", s.flags, s.sport, s.dport);
		if (!(s.flags & TH_ACK))
			return;
	}
	ack_input(ph, c, &s);
	if (s.seq != c->rcv_nxt) {
		violation(ph, V_seq, "seq %u, want %u, %u bytes (%u->%u)", s.seq, c->rcv_nxt, s.len, s.sport, s.dport);
		if (s.len) {
			give_up(ph, c, "bad sequence number");
			return;
		}
	}
	if (s.len) {
		if ((int32_t)(s.seq + s.len - c->rcv_right) > 0) {
			violation(ph, V_window, "%u bytes beyond the window (%u->%u)",
				s.seq + s.len - c->rcv_right, s.sport, s.dport);
			give_up(ph, c, "recv'd data past the window: suffering from amnesia");
			return;
		}
		c->rcv_nxt += s.len;
		ph->st.payload_in += s.len;
		c->need_ack = 1;
		service_data(ph, c, s.data, s.len);
	}
	if (c->need_ack || conn_sendable(c))
		activate(ph, c);
}

static void version_input(struct phone *ph, const unsigned char *b, uint32_t len)
{
	if (len != 20) {
		violation(ph, V_length, "VERSION of %u bytes, want 20", len);
		return;
	}
	if (be32(b + 8) != 2)
		violation(ph, V_version, "host speaks version %u", be32(b + 8));
	mux_reset(ph);
	struct pkt *p = pkt_new(ph, P_VERSION, 0, 12);
	own_payload(p, (unsigned char[12]){ [3] = 2 }, 12);
	ctl_queue(ph, p);
	ph->versioned = 1;
}

static void sequence_input(struct phone *ph, uint32_t proto, uint16_t tx, uint16_t rx)
{
	if (proto == P_SETUP) {
		if (tx != 0 || rx != 0xffff)
			violation(ph, V_tx_seq, "SETUP with tx_seq %u rx_seq %u, want 0 and 65535", tx, rx);
	} else {
		if (!ph->setup)
			violation(ph, V_state, "protocol %u before SETUP", proto);
		if (tx != ph->host_seq)
			violation(ph, V_tx_seq, "tx_seq %u, want %u", tx, ph->host_seq);
		/* Either the number we sent last, or (as the C usbmuxd does, and real
		 * phones do not mind) our own echo of the host's; 0xffff: none yet. */
		int last = (uint16_t)(ph->tx_seq - 1 - rx) < 0x4000;
		int echo = (uint16_t)(tx - 1 - rx) < 0x4000;
		if (!last && !echo && rx != 0xffff)
			violation(ph, V_rx_seq, "rx_seq %u; host tx_seq %u, phone tx_seq %u", rx, tx, ph->tx_seq);
	}
	ph->host_last = tx;
	ph->host_seq = tx + 1;
}

void mux_input(struct phone *ph, const unsigned char *b, uint32_t len)
{
	uint32_t proto = be32(b);
	if (proto == P_VERSION) {
		version_input(ph, b, len);
		return;
	}
	if (!ph->versioned) {
		violation(ph, V_state, "protocol %u before VERSION", proto);
		return;
	}
	if (len < 16) {
		violation(ph, V_length, "%u bytes is less than a header", len);
		return;
	}
	if (be32(b + 8) != 0xfeedface)
		violation(ph, V_magic, "magic 0x%08x", be32(b + 8));
	sequence_input(ph, proto, be16(b + 12), be16(b + 14));
	if (proto == P_SETUP) {
		if (len != 17 || b[16] != 7)
			violation(ph, V_length, "SETUP of %u bytes", len);
		ph->setup = 1;
		ph->tx_seq = 0;
	} else if (proto == P_TCP) {
		if (len < 36)
			violation(ph, V_length, "TCP packet of %u bytes", len);
		else
			tcp_input(ph, b + 16, len - 16);
	} else {
		violation(ph, V_proto, "protocol %u (%u bytes)", proto, len);
	}
}
