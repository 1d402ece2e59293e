/* What the environment says about the bus. */
#include "fakeusb.h"

struct environment env;

static long env_long(const char *name, long dflt)
{
	const char *s = getenv(name);
	return s && *s ? strtol(s, NULL, 0) : dflt;
}

void env_read(void)
{
	if (env.done)
		return;
	env.dir = getenv("FAKEUSB_DIR");
	if (!env.dir || !*env.dir)
		env.dir = "/tmp/fakeusb";
	const char *speed = getenv("FAKEUSB_SPEED");
	int super = speed && !strcmp(speed, "super");
	env.speed = super ? LIBUSB_SPEED_SUPER : LIBUSB_SPEED_HIGH;
	env.mps = super ? 1024 : 512;
	env.hotplug = env_long("FAKEUSB_HOTPLUG", 1);
	const char *mbps = getenv("FAKEUSB_MBPS");
	env.kbps = mbps ? (uint32_t)(strtod(mbps, NULL) * 1000) : 0;
	env.lat_us = env_long("FAKEUSB_LAT_US", 0);
	env.memlimit = env_long("FAKEUSB_MEMLIMIT_MB", 16) * 1048576L;
	env.done = 1;
}

uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}
