/* What happens later, on a paced bus or in a stream: a heap of events by their time. */
#include "phone.h"

struct event { uint64_t due, seq; int type; struct host *h; void *p; };
static struct event *heap;
static int count, capacity;
static uint64_t next_seq;

static int before(const struct event *a, const struct event *b)
{
	return a->due != b->due ? a->due < b->due : a->seq < b->seq;
}

static void insert(struct event e)
{
	if (count == capacity) {
		capacity = capacity ? capacity * 2 : 256;
		heap = xrealloc(heap, capacity * sizeof *heap);
	}
	int i = count++;
	while (i && before(&e, &heap[(i - 1) / 2])) {
		heap[i] = heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	heap[i] = e;
}

void event_push(uint64_t due, int type, struct host *h, void *p)
{
	insert((struct event){ due, next_seq++, type, h, p });
}

static struct event pop(void)
{
	struct event top = heap[0], e = heap[--count];
	int i = 0, c;
	while ((c = 2 * i + 1) < count) {
		if (c + 1 < count && before(&heap[c + 1], &heap[c]))
			c++;
		if (!before(&heap[c], &e))
			break;
		heap[i] = heap[c];
		i = c;
	}
	if (count)
		heap[i] = e;
	return top;
}

void events_forget(struct host *h)
{
	struct event *old = heap;
	int n = count;
	heap = NULL;
	count = capacity = 0;
	for (int i = 0; i < n; i++)
		if (old[i].h == h)
			free(old[i].p);
		else
			insert(old[i]);
	free(old);
}

uint64_t events_next(void) { return count ? heap[0].due : 0; }

static void happen(struct event *e)
{
	if (e->type == E_SEND) {
		txq_append(e->h, e->p);
	} else if (e->type == E_OUT) {
		struct held *held = e->p;
		usb_out(e->h, held->data, held->len, held->flags);
		free(held);
	} else if (e->type == E_FRAME) {
		frame_due(e->h->ph, e->p);
	} else {
		e->h->pump_timer = 0;
	}
	host_turn(e->h);
}

void events_run(void)
{
	while (count && heap[0].due <= now_ns()) {
		struct event e = pop();
		happen(&e);
	}
}
