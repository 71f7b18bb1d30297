/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_stream.c - the table of docs/nat-learning.md, event by event; a storm of strangers; and
 * random events, in which a dataplane must pass every packet that the daemon would believe.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../../daemon/base/addr.h"
#include "../../daemon/call/stream.c"

#define START_NS (1000 * NSEC_PER_SEC)
#define PACKET_NS (20 * NSEC_PER_MSEC)

/*
 * A letter and a number name a host and a port: "A1" is port 1001 of the public host 198.51.100.65,
 * "a1" port 1001 of the hidden host 10.0.0.97.
 */
static struct addr place(const char *name)
{
	struct addr a = { .family = ADDR_IP4 };

	if (!name || !*name)
		return (struct addr){ 0 };
	a.port = 1000 + atoi(name + 1);
	memcpy(a.ip, *name >= 'a' ? (uint8_t[]){ 10, 0, 0 } : (uint8_t[]){ 198, 51, 100 }, 3);
	a.ip[3] = *name;
	return a;
}

enum act {
	END,
	RTP, RTCP,		   /* each to its port */
	UDPTL, STUN, DTLS, MUX, EMPTY, /* to the RTP port; MUX: RTCP, EMPTY: no payload */
	DTLS_RTCP,		   /* to the RTCP port */
	TALK,			   /* RTP from the remote, continued for @seq ms */
	REPORTS,		   /* RTCP from its remote, @seq packets, 5 s apart */
	FORWARDED, SIGNAL, SIGNAL_ASYMMETRIC, OTHER_PARTY, HOLD, WAIT_MS,
};

struct event {
	enum act act;
	const char *who; /* source, or signalled address */
	uint32_t ssrc;	 /* WAIT_MS: the time */
	uint16_t seq;	 /* of the first packet; it rises with each packet */
	const char *verdict; /* for each packet: "+" relayed, "-" ignored; "" for commands */
	/* destination of RTP afterwards: one place or two ("A0 C0"); "": none, NULL: not checked */
	const char *remote;
	const char *rtcp; /* destination of RTCP */
};

struct scenario {
	const char *name;
	enum learning how;
	struct event events[24];
};

#define BOTH_WAYS(title, ...) \
	{ "proof: " title, LEARN_PROOF, { __VA_ARGS__ } }, \
	{ "strict: " title, LEARN_STRICT, { __VA_ARGS__ } }

/* The caller is heard at its signalled address, or at another one, behind the NAT N. */
#define HEARD_AT_A0 { SIGNAL, "A0", 0, 0, "", "A0", "A1" }, { RTP, "A0", 7, 1, "+++", "A0", "A1" }
#define SETTLED_AT_A0 HEARD_AT_A0, { TALK, NULL, 0, 3000, "", "A0", "A1" }
#define SETTLED_AT_N50 { SIGNAL, "a0", 0, 0, "", "a0", "a1" }, \
	{ RTP, "N50", 7, 1, "--+", "N50", "N51" }, { TALK, NULL, 0, 3000, "", "N50", "N51" }

static const struct scenario scenarios[] = {
	/* ---- the beginning ---- */
	BOTH_WAYS("the signalled port is believed at once",
		{ SIGNAL, "A0", 0, 0, "", "A0", "A1" },
		{ RTP, "A0", 7, 1, "+", "A0", "A1" },
		{ RTP, "B0", 7, 2, "--", "A0", "A1" }),
	BOTH_WAYS("another port of the signalled host is believed at once, and firm with three packets",
		{ SIGNAL, "A0", 0, 0, "", "A0", "A1" },
		{ RTP, "A40", 7, 1, "++", "A40 A0", "A41" },
		{ RTP, "A40", 7, 3, "+", "A40", "A41" },
		{ RTP, "A60", 7, 4, "---", "A40", "A41" }),
	BOTH_WAYS("a forged first packet does not lock out the signalled port",
		{ SIGNAL, "A0", 0, 0, "", "A0", "A1" },
		{ RTP, "A66", 9, 500, "+", "A66 A0", "A67" },
		{ RTP, "A0", 7, 1, "+", "A0", "A1" },
		{ RTP, "A66", 9, 501, "-", "A0", "A1" }),
	BOTH_WAYS("a forged first packet does not lock out the party behind its NAT",
		{ SIGNAL, "A0", 0, 0, "", "A0", "A1" },
		{ RTP, "A66", 9, 500, "++", "A66 A0", NULL },
		{ RTP, "A40", 7, 1, "--+", "A40", "A41" }),
	BOTH_WAYS("a forger of many packets holds the leg until he is silent",
		{ SIGNAL, "A0", 0, 0, "", "A0", "A1" },
		{ RTP, "A66", 9, 500, "+++++", "A66", NULL },
		{ RTP, "A40", 7, 1, "---", "A66", NULL },
		{ WAIT_MS, NULL, 600, 0, "", NULL, NULL },
		{ RTP, "A40", 7, 40, "+++", "A40", "A41" }),
	{ "proof: a foreign host proves itself with three packets", LEARN_PROOF, {
		{ SIGNAL, "A0", 0, 0, "", "A0", "A1" },
		{ RTP, "B50", 7, 1, "--+", "B50", "B51" },
		{ RTP, "C0", 9, 4, "---", "B50", "B51" },
		{ RTP, "A0", 7, 4, "+", "A0", "A1" } } },
	{ "strict: a foreign host proves nothing", LEARN_STRICT, {
		{ RTP, "B0", 7, 1, "----", "", "" },
		{ SIGNAL, "A0", 0, 0, "", "A0", "A1" },
		{ RTP, "B0", 7, 5, "----", "A0", "A1" },
		{ RTP, "A9", 7, 9, "+++", "A9", "A10" },
		{ RTCP, "B1", 7, 0, "-", NULL, "A10" } } },
	{ "proof: a sequence that does not rise proves nothing", LEARN_PROOF, {
		{ SIGNAL, "A0", 0, 0, "", "A0", NULL },
		{ RTP, "B0", 7, 5, "-", "A0", NULL },
		{ RTP, "B0", 7, 4, "-", "A0", NULL },
		{ RTP, "B0", 7, 4, "-", "A0", NULL },
		{ RTP, "B0", 7, 3, "-", "A0", NULL },
		{ RTP, "B0", 8, 4, "-", "A0", NULL },
		{ RTP, "B0", 7, 5, "-", "A0", NULL },
		{ RTP, "B0", 7, 1000, "--+", "B0", NULL } } },
	{ "proof: a candidate keeps its place against others", LEARN_PROOF, {
		{ SIGNAL, "A0", 0, 0, "", "A0", NULL },
		{ RTP, "B0", 7, 1, "-", "A0", NULL },
		{ RTP, "C0", 9, 1, "-", "A0", NULL },
		{ RTP, "B0", 7, 2, "-", "A0", NULL },
		{ RTP, "D0", 9, 2, "-", "A0", NULL },
		{ RTP, "B0", 7, 3, "+", "B0", NULL } } },
	{ "proof: a candidate that pauses loses its place", LEARN_PROOF, {
		{ SIGNAL, "A0", 0, 0, "", "A0", NULL },
		{ RTP, "B0", 7, 1, "-", "A0", NULL },
		{ WAIT_MS, NULL, 150, 0, "", NULL, NULL },
		{ RTP, "C0", 9, 1, "--+", "C0", NULL } } },
	{ "proof: strangers of one packet do not keep a source from proving itself", LEARN_PROOF, {
		{ SIGNAL, "A0", 0, 0, "", "A0", NULL },
		{ RTP, "X0", 5, 1, "-", "A0", NULL },
		{ RTP, "Y0", 6, 1, "-", "A0", NULL },
		{ RTP, "B0", 7, 1, "--+", "B0", NULL } } },
	{ "proof: nothing known, a candidate is relayed", LEARN_PROOF, {
		{ RTP, "B0", 7, 1, "+", "", "" },
		{ RTP, "C0", 8, 1, "-", "", "" },
		{ RTP, "B0", 7, 2, "++", "B0", "B1" } } },
	BOTH_WAYS("asymmetric, any port of the host, nothing learned",
		{ SIGNAL_ASYMMETRIC, "A0", 0, 0, "", "A0", "A1" },
		{ RTP, "A9", 7, 1, "++", "A0", "A1" },
		{ RTP, "B0", 7, 2, "---", "A0", "A1" },
		{ SIGNAL_ASYMMETRIC, "B0", 0, 0, "", "B0", "B1" },
		{ RTP, "B7", 7, 3, "+", "B0", "B1" },
		{ SIGNAL, "B0", 0, 0, "", "B0", "B1" },
		{ RTP, "B9", 7, 4, "+++", "B9", NULL }),

	/* ---- U or L, same address ---- */
	BOTH_WAYS("refresh: a party that talks loses nothing to strangers",
		SETTLED_AT_A0,
		{ SIGNAL, "A0", 0, 0, "", "A0", "A1" },
		{ RTP, "B0", 7, 500, "----", "A0", "A1" },
		{ RTP, "A9", 7, 500, "----", "A0", "A1" },
		{ RTP, "A0", 7, 200, "+", "A0", "A1" }),
	BOTH_WAYS("resume: the signalled host has a new mapping and SSRC",
		SETTLED_AT_A0,
		{ SIGNAL, "A0", 0, 0, "", "A0", "A1" },
		{ WAIT_MS, NULL, 1500, 0, "", NULL, NULL },
		{ SIGNAL, "A0", 0, 0, "", "A0", "A1" },
		{ RTP, "A80", 99, 40000, "+", "A80 A0", NULL },
		{ RTP, "A80", 99, 40001, "++", "A80", NULL },
		{ RTCP, "A91", 99, 0, "+", "A80", "A91" }),
	{ "proof: resume, the NAT has a new mapping", LEARN_PROOF, {
		SETTLED_AT_N50,
		{ SIGNAL, "a0", 0, 0, "", "N50", "N51" },
		{ WAIT_MS, NULL, 1500, 0, "", NULL, NULL },
		{ RTP, "N80", 99, 40000, "+++", "N80", "N81" } } },
	{ "proof: resume, the phone is behind another NAT", LEARN_PROOF, {
		SETTLED_AT_N50,
		{ SIGNAL, "a0", 0, 0, "", "N50", NULL },
		{ WAIT_MS, NULL, 600, 0, "", NULL, NULL },
		{ RTP, "M80", 99, 40000, "--+", "M80", "M81" } } },
	{ "proof: who takes the leg of a silent party loses it when that returns", LEARN_PROOF, {
		SETTLED_AT_N50,
		{ SIGNAL, "a0", 0, 0, "", "N50", NULL },
		{ WAIT_MS, NULL, 600, 0, "", NULL, NULL },
		{ RTP, "X0", 99, 40000, "--+++", "X0", NULL },
		{ RTP, "N50", 7, 400, "--+", "N50", NULL },
		{ RTP, "X0", 99, 40005, "----", "N50", NULL } } },
	BOTH_WAYS("hold: a null address and port 0 open the leg",
		SETTLED_AT_A0,
		{ WAIT_MS, NULL, 600, 0, "", NULL, NULL },
		{ RTP, "A80", 99, 1, "---", "A0", "A1" },
		{ HOLD, NULL, 0, 0, "", "A0", "A1" },
		{ RTP, "A80", 99, 4, "+++", "A80", NULL }),
	BOTH_WAYS("the signalled port has sent three packets: others need a proof",
		HEARD_AT_A0,
		{ WAIT_MS, NULL, 600, 0, "", NULL, NULL },
		{ RTP, "A80", 99, 1, "--+", "A80", "A81" }),
	{ "proof: a leg is closed when its party has been heard for 2 s", LEARN_PROOF, {
		{ SIGNAL, "A0", 0, 0, "", "A0", "A1" },
		{ RTP, "A70", 7, 1, "+++", "A70", "A71" },
		{ TALK, NULL, 0, 1500, "", "A70", NULL },
		{ WAIT_MS, NULL, 600, 0, "", NULL, NULL },
		{ RTP, "A80", 99, 1, "+++", "A80", NULL },
		{ TALK, NULL, 0, 2500, "", "A80", NULL },
		{ WAIT_MS, NULL, 600, 0, "", NULL, NULL },
		{ RTP, "A90", 98, 1, "---", "A80", NULL },
		{ RTP, "B90", 98, 1, "---", "A80", NULL } } },

	/* ---- U or L, new address ---- */
	BOTH_WAYS("a new address: both are sent to, the new one takes over with its first packet",
		SETTLED_AT_A0,
		{ SIGNAL, "C0", 0, 0, "", "A0 C0", "C1" },
		{ RTP, "A0", 7, 200, "+++++", "A0 C0", NULL },
		{ RTP, "C0", 9, 1, "+", "C0", "C1" },
		{ RTP, "A0", 7, 205, "----", "C0", "C1" }),
	BOTH_WAYS("a new port of the same host, with the last packets of the old one",
		SETTLED_AT_A0,
		{ SIGNAL, "A8", 0, 0, "", "A0 A8", "A9" },
		{ RTP, "A0", 7, 200, "++++++++++", "A0 A8", NULL },
		{ RTP, "A8", 7, 210, "+", "A8", "A9" },
		{ RTP, "A0", 7, 210, "----", "A8", "A9" }),
	BOTH_WAYS("a new port of the same host, which its NAT has translated",
		SETTLED_AT_A0,
		{ SIGNAL, "A8", 0, 0, "", "A0 A8", NULL },
		{ RTP, "A0", 7, 200, "++", "A0 A8", NULL },
		{ RTP, "A88", 9, 1, "---", "A0 A8", NULL },
		{ WAIT_MS, NULL, 500, 0, "", NULL, NULL },
		{ RTP, "A88", 9, 30, "+", "A88 A8", NULL },
		{ RTP, "A88", 9, 31, "++", "A88", "A89" }),
	BOTH_WAYS("a new host, whose port its NAT has translated, while the old one talks",
		SETTLED_AT_A0,
		{ SIGNAL, "C0", 0, 0, "", "A0 C0", NULL },
		{ RTP, "A0", 7, 200, "++", "A0 C0", NULL },
		{ RTP, "C70", 9, 1, "-", NULL, NULL },
		{ RTP, "A0", 7, 202, "+", "A0 C0", NULL },
		{ RTP, "C70", 9, 2, "-+", "C70", "C71" },
		{ RTP, "A0", 7, 203, "----", "C70", "C71" }),
	{ "proof: transfer to a party behind NAT while the old one talks", LEARN_PROOF, {
		SETTLED_AT_A0,
		{ SIGNAL, "c0", 0, 0, "", "A0 c0", NULL },
		{ RTP, "A0", 7, 200, "++", "A0 c0", NULL },
		{ RTP, "M70", 9, 1, "--+", "M70", "M71" },
		{ RTP, "A0", 7, 202, "----", "M70", "M71" } } },
	{ "strict: a hidden address is never heard from elsewhere", LEARN_STRICT, {
		SETTLED_AT_A0,
		{ SIGNAL, "c0", 0, 0, "", "A0 c0", NULL },
		{ RTP, "M70", 9, 1, "----", "A0 c0", NULL },
		{ RTP, "A0", 7, 200, "+", "A0 c0", NULL } } },
	{ "proof: another port of the same hidden host opens nothing to others", LEARN_PROOF, {
		SETTLED_AT_N50,
		{ SIGNAL, "a8", 0, 0, "", "N50 a8", NULL },
		{ RTP, "M70", 9, 1, "----", "N50 a8", NULL },
		{ RTP, "N50", 7, 400, "+", "N50 a8", NULL },
		{ WAIT_MS, NULL, 500, 0, "", NULL, NULL },
		{ RTP, "N80", 9, 5, "+++", "N80", "N81" } } },
	{ "proof: after 10 s a hidden address opens nothing while the old party talks", LEARN_PROOF, {
		SETTLED_AT_A0,
		{ SIGNAL, "c0", 0, 0, "", "A0 c0", NULL },
		{ TALK, NULL, 0, 10100, "", "A0", NULL },
		{ RTP, "M70", 9, 1, "----", "A0", NULL } } },
	BOTH_WAYS("a new address that stays silent: the old one alone after 2 s, both when it is silent",
		SETTLED_AT_A0,
		{ SIGNAL, "C0", 0, 0, "", "A0 C0", "C1" },
		{ TALK, NULL, 0, 3500, "", "A0", "C1" },
		{ WAIT_MS, NULL, 3500, 0, "", "A0 C0", NULL },
		{ TALK, NULL, 0, 3500, "", "A0", NULL },
		{ RTP, "C0", 9, 1, "+", "C0", "C1" }),
	BOTH_WAYS("a new address that speaks after a minute is heard",
		SETTLED_AT_A0,
		{ SIGNAL, "C0", 0, 0, "", "A0 C0", NULL },
		{ TALK, NULL, 0, 60000, "", "A0", NULL },
		{ RTP, "C0", 9, 1, "+", "C0", "C1" }),
	BOTH_WAYS("the new address is taken back",
		SETTLED_AT_A0,
		{ SIGNAL, "C0", 0, 0, "", "A0 C0", "C1" },
		{ SIGNAL, "A0", 0, 0, "", "A0", "A1" },
		{ RTP, "A0", 7, 400, "+", "A0", NULL }),
	{ "proof: the signalled port takes the leg from a NAT, at any time", LEARN_PROOF, {
		SETTLED_AT_N50,
		{ TALK, NULL, 0, 20000, "", "N50", NULL },
		{ RTP, "a0", 9, 1, "+", "a0", "a1" },
		{ RTP, "N50", 9, 2, "----", "a0", NULL },
		{ WAIT_MS, NULL, 600, 0, "", NULL, NULL },
		{ RTP, "N50", 9, 40, "+", "N50", NULL } } },

	BOTH_WAYS("the old party is silent for 5 s: the new public address alone",
		SETTLED_AT_A0,
		{ RTCP, "A1", 7, 0, "+", "A0", "A1" },
		{ SIGNAL, "C0", 0, 0, "", "A0 C0", "A1 C1" },
		{ TALK, NULL, 0, 400, "", "A0 C0", NULL },
		{ WAIT_MS, NULL, 4000, 0, "", "A0 C0", NULL },
		{ WAIT_MS, NULL, 3000, 0, "", "C0", "A1 C1" },
		{ WAIT_MS, NULL, 10000, 0, "", "C0", "C1" }),
	{ "proof: the old party is silent, the new address is hidden: both", LEARN_PROOF, {
		SETTLED_AT_N50,
		{ SIGNAL, "c0", 0, 0, "", "N50 c0", NULL },
		{ WAIT_MS, NULL, 20000, 0, "", "N50 c0", NULL } } },

	/* ---- forks ---- */
	{ "proof: fork: the same hidden address in another home, while the first branch plays", LEARN_PROOF, {
		SETTLED_AT_N50,
		{ OTHER_PARTY, NULL, 0, 0, "", "N50", NULL },
		{ SIGNAL, "a0", 0, 0, "", "N50 a0", NULL },
		{ RTP, "M70", 9, 1, "--+", "M70", "M71" },
		{ RTP, "N50", 7, 400, "----", "M70", NULL } } },
	BOTH_WAYS("fork: early media of one branch, the other answers",
		HEARD_AT_A0,
		{ TALK, NULL, 0, 1000, "", "A0", NULL },
		{ SIGNAL, "C0", 0, 0, "", "A0 C0", NULL },
		{ TALK, NULL, 0, 15000, "", "A0", NULL },
		{ SIGNAL, "C0", 0, 0, "", "A0", NULL },
		{ RTP, "C0", 9, 1, "+", "C0", "C1" },
		{ RTP, "A0", 7, 2000, "--", "C0", "C1" }),
	BOTH_WAYS("fork: the first branch answers after the second has rung",
		HEARD_AT_A0,
		{ SIGNAL, "C0", 0, 0, "", "A0 C0", NULL },
		{ RTP, "C0", 9, 1, "++", "C0", "C1" },
		{ SIGNAL, "A0", 0, 0, "", "C0 A0", NULL },
		{ RTP, "C0", 9, 3, "+", "C0 A0", NULL },
		{ RTP, "A0", 7, 50, "+", "A0", "A1" },
		{ RTP, "C0", 9, 4, "---", "A0", "A1" }),

	/* ---- a source that continues from another address ---- */
	{ "proof: the same SSRC from elsewhere is followed after silence", LEARN_PROOF, {
		SETTLED_AT_A0,
		{ RTP, "B0", 7, 154, "-", "A0", NULL },
		{ WAIT_MS, NULL, 600, 0, "", NULL, NULL },
		{ RTP, "B0", 8, 154, "-", "A0", NULL },
		{ RTP, "B0", 7, 1, "-", "A0", NULL },
		{ RTP, "B0", 7, 900, "-", "A0", NULL },
		{ RTP, "B0", 7, 180, "+", "B0", "B1" } } },
	{ "strict: the SSRC goes on elsewhere, on the signalled host only", LEARN_STRICT, {
		SETTLED_AT_A0,
		{ WAIT_MS, NULL, 600, 0, "", NULL, NULL },
		{ RTP, "B0", 7, 154, "-", "A0", NULL },
		{ RTP, "A5", 7, 155, "+", "A5", NULL } } },

	/* ---- datagrams that are not RTP ---- */
	BOTH_WAYS("a stray datagram shuts out nothing",
		{ SIGNAL, "A0", 0, 0, "", "A0", NULL },
		{ EMPTY, "A44", 0, 0, "+", "A0", NULL },
		{ STUN, "A44", 0, 0, "+", "A0", NULL },
		{ MUX, "A44", 0, 0, "+", "A0", NULL },
		{ DTLS, "A44", 0, 0, "+", "A44 A0", NULL },
		{ RTP, "A0", 7, 1, "+", "A0", "A1" },
		{ UDPTL, "A44", 0, 0, "-", "A0", "A1" }),
	BOTH_WAYS("datagrams of the signalled port, then RTP from another port of its host",
		{ SIGNAL, "A0", 0, 0, "", "A0", NULL },
		{ STUN, "A0", 0, 0, "++", "A0", NULL },
		{ RTP, "A40", 7, 1, "++", "A40 A0", "A41" },
		{ RTP, "A40", 7, 3, "+", "A40", "A41" }),
	{ "proof: a foreign host's datagrams, then RTP where it belongs", LEARN_PROOF, {
		{ SIGNAL, "A0", 0, 0, "", "A0", NULL },
		{ UDPTL, "X0", 0, 0, "---+", "X0 A0", NULL },
		{ RTP, "A40", 7, 1, "+++", "A40", "A41" } } },
	BOTH_WAYS("fax: UDPTL from a new port after the last audio",
		SETTLED_AT_A0,
		{ SIGNAL, "A8", 0, 0, "", "A0 A8", NULL },
		{ RTP, "A0", 7, 200, "++", "A0 A8", NULL },
		{ UDPTL, "A8", 0, 0, "++++++++++", "A0 A8", NULL },
		{ WAIT_MS, NULL, 300, 0, "", NULL, NULL },
		{ UDPTL, "A8", 0, 0, "+", "A8", NULL },
		{ RTP, "A0", 7, 202, "---", "A8", NULL },
		{ RTP, "A8", 9, 1, "+", "A8", "A9" }),
	BOTH_WAYS("fax: UDPTL from a port that the NAT has translated",
		SETTLED_AT_A0,
		{ SIGNAL, "A8", 0, 0, "", "A0 A8", NULL },
		{ UDPTL, "A88", 0, 0, "-", "A0 A8", NULL },
		{ WAIT_MS, NULL, 500, 0, "", NULL, NULL },
		{ UDPTL, "A88", 0, 0, "+++", "A0 A8", NULL },
		{ UDPTL, "A88", 0, 0, "+", "A88 A8", NULL }),
	{ "proof: fax behind NAT after audio", LEARN_PROOF, {
		SETTLED_AT_N50,
		{ SIGNAL, "a8", 0, 0, "", "N50 a8", NULL },
		{ WAIT_MS, NULL, 500, 0, "", NULL, NULL },
		{ UDPTL, "N59", 0, 0, "++++", "N59 a8", NULL } } },
	{ "proof: fax behind NAT without audio", LEARN_PROOF, {
		{ SIGNAL, "a0", 0, 0, "", "a0", NULL },
		{ UDPTL, "N50", 0, 0, "---+", "N50 a0", NULL },
		{ UDPTL, "M50", 0, 0, "----", "N50 a0", NULL },
		{ RTP, "N50", 7, 1, "+++", "N50", "N51" } } },
	{ "proof: DTLS of a hidden address passes with its first datagram", LEARN_PROOF, {
		{ SIGNAL, "a0", 0, 0, "", "a0", NULL },
		{ DTLS, "N50", 0, 0, "+", "N50 a0", NULL },
		{ RTP, "N50", 7, 1, "+++", "N50", "N51" } } },
	{ "proof: RTP that the kernel has forwarded makes a weak proof firm", LEARN_PROOF, {
		{ SIGNAL, "a0", 0, 0, "", "a0", NULL },
		{ DTLS, "N50", 0, 0, "+", "N50 a0", NULL },
		{ FORWARDED, NULL, 7, 1, "", NULL, NULL },
		{ FORWARDED, NULL, 7, 2, "", NULL, NULL },
		{ FORWARDED, NULL, 7, 3, "", NULL, NULL },
		{ WAIT_MS, NULL, 1000, 0, "", "N50", NULL } } },
	{ "proof: DTLS and STUN without any address", LEARN_PROOF, {
		{ DTLS, "N50", 0, 0, "+", "N50", "" },
		{ HOLD, NULL, 0, 0, "", "N50", NULL },
		{ RTP, "N50", 7, 1, "+", "N50", "N51" } } },
	{ "proof: STUN of a hidden address passes with the second", LEARN_PROOF, {
		{ SIGNAL, "a0", 0, 0, "", "a0", NULL },
		{ STUN, "N50", 0, 0, "-+", "N50 a0", NULL } } },
	{ "proof: DTLS from elsewhere than a public address passes with the second", LEARN_PROOF, {
		{ SIGNAL, "A0", 0, 0, "", "A0", NULL },
		{ DTLS, "N50", 0, 0, "-", "A0", NULL },
		{ WAIT_MS, NULL, 1000, 0, "", NULL, NULL },
		{ DTLS, "N50", 0, 0, "+", "N50 A0", NULL } } },
	{ "strict: nothing from a foreign host", LEARN_STRICT, {
		{ SIGNAL, "a0", 0, 0, "", "a0", NULL },
		{ DTLS, "N50", 0, 0, "---", "a0", NULL },
		{ STUN, "N50", 0, 0, "---", "a0", NULL },
		{ UDPTL, "N50", 0, 0, "-----", "a0", NULL } } },
	BOTH_WAYS("RTCP on the RTP port and empty datagrams prove nothing",
		{ SIGNAL, "A0", 0, 0, "", "A0", NULL },
		{ MUX, "B0", 0, 0, "------", "A0", NULL },
		{ EMPTY, "B0", 0, 0, "------", "A0", NULL },
		{ MUX, "A4", 0, 0, "++++++", "A0", NULL }),
	BOTH_WAYS("RTCP on the RTP port of a party that talks",
		SETTLED_AT_A0,
		{ MUX, "A0", 0, 0, "++", "A0", NULL },
		{ MUX, "A4", 0, 0, "--", "A0", NULL }),

	/* ---- RTCP ---- */
	{ "proof: RTCP is believed on the host that RTP comes from", LEARN_PROOF, {
		{ SIGNAL, "A0", 0, 0, "", "A0", "A1" },
		{ RTCP, "B7", 7, 0, "-", "A0", "A1" },
		{ RTP, "B0", 7, 1, "--+", "B0", "B1" },
		{ RTCP, "C1", 7, 0, "-", "B0", "B1" },
		{ RTCP, "B7", 7, 0, "+", "B0", "B7" },
		{ RTCP, "B9", 7, 0, "-", "B0", "B7" } } },
	BOTH_WAYS("RTCP follows RTP to another port of the same NAT",
		SETTLED_AT_A0,
		{ RTCP, "A1", 7, 0, "+", "A0", "A1" },
		{ RTCP, "A61", 7, 0, "-", "A0", "A1" },
		{ WAIT_MS, NULL, 600, 0, "", NULL, NULL },
		{ RTP, "A60", 7, 190, "+", "A60", "A61" },
		{ RTCP, "A71", 7, 0, "+", "A60", "A71" },
		{ RTCP, "A61", 7, 0, "-", "A60", "A71" }),
	BOTH_WAYS("RTCP alone gets a new mapping: after 15 s",
		SETTLED_AT_A0,
		{ RTCP, "A1", 7, 0, "+", "A0", "A1" },
		{ REPORTS, NULL, 0, 5, "", "A0", "A1" },
		{ WAIT_MS, NULL, 13000, 0, "", NULL, NULL },
		{ RTCP, "A31", 7, 0, "-", "A0", "A1" },
		{ WAIT_MS, NULL, 3000, 0, "", NULL, NULL },
		{ RTCP, "B31", 7, 0, "-", "A0", "A1" },
		{ RTCP, "A31", 7, 0, "+", "A0", "A31" }),
	BOTH_WAYS("RTCP alone gets a new mapping, and a session refresh comes: after 7.5 s",
		SETTLED_AT_A0,
		{ RTCP, "A1", 7, 0, "+", "A0", "A1" },
		{ REPORTS, NULL, 0, 5, "", "A0", "A1" },
		{ SIGNAL, "A0", 0, 0, "", "A0", "A1" },
		{ WAIT_MS, NULL, 5000, 0, "", NULL, NULL },
		{ RTCP, "A31", 7, 0, "-", "A0", "A1" },
		{ WAIT_MS, NULL, 3000, 0, "", NULL, NULL },
		{ RTCP, "A31", 7, 0, "+", "A0", "A31" }),
	BOTH_WAYS("RTP moves to the signalled port: RTCP is expected at its own",
		SETTLED_AT_A0,
		{ RTCP, "A1", 7, 0, "+", "A0", "A1" },
		{ REPORTS, NULL, 0, 5, "", "A0", "A1" },
		{ SIGNAL, "A8", 0, 0, "", "A0 A8", "A1 A9" },
		{ RTP, "A8", 9, 1, "+", "A8", "A9" },
		{ RTCP, "A61", 7, 0, "---", "A8", "A9" },
		{ RTCP, "A9", 9, 0, "+", "A8", "A9" }),
	BOTH_WAYS("RTP moves to the signalled port, a NAT has translated RTCP's: after 7.5 s",
		SETTLED_AT_A0,
		{ RTCP, "A1", 7, 0, "+", "A0", "A1" },
		{ REPORTS, NULL, 0, 5, "", "A0", "A1" },
		{ SIGNAL, "A8", 0, 0, "", "A0 A8", "A1 A9" },
		{ RTP, "A8", 9, 1, "+", "A8", "A9" },
		{ WAIT_MS, NULL, 8000, 0, "", NULL, NULL },
		{ RTCP, "A61", 7, 0, "+", "A8", "A61" }),
	BOTH_WAYS("the signalled RTCP port may always speak",
		SETTLED_AT_A0,
		{ RTCP, "A61", 7, 0, "+", "A0", "A61" },
		{ RTCP, "A1", 7, 0, "+", "A0", "A1" }),
	BOTH_WAYS("DTLS on the RTCP port",
		SETTLED_AT_A0,
		{ DTLS_RTCP, "A61", 0, 0, "++", "A0", "A61 A1" },
		{ RTCP, "A71", 7, 0, "+", "A0", "A71" }),

	/* ---- compat: rtpproxy's rules ---- */
	{ "compat: a first datagram that is no RTP holds the leg for good", LEARN_COMPAT, {
		{ SIGNAL, "A0", 0, 0, "", "A0", "A1" },
		{ STUN, "A44", 0, 0, "+", "A44", NULL },
		{ RTP, "A0", 7, 1, "---", "A44", NULL },
		{ SIGNAL, "A0", 0, 0, "", "A44", NULL },
		{ RTP, "A0", 7, 4, "---", "A44", NULL } } },
	{ "compat: a null address changes nothing", LEARN_COMPAT, {
		{ SIGNAL, "A0", 0, 0, "", "A0", "A1" },
		{ RTP, "A0", 7, 1, "+", "A0", NULL },
		{ HOLD, NULL, 0, 0, "", "A0", NULL },
		{ WAIT_MS, NULL, 1000, 0, "", NULL, NULL },
		{ RTP, "B0", 9, 50, "---", "A0", NULL } } },
	{ "compat: the first packet from anywhere wins", LEARN_COMPAT, {
		{ SIGNAL, "A0", 0, 0, "", "A0", "A1" },
		{ RTP, "B0", 7, 1, "+", "B0", "B1" },
		{ RTP, "C0", 9, 1, "-", "B0", "B1" },
		{ SIGNAL, "A4", 0, 0, "", "B0", "A5" } } }, /* no RTCP has come */
	{ "compat: the same SSRC is followed at once, within 536", LEARN_COMPAT, {
		{ SIGNAL, "A0", 0, 0, "", "A0", NULL },
		{ RTP, "A0", 7, 1, "+", "A0", NULL },
		{ RTP, "B0", 7, 538, "-", "A0", NULL },
		{ RTP, "B0", 7, 537, "+", "B0", "B1" } } },
	{ "compat: handover is judged by the number noted up to a second ago", LEARN_COMPAT, {
		{ SIGNAL, "A0", 0, 0, "", "A0", NULL },
		{ RTP, "A0", 7, 100, "+", "A0", NULL },
		{ RTP, "A0", 7, 140, "+", "A0", NULL },
		{ RTP, "B0", 7, 139, "+", "B0", NULL } } },
	{ "compat: a new SSRC that only the dataplane has seen is followed too", LEARN_COMPAT, {
		{ SIGNAL, "A0", 0, 0, "", "A0", NULL },
		{ RTP, "A0", 7, 1, "+", "A0", NULL },
		{ FORWARDED, NULL, 9, 4000, "", "A0", NULL },
		{ RTP, "B0", 7, 2, "-", "A0", NULL },
		{ RTP, "B0", 9, 4001, "+", "B0", NULL } } },
	{ "compat: handover after seconds in the dataplane", LEARN_COMPAT, {
		{ SIGNAL, "A0", 0, 0, "", "A0", NULL },
		{ RTP, "A0", 7, 1, "+", "A0", NULL },
		{ WAIT_MS, NULL, 20000, 0, "", NULL, NULL },
		{ FORWARDED, NULL, 7, 1000, "", "A0", NULL },
		{ RTP, "B0", 7, 1001, "+", "B0", NULL } } },
	{ "compat: for ten seconds after a second U anyone takes over", LEARN_COMPAT, {
		{ SIGNAL, "A0", 0, 0, "", "A0", NULL },
		{ RTP, "A0", 7, 1, "+", "A0", NULL },
		{ SIGNAL, "A0", 0, 0, "", "A0", NULL },
		{ RTP, "B0", 9, 50, "+", "B0", "B1" },
		{ WAIT_MS, NULL, 10100, 0, "", NULL, NULL },
		{ RTP, "C0", 11, 5, "-", "B0", NULL } } },
	{ "compat: learned without prefill, locked until the SSRC changes", LEARN_COMPAT, {
		{ RTP, "B0", 7, 1, "+", "B0", "B1" },
		{ RTP, "C0", 7, 2, "-", "B0", NULL },
		{ RTP, "B0", 8, 1, "+", "B0", NULL },
		{ RTP, "C0", 8, 2, "+", "C0", "C1" } } },
	{ "compat: a new trusted address is used, packets from the old one pull back", LEARN_COMPAT, {
		{ SIGNAL, "A0", 0, 0, "", "A0", NULL },
		{ RTP, "A0", 7, 1, "+", "A0", NULL },
		{ SIGNAL, "C0", 0, 0, "", "C0", NULL },
		{ RTP, "A0", 7, 2, "+", "A0", NULL } } },
	{ "compat: RTCP latches by itself and is held", LEARN_COMPAT, {
		{ SIGNAL, "A0", 0, 0, "", "A0", "A1" },
		{ RTCP, "B1", 7, 0, "+", "A0", "B1" },
		{ RTCP, "C1", 7, 0, "-", "A0", "B1" },
		{ RTP, "D0", 7, 1, "+", "D0", "D1" } } },
	{ "compat: asymmetric, host only", LEARN_COMPAT, {
		{ SIGNAL_ASYMMETRIC, "A0", 0, 0, "", "A0", "A1" },
		{ RTP, "A9", 7, 1, "+", "A0", "A1" },
		{ RTP, "B0", 7, 2, "-", "A0", "A1" } } },
};

struct pair {
	struct stream rtp, rtcp;
	uint64_t now_ns, ticked_ns;
	bool moved; /* its flows must be compiled again */
};

static void pair_init(struct pair *p)
{
	stream_init(&p->rtp, STREAM_RTP);
	stream_init(&p->rtcp, STREAM_RTCP);
	p->now_ns = p->ticked_ns = START_NS;
	p->moved = false;
}

static void pair_free(struct pair *p)
{
	stream_free(&p->rtp);
	stream_free(&p->rtcp);
}

/* Do the work of sync.c, once a second. */
static void pair_tick(struct pair *p)
{
	if (p->now_ns - p->ticked_ns < NSEC_PER_SEC)
		return;
	p->ticked_ns = p->now_ns;
	if (p->rtp.awaited)
		p->moved |= stream_tick(&p->rtp, p->now_ns);
	if (p->rtcp.awaited)
		p->moved |= stream_tick(&p->rtcp, p->now_ns);
}

static void pair_wait(struct pair *p, uint64_t ns)
{
	for (; ns > NSEC_PER_SEC; ns -= NSEC_PER_SEC) {
		p->now_ns += NSEC_PER_SEC;
		pair_tick(p);
	}
	p->now_ns += ns;
	pair_tick(p);
}

static bool is_for_rtcp(enum act act)
{
	return act == RTCP || act == DTLS_RTCP;
}

static enum rtpx_payload kind_of(enum act act)
{
	switch (act) {
	case RTP:
		return RTPX_PAYLOAD_RTP;
	case RTCP:
	case MUX:
		return RTPX_PAYLOAD_RTCP;
	case STUN:
		return RTPX_PAYLOAD_STUN;
	case DTLS:
	case DTLS_RTCP:
		return RTPX_PAYLOAD_DTLS;
	default:
		return RTPX_PAYLOAD_OTHER;
	}
}

/* A packet arrives, 20 ms after the previous one. */
static enum stream_verdict arrive(struct pair *p, enum act act, const struct addr *src, uint32_t ssrc,
				  uint16_t seq, enum learning how)
{
	struct rtpx_packet pkt = {
		.now_ns = p->now_ns += PACKET_NS,
		.payload_bytes = act == EMPTY ? 0 : 172,
		.kind = kind_of(act),
		.ssrc = ssrc,
		.rtp_seq = seq,
		.rtp_ts = seq * 160u,
	};
	struct stream *s = is_for_rtcp(act) ? &p->rtcp : &p->rtp;
	struct stream *companion = is_for_rtcp(act) ? &p->rtp : &p->rtcp;
	struct stream before = *s, companion_before = *companion;
	enum stream_verdict v;
	bool moved, differs;

	v = stream_packet(s, companion, src, &pkt, how, &moved);
	stream_tidy(s);
	differs = s->state != before.state || !addr_eq(&s->remote, &before.remote) ||
		  s->twice != before.twice || companion->state != companion_before.state ||
		  !addr_eq(&companion->remote, &companion_before.remote);
	if (differs)
		assert_true(moved);
	p->moved |= moved;
	pair_tick(p);
	return v;
}

/* A dataplane has relayed a packet from the peer, and its statistics were pulled. */
static void forwarded(struct pair *p, uint32_t ssrc, uint16_t seq)
{
	const struct rtpx_packet pkt = {
		.now_ns = p->now_ns += PACKET_NS,
		.payload_bytes = 172,
		.kind = RTPX_PAYLOAD_RTP,
		.ssrc = ssrc,
		.rtp_seq = seq,
	};

	assert_non_null(stream_stats_set(&p->rtp));
	rtpx_stats_packet(p->rtp.stats, &pkt, 1);
}

static void signal_both(struct pair *p, const struct addr *a, bool asymmetric, enum learning how)
{
	struct addr rtcp = addr_with_port(*a, a->port + 1);

	stream_signal(&p->rtp, a, asymmetric, how, p->now_ns);
	stream_signal(&p->rtcp, &rtcp, asymmetric, how, p->now_ns);
}

static void expect_remote(const struct scenario *sc, int i, const char *what, const struct stream *s,
			  const char *want)
{
	const char *space = want ? strchr(want, ' ') : NULL;
	struct addr a = place(want), also = place(space ? space + 1 : NULL);
	char got[ADDR_TEXT];

	if (!want)
		return;
	if (!addr_eq(&s->remote, &a))
		fail_msg("%s, event %d: %s goes to %s, not to %s", sc->name, i, what,
			 addr_text(&s->remote, got), want);
	if (s->twice != !!space || (space && !addr_eq(&s->signalled, &also)))
		fail_msg("%s, event %d: %s goes to %s places, not to %s", sc->name, i, what,
			 s->twice ? "two" : "one", want);
}

static void play_packets(const struct scenario *sc, int i, const struct event *e, struct pair *p)
{
	struct addr a = place(e->who);
	int n;

	for (n = 0; e->verdict[n]; n++) {
		enum stream_verdict v = arrive(p, e->act, &a, e->ssrc, e->seq + n, sc->how);

		if ((v == STREAM_RELAY) != (e->verdict[n] == '+'))
			fail_msg("%s, event %d, packet %d: %s", sc->name, i, n,
				 v == STREAM_RELAY ? "relayed" : "ignored");
	}
}

static void play_talk(struct pair *p, unsigned int ms, enum learning how)
{
	struct addr a = p->rtp.remote;
	unsigned int n;

	for (n = 0; n < ms; n += 20)
		assert_int_equal(arrive(p, RTP, &a, stream_stats(&p->rtp)->ssrc,
					stream_stats(&p->rtp)->max_seq + 1, how),
				 STREAM_RELAY);
}

static void play_reports(struct pair *p, unsigned int n, enum learning how)
{
	struct addr a = p->rtcp.remote;

	while (n--) {
		pair_wait(p, 5 * NSEC_PER_SEC - PACKET_NS);
		assert_int_equal(arrive(p, RTCP, &a, 7, 0, how), STREAM_RELAY);
	}
}

static void play_event(const struct scenario *sc, int i, struct pair *p)
{
	const struct event *e = &sc->events[i];
	struct addr a = place(e->who);

	switch (e->act) {
	case FORWARDED:
		forwarded(p, e->ssrc, e->seq);
		break;
	case WAIT_MS:
		pair_wait(p, e->ssrc * NSEC_PER_MSEC);
		break;
	case TALK:
		play_talk(p, e->seq, sc->how);
		break;
	case REPORTS:
		play_reports(p, e->seq, sc->how);
		break;
	case OTHER_PARTY:
		stream_other_party(&p->rtp, sc->how);
		stream_other_party(&p->rtcp, sc->how);
		break;
	case HOLD:
		stream_hold(&p->rtp, sc->how, p->now_ns);
		stream_hold(&p->rtcp, sc->how, p->now_ns);
		break;
	case SIGNAL:
	case SIGNAL_ASYMMETRIC:
		signal_both(p, &a, e->act == SIGNAL_ASYMMETRIC, sc->how);
		break;
	default:
		play_packets(sc, i, e, p);
	}
}

static void play(const struct scenario *sc)
{
	struct pair p;
	int i;

	pair_init(&p);
	for (i = 0; sc->events[i].act != END; i++) {
		play_event(sc, i, &p);
		expect_remote(sc, i, "RTP", &p.rtp, sc->events[i].remote);
		expect_remote(sc, i, "RTCP", &p.rtcp, sc->events[i].rtcp);
	}
	pair_free(&p);
}

static void every_scenario(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(scenarios); i++)
		play(&scenarios[i]);
}

/* ---- storms ---- */

/*
 * Packets from very many strangers that know the SSRC, @each in a row from one stranger, a
 * millisecond apart. A latched peer keeps talking, and each second its leg is opened again. Returns
 * the number of relayed packets of strangers.
 */
static int storm(struct pair *p, enum learning how, int each, const struct addr *peer,
		 const struct addr *signalled, uint16_t *seq)
{
	int host, n, relayed = 0;

	for (host = 0; host < 5000; host++) {
		struct addr src = { .family = ADDR_IP4, .port = 5000, .ip = { 172, 16, host >> 8, host } };

		for (n = 0; n < each; n++) {
			relayed += arrive(p, RTP, &src, 7, *seq + 1 + n, how) == STREAM_RELAY;
			relayed += arrive(p, RTCP, &src, 7, 0, how) == STREAM_RELAY;
			p->now_ns -= 2 * PACKET_NS - NSEC_PER_MSEC;
		}
		if (peer && host % 10 == 0)
			assert_int_equal(arrive(p, RTP, peer, 7, ++*seq, how), STREAM_RELAY);
		if (peer && host % 50 == 0)
			signal_both(p, signalled, false, how);
	}
	return relayed;
}

static void strangers_learn_nothing(enum learning how, int before, int after)
{
	struct addr signalled = place("A0"), peer = place("A30");
	uint16_t seq = 100;
	struct pair p;

	pair_init(&p);
	signal_both(&p, &signalled, false, how);
	assert_int_equal(storm(&p, how, before, NULL, NULL, &seq), 0);
	assert_true(addr_eq(&p.rtp.remote, &signalled));
	p.now_ns += NSEC_PER_SEC;
	assert_int_equal(arrive(&p, RTP, &peer, 7, ++seq, how), STREAM_RELAY);
	assert_int_equal(arrive(&p, RTP, &peer, 7, ++seq, how), STREAM_RELAY);
	assert_int_equal(arrive(&p, RTP, &peer, 7, ++seq, how), STREAM_RELAY);
	assert_int_equal(storm(&p, how, after, &peer, &signalled, &seq), 0);
	assert_true(addr_eq(&p.rtp.remote, &peer));
	assert_true(stream_stats(&p.rtp)->strangers >= 10000);
	pair_free(&p);
}

static void storms(void **state)
{
	(void)state;
	strangers_learn_nothing(LEARN_STRICT, 20, 20);
	strangers_learn_nothing(LEARN_PROOF, 2, 20);
}

/* A stranger's packet that was in the socket before the command does not count. */
static void early_packet(void **state)
{
	struct addr a = place("A0"), c = place("C0");
	struct pair p;

	(void)state;
	pair_init(&p);
	signal_both(&p, &a, false, LEARN_PROOF);
	arrive(&p, RTP, &a, 7, 1, LEARN_PROOF);
	p.now_ns += NSEC_PER_SEC;
	signal_both(&p, &c, false, LEARN_PROOF);
	p.now_ns -= NSEC_PER_SEC / 2;
	arrive(&p, RTP, &a, 7, 2, LEARN_PROOF);
	assert_true(p.rtp.awaited && addr_eq(&p.rtp.signalled, &c));
	arrive(&p, RTP, &c, 9, 2, LEARN_PROOF);
	assert_true(addr_eq(&p.rtp.remote, &c));
	pair_free(&p);
}

/* ---- memory ---- */

/* A stream has memory for a proof while there is one, and can go back to a copy of it. */
static void blocks_on_demand(void **state)
{
	struct addr a = place("A0"), far = place("N50");
	struct stream_kept kept;
	struct pair p;

	(void)state;
	pair_init(&p);
	signal_both(&p, &a, false, LEARN_PROOF);
	assert_null(p.rtp.stats);
	assert_int_equal(arrive(&p, RTP, &far, 7, 1, LEARN_PROOF), STREAM_IGNORE);
	assert_non_null(p.rtp.stats);
	assert_non_null(stream_rest(&p.rtp)->trial);
	stream_keep(&kept, &p.rtp);
	arrive(&p, RTP, &far, 7, 2, LEARN_PROOF);
	stream_go_back(&p.rtp, &kept);
	assert_int_equal(p.rtp.stats->strangers, 1);
	assert_int_equal(arrive(&p, RTP, &far, 7, 2, LEARN_PROOF), STREAM_IGNORE);
	assert_int_equal(arrive(&p, RTP, &far, 7, 3, LEARN_PROOF), STREAM_RELAY);
	assert_true(addr_eq(&p.rtp.remote, &far));
	assert_null(p.rtp.rest);
	assert_null(p.rtcp.stats);
	pair_free(&p);
}

/* ---- a dataplane in front ---- */

/* The flow that flow.c would install for packets of the stream. */
struct installed {
	bool there;
	struct rtpx_entry entry;
	struct rtpx_entry_more more;
};

static struct installed install(const struct stream *s, enum learning how)
{
	const struct addr *second = stream_second(s, how);
	struct installed in = {
		.there = s->state == STREAM_LATCHED && !s->unproven,
		.more.strangers = stream_strangers(s, how),
		.more.second_port = second->port,
	};

	memcpy(in.more.second, second->ip, sizeof(in.more.second));
	memcpy(in.entry.peer4, s->remote.ip, sizeof(in.entry.peer4));
	return in;
}

/* True if the dataplane, with the installed flow and current statistics, passes the packet. */
static bool passes(const struct installed *in, const struct stream *s, const struct addr *src,
		   const struct rtpx_packet *pkt)
{
	const struct rtpx_config config = { .silence_ms = STREAM_SILENCE_NS / NSEC_PER_MSEC };
	struct rtpx_packet p = *pkt;
	struct rtpx_entry e = in->entry;

	p.family = RTPX_FAMILY_IP4;
	p.src = src->ip;
	p.src_port = src->port;
	e.last_ns = stream_stats(s)->last_ns;
	e.max_seq = stream_stats(s)->max_seq;
	e.window = stream_stats(s)->window;
	e.ssrc = stream_stats(s)->ssrc;
	return rtpx_judge_stranger(&config, &e, &in->more, &p) != RTPX_REASON_drop_stranger;
}

static bool has_learned(const struct stream_kept *a, const struct stream *b)
{
	struct stream_kept now;

	stream_keep(&now, b);
	return memcmp(&a->trial, &now.trial, sizeof(now.trial)) ||
	       !addr_eq(&a->is.remote, &b->remote);
}

static unsigned int dice(unsigned int n)
{
	return (unsigned int)rand() % n;
}

/* A pair behind a dataplane with the flows that sync.c would have installed. */
struct front {
	struct pair pair;
	struct installed rtp, rtcp;
	enum learning how;
};

static void front_sync(struct front *f)
{
	if (!f->pair.moved)
		return;
	f->pair.moved = false;
	f->rtp = install(&f->pair.rtp, f->how);
	f->rtcp = install(&f->pair.rtcp, f->how);
}

static void random_command(struct front *f)
{
	static const char *const names[] = { "A0", "A8", "C0", "a0", "a8", "c0" };
	struct addr a = place(names[dice(ARRAY_SIZE(names))]);
	struct pair *p = &f->pair;

	if (dice(4))
		signal_both(p, &a, false, f->how);
	else
		stream_hold(&p->rtp, f->how, p->now_ns);
	p->moved = true;
	front_sync(f);
}

static void check_passed(struct front *f, enum act act, const struct addr *src, uint32_t ssrc,
			 uint16_t seq)
{
	struct stream *s = is_for_rtcp(act) ? &f->pair.rtcp : &f->pair.rtp;
	const struct installed *in = is_for_rtcp(act) ? &f->rtcp : &f->rtp;
	struct rtpx_packet pkt = { .kind = kind_of(act), .ssrc = ssrc, .rtp_seq = seq,
				   .now_ns = f->pair.now_ns + PACKET_NS };
	bool passed = !in->there || addr_eq(src, &s->remote) || passes(in, s, src, &pkt);
	struct stream_kept before;
	enum stream_verdict v;

	stream_keep(&before, s);
	v = arrive(&f->pair, act, src, ssrc, seq, f->how);
	if (v == STREAM_RELAY || has_learned(&before, s))
		assert_true(passed);
	front_sync(f);
}

static void random_packets(struct front *f)
{
	static const char *const names[] = { "A0", "A8", "A30", "C0", "C40", "N50", "N60", "M1", "a0" };
	static const enum act acts[] = { RTP, RTP, RTP, RTCP, UDPTL, STUN, DTLS, MUX, EMPTY, DTLS_RTCP };
	enum act act = acts[dice(ARRAY_SIZE(acts))];
	struct stream *s = is_for_rtcp(act) ? &f->pair.rtcp : &f->pair.rtp;
	struct addr src = dice(3) ? place(names[dice(ARRAY_SIZE(names))]) : s->remote;
	uint32_t ssrc = dice(2) ? stream_stats(s)->ssrc : dice(3);
	unsigned int run = 1 + dice(5);

	while (src.family != ADDR_NONE && run--)
		check_passed(f, act, &src, ssrc, stream_stats(s)->max_seq + 1);
}

/* The dataplane drops no packet that the daemon would believe or count towards a proof. */
static void dataplane_passes(enum learning how)
{
	int round, n;

	for (round = 0; round < 2000; round++) {
		struct front f = { .how = how };

		pair_init(&f.pair);
		random_command(&f);
		for (n = 0; n < 60; n++) {
			if (dice(8) == 0)
				random_command(&f);
			if (dice(4) == 0)
				pair_wait(&f.pair, dice(12) * 250 * NSEC_PER_MSEC);
			front_sync(&f);
			random_packets(&f);
		}
		pair_free(&f.pair);
	}
}

static void dataplanes(void **state)
{
	(void)state;
	srand(1);
	dataplane_passes(LEARN_PROOF);
	dataplane_passes(LEARN_STRICT);
	dataplane_passes(LEARN_COMPAT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_scenario),
		cmocka_unit_test(storms),
		cmocka_unit_test(early_packet),
		cmocka_unit_test(blocks_on_demand),
		cmocka_unit_test(dataplanes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
