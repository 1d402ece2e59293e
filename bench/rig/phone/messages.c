/* Messages to the stand-in library: as many as possible with one system call. */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include "phone.h"

static void want_out(struct host *h, int on)
{
	if (h->want_out == on)
		return;
	h->want_out = on;
	struct epoll_event e = { .events = EPOLLIN | (on ? EPOLLOUT : 0), .data.ptr = h };
	epoll_ctl(epfd, EPOLL_CTL_MOD, h->e.fd, &e);
}

/* Make the library's eventfd writable, once for all that was sent (wire.h). */
void host_kick(struct host *h)
{
	uint64_t x;
	if (!h->kick)
		return;
	h->kick = 0;
	if (h->evfd >= 0 && read(h->evfd, &x, 8) < 0)
		return;
}

static void enqueue(struct host *h, struct outmsg *o)
{
	o->next = NULL;
	*h->txq_tail = o;
	h->txq_tail = &o->next;
}

void txq_add(struct host *h, const struct iovec *v, int n)
{
	size_t total = 0;
	for (int i = 0; i < n; i++)
		total += v[i].iov_len;
	struct outmsg *o = xmalloc(sizeof *o + total);
	o->len = 0;
	for (int i = 0; i < n; i++) {
		memcpy(o->b + o->len, v[i].iov_base, v[i].iov_len);
		o->len += v[i].iov_len;
	}
	enqueue(h, o);
	want_out(h, 1);
}

/* A message whose time has come; it also reports the OUT transfers done by now. */
void txq_append(struct host *h, struct outmsg *o)
{
	((struct fu_msg *)o->b)->out_done = h->out_done;
	h->out_done = 0;
	enqueue(h, o);
	txq_flush(h);
}

static int would_block(void) { return errno == EAGAIN || errno == ENOBUFS; }

void txq_flush(struct host *h)
{
	while (h->txq) {
		struct outmsg *o = h->txq;
		if (send(h->e.fd, o->b, o->len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
			h->dead |= !would_block();
			want_out(h, 1);
			return;
		}
		h->kick = 1;
		h->txq = o->next;
		if (!h->txq)
			h->txq_tail = &h->txq;
		free(o);
	}
	want_out(h, 0);
}

void send_status(struct host *h, int type, uint64_t id)
{
	struct fu_msg m = { .type = type, .id = id, .out_done = h->out_done };
	h->out_done = 0;
	if (!h->txq) {
		if (send(h->e.fd, &m, sizeof m, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) {
			h->kick = 1;
			return;
		}
		if (!would_block()) {
			h->dead = 1;
			return;
		}
	}
	txq_add(h, &(struct iovec){ &m, sizeof m }, 1);
}

/* Completed IN transfers of an unpaced bus, collected for one sendmmsg. */
#define BATCH 32
static struct { struct fu_msg m; struct iovec iov[3]; } slots[BATCH];
static struct mmsghdr batch[BATCH];
static struct pkt *finished[BATCH];
static int nbatch, nfinished;

struct fu_msg *batch_slot(struct iovec **iov)
{
	*iov = slots[nbatch].iov;
	slots[nbatch].iov[0] = (struct iovec){ &slots[nbatch].m, sizeof(struct fu_msg) };
	return &slots[nbatch].m;
}

void batch_add(struct host *h, int parts, struct pkt *packet)
{
	batch[nbatch].msg_hdr = (struct msghdr){ .msg_iov = slots[nbatch].iov, .msg_iovlen = parts };
	nbatch++;
	if (packet)
		finished[nfinished++] = packet;
	if (nbatch == BATCH)
		batch_flush(h);
}

void batch_flush(struct host *h)
{
	int done = 0;
	while (done < nbatch && !h->txq && !h->dead) {
		int r = sendmmsg(h->e.fd, batch + done, nbatch - done, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (r > 0) {
			done += r;
			h->kick = 1;
		} else if (errno != EINTR) {
			h->dead |= !would_block();
			break;
		}
	}
	for (; done < nbatch && !h->dead; done++)
		txq_add(h, batch[done].msg_hdr.msg_iov, batch[done].msg_hdr.msg_iovlen);
	nbatch = 0;
	for (int i = 0; i < nfinished; i++)
		pkt_free(finished[i]);
	nfinished = 0;
}
