/* Messages from the phone: completed transfers, and its going away. */
#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include "fakeusb.h"

void fd_removed(libusb_device_handle *h)
{
	if (atomic_exchange(&h->pollfd_shown, 0) && h->ctx->fd_removed)
		h->ctx->fd_removed(h->evfd, h->ctx->fd_data);
}

/* Takes every transfer of the handle off its queues. */
void steal_all(libusb_device_handle *h, struct list *to)
{
	pthread_mutex_lock(&h->slock);
	while (!list_empty(&h->unsent)) {
		struct unsent *p = OWNER(h->unsent.next, struct unsent, l);
		list_del(&p->l);
		free(p);
	}
	pthread_mutex_lock(&h->qlock);
	struct list *qs[] = { &h->out_q, &h->in_q, &h->other_q };
	for (int i = 0; i < 3; i++)
		while (!list_empty(qs[i])) {
			struct list *l = qs[i]->next;
			list_del(l);
			list_add_tail(to, l);
		}
	pthread_mutex_unlock(&h->qlock);
	pthread_mutex_unlock(&h->slock);
}

void disconnected(libusb_device_handle *h)
{
	struct list all;
	libusb_context *ctx = h->ctx;
	if (atomic_exchange(&h->dead, 1))
		return;
	h->dev->gone = 1;
	epoll_ctl(ctx->ctl, EPOLL_CTL_DEL, h->sock, NULL);
	shutdown(h->sock, SHUT_RDWR);
	fd_removed(h);
	list_init(&all);
	steal_all(h, &all);
	while (!list_empty(&all)) {
		struct itransfer *it = OWNER(all.next, struct itransfer, q);
		list_del(&it->q);
		complete(ctx, it, LIBUSB_TRANSFER_NO_DEVICE);
	}
	if (env.hotplug)
		hotplug_scan(ctx);
}

/* One message from the phone.  1 handled, 0 nothing there, -1 gone. */
int reap_one(libusb_device_handle *h)
{
	struct fu_msg m;
	struct list done;
	struct iovec iov[2] = { { &m, sizeof m }, { NULL, 0 } };
	struct msghdr mh = { .msg_iov = iov, .msg_iovlen = 1 };
	list_init(&done);
	pthread_mutex_lock(&h->qlock);
	struct itransfer *head = NULL;
	if (!list_empty(&h->in_q)) {
		head = OWNER(h->in_q.next, struct itransfer, q);
		iov[1].iov_base = head->pub.buffer + head->actual;
		iov[1].iov_len = head->pub.length - head->actual;
		mh.msg_iovlen = 2;
	}
	ssize_t n;
	do
		n = recvmsg(h->sock, &mh, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < (ssize_t)sizeof m) {
		pthread_mutex_unlock(&h->qlock);
		return n < 0 && (errno == EAGAIN) ? 0 : -1;
	}
	for (uint32_t i = 0; i < m.out_done && !list_empty(&h->out_q); i++) {
		struct itransfer *it = OWNER(h->out_q.next, struct itransfer, q);
		list_del(&it->q);
		it->actual = it->pub.length;
		it->lstatus = LIBUSB_TRANSFER_COMPLETED;
		list_add_tail(&done, &it->q);
	}
	if (m.type == FU_INDATA && head && head->id == m.id) {
		head->actual += n - sizeof m;
		if (!(m.flags & FU_MORE)) {
			list_del(&head->q);
			head->lstatus = m.status;
			list_add_tail(&done, &head->q);
		}
	} else if (m.type == FU_INDATA) {
		fprintf(stderr, "fakeusb: BUG: data for unknown IN transfer %lu\n", m.id);
	} else if (m.type == FU_CANCELLED) {
		struct list *qs[] = { &h->in_q, &h->out_q };
		for (int i = 0; i < 2; i++)
			for (struct list *l = qs[i]->next; l != qs[i]; l = l->next) {
				struct itransfer *it = OWNER(l, struct itransfer, q);
				if (it->id == m.id) {
					list_del(l);
					it->lstatus = LIBUSB_TRANSFER_CANCELLED;
					list_add_tail(&done, l);
					break;
				}
			}
	}
	pthread_mutex_unlock(&h->qlock);
	while (!list_empty(&done)) {
		struct itransfer *it = OWNER(done.next, struct itransfer, q);
		list_del(&it->q);
		complete(h->ctx, it, it->lstatus);
	}
	return 1;
}

void reap(libusb_device_handle *h)
{
	uint64_t full = FU_EVFULL;
	int n = 0, r;
	if (write(h->evfd, &full, 8) < 0 && errno != EAGAIN)
		return;
	while ((r = reap_one(h)) > 0 && !h->closed)
		if (++n == 25) { /* as libusb: let others have a go, stay readable */
			if (read(h->evfd, &full, 8) < 0)
				return;
			return;
		}
	if (r < 0 && !h->closed)
		disconnected(h);
}

void handle_put(libusb_device_handle *h)
{
	if (--h->ref == 0) {
		pthread_mutex_destroy(&h->slock);
		pthread_mutex_destroy(&h->qlock);
		libusb_unref_device(h->dev);
		free(h);
	}
}
