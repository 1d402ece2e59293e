/* The repeating test pattern of downloads and uploads: byte i of a stream is
 * pattern[i % PATTERN_PERIOD].  The period is a prime, so a lost, doubled or
 * swapped block of any usual size does not go unnoticed. */
#ifndef RIG_PATTERN_H
#define RIG_PATTERN_H
#include <stdint.h>
#include <stdlib.h>
#define PATTERN_PERIOD 65521u

/* PATTERN_PERIOD + extra bytes, so that `extra` bytes may be taken at any phase */
static inline unsigned char *pattern_make(unsigned extra)
{
	unsigned n = PATTERN_PERIOD + extra;
	unsigned char *p = malloc(n);
	uint32_t x = 0x2545f491u;
	for (unsigned i = 0; i < n && p; i++) {
		x ^= x << 13;
		x ^= x >> 17;
		x ^= x << 5;
		p[i] = i < PATTERN_PERIOD ? (unsigned char)(x >> 11) : p[i - PATTERN_PERIOD];
	}
	return p;
}
#endif
