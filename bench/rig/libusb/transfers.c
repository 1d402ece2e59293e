/* Submitting and cancelling, asynchronous and synchronous. */
#include <stdio.h>
#include "fakeusb.h"

static atomic_ulong next_id = 1;

static struct itransfer *I(struct libusb_transfer *t) { return OWNER(t, struct itransfer, pub); }

API struct libusb_transfer *libusb_alloc_transfer(int iso)
{
	struct itransfer *it = calloc(1, sizeof *it + iso * sizeof(struct libusb_iso_packet_descriptor));
	if (!it)
		return NULL;
	it->pub.num_iso_packets = iso;
	list_init(&it->q);
	list_init(&it->tlink);
	return &it->pub;
}

API void libusb_free_transfer(struct libusb_transfer *t)
{
	if (!t)
		return;
	if (t->flags & LIBUSB_TRANSFER_FREE_BUFFER)
		free(t->buffer);
	if (I(t)->inflight)
		fprintf(stderr, "fakeusb: transfer %p freed in flight\n", (void *)t);
	free(I(t));
}

static int submit_control(struct itransfer *it)
{
	struct libusb_transfer *t = &it->pub;
	if (t->length < LIBUSB_CONTROL_SETUP_SIZE)
		return LIBUSB_ERROR_INVALID_PARAM;
	it->inflight = 1;
	int n = control_request(it->h, t->buffer, t->buffer + 8, t->length - 8);
	it->actual = n < 0 ? 0 : n;
	complete_later(it->h->ctx, it, n < 0 ? LIBUSB_TRANSFER_STALL : LIBUSB_TRANSFER_COMPLETED);
	return 0;
}

/* The endpoint exists and is ours; usbfs claims its interface when we have not. */
static int check_endpoint(libusb_device_handle *h, int ep)
{
	int interface = ep_interface(h->dev, ep);
	if (interface < 0)
		return LIBUSB_ERROR_NOT_FOUND;
	if (h->claimfd[interface] >= 0)
		return 0;
	int r = libusb_claim_interface(h, interface);
	return r < 0 && r != LIBUSB_ERROR_BUSY ? LIBUSB_ERROR_IO : r;
}

/* usbfs has a limit on the memory of all transfers in flight. */
static int charge(struct itransfer *it)
{
	if (!env.memlimit)
		return 0;
	it->charged = it->pub.length + 192;
	if ((mem_used += it->charged) <= env.memlimit)
		return 0;
	uncharge(it);
	return LIBUSB_ERROR_NO_MEM;
}

API int libusb_submit_transfer(struct libusb_transfer *t)
{
	struct itransfer *it = I(t);
	libusb_device_handle *h = t->dev_handle;
	int ep = t->endpoint, in = ep & 0x80, r;
	if (!h || h->dead)
		return LIBUSB_ERROR_NO_DEVICE;
	if (it->inflight)
		return LIBUSB_ERROR_BUSY;
	it->h = h;
	it->actual = it->timed_out = it->cancelled = it->lstatus = 0;
	it->id = next_id++;
	if (t->type == LIBUSB_TRANSFER_TYPE_CONTROL)
		return submit_control(it);
	if (t->type == LIBUSB_TRANSFER_TYPE_ISOCHRONOUS)
		return LIBUSB_ERROR_NOT_SUPPORTED;
	if ((r = check_endpoint(h, ep)) < 0 || (r = charge(it)) < 0)
		return r;
	it->zlp = !in && t->flags & LIBUSB_TRANSFER_ADD_ZERO_PACKET;

	pthread_mutex_lock(&h->slock);
	if (h->dead) {
		pthread_mutex_unlock(&h->slock);
		uncharge(it);
		return LIBUSB_ERROR_NO_DEVICE;
	}
	it->inflight = 1;
	timer_add(h->ctx, it);
	/* Only the multiplexor's endpoints have a service behind them; transfers on
	 * the others wait for their timeout, or for being cancelled. */
	int mux = ep == FU_EP_IN || ep == FU_EP_OUT;
	pthread_mutex_lock(&h->qlock);
	it->where = !mux ? W_OTHER : in ? W_IN : W_OUT;
	list_add_tail(!mux ? &h->other_q : in ? &h->in_q : &h->out_q, &it->q);
	pthread_mutex_unlock(&h->qlock);
	struct fu_msg m = { .type = FU_IN, .ep = ep, .len = t->length, .id = it->id };
	r = !mux ? 1 : in ? post(h, &m, NULL) : post(h, NULL, it);
	pthread_mutex_unlock(&h->slock);
	/* When the phone is gone it completes with NO_DEVICE once that is seen. */
	if (r < 0)
		wake(h->ctx);
	return 0;
}

int cancel(struct itransfer *it)
{
	libusb_device_handle *h = it->h;
	if (!h || !it->inflight)
		return LIBUSB_ERROR_NOT_FOUND;
	libusb_context *ctx = h->ctx;
	int local = 0;
	pthread_mutex_lock(&h->slock);
	pthread_mutex_lock(&h->qlock);
	if (it->where == W_NONE || it->where == W_LOCAL || list_empty(&it->q)) { /* as good as completed */
		pthread_mutex_unlock(&h->qlock);
		pthread_mutex_unlock(&h->slock);
		return LIBUSB_ERROR_NOT_FOUND;
	}
	if (it->where == W_OTHER) {
		list_del(&it->q);
		local = 1;
	} else if (it->where == W_OUT) { /* not a byte sent yet? */
		for (struct list *l = h->unsent.next; l != &h->unsent; l = l->next) {
			struct unsent *p = OWNER(l, struct unsent, l);
			if (p->out == it && p->off == 0) {
				list_del(l);
				free(p);
				list_del(&it->q);
				local = 1;
				break;
			}
		}
	}
	if (local)
		it->where = W_LOCAL;
	pthread_mutex_unlock(&h->qlock);
	if (!local && !h->dead) {
		struct fu_msg m = { .type = FU_CANCEL, .ep = it->pub.endpoint, .id = it->id };
		post(h, &m, NULL);
	}
	pthread_mutex_unlock(&h->slock);
	if (local)
		complete_later(ctx, it, LIBUSB_TRANSFER_CANCELLED);
	return 0;
}

API int libusb_cancel_transfer(struct libusb_transfer *t)
{
	struct itransfer *it = I(t);
	if (it->cancelled && it->inflight)
		return LIBUSB_ERROR_NOT_FOUND;
	int r = cancel(it);
	if (r == 0) {
		it->cancelled = 1;
	}
	return r;
}

static int is_set(int *completed) { return __atomic_load_n(completed, __ATOMIC_ACQUIRE); }
static void sync_done(struct libusb_transfer *t) { __atomic_store_n((int *)t->user_data, 1, __ATOMIC_RELEASE); }

static int sync_wait(libusb_context *ctx, struct libusb_transfer *t, int *completed)
{
	while (!is_set(completed)) {
		int r = libusb_handle_events_completed(ctx, completed);
		if (r == LIBUSB_ERROR_INTERRUPTED)
			continue;
		if (r < 0) {
			libusb_cancel_transfer(t);
			continue;
		}
		if (!t->dev_handle) { /* closed under us */
			t->status = LIBUSB_TRANSFER_NO_DEVICE;
			*completed = 1;
		}
	}
	switch (t->status) {
	case LIBUSB_TRANSFER_COMPLETED: return 0;
	case LIBUSB_TRANSFER_TIMED_OUT: return LIBUSB_ERROR_TIMEOUT;
	case LIBUSB_TRANSFER_STALL: return LIBUSB_ERROR_PIPE;
	case LIBUSB_TRANSFER_OVERFLOW: return LIBUSB_ERROR_OVERFLOW;
	case LIBUSB_TRANSFER_NO_DEVICE: return LIBUSB_ERROR_NO_DEVICE;
	case LIBUSB_TRANSFER_ERROR:
	case LIBUSB_TRANSFER_CANCELLED: return LIBUSB_ERROR_IO;
	}
	return LIBUSB_ERROR_OTHER;
}

static int sync_bulk(libusb_device_handle *h, unsigned char ep, unsigned char *data, int len,
	int *actual, unsigned timeout, int type)
{
	int completed = 0;
	if (in_events == h->ctx)
		return LIBUSB_ERROR_BUSY;
	struct libusb_transfer *t = libusb_alloc_transfer(0);
	if (!t)
		return LIBUSB_ERROR_NO_MEM;
	t->dev_handle = h;
	t->endpoint = ep;
	t->type = type;
	t->timeout = timeout;
	t->buffer = data;
	t->length = len;
	t->user_data = &completed;
	t->callback = sync_done;
	int r = libusb_submit_transfer(t);
	if (r == 0) {
		r = sync_wait(h->ctx, t, &completed);
		if (actual)
			*actual = t->actual_length;
	}
	libusb_free_transfer(t);
	return r;
}

API int libusb_bulk_transfer(libusb_device_handle *h, unsigned char ep, unsigned char *data,
	int len, int *actual, unsigned timeout)
{
	return sync_bulk(h, ep, data, len, actual, timeout, LIBUSB_TRANSFER_TYPE_BULK);
}

API int libusb_interrupt_transfer(libusb_device_handle *h, unsigned char ep, unsigned char *data,
	int len, int *actual, unsigned timeout)
{
	return sync_bulk(h, ep, data, len, actual, timeout, LIBUSB_TRANSFER_TYPE_INTERRUPT);
}
