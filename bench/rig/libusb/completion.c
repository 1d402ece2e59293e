/* Handing transfers back: timers, memory accounting, callbacks. */
#include <sys/timerfd.h>
#include "fakeusb.h"

atomic_long mem_used;

void wake(libusb_context *ctx)
{
	uint64_t one = 1;
	if (write(ctx->evfd, &one, 8) < 0)
		return;
}

static void timer_arm(libusb_context *ctx) /* tlock held */
{
	uint64_t t = 0;
	if (!list_empty(&ctx->timers))
		t = OWNER(ctx->timers.next, struct itransfer, tlink)->deadline;
	if (t == ctx->armed)
		return;
	struct itimerspec its = { .it_value = { t / 1000000000, t % 1000000000 } };
	timerfd_settime(ctx->timerfd, TFD_TIMER_ABSTIME, &its, NULL);
	ctx->armed = t;
}

void timer_add(libusb_context *ctx, struct itransfer *it)
{
	it->deadline = 0;
	if (!it->pub.timeout)
		return;
	pthread_mutex_lock(&ctx->tlock);
	it->deadline = now_ns() + it->pub.timeout * 1000000ULL;
	struct list *l = ctx->timers.prev;
	while (l != &ctx->timers && OWNER(l, struct itransfer, tlink)->deadline > it->deadline)
		l = l->prev;
	it->tlink.prev = l;
	it->tlink.next = l->next;
	l->next->prev = &it->tlink;
	l->next = &it->tlink;
	timer_arm(ctx);
	pthread_mutex_unlock(&ctx->tlock);
}

void timer_del(libusb_context *ctx, struct itransfer *it)
{
	if (!it->deadline)
		return;
	pthread_mutex_lock(&ctx->tlock);
	if (it->deadline) {
		list_del(&it->tlink);
		it->deadline = 0;
		timer_arm(ctx);
	}
	pthread_mutex_unlock(&ctx->tlock);
}

void expire(libusb_context *ctx)
{
	uint64_t now = now_ns();
	for (;;) {
		pthread_mutex_lock(&ctx->tlock);
		struct itransfer *it = NULL;
		if (!list_empty(&ctx->timers)) {
			it = OWNER(ctx->timers.next, struct itransfer, tlink);
			if (it->deadline > now)
				it = NULL;
		}
		if (it) {
			list_del(&it->tlink);
			it->deadline = 0;
			it->timed_out = 1;
		}
		timer_arm(ctx);
		pthread_mutex_unlock(&ctx->tlock);
		if (!it)
			return;
		cancel(it);
	}
}

void uncharge(struct itransfer *it)
{
	if (it->charged) {
		mem_used -= it->charged;
		it->charged = 0;
	}
}

/* The transfer is off every queue: hand it back.  Events lock held. */
void complete(libusb_context *ctx, struct itransfer *it, int status)
{
	struct libusb_transfer *t = &it->pub;
	timer_del(ctx, it);
	uncharge(it);
	if (status == LIBUSB_TRANSFER_CANCELLED && it->timed_out)
		status = LIBUSB_TRANSFER_TIMED_OUT;
	if (status == LIBUSB_TRANSFER_COMPLETED && (t->flags & LIBUSB_TRANSFER_SHORT_NOT_OK)) {
		int want = t->length;
		if (t->type == LIBUSB_TRANSFER_TYPE_CONTROL)
			want -= LIBUSB_CONTROL_SETUP_SIZE;
		if (want != it->actual)
			status = LIBUSB_TRANSFER_ERROR;
	}
	t->status = status;
	t->actual_length = it->actual;
	it->where = W_NONE;
	it->inflight = 0;
	int flags = t->flags;
	if (t->callback)
		t->callback(t);
	if (flags & LIBUSB_TRANSFER_FREE_TRANSFER)
		libusb_free_transfer(t);
}

void complete_later(libusb_context *ctx, struct itransfer *it, int status)
{
	it->where = W_LOCAL;
	it->lstatus = status;
	pthread_mutex_lock(&ctx->llock);
	list_add_tail(&ctx->local_done, &it->q);
	pthread_mutex_unlock(&ctx->llock);
	wake(ctx);
}

void run_local(libusb_context *ctx)
{
	for (;;) {
		pthread_mutex_lock(&ctx->llock);
		if (list_empty(&ctx->local_done)) {
			pthread_mutex_unlock(&ctx->llock);
			return;
		}
		struct itransfer *it = OWNER(ctx->local_done.next, struct itransfer, q);
		list_del(&it->q);
		pthread_mutex_unlock(&ctx->llock);
		complete(ctx, it, it->lstatus);
	}
}
