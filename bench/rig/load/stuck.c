/* Readers that never read, beside downloads that must not suffer for them. */
#include <poll.h>
#include <sys/socket.h>
#include "load.h"

static double download_rate(double *cpu)
{
	struct snap a, b;
	struct streams *all = streams_start(opt.sessions, 0);
	double rate = streams_measure(all, &a, &b, NULL);
	streams_stop(all);
	if (cpu)
		*cpu = (b.cpu - a.cpu) * 1000 / (rate * (b.time - a.time));
	sleep_s(0.1);
	return rate;
}

/* When it is read at last, everything must be there: some windows' worth of it. */
static void read_on(int fd, unsigned char *buf)
{
	for (uint64_t off = 0; off < 1 << 20;) {
		struct pollfd p = { fd, POLLIN, 0 };
		if (poll(&p, 1, 2000) <= 0) {
			trouble("a session that was stuck gives nothing after byte %lu", off);
			return;
		}
		ssize_t r = recv(fd, buf, 65536, 0);
		if (r <= 0 || memcmp(buf, pattern + off % PATTERN_PERIOD, r)) {
			trouble("a session that was stuck is %s at byte %lu", r <= 0 ? "lost" : "wrong", off);
			return;
		}
		off += r;
	}
}

void run_stuck(void)
{
	int *fd = calloc(opt.count, sizeof *fd);
	unsigned char *buf = malloc(IO_SIZE);
	double cpu, before = download_rate(NULL);
	reset_peak();
	double m0 = daemon_memory("VmRSS:");
	for (int i = 0; i < opt.count; i++)
		fd[i] = must_connect(i, CHARGEN);
	sleep_s(0.7); /* until all that may be buffered is */
	double c0 = daemon_cpu(), t0 = now();
	sleep_s(opt.seconds / 2);
	result("stuck_pct", (daemon_cpu() - c0) * 100 / (now() - t0));
	result("stuck_kB_each", (daemon_memory("VmRSS:") - m0) * 1024 / opt.count);
	double beside = download_rate(&cpu);
	result("peak_MB", daemon_memory("VmHWM:"));
	for (int i = 0; i < opt.count; i++) {
		read_on(fd[i], buf);
		close(fd[i]);
	}
	sleep_s(0.3);
	double after = download_rate(NULL);
	result("MBps", beside);
	result("cpu_ms_per_MB", cpu);
	result("kept_pct", beside * 200 / (before + after));
	free(buf);
	free(fd);
}
