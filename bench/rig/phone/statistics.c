/* Counting what the host did, and what it did wrong. */
#include <stdarg.h>
#include <sys/resource.h>
#include "phone.h"

#define NAME(name) #name,
static const char *violation_names[] = { VIOLATIONS(NAME) };
static const char *counter_names[] = { COUNTERS(NAME) };
#define COUNTER_COUNT (sizeof counter_names / sizeof *counter_names)

static int append(char *b, int at, int room, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int n = at < room ? vsnprintf(b + at, room - at, fmt, ap) : 0;
	va_end(ap);
	return at + n < room ? at + n : room - 1;
}

static int counters_json(char *b, int at, int room, const struct stats *s)
{
	const uint64_t *value = (const uint64_t *)s;
	uint64_t total = 0;
	for (size_t i = 0; i < COUNTER_COUNT; i++)
		at = append(b, at, room, "\"%s\":%lu,", counter_names[i], value[i]);
	at = append(b, at, room, "\"violation\":{");
	const char *comma = "";
	for (int i = 0; i < V_COUNT; i++) {
		total += s->violation[i];
		if (s->violation[i]) {
			at = append(b, at, room, "%s\"%s\":%lu", comma, violation_names[i], s->violation[i]);
			comma = ",";
		}
	}
	return append(b, at, room, "},\"violations\":%lu}", total);
}

int stats_json(char *b, int room, const struct phone *ph)
{
	int at = append(b, 0, room, "{\"phone\":%d,\"plugged\":%d,\"ready\":%d,\"open\":%u,",
		ph->index, ph->plugged, ph->setup, ph->nconn);
	return counters_json(b, at, room, &ph->st);
}

int totals_json(char *b, int room)
{
	struct stats sum = { 0 };
	struct rusage ru;
	uint64_t open = 0, *to = (uint64_t *)&sum;
	for (int i = 0; i < opt.count; i++) {
		const uint64_t *from = (const uint64_t *)&phones[i].st;
		for (size_t k = 0; k < sizeof sum / sizeof *to; k++)
			to[k] += from[k];
		open += phones[i].nconn;
	}
	getrusage(RUSAGE_SELF, &ru);
	int at = append(b, 0, room, "{\"count\":%d,\"open\":%lu,\"cpu\":%.6f,", opt.count, open,
		ru.ru_utime.tv_sec + ru.ru_stime.tv_sec + (ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6);
	return counters_json(b, at, room, &sum);
}

void violation(struct phone *ph, int code, const char *fmt, ...)
{
	uint64_t n = ++ph->st.violation[code];
	if (n > 20 && n % 10000) /* enough to see what is wrong, not enough to fill a disk */
		return;
	char b[300];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(b, sizeof b, fmt, ap);
	va_end(ap);
	fprintf(stderr, "phone %d: VIOLATION %s (%lu): %s\n", ph->index, violation_names[code], n, b);
}
