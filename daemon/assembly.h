/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * assembly.h - all modules of the daemon, and how each of them is made with the others. main.c
 * decides when.
 */
#ifndef RTPX_ASSEMBLY_H
#define RTPX_ASSEMBLY_H

#include "config.h"
#include "engine/admission.h"
#include "engine/digits.h"
#include "engine/prompts.h"
#include "net/switchboard.h"
#include "process.h"
#include "record/taps.h"

struct daemon {
	struct config config;
	struct listen *listen;
	struct pid_file pid_file;
	struct event_base *base;
	struct stats stats;
	struct sessions *sessions;
	struct ports *ports;
	struct keeper *keeper; /* NULL: no journal */
	struct groups *groups; /* NULL: without --replicate */
	bool waiting; /* this daemon owns no group: its calls sleep, and it serves no command */
	bool fenced;  /* another daemon has the calls now */
	struct dp *dp;
	struct floor *floor;
	struct switchboard_fds left; /* shared sockets of the previous daemon */
	struct pathmtu *pathmtu;     /* NULL: without a dataplane that needs it */
	struct iptables *iptables;
	struct sync *sync;
	struct recorder *recorder;
	struct mirror *mirror;
	struct relay *relay;
	struct players *players;
	struct notify *notify;
	struct digits digits;
	struct prompts_report prompts_report;
	struct taps taps;
	struct admission admission;
	struct faces *faces;
	struct engine *engine;
	struct commands *commands;
	struct observers *observers;
	struct event *tick, *signal;
	int signal_fd; /* -1: none yet */
	bool stop, slow, files_low;
	bool leave; /* leave the calls and the control sockets to the next daemon */
	bool took;  /* the previous daemon left its control sockets to this one */
	int offer;  /* descriptor of handover_offer(); -1: none */
	unsigned long files_at_start; /* descriptors other than media sockets */
};

/* daemon_sorry - report a failure to start: one sentence on stderr, which is redirected only after
 * the start. Returns -1. */
int daemon_sorry(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* assemble_… - make modules in this order. 0, or -1 after a sentence on stderr. */
int assemble_model(struct daemon *d);
int assemble_media(struct daemon *d);
int assemble_players(struct daemon *d);
int assemble_notify(struct daemon *d);
int assemble_engine(struct daemon *d);
int assemble_observers(struct daemon *d);

#endif
