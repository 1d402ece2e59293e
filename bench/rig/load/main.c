/* Options, and the one JSON object that is the answer. */
#include <getopt.h>
#include <stdarg.h>
#include <sys/resource.h>
#include "load.h"

struct options opt = { .phones = 1, .sessions = 4, .size = 1, .width = 1, .count = 1000, .repeats = 3,
	.seconds = 1, .warm = 0.3 };
unsigned char *pattern;
static char answer[8192];
static int answer_len, troubles;

void result(const char *name, double value)
{
	answer_len += snprintf(answer + answer_len, sizeof answer - answer_len, "\"%s\": %.4f, ", name, value);
}

void trouble(const char *fmt, ...)
{
	va_list ap;
	troubles++;
	va_start(ap, fmt);
	fputs("load: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
}

void die(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	fputs("load: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	exit(1);
}

static void usage(void)
{
	puts("load WORKLOAD --socket PATH --control PATH --pid P [options]\n"
	     "  download, upload  --sessions N at full speed\n"
	     "  echo              round trips of --size N bytes; --beside download|upload\n"
	     "  connects          connect, echo a byte, close; --width N at once, --pause T before each\n"
	     "  idle              --count N sessions that do nothing, and work beside them\n"
	     "  stuck             --count N readers that never read, and downloads beside them\n"
	     "  listeners         --count N, --repeats N times plug and unplug\n"
	     "  rest              nothing at all\n"
	     "  farm              on each phone a stream down, one up, and an echo now and then\n"
	     "  --seconds T  --warm T  --phones N (wait for so many first)\n"
	     "  --tcp PORT: the daemon there instead; --relay ECHO,DISCARD,CHARGEN: ports of a relay");
}

/* Every session must be gone from the phones soon after its client is. */
static void check_leaks(void)
{
	double t0 = now(), open = 1;
	while ((open = phone_command("total", "open")) > 0 && now() - t0 < 5)
		sleep_s(0.02);
	if (open)
		trouble("%.0f sessions still open on the phones 5 s after their clients went", open);
}

static int run(const char *workload)
{
	if (!strcmp(workload, "download") || !strcmp(workload, "upload"))
		run_bulk(*workload == 'u');
	else if (!strcmp(workload, "echo"))
		run_echo();
	else if (!strcmp(workload, "connects"))
		run_connects();
	else if (!strcmp(workload, "idle"))
		run_idle();
	else if (!strcmp(workload, "stuck"))
		run_stuck();
	else if (!strcmp(workload, "listeners"))
		run_listeners();
	else if (!strcmp(workload, "rest"))
		run_rest();
	else if (!strcmp(workload, "farm"))
		run_farm();
	else
		return -1;
	return 0;
}

int main(int argc, char **argv)
{
	static const struct option lo[] = { { "socket", 1, 0, 's' }, { "control", 1, 0, 'c' }, { "pid", 1, 0, 'p' },
		{ "phones", 1, 0, 'P' }, { "sessions", 1, 0, 'n' }, { "beside", 1, 0, 'b' }, { "size", 1, 0, 'z' },
		{ "width", 1, 0, 'w' }, { "count", 1, 0, 'N' }, { "repeats", 1, 0, 'r' }, { "seconds", 1, 0, 't' },
		{ "warm", 1, 0, 'W' }, { "tcp", 1, 0, 'T' }, { "relay", 1, 0, 'R' },
		{ "pause", 1, 0, 'u' }, { 0 } };
	int c;
	while ((c = getopt_long(argc, argv, "", lo, NULL)) >= 0)
		switch (c) {
		case 's': opt.socket = optarg; break;
		case 'c': opt.control = optarg; break;
		case 'p': opt.pid = atoi(optarg); break;
		case 'P': opt.phones = atoi(optarg); break;
		case 'n': opt.sessions = atoi(optarg); break;
		case 'b': opt.beside = optarg; break;
		case 'z': opt.size = atoi(optarg); break;
		case 'w': opt.width = atoi(optarg); break;
		case 'N': opt.count = atoi(optarg); break;
		case 'r': opt.repeats = atoi(optarg); break;
		case 't': opt.seconds = atof(optarg); break;
		case 'W': opt.warm = atof(optarg); break;
		case 'u': opt.pause = atof(optarg); break;
		case 'T': opt.tcp = atoi(optarg); break;
		case 'R':
			if (sscanf(optarg, "%d,%d,%d", opt.relay, opt.relay + 1, opt.relay + 2) == 3)
				break;
			/* fall through */
		default: usage(); return 2;
		}
	if (optind + 1 != argc || !opt.socket || !opt.control || !opt.pid) {
		usage();
		return 2;
	}
	struct rlimit rl;
	getrlimit(RLIMIT_NOFILE, &rl);
	rl.rlim_cur = rl.rlim_max;
	setrlimit(RLIMIT_NOFILE, &rl);
	pattern = pattern_make(IO_SIZE);
	double violations = phone_command("total", "violations");
	find_phones();
	if (run(argv[optind]) < 0) {
		usage();
		return 2;
	}
	check_leaks();
	violations = phone_command("total", "violations") - violations;
	if (violations)
		trouble("the phones counted %.0f protocol violations", violations);
	result("violations", violations);
	printf("{%s\"troubles\": %d}\n", answer, troubles);
	return 0;
}
