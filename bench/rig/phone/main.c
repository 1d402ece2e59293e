/* Options, and the loop that serves everything. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include "phone.h"

/* The packet size and window are what real phones show. */
struct options opt = { .dir = "/tmp/fakeusb", .count = 1, .mtu = 32000, .window = 131072 };
struct phone *phones;
int epfd;
unsigned char *pattern;

void die(const char *what)
{
	perror(what);
	exit(1);
}

void *xrealloc(void *p, size_t n)
{
	p = realloc(p, n);
	if (!p)
		die("malloc");
	return p;
}
void *xmalloc(size_t n) { return xrealloc(NULL, n); }
void *xcalloc(size_t n) { return memset(xmalloc(n), 0, n); }

uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

static void usage(void)
{
	puts("phone [options]: simulated iPhones for the stand-in libusb\n"
	     "  --dir DIR       the bus directory ($FAKEUSB_DIR, else /tmp/fakeusb)\n"
	     "  --sys DIR       show the phones there as in /sys/bus/usb/devices, and send events\n"
	     "  --count K       K phones (1)\n"
	     "  --unplugged U   the last U of them start unplugged (0)\n"
	     "  --mtu N         largest mux packet it sends, header included (32000)\n"
	     "  --window N      receive window it offers (131072)\n"
	     "  --control PATH  SOCK_SEQPACKET socket: total, stats N, plug N, unplug N\n"
	     "Services: 7 echo, 9 discard (compared with the pattern), 19 chargen,\n"
	     "21 exchange (an order, so much pattern up, so much of it down),\n"
	     "23 stream (a rate, then the pattern at that rate in 60 frames a second).");
}

static int options(int argc, char **argv)
{
	static const struct option lo[] = { { "dir", 1, 0, 'd' }, { "sys", 1, 0, 's' }, { "count", 1, 0, 'c' }, { "unplugged", 1, 0, 'u' },
		{ "mtu", 1, 0, 'm' }, { "window", 1, 0, 'w' }, { "control", 1, 0, 'C' }, { 0 } };
	int c;
	if (getenv("FAKEUSB_DIR"))
		opt.dir = getenv("FAKEUSB_DIR");
	while ((c = getopt_long(argc, argv, "", lo, NULL)) >= 0)
		switch (c) {
		case 'd': opt.dir = optarg; break;
		case 's': opt.sys = optarg; break;
		case 'c': opt.count = atoi(optarg); break;
		case 'u': opt.unplugged = atoi(optarg); break;
		case 'm': opt.mtu = strtoul(optarg, NULL, 0); break;
		case 'w': opt.window = strtoul(optarg, NULL, 0); break;
		case 'C': opt.control = optarg; break;
		default: return -1;
		}
	return opt.count < 1 || opt.count > 100 || opt.mtu < 64 || opt.mtu > 65535 || opt.window < 256 ||
		opt.window > 65535 * 256 ? -1 : 0;
}

static void watch(struct ep *e)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = e };
	epoll_ctl(epfd, EPOLL_CTL_ADD, e->fd, &ev);
}

static void control_listen(struct ep *e)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	strncpy(a.sun_path, opt.control, sizeof a.sun_path - 1);
	unlink(opt.control);
	*e = (struct ep){ K_CONTROL_LISTEN, socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0) };
	if (bind(e->fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(e->fd, 8) < 0)
		die(opt.control);
	watch(e);
}

static void control_accept(struct ep *e)
{
	int fd = accept4(e->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0)
		return;
	struct ep *k = xmalloc(sizeof *k);
	*k = (struct ep){ K_CONTROL, fd };
	watch(k);
}

static void quit(void)
{
	for (int i = 0; i < opt.count; i++)
		unplug(&phones[i]);
	if (opt.control)
		unlink(opt.control);
	exit(0);
}

static int serve(struct epoll_event *ev)
{
	struct ep *e = ev->data.ptr;
	switch (e->kind) {
	case K_PHONE:
		host_accept((struct phone *)e);
		return 0;
	case K_HOST: {
		struct host *h = (struct host *)e;
		if (ev->events & EPOLLOUT)
			txq_flush(h);
		if (ev->events & (EPOLLIN | EPOLLHUP | EPOLLERR))
			host_input(h);
		host_turn(h);
		return 0;
	}
	case K_SIGNAL:
		quit();
		return 1;
	case K_CONTROL_LISTEN:
		control_accept(e);
		return 0;
	default:
		return control(e);
	}
}

int main(int argc, char **argv)
{
	if (options(argc, argv) < 0) {
		usage();
		return 2;
	}
	pattern = pattern_make(65536);
	mkdir(opt.dir, 0755);
	epfd = epoll_create1(EPOLL_CLOEXEC);
	phones = xcalloc(opt.count * sizeof *phones);
	for (int i = 0; i < opt.count; i++) {
		struct phone *ph = &phones[i];
		ph->index = i;
		snprintf(ph->serial, sizeof ph->serial, "00008030%016X", 0x1A35E200 + i);
		ph->ctl_tail = &ph->ctl;
		ph->act_tail = &ph->act;
		ph->host_last = 0xffff;
		if (i < opt.count - opt.unplugged)
			plug(ph);
	}
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	struct ep sig = { K_SIGNAL, signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC) }, ctl;
	watch(&sig);
	if (opt.control)
		control_listen(&ctl);
	for (;;) {
		struct epoll_event ev[64];
		struct timespec ts, *tp = NULL;
		uint64_t due = events_next();
		if (due) {
			uint64_t now = now_ns(), d = due > now ? due - now : 0;
			ts = (struct timespec){ d / 1000000000, d % 1000000000 };
			tp = &ts;
		}
		int n = epoll_pwait2(epfd, ev, 64, tp, NULL);
		for (int i = 0; i < n; i++)
			if (serve(&ev[i])) /* the events still to come in this round may be stale */
				break;
		events_run();
	}
}
