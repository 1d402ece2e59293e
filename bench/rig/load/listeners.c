/* Listeners that are told when a phone comes and goes. */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include "load.h"

struct listener { int fd, told; unsigned got; char b[16384]; };

/* Reads what there is; 1: a message of this kind was among it. */
static int hear(struct listener *l, const char *kind)
{
	ssize_t r = recv(l->fd, l->b + l->got, sizeof l->b - l->got - 1, MSG_DONTWAIT);
	if (r < 0 && errno == EAGAIN)
		return 0;
	if (r <= 0)
		die("a listener lost its connection");
	l->got += r;
	int heard = 0;
	uint32_t length = 0;
	while (l->got >= 16 && (memcpy(&length, l->b, 4), l->got >= length)) {
		char next = l->b[length];
		l->b[length] = 0;
		heard |= strstr(l->b + 16, kind) != NULL;
		l->b[length] = next;
		memmove(l->b, l->b + length, l->got - length);
		l->got -= length;
	}
	if (l->got >= sizeof l->b - 1)
		die("a listener was sent a message of %u bytes", length);
	return heard;
}

/* Plugs or unplugs, and waits until all have heard of it: ms to the first and last. */
static void tell(int ep, struct listener *l, const char *verb, const char *kind, double *first, double *last)
{
	char command[32];
	int told = 0;
	for (int i = 0; i < opt.count; i++)
		l[i].told = 0;
	snprintf(command, sizeof command, "%s %d", verb, opt.phones); /* the one behind those plugged in */
	double t0 = now();
	phone_command(command, "ok");
	*first = *last = 0;
	while (told < opt.count) {
		struct epoll_event ev[256];
		int n = epoll_wait(ep, ev, 256, 10000);
		if (n <= 0) {
			trouble("%d of %d listeners heard of the %s", told, opt.count, verb);
			return;
		}
		for (int i = 0; i < n; i++) {
			struct listener *x = ev[i].data.ptr;
			if (!hear(x, kind) || x->told)
				continue;
			x->told = 1;
			told++;
			*last = (now() - t0) * 1e3;
			if (!*first)
				*first = *last;
		}
	}
	sleep_s(0.3);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static void report_median(const char *name, double *v)
{
	qsort(v, opt.repeats, sizeof *v, compare);
	result(name, v[opt.repeats / 2]);
}

void run_listeners(void)
{
	struct listener *l = calloc(opt.count, sizeof *l);
	double v[4][16];
	int ep = epoll_create1(EPOLL_CLOEXEC);
	if (opt.repeats > 16)
		opt.repeats = 16;
	reset_peak();
	for (int i = 0; i < opt.count; i++) {
		l[i].fd = listen_socket();
		struct epoll_event e = { .events = EPOLLIN, .data.ptr = &l[i] };
		epoll_ctl(ep, EPOLL_CTL_ADD, l[i].fd, &e);
	}
	sleep_s(0.3);
	for (int i = 0; i < opt.count; i++) /* those that are plugged in already */
		hear(&l[i], "Attached");
	double c0 = daemon_cpu();
	for (int k = 0; k < opt.repeats; k++) {
		tell(ep, l, "plug", "Attached", &v[0][k], &v[1][k]);
		tell(ep, l, "unplug", "Detached", &v[2][k], &v[3][k]);
	}
	result("cpu_ms_each", (daemon_cpu() - c0) * 1e3 / opt.repeats);
	report_median("attach_first_ms", v[0]);
	report_median("attach_last_ms", v[1]);
	report_median("detach_first_ms", v[2]);
	report_median("detach_last_ms", v[3]);
	result("peak_MB", daemon_memory("VmHWM:"));
	for (int i = 0; i < opt.count; i++)
		close(l[i].fd);
	close(ep);
	free(l);
}
