/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * proto.h - the rtpproxy control grammar: a command line to a struct request, replies to bytes.
 *
 * Pure: it allocates nothing, resolves no name, reads no clock and has no sessions. Spans in a
 * request point into the line and are valid as long as the line. The command module executes
 * requests.
 */
#ifndef RTPX_PROTO_H
#define RTPX_PROTO_H

#include "base/addr.h"
#include "base/base.h"

#define PROTO_LINE_MAX 8191  /* longest command without its newline */
#define PROTO_COOKIE_MAX 255 /* longest cookie of a datagram */
#define PROTO_REPLY_MAX 1024 /* longest reply with its newline, without a cookie */
#define PROTO_TOKENS_MAX 23  /* in a command, and again in each of its sub-commands */
#define PROTO_SUBS_MAX 15
#define PROTO_NAMES_MAX 22 /* counters that one G can name */

/* The number after E in a reply. E0 is an error, so PROTO_OK is not 0. */
enum proto_error {
	PROTO_OK = -1,
	E_COMMAND = 0,	   /* unknown command letter */
	E_ARGS = 1,	   /* number of arguments */
	E_MODIFIERS = 2,   /* modifiers on a command that takes none */
	E_SUB = 3,	   /* sub-command not allowed here, unknown or malformed */
	E_SYNTAX = 5,	   /* empty, a NUL, too many tokens or sub-commands, a stray && */
	E_RECORD_PORT = 6, /* R: p; N: text after a */
	E_RECORD_MOD = 7,  /* R, C, N: unknown modifier */
	E_DELETE_MOD = 8,
	E_STATS_MOD = 9,
	E_NOTIFY_TAG = 10, /* not URL-decodable */
	E_EXTERNAL = 11,   /* e without bridge mode, or a third e or i */
	E_INTERNAL = 12,   /* i: likewise */
	E_PTIME = 13,
	E_CODECS = 14,
	E_LOCAL = 15,  /* l: malformed */
	E_REMOTE = 16, /* r: malformed */
	E_PLAY_COUNT = 17,
	E_INFO_MOD = 18,
	E_QUERY_MOD = 19,
	E_STATS_LONG = 25,  /* G: the reply does not fit */
	E_QUERY_LONG = 26,  /* Q: likewise */
	E_LOCAL_ADDR = 31,  /* l: unknown label, not an address */
	E_REMOTE_ADDR = 32, /* r: not an address, no route */
	E_VALUE = 35,	    /* U, L: unknown modifier; P: "session" without known codecs */
	E_FAMILY = 36,	    /* no local address of the family */
	E_PEER = 37,	    /* remote address or port */
	E_SESSION = 50,	    /* not found */
	E_PLAY = 60,	    /* no playable file */
	E_QUERY_NAME = 62,
	E_COPY = 65,
	E_STATS_NAME = 68,
	E_PORTS_OLD = 71,  /* no ports for an existing session */
	E_PORTS_NEW = 72,  /* no ports for a new session */
	E_NOTIFY_OFF = 75, /* notify arguments, but no -n */
	E_MEMORY = 81,
	E_OVERLOAD = 98, /* new session refused: --max-sessions, --max-cps */
	E_SHUTDOWN = 99, /* new session refused: draining, slow shutdown */
};

enum proto_op {
	OP_UPDATE,     /* U */
	OP_LOOKUP,     /* L */
	OP_DELETE,     /* D */
	OP_PLAY,       /* P */
	OP_STOP,       /* S */
	OP_RECORD,     /* R */
	OP_COPY,       /* C */
	OP_NORECORD,   /* N */
	OP_QUERY,      /* Q */
	OP_DELETE_ALL, /* X */
	OP_INFO,       /* I */
	OP_STATS,      /* G */
	OP_VERSION,    /* V */
	OP_FEATURE,    /* VF */
};

enum proto_symmetry { SYMMETRY_UNSET, SYMMETRY_YES, SYMMETRY_NO }; /* last of s (yes) and a (no) */
enum proto_side { SIDE_UNSET, SIDE_EXTERNAL, SIDE_INTERNAL };	   /* e, i */
enum proto_local { PROTO_LOCAL_UNSET, PROTO_LOCAL_ADDR, PROTO_LOCAL_LABEL, PROTO_LOCAL_ROUTE };

/* The media of one party, from U, L or the sub-command L. */
struct media_req {
	struct addr peer; /* for RTP; may have port 0; ADDR_NONE: not usable, or on hold */
	bool on_hold;	  /* the address was 0.0.0.0 or :: */
	bool ipv6;	  /* 6 */
	bool weak;	  /* w */
	bool new_port;	  /* n */
	enum proto_symmetry symmetry;
	enum proto_side side[2]; /* e, i: [0] this party's leg, [1] the leg of the returned port */
	uint16_t ptime_ms;	 /* z, 1 to 999; 0: not given */
	struct span codecs;	 /* c list as written, digits and commas; .p NULL: not given */
	enum proto_local local;	 /* the last of l and r */
	struct addr local_addr;	 /* port 0; _ADDR: use it; _ROUTE: use a local address towards it */
	struct span label;	 /* _LABEL: one of proto_opts.labels, if those were given */
};

enum sub_op {
	SUB_MODULE, /* M */
	SUB_DELETE, /* D */
	SUB_SET,    /* S */
	SUB_LOOKUP, /* L */
	SUB_COPY,   /* C */
};

enum sub_set { SET_TTL, SET_TOS };

#define PROTO_MODULE_DTMF 3 /* rtpproxy's number of its module catch_dtmf */
#define PROTO_DTMF_TYPE 101 /* payload type of telephone events without PT */

/* M3:1 TAG [PT] [h]: report the telephone events of a party. */
struct dtmf_req {
	bool valid;	 /* false: wrong arguments, the result is -1 and not E3 */
	struct span tag; /* as written, for proto_unquote(), which succeeds */
	uint8_t payload_type;
	bool hide; /* h: do not relay events */
};

struct subcmd {
	enum sub_op op;
	bool weak;			       /* D: w */
	bool reverse;			       /* S: the other leg */
	enum sub_set what;		       /* S */
	int value;			       /* S: 1 and above */
	struct media_req media;		       /* L */
	struct span call_id, from_tag, to_tag; /* C: the session to copy from */
	unsigned int module, instance;	       /* M */
	struct dtmf_req dtmf;		       /* M3 */
};

/* A parsed command. Spans that the form of the command does not have are {NULL, 0}. */
struct request {
	enum proto_op op;
	struct span call_id, from_tag, to_tag;
	struct span notify_socket; /* U: as written */
	struct span notify_tag;	   /* U: as written, for proto_unquote(), which succeeds */
	struct media_req media;	   /* U, L */
	struct span target;	   /* C: file name or udp:host:port; P: prompt name */
	struct span codecs;	   /* P: list or "session", not checked */
	int count;		   /* P: repetitions, default 1; 0 stops, below 0 for ever */
	struct span date;	   /* VF */
	struct span names[PROTO_NAMES_MAX]; /* Q, G */
	unsigned int names_n;
	bool weak;	  /* D: w */
	bool single_file; /* R, C: s */
	bool reply_port;  /* C: p */
	bool both;	  /* N: a */
	bool verbose;	  /* Q, G: v */
	bool brief, load; /* I: b, l */
	struct subcmd sub[PROTO_SUBS_MAX];
	unsigned int subs_n;
};

/* The configuration that the parser needs to check in the protocol's order. */
struct proto_opts {
	bool bridge;			 /* internal and external address are configured */
	enum addr_family default_family; /* of the first listener; ADDR_NONE: no E36 from proto */
	bool have_ip4, have_ip6;	 /* a local address exists, or l or r added it */
	const struct span *labels;	 /* of the listeners; NULL: allow any label */
	unsigned int labels_n;
	uint32_t modules; /* bit N: module N has an instance 1, for M<N>:1 */
};

/*
 * proto_parse - parse one command without its cookie. @line may hold any bytes, and end in a
 * newline. Returns PROTO_OK, or the first error in the protocol's order of checks. After an error
 * *@out is undefined.
 */
enum proto_error proto_parse(struct request *out, const char *line, size_t len,
			     const struct proto_opts *opts);

/*
 * proto_cookie - split a datagram into its first token and the rest, both spans into @buf. A
 * datagram of only a cookie leaves *@command empty. 0, or -EINVAL when the cookie is missing, has a
 * NUL or is longer than PROTO_COOKIE_MAX; the reply is then E5 without a cookie.
 */
int proto_cookie(const char *buf, size_t len, struct span *cookie, struct span *command);

/* proto_call_id - the second token of @command, the call-id of most commands; empty: none. */
struct span proto_call_id(struct span command);

/*
 * proto_unquote - decode %XX, and + to a blank. @out takes up to @in.len bytes and gets no NUL at
 * its end; NULL: only check. Returns the decoded length or -EINVAL. The result may hold any byte,
 * also NUL and newline.
 */
int proto_unquote(struct span in, char *out);

/*
 * A reply under construction. Start with {0}. Its bytes are text[0] to text[len - 1], without a
 * NUL.
 */
struct reply {
	size_t len;
	unsigned int silent; /* sub-commands without data since the latest shown result */
	bool full;	     /* a part did not fit; the text before it is whole */
	bool cut;	     /* a sub-command's result did not fit; the text ends with its -1 */
	char text[PROTO_REPLY_MAX];
};

/* reply_add - append formatted text if it fits, else nothing. A byte stays free for the newline. */
void reply_add(struct reply *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * reply_port - append "PORT[ ADDR[ 6]]" for a local face. PORT is @local's. ADDR is @advertised, or
 * @local if that is NULL; it is left out if @local is an any-address. The suffix " 6" follows an
 * IPv6 @local.
 */
void reply_port(struct reply *r, const struct addr *local, const char *advertised);

/*
 * reply_sub - append the result of the next sub-command. @failed: the result is -1, and no call
 * should follow. Otherwise it is @data. Empty or NULL @data is a silent success: it shows as 0 only
 * before a later result. A result that does not fit becomes a last " && -1".
 */
void reply_sub(struct reply *r, bool failed, const char *data);

/* reply_end - append the newline. A reply that did not fit becomes the error @overflow. */
void reply_end(struct reply *r, enum proto_error overflow);

/* reply_error - replace the whole reply by "E<n>\n". */
void reply_error(struct reply *r, enum proto_error error);

/* reply_number - replace the whole reply by "<n>\n". */
void reply_number(struct reply *r, unsigned int n);

#endif
