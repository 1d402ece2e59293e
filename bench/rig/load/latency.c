/* Echo round trips, alone or beside bulk data; connections opened and closed. */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include "load.h"

void latency_add(struct latencies *l, double v)
{
	if (l->n == l->room)
		l->v = realloc(l->v, (l->room = l->room * 2 + 4096) * sizeof *l->v);
	l->v[l->n++] = v;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* Of a thousand round trips, how many are faster: what a distribution is drawn from. */
static const int quantiles[] = { 10, 50, 100, 250, 500, 750, 900, 950, 990, 999 };

void latency_report(struct latencies *l, const char *prefix, double seconds)
{
	char name[64];
	if (!l->n)
		die("not one round trip in %.1f s", seconds);
	qsort(l->v, l->n, sizeof *l->v, compare);
	snprintf(name, sizeof name, "%sp50_us", prefix);
	result(name, l->v[l->n / 2] * 1e6);
	snprintf(name, sizeof name, "%sp99_us", prefix);
	result(name, l->v[(int)(l->n * .99)] * 1e6);
	snprintf(name, sizeof name, "%sper_s", prefix);
	result(name, l->n / seconds);
	for (unsigned i = 0; !*prefix && i < sizeof quantiles / sizeof *quantiles; i++) {
		snprintf(name, sizeof name, "q%03d_us", quantiles[i]);
		result(name, l->v[(int)(l->n * (quantiles[i] / 1000.))] * 1e6);
	}
	free(l->v);
}

void echo_measure(int size, double seconds, struct latencies *l)
{
	int fd = must_connect(0, ECHO);
	unsigned char *out = malloc(size), *in = malloc(size);
	memcpy(out, pattern, size);
	double t0 = now(), t = t0;
	while (t - t0 < seconds) {
		double start = t;
		send_all(fd, out, size);
		if (recv_all(fd, in, size) < 0)
			die("echo: connection lost");
		if (memcmp(in, out, size))
			trouble("echo: wrong data");
		t = now();
		latency_add(l, t - start);
		out[0]++;
	}
	close(fd);
	free(out);
	free(in);
}

void run_echo(void)
{
	struct streams *bulk = NULL;
	struct latencies l = { 0 };
	struct snap a, b;
	reset_peak();
	if (opt.beside)
		bulk = streams_start(opt.sessions, !strcmp(opt.beside, "upload"));
	snap(&a);
	echo_measure(opt.size, opt.seconds, &l);
	snap(&b);
	result("cpu_us_each", (b.cpu - a.cpu) / l.n * 1e6);
	latency_report(&l, "", b.time - a.time);
	report_cost(&a, &b);
	if (bulk)
		streams_stop(bulk);
}

/* One client that connects, has one byte echoed, and closes. */
struct round { int fd, connected; unsigned got; double start; char b[4096]; };

static void start_round(struct round *r, int ep, int index)
{
	static char request[2048];
	*r = (struct round){ .start = now(), .fd = relay_socket(ECHO) }; /* blocks while the backlog is full */
	if (r->fd < 0) {
		r->fd = mux_socket();
		send_all(r->fd, request, put_connect(request, index, ECHO));
	} else {
		r->connected = 1;
		send_all(r->fd, "x", 1);
	}
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = r };
	epoll_ctl(ep, EPOLL_CTL_ADD, r->fd, &e);
}

/* 1: this round is over */
static int step(struct round *r)
{
	ssize_t n = recv(r->fd, r->b + r->got, sizeof r->b - 1 - r->got, MSG_DONTWAIT);
	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n <= 0)
		die("connects: connection lost %s the answer", r->connected ? "after" : "before");
	r->got += n;
	if (r->connected) {
		close(r->fd);
		r->fd = -1;
		return 1;
	}
	uint32_t length;
	memcpy(&length, r->b, 4);
	if (r->got < 16 || r->got < length)
		return 0;
	r->b[r->got] = 0;
	if (integer_after(r->b + 16, "Number") != 0)
		die("connects: refused: %s", r->b + 16);
	r->connected = 1;
	r->got = 0;
	send_all(r->fd, "x", 1);
	return 0;
}

/* Rounds per second with `width` of them under way. */
double connect_rate(int width, double seconds, struct latencies *l, int *done)
{
	int ep = epoll_create1(EPOLL_CLOEXEC), under_way = 0, next = 0;
	struct round *rounds = calloc(width, sizeof *rounds);
	double t0 = now(), t = t0;
	*done = 0;
	for (int i = 0; i < width; i++)
		rounds[i].fd = -1;
	for (;;) {
		for (int i = 0; i < width && t - t0 < seconds; i++)
			if (rounds[i].fd < 0) {
				if (opt.pause)
					sleep_s(opt.pause);
				start_round(&rounds[i], ep, next++);
				under_way++;
			}
		if (!under_way)
			break;
		struct epoll_event ev[64];
		int k = epoll_wait(ep, ev, 64, 5000);
		if (k == 0)
			die("connects: %d clients wait, and nothing happens for 5 s", under_way);
		for (int i = 0; i < k; i++) {
			struct round *r = ev[i].data.ptr;
			if (!step(r))
				continue;
			under_way--;
			++*done;
			if (l)
				latency_add(l, now() - r->start);
		}
		t = now();
	}
	close(ep);
	free(rounds);
	return *done / (t - t0);
}

void run_connects(void)
{
	struct latencies l = { 0 };
	struct snap a, b;
	int done;
	reset_peak();
	snap(&a);
	connect_rate(opt.width, opt.seconds, &l, &done);
	snap(&b);
	result("cpu_us_each", (b.cpu - a.cpu) / done * 1e6);
	latency_report(&l, "", b.time - a.time);
	report_cost(&a, &b);
}
