/* Telling programs of phones that come and go. */
#include "fakeusb.h"

static int cb_matches(const struct hotplug_cb *cb, const libusb_device *d, int event)
{
	if (cb->dead || !(cb->events & event))
		return 0;
	if (cb->vid != LIBUSB_HOTPLUG_MATCH_ANY && cb->vid != 0x05ac)
		return 0;
	if (cb->pid != LIBUSB_HOTPLUG_MATCH_ANY && cb->pid != d->pid)
		return 0;
	return cb->cls == LIBUSB_HOTPLUG_MATCH_ANY || cb->cls == 0;
}

static void hotplug_fire(libusb_context *ctx, libusb_device *d, int event)
{
	pthread_mutex_lock(&ctx->lock);
	for (struct list *l = ctx->cbs.next, *nx; l != &ctx->cbs; l = nx) {
		struct hotplug_cb *cb = OWNER(l, struct hotplug_cb, link);
		if (cb_matches(cb, d, event)) {
			pthread_mutex_unlock(&ctx->lock);
			int r = cb->fn(ctx == default_ctx ? NULL : ctx, d, event, cb->data);
			pthread_mutex_lock(&ctx->lock);
			if (r)
				cb->dead = 1;
		}
		nx = l->next;
	}
	for (struct list *l = ctx->cbs.next, *nx; l != &ctx->cbs; l = nx) {
		struct hotplug_cb *cb = OWNER(l, struct hotplug_cb, link);
		nx = l->next;
		if (cb->dead) {
			list_del(l);
			free(cb);
		}
	}
	pthread_mutex_unlock(&ctx->lock);
}

/* Hotplug: find what is new and what is gone, tell the callbacks. */
void hotplug_scan(libusb_context *ctx)
{
	struct list left;
	libusb_device *fresh[256], *lost[256];
	int nf = 0, nl = 0;
	list_init(&left);
	pthread_mutex_lock(&ctx->lock);
	bus_scan(ctx, &left);
	for (struct list *l = ctx->devs.next; l != &ctx->devs; l = l->next) {
		libusb_device *d = OWNER(l, libusb_device, link);
		if (!d->listed && !d->gone && nf < 256) {
			d->listed = 1;
			fresh[nf++] = libusb_ref_device(d);
		} else if (d->listed && d->gone && nl < 256) {
			d->listed = 0;
			lost[nl++] = libusb_ref_device(d);
		}
	}
	for (struct list *l = left.next; l != &left; l = l->next) {
		libusb_device *d = OWNER(l, libusb_device, link);
		if (d->listed && nl < 256) {
			d->listed = 0;
			lost[nl++] = libusb_ref_device(d);
		}
	}
	pthread_mutex_unlock(&ctx->lock);
	for (int i = 0; i < nl; i++) {
		hotplug_fire(ctx, lost[i], LIBUSB_HOTPLUG_EVENT_DEVICE_LEFT);
		libusb_unref_device(lost[i]);
	}
	for (int i = 0; i < nf; i++) {
		hotplug_fire(ctx, fresh[i], LIBUSB_HOTPLUG_EVENT_DEVICE_ARRIVED);
		libusb_unref_device(fresh[i]);
	}
	bus_drop(&left);
}

API int libusb_hotplug_register_callback(libusb_context *ctx, int events, int flags, int vid, int pid,
	int cls, libusb_hotplug_callback_fn fn, void *data, int *out)
{
	static atomic_int next = 1;
	ctx = context_or_default(ctx);
	if (!env.hotplug)
		return LIBUSB_ERROR_NOT_SUPPORTED;
	struct hotplug_cb *cb = calloc(1, sizeof *cb);
	if (!cb)
		return LIBUSB_ERROR_NO_MEM;
	cb->handle = next++;
	cb->events = events;
	cb->vid = vid;
	cb->pid = pid;
	cb->cls = cls;
	cb->fn = fn;
	cb->data = data;
	pthread_mutex_lock(&ctx->lock);
	list_add_tail(&ctx->cbs, &cb->link);
	pthread_mutex_unlock(&ctx->lock);
	if (out)
		*out = cb->handle;
	if (flags & LIBUSB_HOTPLUG_ENUMERATE) {
		libusb_device **v;
		ssize_t n = libusb_get_device_list(ctx, &v);
		for (ssize_t i = 0; i < n; i++)
			if (cb_matches(cb, v[i], LIBUSB_HOTPLUG_EVENT_DEVICE_ARRIVED))
				fn(ctx == default_ctx ? NULL : ctx, v[i], LIBUSB_HOTPLUG_EVENT_DEVICE_ARRIVED, data);
		if (n >= 0)
			libusb_free_device_list(v, 1);
	}
	return 0;
}

API void libusb_hotplug_deregister_callback(libusb_context *ctx, int h)
{
	ctx = context_or_default(ctx);
	pthread_mutex_lock(&ctx->lock);
	for (struct list *l = ctx->cbs.next; l != &ctx->cbs; l = l->next)
		if (OWNER(l, struct hotplug_cb, link)->handle == h)
			OWNER(l, struct hotplug_cb, link)->dead = 1;
	pthread_mutex_unlock(&ctx->lock);
}
