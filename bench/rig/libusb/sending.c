/* Messages to the phone; what its socket does not take at once is kept in order. */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include "fakeusb.h"

/* 1 sent, 0 socket full, -1 gone */
static int send_msg(libusb_device_handle *h, struct fu_msg *m, const void *data, size_t len)
{
	struct iovec iov[2] = { { m, sizeof *m }, { (void *)data, len } };
	struct msghdr mh = { .msg_iov = iov, .msg_iovlen = len ? 2 : 1 };
	for (;;) {
		if (sendmsg(h->sock, &mh, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
			return 1;
		if (errno == EINTR)
			continue;
		if (errno == EAGAIN || errno == ENOBUFS) {
			return 0;
		}
		return -1;
	}
}

static void want_out(libusb_device_handle *h, int on)
{
	if (h->want_out == on || h->closed)
		return;
	h->want_out = on;
	struct epoll_event e = { .events = EPOLLRDHUP | (on ? EPOLLOUT : 0), .data.ptr = h };
	epoll_ctl(h->ctx->ctl, EPOLL_CTL_MOD, h->sock, &e);
}

/* Sends what is left of an OUT transfer; returns as send_msg. */
static int send_out(libusb_device_handle *h, struct itransfer *it, int *off)
{
	int len = it->pub.length;
	do {
		int n = len - *off;
		struct fu_msg m = { .type = FU_OUT, .ep = it->pub.endpoint, .id = it->id };
		if (n > FU_MAXOUT) {
			n = FU_MAXOUT;
			m.flags |= FU_MORE;
		} else if (it->zlp)
			m.flags |= FU_ZLP;
		m.len = n;
		int r = send_msg(h, &m, it->pub.buffer + *off, n);
		if (r <= 0)
			return r;
		*off += n;
	} while (*off < len);
	return 1;
}

/* slock held; everything that is queued goes out before anything new */
int flush_unsent(libusb_device_handle *h)
{
	while (!list_empty(&h->unsent)) {
		struct unsent *p = OWNER(h->unsent.next, struct unsent, l);
		int r = p->out ? send_out(h, p->out, &p->off) : send_msg(h, &p->m, NULL, 0);
		if (r <= 0)
			return r;
		list_del(&p->l);
		free(p);
	}
	want_out(h, 0);
	return 1;
}

/* slock held: send or queue; -1 gone */
int post(libusb_device_handle *h, struct fu_msg *m, struct itransfer *out)
{
	int r = 0, off = 0;
	if (list_empty(&h->unsent))
		r = out ? send_out(h, out, &off) : send_msg(h, m, NULL, 0);
	if (r != 0)
		return r;
	struct unsent *p = calloc(1, sizeof *p);
	if (!p)
		return -1;
	if (m)
		p->m = *m;
	p->out = out;
	p->off = off;
	list_add_tail(&h->unsent, &p->l);
	want_out(h, 1);
	return 1;
}

void post_simple(libusb_device_handle *h, int type)
{
	struct fu_msg m = { .type = type };
	pthread_mutex_lock(&h->slock);
	if (!h->dead)
		post(h, &m, NULL);
	pthread_mutex_unlock(&h->slock);
}
