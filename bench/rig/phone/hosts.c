/* Device handles that programs have opened, and what they ask for. */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include "phone.h"

void host_accept(struct phone *ph)
{
	int fd = accept4(ph->e.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0)
		return;
	struct host *h = xcalloc(sizeof *h);
	int big = 8 << 20; /* what is in flight on a USB bus is not limited by a socket */
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &big, sizeof big) < 0)
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &big, sizeof big);
	h->e = (struct ep){ K_HOST, fd };
	h->ph = ph;
	h->evfd = -1;
	h->mps = 512;
	h->txq_tail = &h->txq;
	h->next = ph->hosts;
	ph->hosts = h;
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = h };
	epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &e);
}

void host_free(struct host *h)
{
	struct phone *ph = h->ph;
	struct host **pp = &ph->hosts;
	while (*pp != h)
		pp = &(*pp)->next;
	*pp = h->next;
	if (ph->mux == h) {
		ph->mux = NULL;
		mux_reset(ph);
	}
	events_forget(h);
	h->kick = 1;
	host_kick(h); /* let it see the hangup */
	epoll_ctl(epfd, EPOLL_CTL_DEL, h->e.fd, NULL);
	close(h->e.fd);
	if (h->evfd >= 0)
		close(h->evfd);
	while (h->txq) {
		struct outmsg *o = h->txq;
		h->txq = o->next;
		free(o);
	}
	free(h->urbs);
	free(h);
}

/* The first message says what bus this is to be; 0 fine or not there yet. */
static int hello(struct host *h)
{
	struct fu_msg m;
	struct fu_hello he;
	union { struct cmsghdr c; char b[CMSG_SPACE(sizeof(int))]; } cm;
	struct iovec iov[2] = { { &m, sizeof m }, { &he, sizeof he } };
	struct msghdr mh = { .msg_iov = iov, .msg_iovlen = 2, .msg_control = cm.b, .msg_controllen = sizeof cm.b };
	ssize_t n = recvmsg(h->e.fd, &mh, MSG_CMSG_CLOEXEC);
	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n != sizeof m + sizeof he || m.type != FU_HELLO || he.magic != FU_MAGIC || he.version != FU_VERSION)
		return -1; /* also a mere probe: connect and close */
	struct cmsghdr *c = CMSG_FIRSTHDR(&mh);
	if (c && c->cmsg_type == SCM_RIGHTS)
		memcpy(&h->evfd, CMSG_DATA(c), sizeof(int));
	h->mps = he.mps;
	h->full_duplex = he.full_duplex;
	h->kbps = he.kbps;
	h->lat_us = he.lat_us;
	h->hello = 1;
	return 0;
}

static void out_message(struct host *h, const struct fu_msg *m, const unsigned char *d, uint32_t len)
{
	if (!paced(h)) {
		usb_out(h, d, len, m->flags);
		return;
	}
	struct held *held = xmalloc(sizeof *held + len);
	held->len = len;
	held->flags = m->flags;
	memcpy(held->data, d, len);
	event_push(bus_take(h, now_ns(), len, 0), E_OUT, h, held);
}

/* IN transfers can be cancelled as long as nothing was put into them; an OUT
 * transfer is on the bus as soon as it is here. */
static void cancel_message(struct host *h, uint64_t id)
{
	uint32_t mask = h->u_cap - 1, i = 0;
	while (i < h->u_n && h->urbs[(h->u_rd + i) & mask].id != id)
		i++;
	if (i == h->u_n)
		return;
	for (; i + 1 < h->u_n; i++)
		h->urbs[(h->u_rd + i) & mask] = h->urbs[(h->u_rd + i + 1) & mask];
	h->u_n--;
	send_status(h, FU_CANCELLED, id);
}

static void message(struct host *h, const struct fu_msg *m, const unsigned char *d, uint32_t len)
{
	struct phone *ph = h->ph;
	switch (m->type) {
	case FU_CLAIM:
		ph->mux = h;
		break;
	case FU_RELEASE:
		if (ph->mux == h) {
			mux_reset(ph);
			ph->mux = NULL;
		}
		break;
	case FU_RESET:
		mux_reset(ph);
		break;
	case FU_IN:
		if (!ph->mux)
			ph->mux = h;
		put_urb(h, m->id, m->len);
		break;
	case FU_OUT:
		out_message(h, m, d, len);
		break;
	case FU_CANCEL:
		cancel_message(h, m->id);
		break;
	}
}

#define BATCH 8
static struct { struct fu_msg m; unsigned char d[FU_MAXOUT]; } buffers[BATCH] __attribute__((aligned(64)));

void host_input(struct host *h)
{
	struct mmsghdr mm[BATCH];
	struct iovec iov[BATCH];
	if (!h->hello) {
		if (hello(h) < 0)
			h->dead = 1;
		if (!h->hello)
			return;
	}
	for (int round = 0; round < 4; round++) { /* then the other phones have their turn */
		for (int i = 0; i < BATCH; i++) {
			iov[i] = (struct iovec){ &buffers[i], sizeof buffers[i] };
			mm[i].msg_hdr = (struct msghdr){ .msg_iov = &iov[i], .msg_iovlen = 1 };
		}
		int n = recvmmsg(h->e.fd, mm, BATCH, MSG_DONTWAIT, NULL);
		if (n < 0) {
			if (errno != EAGAIN && errno != EINTR)
				h->dead = 1;
			return;
		}
		for (int i = 0; i < n; i++) {
			if (mm[i].msg_len < sizeof(struct fu_msg)) { /* 0: hung up */
				h->dead = 1;
				return;
			}
			message(h, &buffers[i].m, buffers[i].d, mm[i].msg_len - sizeof(struct fu_msg));
		}
		if (n < BATCH)
			return;
		pump(h->ph);
	}
}

/* After anything happened to a handle. */
void host_turn(struct host *h)
{
	struct phone *ph = h->ph;
	if (!h->dead) {
		if (ph->mux == h)
			pump(ph);
		else if (h->out_done)
			send_status(h, FU_OUTDONE, 0);
		host_kick(h);
	}
	if (h->dead)
		host_free(h);
}
