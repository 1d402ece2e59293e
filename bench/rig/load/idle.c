/* Sessions that do nothing: what they cost, and what they cost the others. */
#include "load.h"

static void open_idle(int *fd)
{
	double m0 = daemon_memory("VmRSS:"), c0 = daemon_cpu(), t0 = now();
	for (int i = 0; i < opt.count; i++)
		fd[i] = must_connect(i, ECHO);
	double t1 = now();
	result("open_per_s", opt.count / (t1 - t0));
	result("open_cpu_us", (daemon_cpu() - c0) / opt.count * 1e6);
	sleep_s(0.2); /* what is tidied up after the rush is not theirs */
	result("kB_each", (daemon_memory("VmRSS:") - m0) * 1024 / opt.count);
}

/* The bytes of a session that is not read wait in the daemon and the phone. */
void run_idle(void)
{
	int *fd = calloc(opt.count, sizeof *fd), done;
	struct latencies echo = { 0 };
	struct snap a, b;
	reset_peak();
	open_idle(fd);
	double c0 = daemon_cpu(), t0 = now();
	sleep_s(opt.seconds / 2);
	result("rest_pct", (daemon_cpu() - c0) * 100 / (now() - t0));

	struct streams *all = streams_start(opt.sessions, 0);
	double rate = streams_measure(all, &a, &b, NULL);
	streams_stop(all);
	result("MBps", rate);
	result("cpu_ms_per_MB", (b.cpu - a.cpu) * 1000 / (rate * (b.time - a.time)));
	sleep_s(0.1);

	snap(&a);
	echo_measure(opt.size, opt.seconds, &echo);
	snap(&b);
	result("echo_cpu_us", (b.cpu - a.cpu) / echo.n * 1e6);
	latency_report(&echo, "echo_", b.time - a.time);

	c0 = daemon_cpu();
	result("connects_per_s", connect_rate(1, opt.seconds, NULL, &done));
	result("connects_cpu_us", (daemon_cpu() - c0) / done * 1e6);
	result("peak_MB", daemon_memory("VmHWM:"));
	for (int i = 0; i < opt.count; i++)
		close(fd[i]);
	free(fd);
}

void run_rest(void)
{
	struct snap a, b;
	sleep_s(1); /* the phones have just been attached */
	reset_peak();
	snap(&a);
	sleep_s(opt.seconds);
	snap(&b);
	report_cost(&a, &b);
}
