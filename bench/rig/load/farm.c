/* A farm: on each phone a stream comes down at its own pace, as a recorded screen does, another
 * goes up at ours, and an echo is asked for now and then. */
#include <arpa/inet.h>
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include "load.h"

enum { DOWN = 4000000, UP = 500000 };   /* bytes a second, of each phone */
#define PIECE_EVERY 0.02                 /* seconds between two pieces that go up */
#define ECHO_EVERY 0.1
#define PIECE ((size_t)(UP * PIECE_EVERY))

struct farmed {
	int down, up, echo;
	uint64_t came, went;
	double next_piece, next_echo, asked; /* asked: 0 if no echo is under way */
};
static struct farmed *farm;
static struct latencies echoes;
static unsigned char *buffer;
static uint64_t total;
static int measuring, wrong, held;

static void send_piece(struct farmed *f, double t)
{
	ssize_t n = send(f->up, pattern + f->went % PATTERN_PERIOD, PIECE, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0 && errno != EAGAIN)
		die("farm: an upload was lost");
	held += n < (ssize_t)PIECE;
	f->went += n > 0 ? n : 0;
	f->next_piece += PIECE_EVERY;
	if (f->next_piece < t - 1) /* no bursts behind a standstill */
		f->next_piece = t;
}

static void send_echo(struct farmed *f, double t)
{
	f->next_echo += ECHO_EVERY;
	if (f->asked)
		return;
	f->asked = t;
	send_all(f->echo, "e", 1);
}

/* What is due on any phone; returns when the next is. */
static double act(double t)
{
	double next = t + 1;
	for (int i = 0; i < opt.phones; i++) {
		struct farmed *f = &farm[i];
		if (f->next_piece <= t)
			send_piece(f, t);
		if (f->next_echo <= t)
			send_echo(f, t);
		next = f->next_piece < next ? f->next_piece : next;
		next = f->next_echo < next ? f->next_echo : next;
	}
	return next;
}

static void hear(struct farmed *f, int fd)
{
	ssize_t n = recv(fd, buffer, fd == f->echo ? 1 : IO_SIZE, MSG_DONTWAIT);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0)
		die("farm: %s was lost", fd == f->echo ? "an echo" : "a stream");
	if (fd == f->echo) {
		if (measuring)
			latency_add(&echoes, now() - f->asked);
		wrong += *buffer != 'e';
		f->asked = 0;
		return;
	}
	wrong += memcmp(buffer, pattern + f->came % PATTERN_PERIOD, n) != 0;
	f->came += n;
	total += n;
}

static void go_on(int ep, double end)
{
	for (double t = now(); t < end; t = now()) {
		double next = act(t), d = next < end ? next - now() : end - now();
		struct timespec ts = { 0, d > 0 ? (long)(d * 1e9) : 0 };
		struct epoll_event ev[64];
		int n = epoll_pwait2(ep, ev, 64, &ts, NULL);
		for (int i = 0; i < n; i++) {
			uint64_t which = ev[i].data.u64;
			struct farmed *f = &farm[which >> 1];
			hear(f, which & 1 ? f->echo : f->down);
		}
	}
}

static void begin(int ep, int index, double t)
{
	struct farmed *f = &farm[index];
	uint32_t rate = htonl(DOWN);
	*f = (struct farmed){ must_connect(index, STREAM), must_connect(index, DISCARD), must_connect(index, ECHO),
		.next_piece = t + PIECE_EVERY * index / opt.phones, .next_echo = t + ECHO_EVERY * index / opt.phones };
	send_all(f->down, &rate, sizeof rate);
	epoll_ctl(ep, EPOLL_CTL_ADD, f->down, &(struct epoll_event){ .events = EPOLLIN, .data.u64 = index * 2 });
	epoll_ctl(ep, EPOLL_CTL_ADD, f->echo, &(struct epoll_event){ .events = EPOLLIN, .data.u64 = index * 2 + 1 });
}

void run_farm(void)
{
	int ep = epoll_create1(EPOLL_CLOEXEC);
	struct snap a, b;
	reset_peak();
	farm = calloc(opt.phones, sizeof *farm);
	buffer = malloc(IO_SIZE);
	for (int i = 0; i < opt.phones; i++)
		begin(ep, i, now());
	go_on(ep, now() + opt.warm);
	measuring = 1;
	total = held = 0;
	snap(&a);
	go_on(ep, now() + opt.seconds);
	snap(&b);
	double seconds = b.time - a.time;
	result("down_MBps", total / 1e6 / seconds);
	result("up_MBps", (b.received - a.received) / 1e6 / seconds);
	result("held_per_s", held / seconds);
	latency_report(&echoes, "", seconds);
	report_cost(&a, &b);
	if (wrong)
		trouble("farm: wrong data in %d reads", wrong);
	for (int i = 0; i < opt.phones; i++) {
		close(farm[i].down);
		close(farm[i].up);
		close(farm[i].echo);
	}
	free(farm);
	free(buffer);
	close(ep);
}
