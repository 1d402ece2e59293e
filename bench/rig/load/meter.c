/* Time, the daemon's costs, and what the phones have counted. */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include "load.h"

double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

void sleep_s(double s)
{
	struct timespec t = { (time_t)s, (long)((s - (time_t)s) * 1e9) };
	nanosleep(&t, NULL);
}

/* CPU time of the daemon, all threads: what /proc/PID/stat has in ticks, in ns. */
double daemon_cpu(void)
{
	clockid_t c;
	struct timespec t;
	if (clock_getcpuclockid(opt.pid, &c) || clock_gettime(c, &t) < 0)
		die("the daemon (process %d) is gone", opt.pid);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

double daemon_memory(const char *field)
{
	char path[64], line[256];
	double mb = 0;
	snprintf(path, sizeof path, "/proc/%d/status", opt.pid);
	FILE *f = fopen(path, "r");
	while (f && fgets(line, sizeof line, f))
		if (!strncmp(line, field, strlen(field)))
			mb = atof(line + strlen(field) + 1) / 1024;
	if (f)
		fclose(f);
	return mb;
}

/* Makes VmHWM begin again from what is in use now. */
void reset_peak(void)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/clear_refs", opt.pid);
	int fd = open(path, O_WRONLY);
	if (fd < 0)
		return;
	if (write(fd, "5", 1) < 0)
		fprintf(stderr, "load: %s: %s\n", path, strerror(errno));
	close(fd);
}

static void ask_phone(const char *command, char *reply, size_t room)
{
	static int fd = -1;
	if (fd < 0) {
		struct sockaddr_un a = { .sun_family = AF_UNIX };
		strncpy(a.sun_path, opt.control, sizeof a.sun_path - 1);
		fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
		if (connect(fd, (struct sockaddr *)&a, sizeof a) < 0)
			die("control socket %s: %s", opt.control, strerror(errno));
	}
	ssize_t n = -1;
	if (send(fd, command, strlen(command), MSG_NOSIGNAL) < 0 || (n = recv(fd, reply, room - 1, 0)) <= 0)
		die("the phone is gone");
	reply[n] = 0;
}

static double number(const char *json, const char *key)
{
	char k[64];
	snprintf(k, sizeof k, "\"%s\":", key);
	const char *p = strstr(json, k);
	return p ? atof(p + strlen(k)) : 0;
}

double phone_command(const char *command, const char *field)
{
	char reply[8192];
	ask_phone(command, reply, sizeof reply);
	return number(reply, field);
}

void snap(struct snap *s)
{
	char b[8192];
	ask_phone("total", b, sizeof b);
	s->received = number(b, "payload_in");
	s->violations = number(b, "violations");
	s->cpu = daemon_cpu();
	s->time = now();
}

void report_cost(const struct snap *a, const struct snap *b)
{
	result("cpu_pct", (b->cpu - a->cpu) * 100 / (b->time - a->time));
	result("peak_MB", daemon_memory("VmHWM:"));
}
