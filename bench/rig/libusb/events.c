/* Event handling, from one thread or several, and the file descriptors of it. */
#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include "fakeusb.h"

/* The context whose events this thread is handling: a callback that asks for
 * events again is refused, as by libusb. */
__thread libusb_context *in_events;

void ctl_add(libusb_context *ctx, int fd, uint32_t events, void *ptr)
{
	struct epoll_event e = { .events = events, .data.ptr = ptr };
	epoll_ctl(ctx->ctl, EPOLL_CTL_ADD, fd, &e);
}

/* One round of event handling; the events lock is held. */
static int handle_events_once(libusb_context *ctx, struct timeval *tv)
{
	libusb_device_handle *hs_[64], **hs = hs_;
	struct pollfd pf_[66], *pf = pf_;
	int nh = 0, cap = 64;
	pthread_mutex_lock(&ctx->lock);
	for (struct list *l = ctx->handles.next; l != &ctx->handles; l = l->next)
		nh++;
	if (nh > cap) {
		hs = malloc(nh * sizeof *hs);
		pf = malloc((nh + 2) * sizeof *pf);
		if (!hs || !pf)
			abort();
	}
	nh = 0;
	pf[0] = (struct pollfd){ ctx->ctl, POLLIN, 0 };
	pf[1] = (struct pollfd){ ctx->timerfd, POLLIN, 0 };
	for (struct list *l = ctx->handles.next; l != &ctx->handles; l = l->next) {
		libusb_device_handle *h = OWNER(l, libusb_device_handle, link);
		if (h->dead)
			continue;
		h->ref++;
		hs[nh] = h;
		pf[2 + nh] = (struct pollfd){ h->evfd, POLLOUT, 0 };
		nh++;
	}
	pthread_mutex_unlock(&ctx->lock);

	int ms = tv->tv_sec > 86400 ? 86400000 : (int)(tv->tv_sec * 1000 + (tv->tv_usec + 999) / 1000);
	int r = poll(pf, 2 + nh, ms);
	int ret = 0;
	if (r > 0) {
		libusb_context *outer = in_events;
		in_events = ctx;
		if (pf[1].revents) {
			uint64_t x;
			if (read(ctx->timerfd, &x, 8) > 0) {
				pthread_mutex_lock(&ctx->tlock);
				ctx->armed = 0;
				pthread_mutex_unlock(&ctx->tlock);
			}
			expire(ctx);
		}
		for (int i = 0; i < nh; i++)
			if (pf[2 + i].revents && !hs[i]->closed && !hs[i]->dead)
				reap(hs[i]);
		if (pf[0].revents) {
			struct epoll_event ev[16];
			int n = epoll_wait(ctx->ctl, ev, 16, 0), replug = 0;
			for (int i = 0; i < n; i++) {
				if (ev[i].data.ptr == &ctx->evfd) {
					uint64_t x;
					if (read(ctx->evfd, &x, 8) > 0)
						run_local(ctx);
				} else if (ev[i].data.ptr == &ctx->inofd) {
					char b[4096];
					while (read(ctx->inofd, b, sizeof b) > 0)
						replug = 1;
				} else {
					libusb_device_handle *h = ev[i].data.ptr;
					int known = 0;
					for (int k = 0; k < nh; k++)
						known |= hs[k] == h;
					if (!known || h->closed || h->dead)
						continue;
					if (ev[i].events & (EPOLLHUP | EPOLLRDHUP | EPOLLERR)) {
						while (reap_one(h) > 0 && !h->closed)
							;
						if (!h->closed)
							disconnected(h);
					} else if (ev[i].events & EPOLLOUT) {
						pthread_mutex_lock(&h->slock);
						int ok = flush_unsent(h);
						pthread_mutex_unlock(&h->slock);
						if (ok < 0)
							disconnected(h);
					}
				}
			}
			if (replug)
				hotplug_scan(ctx);
		}
		in_events = outer;
	} else if (r < 0)
		ret = errno == EINTR ? LIBUSB_ERROR_INTERRUPTED : LIBUSB_ERROR_IO;
	for (int i = 0; i < nh; i++)
		handle_put(hs[i]);
	if (hs != hs_) {
		free(hs);
		free(pf);
	}
	return ret;
}

API int libusb_try_lock_events(libusb_context *ctx)
{
	ctx = context_or_default(ctx);
	if (ctx->closers)
		return 1;
	if (pthread_mutex_trylock(&ctx->ev_lock))
		return 1;
	ctx->ev_active = 1;
	return 0;
}

API void libusb_lock_events(libusb_context *ctx)
{
	ctx = context_or_default(ctx);
	pthread_mutex_lock(&ctx->ev_lock);
	ctx->ev_active = 1;
}

API void libusb_unlock_events(libusb_context *ctx)
{
	ctx = context_or_default(ctx);
	ctx->ev_active = 0;
	pthread_mutex_unlock(&ctx->ev_lock);
	pthread_mutex_lock(&ctx->wait_lock);
	pthread_cond_broadcast(&ctx->wait_cond);
	pthread_mutex_unlock(&ctx->wait_lock);
}

API int libusb_event_handling_ok(libusb_context *ctx) { return !context_or_default(ctx)->closers; }

API int libusb_event_handler_active(libusb_context *ctx)
{
	ctx = context_or_default(ctx);
	return ctx->closers || ctx->ev_active;
}

API void libusb_interrupt_event_handler(libusb_context *ctx) { wake(context_or_default(ctx)); }
API void libusb_lock_event_waiters(libusb_context *ctx) { pthread_mutex_lock(&context_or_default(ctx)->wait_lock); }
API void libusb_unlock_event_waiters(libusb_context *ctx) { pthread_mutex_unlock(&context_or_default(ctx)->wait_lock); }

API int libusb_wait_for_event(libusb_context *ctx, struct timeval *tv)
{
	ctx = context_or_default(ctx);
	if (!tv) {
		pthread_cond_wait(&ctx->wait_cond, &ctx->wait_lock);
		return 0;
	}
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += tv->tv_sec;
	t.tv_nsec += tv->tv_usec * 1000;
	t.tv_sec += t.tv_nsec / 1000000000;
	t.tv_nsec %= 1000000000;
	return pthread_cond_timedwait(&ctx->wait_cond, &ctx->wait_lock, &t) == ETIMEDOUT;
}

API int libusb_handle_events_timeout_completed(libusb_context *ctx, struct timeval *tv, int *completed)
{
	ctx = context_or_default(ctx);
	if (in_events == ctx)
		return LIBUSB_ERROR_BUSY;
	for (;;) {
		if (!libusb_try_lock_events(ctx)) {
			int r = 0;
			if (!completed || !__atomic_load_n(completed, __ATOMIC_ACQUIRE))
				r = handle_events_once(ctx, tv);
			libusb_unlock_events(ctx);
			return r;
		}
		pthread_mutex_lock(&ctx->wait_lock);
		if (completed && __atomic_load_n(completed, __ATOMIC_ACQUIRE)) {
			pthread_mutex_unlock(&ctx->wait_lock);
			return 0;
		}
		if (!libusb_event_handler_active(ctx)) {
			pthread_mutex_unlock(&ctx->wait_lock);
			continue;
		}
		int r = libusb_wait_for_event(ctx, tv);
		pthread_mutex_unlock(&ctx->wait_lock);
		if (r)
			return 0; /* timed out */
		return 0;
	}
}

API int libusb_handle_events_timeout(libusb_context *ctx, struct timeval *tv)
{
	return libusb_handle_events_timeout_completed(ctx, tv, NULL);
}

API int libusb_handle_events_completed(libusb_context *ctx, int *completed)
{
	struct timeval tv = { 60, 0 };
	return libusb_handle_events_timeout_completed(ctx, &tv, completed);
}

API int libusb_handle_events(libusb_context *ctx)
{
	return libusb_handle_events_completed(ctx, NULL);
}

API int libusb_handle_events_locked(libusb_context *ctx, struct timeval *tv)
{
	ctx = context_or_default(ctx);
	if (in_events == ctx)
		return LIBUSB_ERROR_BUSY;
	return handle_events_once(ctx, tv);
}

API int libusb_pollfds_handle_timeouts(libusb_context *ctx) { return 1; }

API int libusb_get_next_timeout(libusb_context *ctx, struct timeval *tv)
{
	return 0; /* a timerfd among the pollfds does it, as in libusb on Linux */
}

API void libusb_set_pollfd_notifiers(libusb_context *ctx, libusb_pollfd_added_cb a,
	libusb_pollfd_removed_cb r, void *data)
{
	ctx = context_or_default(ctx);
	ctx->fd_added = a;
	ctx->fd_removed = r;
	ctx->fd_data = data;
}

API const struct libusb_pollfd **libusb_get_pollfds(libusb_context *ctx)
{
	ctx = context_or_default(ctx);
	int n = 2, i = 0;
	pthread_mutex_lock(&ctx->lock);
	for (struct list *l = ctx->handles.next; l != &ctx->handles; l = l->next)
		n++;
	struct libusb_pollfd **v = malloc((n + 1) * sizeof *v + n * sizeof **v);
	if (v) {
		struct libusb_pollfd *p = (void *)(v + n + 1);
		p[i] = (struct libusb_pollfd){ ctx->ctl, POLLIN };
		v[i] = p + i; i++;
		p[i] = (struct libusb_pollfd){ ctx->timerfd, POLLIN };
		v[i] = p + i; i++;
		for (struct list *l = ctx->handles.next; l != &ctx->handles; l = l->next) {
			libusb_device_handle *h = OWNER(l, libusb_device_handle, link);
			if (!h->pollfd_shown)
				continue;
			p[i] = (struct libusb_pollfd){ h->evfd, POLLOUT };
			v[i] = p + i; i++;
		}
		v[i] = NULL;
	}
	pthread_mutex_unlock(&ctx->lock);
	return (const struct libusb_pollfd **)v;
}

API void libusb_free_pollfds(const struct libusb_pollfd **p) { free((void *)p); }
