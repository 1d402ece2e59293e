/* load: puts one workload on a usbmuxd, through its UNIX socket, a TCP listener or a
 * relay, against the services of the simulated phones, and prints one JSON object about it. */
#ifndef RIG_LOAD_H
#define RIG_LOAD_H
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "../pattern.h"

enum { ECHO = 7, DISCARD = 9, CHARGEN = 19, STREAM = 23 };

struct options {
	const char *socket, *control, *beside;
	int pid, phones, sessions, size, width, count, repeats;
	int tcp;                      /* the daemon's TCP port, if not 0 */
	int relay[3];                 /* a relay's ports for echo, discard and chargen, if not 0 */
	double seconds, warm, pause;
};
extern struct options opt;
extern unsigned char *pattern; /* IO_SIZE bytes may be taken at any phase */
#define IO_SIZE (256 * 1024)

/* main.c: what goes into the answer */
void result(const char *name, double value);
void trouble(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

/* meter.c: time, the daemon's costs, the phone's counters */
struct snap { double time, cpu, received, violations; };
double now(void);
void sleep_s(double);
double daemon_cpu(void);
double daemon_memory(const char *field); /* VmRSS or VmHWM, in MB */
void reset_peak(void);
void snap(struct snap *);
double phone_command(const char *command, const char *field);
void report_cost(const struct snap *a, const struct snap *b);

/* client.c: the daemon's protocol */
void find_phones(void);
int mux_socket(void);
int relay_socket(int service); /* -1: no relay is used */
int listen_socket(void); /* in Listen mode, acknowledged */
int put_connect(char *request, int index, int port);
int mux_connect(int index, int port); /* -1: refused */
int must_connect(int index, int port);
void send_all(int fd, const void *, size_t);
int recv_all(int fd, void *, size_t);
long integer_after(const char *plist, const char *key);

/* streams.c: many sessions that send or receive as fast as they can */
struct streams *streams_start(int n, int up);
double streams_measure(struct streams *, struct snap *a, struct snap *b, double *fairness);
void streams_stop(struct streams *);

/* latency.c */
struct latencies { double *v; int n, room; };
void latency_add(struct latencies *, double);
void latency_report(struct latencies *, const char *prefix, double seconds);
double connect_rate(int width, double seconds, struct latencies *, int *done);
void echo_measure(int size, double seconds, struct latencies *);

/* The workloads. */
void run_bulk(int up);
void run_echo(void);
void run_connects(void);
void run_idle(void);
void run_stuck(void);
void run_listeners(void);
void run_rest(void);
void run_farm(void);
#endif
