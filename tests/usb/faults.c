/* Faults for the stand-in library of bench/rig: linked with it and with
 * -Wl,--wrap=post, this stands between submitting a transfer and the phone.
 *
 * FAKEUSB_FAULT=KIND@N/DIRECTION, several with commas: the Nth bulk transfer
 * in that direction (in, out), counted from 1 as they are submitted.
 *
 *   stall error timeout   it ends so, and the phone never hears of it
 *   short                 a read asks for one USB packet instead
 *   nodev                 the phone leaves the bus */
#include <stdio.h>
#include <sys/socket.h>
#include "fakeusb.h"

static const struct { const char *name; int status; } kinds[] = {
	{ "stall", LIBUSB_TRANSFER_STALL }, { "error", LIBUSB_TRANSFER_ERROR },
	{ "timeout", LIBUSB_TRANSFER_TIMED_OUT }, { "nodev", LIBUSB_TRANSFER_NO_DEVICE },
	{ "short", LIBUSB_TRANSFER_COMPLETED },
};

static int fault(int in, int *status)
{
	static atomic_int submitted[2];
	int number = ++submitted[in], n;
	char kind[16], direction[8];
	for (const char *s = getenv("FAKEUSB_FAULT"); s; s = strchr(s, ',') ? strchr(s, ',') + 1 : NULL)
		if (sscanf(s, "%15[a-z]@%d/%7[a-z]", kind, &n, direction) == 3 && n == number &&
		    !strcmp(direction, in ? "in" : "out"))
			for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
				if (!strcmp(kinds[i].name, kind)) {
					*status = kinds[i].status;
					fprintf(stderr, "fault: %s@%d/%s\n", kind, n, direction);
					return 1;
				}
	return 0;
}

int __real_post(libusb_device_handle *, struct fu_msg *, struct itransfer *);

int __wrap_post(libusb_device_handle *h, struct fu_msg *m, struct itransfer *out)
{
	int status;
	if ((!out && m->type != FU_IN) || !fault(!out, &status))
		return __real_post(h, m, out);
	if (status == LIBUSB_TRANSFER_COMPLETED) {
		/* the newest of the queue: submitting holds slock */
		struct itransfer *it = OWNER(h->in_q.prev, struct itransfer, q);
		m->len = it->pub.length = env.mps;
		return __real_post(h, m, out);
	}
	if (status == LIBUSB_TRANSFER_NO_DEVICE) {
		shutdown(h->sock, SHUT_RDWR);
		return -1;
	}
	pthread_mutex_lock(&h->qlock);
	struct itransfer *it = out ? out : OWNER(h->in_q.prev, struct itransfer, q);
	list_del(&it->q);
	pthread_mutex_unlock(&h->qlock);
	complete_later(h->ctx, it, status);
	return 1;
}
