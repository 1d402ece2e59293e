/* Opened devices: configurations and interfaces. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include "fakeusb.h"

API int libusb_open(libusb_device *d, libusb_device_handle **out)
{
	libusb_context *ctx = d->ctx;
	if (d->gone)
		return LIBUSB_ERROR_NO_DEVICE;
	int s = connect_phone(d->path);
	if (s < 0)
		return errno == EACCES ? LIBUSB_ERROR_ACCESS : LIBUSB_ERROR_NO_DEVICE;
	libusb_device_handle *h = calloc(1, sizeof *h);
	if (!h) {
		close(s);
		return LIBUSB_ERROR_NO_MEM;
	}
	int big = 8 << 20;
	if (setsockopt(s, SOL_SOCKET, SO_SNDBUFFORCE, &big, sizeof big) < 0)
		setsockopt(s, SOL_SOCKET, SO_SNDBUF, &big, sizeof big);
	h->sock = s;
	h->evfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	uint64_t full = FU_EVFULL;
	if (h->evfd < 0 || write(h->evfd, &full, 8) < 0) {
		close(s);
		free(h);
		return LIBUSB_ERROR_OTHER;
	}
	h->ctx = ctx;
	h->dev = libusb_ref_device(d);
	h->ref = 1;
	for (int i = 0; i < 8; i++)
		h->claimfd[i] = -1;
	pthread_mutex_init(&h->slock, NULL);
	pthread_mutex_init(&h->qlock, NULL);
	list_init(&h->in_q);
	list_init(&h->out_q);
	list_init(&h->other_q);
	list_init(&h->unsent);

	struct fu_msg m = { .type = FU_HELLO, .len = sizeof(struct fu_hello) };
	struct fu_hello he = { .magic = FU_MAGIC, .version = FU_VERSION, .mps = env.mps,
		.full_duplex = env.speed >= LIBUSB_SPEED_SUPER, .kbps = env.kbps,
		.lat_us = env.lat_us, .pid = getpid() };
	struct iovec iov[2] = { { &m, sizeof m }, { &he, sizeof he } };
	union { struct cmsghdr c; char b[CMSG_SPACE(sizeof(int))]; } cm;
	memset(&cm, 0, sizeof cm);
	cm.c.cmsg_len = CMSG_LEN(sizeof(int));
	cm.c.cmsg_level = SOL_SOCKET;
	cm.c.cmsg_type = SCM_RIGHTS;
	memcpy(CMSG_DATA(&cm.c), &h->evfd, sizeof(int));
	struct msghdr mh = { .msg_iov = iov, .msg_iovlen = 2, .msg_control = cm.b, .msg_controllen = sizeof cm.b };
	if (sendmsg(s, &mh, MSG_NOSIGNAL) < 0) {
		close(s);
		close(h->evfd);
		libusb_unref_device(d);
		free(h);
		return LIBUSB_ERROR_NO_DEVICE;
	}
	ctl_add(ctx, s, EPOLLRDHUP, h);
	pthread_mutex_lock(&ctx->lock);
	list_add_tail(&ctx->handles, &h->link);
	h->pollfd_shown = 1;
	pthread_mutex_unlock(&ctx->lock);
	wake(ctx); /* a thread that polls now must learn of the new fd */
	if (ctx->fd_added)
		ctx->fd_added(h->evfd, POLLOUT, ctx->fd_data);
	*out = h;
	return 0;
}

API libusb_device *libusb_get_device(libusb_device_handle *h) { return h->dev; }

API void libusb_close(libusb_device_handle *h)
{
	if (!h)
		return;
	libusb_context *ctx = h->ctx;
	struct list all;
	int inside = in_events == ctx;
	if (!inside) {
		ctx->closers++;
		wake(ctx);
		pthread_mutex_lock(&ctx->ev_lock);
	}
	h->closed = 1;
	if (!h->dead)
		epoll_ctl(ctx->ctl, EPOLL_CTL_DEL, h->sock, NULL);
	h->dead = 1;
	list_init(&all);
	steal_all(h, &all);
	while (!list_empty(&all)) { /* as libusb: still in flight, never called back */
		struct itransfer *it = OWNER(all.next, struct itransfer, q);
		list_del(&it->q);
		timer_del(ctx, it);
		uncharge(it);
		it->where = W_NONE;
		it->inflight = 0;
		it->h = NULL;
		it->pub.dev_handle = NULL;
	}
	fd_removed(h);
	pthread_mutex_lock(&ctx->lock);
	list_del(&h->link);
	pthread_mutex_unlock(&ctx->lock);
	for (int i = 0; i < 8; i++)
		if (h->claimfd[i] >= 0)
			close(h->claimfd[i]);
	close(h->sock);
	close(h->evfd);
	if (!inside) {
		ctx->closers--;
		pthread_mutex_unlock(&ctx->ev_lock);
		pthread_mutex_lock(&ctx->wait_lock);
		pthread_cond_broadcast(&ctx->wait_cond);
		pthread_mutex_unlock(&ctx->wait_lock);
	}
	handle_put(h);
}

API int libusb_get_configuration(libusb_device_handle *h, int *c)
{
	if (h->dead)
		return LIBUSB_ERROR_NO_DEVICE;
	*c = h->dev->config;
	return 0;
}

API int libusb_set_configuration(libusb_device_handle *h, int c)
{
	struct raw r;
	if (h->dead)
		return LIBUSB_ERROR_NO_DEVICE;
	if (c == -1 || c == 0) {
		h->dev->config = 0;
		return 0;
	}
	if (raw_config(c, &r) < 0)
		return LIBUSB_ERROR_NOT_FOUND;
	for (int i = 0; i < 8; i++)
		if (h->claimfd[i] >= 0)
			return LIBUSB_ERROR_BUSY;
	h->dev->config = c;
	return 0;
}

static int has_interface(libusb_device *d, int n)
{
	struct raw r;
	return raw_config(d->config, &r) == 0 && n >= 0 && n < r.b[4];
}

API int libusb_claim_interface(libusb_device_handle *h, int n)
{
	char p[400];
	if (n < 0 || n >= 8)
		return LIBUSB_ERROR_INVALID_PARAM;
	if (h->dead)
		return LIBUSB_ERROR_NO_DEVICE;
	if (!has_interface(h->dev, n))
		return LIBUSB_ERROR_NOT_FOUND;
	if (h->claimfd[n] >= 0)
		return 0;
	snprintf(p, sizeof p, "%s.if%d", h->dev->path, n);
	int fd = open(p, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	if (fd < 0)
		return LIBUSB_ERROR_ACCESS;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		close(fd);
		return LIBUSB_ERROR_BUSY;
	}
	h->claimfd[n] = fd;
	if (ep_interface(h->dev, FU_EP_IN) == n)
		post_simple(h, FU_CLAIM);
	return 0;
}

API int libusb_release_interface(libusb_device_handle *h, int n)
{
	if (n < 0 || n >= 8)
		return LIBUSB_ERROR_INVALID_PARAM;
	if (h->claimfd[n] < 0)
		return LIBUSB_ERROR_NOT_FOUND;
	if (ep_interface(h->dev, FU_EP_IN) == n)
		post_simple(h, FU_RELEASE);
	close(h->claimfd[n]);
	h->claimfd[n] = -1;
	return h->dead ? LIBUSB_ERROR_NO_DEVICE : 0;
}

API int libusb_set_interface_alt_setting(libusb_device_handle *h, int n, int alt)
{
	if (h->dead)
		return LIBUSB_ERROR_NO_DEVICE;
	if (n < 0 || n >= 8 || h->claimfd[n] < 0)
		return LIBUSB_ERROR_NOT_FOUND;
	return alt == 0 || alt == 1 ? 0 : LIBUSB_ERROR_NOT_FOUND;
}

API int libusb_clear_halt(libusb_device_handle *h, unsigned char ep)
{
	if (h->dead)
		return LIBUSB_ERROR_NO_DEVICE;
	if (ep_interface(h->dev, ep) < 0)
		return LIBUSB_ERROR_NOT_FOUND;
	return 0;
}

API int libusb_reset_device(libusb_device_handle *h)
{
	if (h->dead)
		return LIBUSB_ERROR_NO_DEVICE;
	post_simple(h, FU_RESET);
	return 0;
}

API int libusb_kernel_driver_active(libusb_device_handle *h, int n)
{
	if (h->dead)
		return LIBUSB_ERROR_NO_DEVICE;
	return 0;
}

API int libusb_detach_kernel_driver(libusb_device_handle *h, int n)
{
	return h->dead ? LIBUSB_ERROR_NO_DEVICE : LIBUSB_ERROR_NOT_FOUND;
}

API int libusb_attach_kernel_driver(libusb_device_handle *h, int n)
{
	return h->dead ? LIBUSB_ERROR_NO_DEVICE : LIBUSB_ERROR_NOT_FOUND;
}

API int libusb_set_auto_detach_kernel_driver(libusb_device_handle *h, int on) { return 0; }
