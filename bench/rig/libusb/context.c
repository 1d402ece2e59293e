/* Contexts, options, capabilities and the names of errors. */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/timerfd.h>
#include "fakeusb.h"

struct libusb_context *default_ctx;
static pthread_mutex_t default_lock = PTHREAD_MUTEX_INITIALIZER;

libusb_context *context_or_default(libusb_context *ctx) { return ctx ? ctx : default_ctx; }

static libusb_context *new_ctx(void)
{
	libusb_context *ctx = calloc(1, sizeof *ctx);
	pthread_condattr_t ca;
	if (!ctx)
		return NULL;
	env_read();
	ctx->ref = 1;
	pthread_mutex_init(&ctx->lock, NULL);
	pthread_mutex_init(&ctx->ev_lock, NULL);
	pthread_mutex_init(&ctx->wait_lock, NULL);
	pthread_mutex_init(&ctx->llock, NULL);
	pthread_mutex_init(&ctx->tlock, NULL);
	pthread_condattr_init(&ca);
	pthread_condattr_setclock(&ca, CLOCK_MONOTONIC);
	pthread_cond_init(&ctx->wait_cond, &ca);
	list_init(&ctx->devs);
	list_init(&ctx->handles);
	list_init(&ctx->cbs);
	list_init(&ctx->local_done);
	list_init(&ctx->timers);
	ctx->ctl = epoll_create1(EPOLL_CLOEXEC);
	ctx->evfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ctx->timerfd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	ctx->inofd = -1;
	ctl_add(ctx, ctx->evfd, EPOLLIN, &ctx->evfd);
	if (env.hotplug) {
		ctx->inofd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
		inotify_add_watch(ctx->inofd, env.dir, IN_CREATE | IN_DELETE | IN_MOVED_TO | IN_MOVED_FROM);
		ctl_add(ctx, ctx->inofd, EPOLLIN, &ctx->inofd);
		struct list left;
		list_init(&left);
		bus_scan(ctx, &left);
		for (struct list *l = ctx->devs.next; l != &ctx->devs; l = l->next) {
			libusb_device *d = OWNER(l, libusb_device, link);
			d->listed = !d->gone;
		}
		bus_drop(&left);
	}
	return ctx;
}

API int libusb_init(libusb_context **out)
{
	pthread_mutex_lock(&default_lock);
	libusb_context *ctx;
	if (!out && default_ctx) {
		default_ctx->ref++;
		pthread_mutex_unlock(&default_lock);
		return 0;
	}
	ctx = new_ctx();
	if (!ctx) {
		pthread_mutex_unlock(&default_lock);
		return LIBUSB_ERROR_NO_MEM;
	}
	if (out)
		*out = ctx;
	else
		default_ctx = ctx;
	pthread_mutex_unlock(&default_lock);
	return 0;
}

static void *closing(void *fd)
{
	close((int)(intptr_t)fd);
	return NULL;
}

/* The end of an inotify descriptor waits for every processor, up to tenths of a
 * second; libusb has nothing like it, so no program has to wait for it here. */
static void close_aside(int fd)
{
	pthread_t t;
	if (pthread_create(&t, NULL, closing, (void *)(intptr_t)fd))
		close(fd);
	else
		pthread_detach(t);
}

API void libusb_exit(libusb_context *ctx)
{
	pthread_mutex_lock(&default_lock);
	ctx = context_or_default(ctx);
	if (!ctx || --ctx->ref > 0) {
		pthread_mutex_unlock(&default_lock);
		return;
	}
	if (ctx == default_ctx)
		default_ctx = NULL;
	pthread_mutex_unlock(&default_lock);
	while (!list_empty(&ctx->handles))
		libusb_close(OWNER(ctx->handles.next, libusb_device_handle, link));
	while (!list_empty(&ctx->cbs)) {
		struct hotplug_cb *cb = OWNER(ctx->cbs.next, struct hotplug_cb, link);
		list_del(&cb->link);
		free(cb);
	}
	while (!list_empty(&ctx->devs)) {
		libusb_device *d = OWNER(ctx->devs.next, libusb_device, link);
		list_del(&d->link);
		libusb_unref_device(d);
	}
	close(ctx->ctl);
	close(ctx->evfd);
	close(ctx->timerfd);
	if (ctx->inofd >= 0)
		close_aside(ctx->inofd);
	free(ctx);
}

API void libusb_set_debug(libusb_context *ctx, int level) { }
API int libusb_set_option(libusb_context *ctx, int o, ...) { return 0; }
API void libusb_set_log_cb(libusb_context *ctx, libusb_log_cb cb, int mode) { }

API const struct libusb_version *libusb_get_version(void)
{
	static const struct libusb_version v = { 1, 0, 26, 11724, "", "http://libusb.info (fakeusb)" };
	return &v;
}

API int libusb_has_capability(uint32_t cap)
{
	env_read();
	switch (cap) {
	case LIBUSB_CAP_HAS_CAPABILITY: return 1;
	case LIBUSB_CAP_HAS_HOTPLUG: return env.hotplug;
	case LIBUSB_CAP_SUPPORTS_DETACH_KERNEL_DRIVER: return 1;
	}
	return 0;
}

API int libusb_setlocale(const char *l) { return 0; }

static const struct { int code; const char *name, *text; } errs[] = {
	{ 0, "LIBUSB_SUCCESS", "Success" },
	{ LIBUSB_ERROR_IO, "LIBUSB_ERROR_IO", "Input/Output Error" },
	{ LIBUSB_ERROR_INVALID_PARAM, "LIBUSB_ERROR_INVALID_PARAM", "Invalid parameter" },
	{ LIBUSB_ERROR_ACCESS, "LIBUSB_ERROR_ACCESS", "Access denied (insufficient permissions)" },
	{ LIBUSB_ERROR_NO_DEVICE, "LIBUSB_ERROR_NO_DEVICE", "No such device (it may have been disconnected)" },
	{ LIBUSB_ERROR_NOT_FOUND, "LIBUSB_ERROR_NOT_FOUND", "Entity not found" },
	{ LIBUSB_ERROR_BUSY, "LIBUSB_ERROR_BUSY", "Resource busy" },
	{ LIBUSB_ERROR_TIMEOUT, "LIBUSB_ERROR_TIMEOUT", "Operation timed out" },
	{ LIBUSB_ERROR_OVERFLOW, "LIBUSB_ERROR_OVERFLOW", "Overflow" },
	{ LIBUSB_ERROR_PIPE, "LIBUSB_ERROR_PIPE", "Pipe error" },
	{ LIBUSB_ERROR_INTERRUPTED, "LIBUSB_ERROR_INTERRUPTED", "System call interrupted (perhaps due to signal)" },
	{ LIBUSB_ERROR_NO_MEM, "LIBUSB_ERROR_NO_MEM", "Insufficient memory" },
	{ LIBUSB_ERROR_NOT_SUPPORTED, "LIBUSB_ERROR_NOT_SUPPORTED", "Operation not supported or unimplemented on this platform" },
	{ LIBUSB_ERROR_OTHER, "LIBUSB_ERROR_OTHER", "Other error" },
};

API const char *libusb_error_name(int code)
{
	for (size_t i = 0; i < sizeof errs / sizeof *errs; i++)
		if (errs[i].code == code)
			return errs[i].name;
	return "**UNKNOWN**";
}

API const char *libusb_strerror(int code)
{
	for (size_t i = 0; i < sizeof errs / sizeof *errs; i++)
		if (errs[i].code == code)
			return errs[i].text;
	return "Other error";
}
