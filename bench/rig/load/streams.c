/* Sessions that send or receive as fast as they can, in a thread of their own. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include "load.h"

struct stream { int fd; uint64_t mark; atomic_ulong bytes; };
struct streams {
	int n, up;
	atomic_int stop;
	pthread_t thread;
	int wrong, lost;
	struct stream s[];
};

static ssize_t move(struct streams *all, struct stream *s, unsigned char *buf)
{
	const unsigned char *expected = pattern + s->bytes % PATTERN_PERIOD;
	if (all->up)
		return send(s->fd, expected, IO_SIZE / 2, MSG_NOSIGNAL);
	ssize_t r = recv(s->fd, buf, IO_SIZE, 0);
	if (r > 0 && memcmp(buf, expected, r) && !all->wrong++)
		fprintf(stderr, "load: wrong data near byte %lu\n", s->bytes);
	return r;
}

static void *run(void *arg)
{
	struct streams *all = arg;
	int ep = epoll_create1(EPOLL_CLOEXEC);
	unsigned char *buf = malloc(IO_SIZE);
	for (int i = 0; i < all->n; i++) {
		struct epoll_event e = { .events = all->up ? EPOLLOUT : EPOLLIN, .data.ptr = &all->s[i] };
		fcntl(all->s[i].fd, F_SETFL, O_NONBLOCK);
		epoll_ctl(ep, EPOLL_CTL_ADD, all->s[i].fd, &e);
	}
	while (!all->stop) {
		struct epoll_event ev[64];
		int n = epoll_wait(ep, ev, 64, 50);
		for (int i = 0; i < n; i++) {
			struct stream *s = ev[i].data.ptr;
			ssize_t r = move(all, s, buf);
			if (r > 0) {
				s->bytes += r;
			} else if (r == 0 || errno != EAGAIN) {
				all->lost++;
				epoll_ctl(ep, EPOLL_CTL_DEL, s->fd, NULL);
			}
		}
	}
	close(ep);
	free(buf);
	return NULL;
}

/* Sessions by turns on all phones. */
struct streams *streams_start(int n, int up)
{
	struct streams *all = calloc(1, sizeof *all + n * sizeof *all->s);
	all->n = n;
	all->up = up;
	for (int i = 0; i < n; i++)
		all->s[i].fd = must_connect(i, up ? DISCARD : CHARGEN);
	pthread_create(&all->thread, NULL, run, all);
	sleep_s(opt.warm);
	return all;
}

/* Measures for a while; MB/s that arrived: at this program, or at the phones. */
double streams_measure(struct streams *all, struct snap *a, struct snap *b, double *fairness)
{
	uint64_t total = 0, min = UINT64_MAX, max = 0;
	snap(a);
	for (int i = 0; i < all->n; i++)
		all->s[i].mark = all->s[i].bytes;
	sleep_s(opt.seconds);
	snap(b);
	for (int i = 0; i < all->n; i++) {
		uint64_t d = all->s[i].bytes - all->s[i].mark;
		total += d;
		min = d < min ? d : min;
		max = d > max ? d : max;
	}
	if (fairness)
		*fairness = max ? (double)min / max : 0;
	return (all->up ? b->received - a->received : total) / 1e6 / (b->time - a->time);
}

void streams_stop(struct streams *all)
{
	all->stop = 1;
	pthread_join(all->thread, NULL);
	for (int i = 0; i < all->n; i++)
		close(all->s[i].fd);
	if (all->wrong)
		trouble("wrong data in %d reads", all->wrong);
	if (all->lost)
		trouble("%d sessions lost", all->lost);
	free(all);
}

void run_bulk(int up)
{
	struct snap a, b;
	double fairness;
	reset_peak();
	struct streams *all = streams_start(opt.sessions, up);
	double rate = streams_measure(all, &a, &b, &fairness);
	result("MBps", rate);
	result("cpu_ms_per_MB", (b.cpu - a.cpu) * 1000 / (rate * (b.time - a.time)));
	result("fairness", fairness);
	report_cost(&a, &b);
	streams_stop(all);
}
