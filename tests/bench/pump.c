/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pump.c - writes one RTP stream into a TAP device and reads what comes out of another one.
 *
 * pump IN OUT PACKETS FRAME - IN and OUT are numbers of open descriptors, FRAME is hexadecimal: Ethernet, IPv4,
 * UDP, RTP with sequence number 0. Prints "NS SEEN": the median time of a write, all that is done before it
 * returns included, and how many frames came out. Writes come in bursts, each timed as a whole; frames are made
 * before and read after.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BURST 32
#define FRAME_MAX 2048
#define RTP_AT (14 + 20 + 8)

static uint8_t frames[BURST][FRAME_MAX];

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static size_t from_hex(const char *text, uint8_t *to)
{
	size_t n;

	for (n = 0; n < FRAME_MAX && sscanf(text + 2 * n, "%2hhx", &to[n]) == 1; n++)
		;
	return n;
}

static uint32_t sum16(const uint8_t *p, size_t n, uint32_t sum)
{
	size_t i;

	for (i = 0; i < n; i++)
		sum += i & 1 ? p[i] : p[i] << 8;
	return sum;
}

/* The next packet of the stream, with a complete UDP checksum. */
static void next_frame(uint8_t *f, size_t len, uint32_t seq)
{
	uint8_t *udp = f + 34;
	uint32_t sum;

	f[RTP_AT + 2] = seq >> 8;
	f[RTP_AT + 3] = seq;
	f[RTP_AT + 4] = seq * 160 >> 24;
	f[RTP_AT + 5] = seq * 160 >> 16;
	f[RTP_AT + 6] = seq * 160 >> 8;
	f[RTP_AT + 7] = seq * 160;
	udp[6] = udp[7] = 0;
	sum = sum16(udp, len - 34, sum16(f + 26, 8, 17 + len - 34));
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	sum = ~sum & 0xffff;
	udp[6] = (sum ? sum : 0xffff) >> 8;
	udp[7] = sum ? sum : 0xff;
}

static unsigned int drain(int fd)
{
	static uint8_t frame[FRAME_MAX];
	unsigned int n = 0;
	ssize_t len;

	while ((len = read(fd, frame, sizeof(frame))) > 0)
		n += len > RTP_AT && !(frame[0] & 1) && frame[23] == 17;
	return n;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	static uint32_t seq = 1;
	unsigned int bursts, b, i, seen = 0;
	uint64_t *times, began;
	size_t len;
	int in, out;

	if (argc != 5)
		return 2;
	in = atoi(argv[1]);
	out = atoi(argv[2]);
	bursts = (atoi(argv[3]) + BURST - 1) / BURST;
	times = calloc(bursts, sizeof(*times));
	for (i = 0; i < BURST; i++)
		len = from_hex(argv[4], frames[i]);
	drain(out);
	for (b = 0; b < bursts && times; b++) {
		for (i = 0; i < BURST; i++)
			next_frame(frames[i], len, seq++);
		began = now_ns();
		for (i = 0; i < BURST; i++)
			if (write(in, frames[i], len) != (ssize_t)len)
				return 1;
		times[b] = now_ns() - began;
		usleep(1000); /* for a relay that is a process */
		seen += drain(out);
	}
	qsort(times, bursts, sizeof(*times), compare);
	printf("%llu %u\n", (unsigned long long)(times[bursts / 2] / BURST), seen);
	return 0;
}
