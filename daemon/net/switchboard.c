/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * switchboard.c - opens the shared sockets, loads the program that fills them, and marks ports in
 * the memory that the program reads. A port costs no system call but the question whether another
 * socket has it, and one question is about several ports.
 *
 * The program counts the packets of each port in a turn of its shared socket, see struct
 * floor_turn. A turn ends when the socket is empty, or when the daemon reads a packet that came
 * after the turn began: each earlier packet has been read by then, because the socket is a queue.
 *
 * The sockets and the link of the program can outlive the process: main.c gives them to the service
 * manager. Then the program of the previous daemon fills the sockets until ours takes its place.
 *
 * Deliberately not here: packets. sockets.c reads them, and sender.c sends them.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/fsuid.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/switchboard.h"
#include "base/clock.h"
#include "base/hash.h"
#include "lookup.skel.h"
#include "net/shared.h"
#include "net/sockopt.h"

/* Packets that one port may have in a shared socket: about as many as a socket of its own had. */
#define SHARE_CALM 512
#define SHARE_BUSY 64 /* the same while the daemon does not keep up, so that it serves all ports */
#define CALM_NS NSEC_PER_SEC	 /* the daemon has kept up for so long: it is not busy any more */
#define TURN_MAX_NS NSEC_PER_SEC /* the clock may have been set: end the turn anyway */
#define HERE_NS NSEC_PER_SEC /* an address that the host had is asked for again after this time */
#define PAIRS (FLOOR_ASKED / 2) /* of one question */
#define ANSWER_NS NSEC_PER_MSEC /* an answer about ports holds so long */
#define ALONE_NS NSEC_PER_MSEC	/* no other daemon shares sockets here: this holds so long */
#define NOTICE_NS NSEC_PER_MSEC /* from one look at the notices of addresses to the next */

/* What the program said about pairs of ports. A bit of @known and @taken stands for each port. */
struct answer {
	uint64_t at_ns; /* 0: it said nothing */
	uint32_t n;
	uint32_t known; /* the answer was not used yet: it counts once */
	uint32_t taken;
	uint16_t port[PAIRS]; /* the even one of each pair */
};

/* A local address with ports. */
struct place {
	struct floor_place key;
	UT_hash_handle hh;
	struct floor_port *ports; /* memory of the place's array */
	void **of;		  /* what the caller of switchboard_open() gave */
	uint64_t here_ns;	  /* when this host had the address; 0: unknown */
	struct answer answer;
};

struct switchboard {
	struct switchboard_opts o;
	struct lookup *skel;
	struct switchboard_fds fds;
	int raw[FLOOR_GROUPS];
	struct ring *ring;		  /* NULL: this host has no packet sockets */
	const struct ring_finder *finder; /* NULL: the ring is not used */
	int notices;			  /* of addresses that come and go */
	uint64_t noticed_ns;		  /* when they were looked at last */
	int net;			  /* the network namespace */
	uint64_t alone_ns;		  /* when no other daemon shared sockets here; 0: unknown */
	struct floor_turn *turns;
	uint64_t began_ns[FLOOR_SOCKETS]; /* CLOCK_REALTIME */
	uint64_t behind_ns;		  /* CLOCK_REALTIME; 0: the daemon keeps up */
	struct place *places, *last;	  /* the one that was used last */
	size_t n_ports;
	struct ports *ports; /* NULL: the coming pairs are not known */
	bool by_port, expects;
};

static unsigned int group_of(enum addr_family family)
{
	return family == ADDR_IP6;
}

static enum addr_family family_of(unsigned int group)
{
	return group ? ADDR_IP6 : ADDR_IP4;
}

/* The group of an element of the map `receivers`. */
static unsigned int group_at(unsigned int i)
{
	return i < FLOOR_SOCKETS ? i / FLOOR_SHARDS : i - FLOOR_SOCKETS;
}

/* ---- places ---- */

static struct floor_place key_of(const struct addr *a)
{
	struct floor_place key = { .group = group_of(a->family) };

	memcpy(key.ip, a->ip, addr_ip_len(a));
	return key;
}

static struct place *place_find(struct switchboard *b, const struct floor_place *key)
{
	struct place *p = b->last;

	if (p && memcmp(&p->key, key, sizeof(*key)) == 0)
		return p;
	HASH_FIND(hh, b->places, key, sizeof(*key), p);
	if (p)
		b->last = p;
	return p;
}

static size_t ports_bytes(const struct switchboard *b)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes = b->n_ports * sizeof(struct floor_port);

	return (bytes + page - 1) / page * page;
}

static void place_free(struct switchboard *b, struct place *p)
{
	if (p->ports != MAP_FAILED)
		munmap(p->ports, ports_bytes(b));
	free(p->of);
	free(p);
}

/* The array of a place. A template for the map of maps is one, too. */
static int make_array(const struct switchboard *b)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "floor_ports", sizeof(uint32_t),
				sizeof(struct floor_port), b->n_ports, &opts);

	return fd < 0 ? -errno : fd;
}

/* Map the array of a place, whose descriptor is @fd, into this process. */
static int place_map(const struct switchboard *b, struct place *p, int fd)
{
	p->ports = mmap(NULL, ports_bytes(b), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	return p->ports == MAP_FAILED ? -errno : 0;
}

/* *@fd is the array of the new place. The program does not know it yet. */
static int place_new(struct switchboard *b, const struct floor_place *key, struct place **out,
		     int *fd)
{
	struct place *p = calloc(1, sizeof(*p));
	int err = -ENOMEM;

	*fd = -1;
	if (!p)
		return -ENOMEM;
	p->key = *key;
	p->ports = MAP_FAILED;
	p->of = calloc(b->n_ports, sizeof(*p->of));
	if (p->of) {
		*fd = make_array(b);
		err = *fd < 0 ? *fd : place_map(b, p, *fd);
	}
	if (!err) {
		HASH_ADD(hh, b->places, key, sizeof(p->key), p);
		err = p->hh.tbl ? 0 : -ENOMEM;
	}
	if (!err) {
		*out = p;
		return 0;
	}
	place_free(b, p);
	if (*fd >= 0)
		close(*fd);
	return err;
}

/* The program lacks the array of @p. */
static void place_undo(struct switchboard *b, struct place *p)
{
	HASH_DEL(b->places, p);
	place_free(b, p);
	b->last = NULL;
}

/*
 * Give the program the array of one place. The kernel returns when no program can have missed it,
 * which takes some milliseconds.
 */
static int place_publish(const struct switchboard *b, const struct place *p, int fd)
{
	return bpf_map_update_elem(bpf_map__fd(b->skel->maps.places), &p->key, &fd, BPF_ANY)
		       ? -errno
		       : 0;
}

/* The same for several places, with one wait on a kernel that can do so. */
static int places_publish(const struct switchboard *b, const struct floor_place *keys,
			  const int *fds, unsigned int n)
{
	LIBBPF_OPTS(bpf_map_batch_opts, opts);
	int places = bpf_map__fd(b->skel->maps.places);
	unsigned int i, done = n;

	if (!n || bpf_map_update_batch(places, keys, fds, &done, &opts) == 0)
		return 0;
	for (i = 0; i < n; i++)
		if (bpf_map_update_elem(places, &keys[i], &fds[i], BPF_ANY))
			return -errno;
	return 0;
}

/* Make the places of the addresses that will have ports. */
static int make_places(struct switchboard *b)
{
	struct floor_place *keys = calloc(b->o.n_hosts + 1, sizeof(*keys));
	int *fds = calloc(b->o.n_hosts + 1, sizeof(*fds)), err = keys && fds ? 0 : -ENOMEM;
	unsigned int i, n = 0;
	struct place *p;

	for (i = 0; i < b->o.n_hosts && !err; i++) {
		keys[n] = key_of(&b->o.hosts[i]);
		if (place_find(b, &keys[n]))
			continue;
		err = place_new(b, &keys[n], &p, &fds[n]);
		n += !err;
	}
	if (!err)
		err = places_publish(b, keys, fds, n);
	for (i = 0; i < n; i++)
		close(fds[i]);
	free(keys);
	free(fds);
	return err;
}

/* The place of an address that was not expected. */
static int place_late(struct switchboard *b, const struct floor_place *key, struct place **out)
{
	int fd, err = place_new(b, key, out, &fd);

	if (err)
		return err;
	err = place_publish(b, *out, fd);
	if (err)
		place_undo(b, *out);
	close(fd);
	return err;
}

/* ---- may a port be opened? ---- */

/* True if addresses of this host have changed since the last look. */
static bool has_notice(struct switchboard *b, uint64_t now_ns)
{
	char byte;
	bool any = false;

	if (now_ns - b->noticed_ns < NOTICE_NS)
		return false;
	b->noticed_ns = now_ns;
	while (recv(b->notices, &byte, 1, MSG_DONTWAIT | MSG_TRUNC) >= 0 || errno == ENOBUFS)
		any = true;
	return any;
}

/* 0, or the -errno of bind(). Closes the socket again. */
static int try_bind(const struct addr *local)
{
	union sock_addr sa;
	socklen_t len = addr_to_sockaddr(local, &sa.any);
	int fd = socket(sa.sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0), err = 0;

	if (fd < 0)
		return -errno;
	if (local->family == ADDR_IP6)
		err = sockopt_set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	if (!err && bind(fd, &sa.sa, len))
		err = -errno;
	close(fd);
	return err;
}

/* 0, or the -errno of bind() for each port of the address. */
static int is_here(struct switchboard *b, struct place *p, const struct addr *local)
{
	struct addr host = addr_with_port(*local, 0);
	uint64_t now_ns = clock_now();
	struct place *each;
	int err;

	if (has_notice(b, now_ns))
		for (each = b->places; each; each = each->hh.next)
			each->here_ns = 0;
	if (p->here_ns && now_ns - p->here_ns < HERE_NS)
		return 0;
	err = try_bind(&host);
	p->here_ns = err ? 0 : now_ns;
	return err;
}

/*
 * Ask whether sockets have the ports of the pairs in @answer, and set answer->taken. No socket is
 * made: the program looks the ports up. @shared: see struct floor_question.
 */
static int ask_pairs(const struct switchboard *b, const struct place *p, bool shared,
		     struct answer *answer)
{
	struct {
		uint8_t ethernet[14];
		struct floor_question q;
	} __attribute__((packed)) frame = {
		.q = { .place = p->key, .n = 2 * answer->n, .shared = shared },
	};
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = &frame, .data_size_in = sizeof(frame),
		    .repeat = 1);
	unsigned int i;

	for (i = 0; i < answer->n; i++) {
		frame.q.port[2 * i] = htons(answer->port[i]);
		frame.q.port[2 * i + 1] = htons(answer->port[i] + 1);
	}
	if (bpf_prog_test_run_opts(bpf_program__fd(b->skel->progs.rtpx_taken), &run))
		return -errno;
	answer->taken = run.retval;
	answer->known = ~0u;
	return 0;
}

static bool is_fresh(const struct answer *a, uint64_t now_ns)
{
	return a->at_ns && now_ns - a->at_ns < ANSWER_NS;
}

/* The bit of a port in the answer; 0: the answer is not about it, or was used. */
static uint32_t port_bit(const struct answer *a, uint16_t port)
{
	unsigned int i = 0;

	while (i < a->n && a->port[i] != (port & ~1))
		i++;
	return i < a->n ? a->known & 1u << (2 * i + (port & 1)) : 0;
}

/*
 * True if this namespace has no program of this kind but ours: no other daemon shares sockets here,
 * not even one that is ending.
 */
static bool is_alone(struct switchboard *b)
{
	uint64_t now_ns = clock_now();
	uint32_t flags, ids[2], n = ARRAY_SIZE(ids);
	int err;

	if (b->alone_ns && now_ns - b->alone_ns < ALONE_NS)
		return true;
	err = bpf_prog_query(b->net, BPF_SK_LOOKUP, 0, &flags, ids, &n);
	b->alone_ns = err || n > 1 ? 0 : now_ns;
	return b->alone_ns != 0;
}

/*
 * Ask about the pair of @local, and about the pairs that come next if the last question was a
 * moment ago: while few calls are made, the answers would be too old. Another daemon may open such
 * a pair meanwhile, so beside one each pair is asked for alone.
 */
static int ask_ahead(struct switchboard *b, struct place *p, const struct addr *local,
		     uint64_t now_ns)
{
	struct answer *a = &p->answer;
	bool ahead = b->ports && is_fresh(a, now_ns) && is_alone(b);
	int err;

	*a = (struct answer){ .n = 1, .port = { local->port & ~1 } };
	if (ahead)
		a->n += ports_coming(b->ports, ports_pool(b->ports, local), a->port + 1, PAIRS - 1);
	err = ask_pairs(b, p, false, a);
	a->at_ns = err ? 0 : now_ns;
	return err;
}

/* 0, -EADDRINUSE or another -errno. */
static int is_free(struct switchboard *b, struct place *p, const struct addr *local)
{
	struct answer *a = &p->answer;
	uint64_t now_ns = clock_now();
	uint32_t bit = is_fresh(a, now_ns) ? port_bit(a, local->port) : 0;
	int err;

	if (!bit) {
		err = ask_ahead(b, p, local, now_ns);
		if (err)
			return err;
		bit = port_bit(a, local->port);
	}
	a->known &= ~bit;
	return a->taken & bit ? -EADDRINUSE : 0;
}

/* 0, -EADDRINUSE if another daemon shares the port, or another -errno. */
static int is_unshared(const struct switchboard *b, const struct place *p, const struct addr *local)
{
	struct answer a = { .n = 1, .port = { local->port & ~1 } };
	int err = ask_pairs(b, p, true, &a);

	if (err)
		return err;
	return a.taken & port_bit(&a, local->port) ? -EADDRINUSE : 0;
}

/*
 * The port of a call that exists (@anyway) is not bound, so another program may have bound it. The
 * call keeps it, because rtpx_lookup is asked before bound sockets. Only the shared sockets of
 * another daemon could have it.
 */
static int may_open(struct switchboard *b, struct place *p, const struct addr *local, bool anyway)
{
	int err;

	if (addr_is_any(local))
		return anyway ? 0 : try_bind(local);
	if (anyway)
		return is_alone(b) ? 0 : is_unshared(b, p, local);
	err = is_here(b, p, local);
	return err ? err : is_free(b, p, local);
}

/* ---- ports ---- */

/* Both ports of a pair have one shard. Neighbours have different ones. */
static uint8_t shard_of(const struct switchboard *b, size_t i)
{
	return (i + b->o.port_min) / 2 % FLOOR_SHARDS;
}

static void set_state(struct floor_port *port, enum floor_state state)
{
	__atomic_store_n(&port->state, state, __ATOMIC_RELEASE);
}

/* The port gets packets, but switchboard_open() was not called for it yet. */
static bool is_expected(const struct place *p, size_t i)
{
	return p->ports[i].state == FLOOR_OPEN && !p->of[i];
}

int switchboard_open(struct switchboard *b, const struct addr *local, void *port, bool deaf,
		     bool anyway)
{
	const struct floor_place key = key_of(local);
	size_t i = (size_t)local->port - b->o.port_min;
	struct place *p = place_find(b, &key);
	int err;

	if (local->port < b->o.port_min || i >= b->n_ports)
		return -ERANGE;
	if (switchboard_raw(b, local->family) < 0)
		return -EAFNOSUPPORT;
	if (!p) {
		err = place_late(b, &key, &p);
		if (err)
			return err;
	}
	if (p->ports[i].state != FLOOR_CLOSED && !(anyway && is_expected(p, i)))
		return -EADDRINUSE;
	err = is_expected(p, i) ? 0 : may_open(b, p, local, anyway);
	if (err)
		return err;
	p->of[i] = deaf ? NULL : port;
	p->ports[i].shard = shard_of(b, i);
	set_state(&p->ports[i], deaf ? FLOOR_DEAF : FLOOR_OPEN);
	return 0;
}

void switchboard_use_ports(struct switchboard *b, struct ports *ports)
{
	b->ports = ports;
}

void switchboard_close(struct switchboard *b, const struct addr *local)
{
	const struct floor_place key = key_of(local);
	struct place *p = place_find(b, &key);
	size_t i = (size_t)local->port - b->o.port_min;

	set_state(&p->ports[i], FLOOR_CLOSED);
	p->of[i] = NULL;
}

/* True if @dest has a port of the range, which then is number *@i. */
static bool in_range(const struct switchboard *b, const struct addr *dest, size_t *i)
{
	*i = (size_t)dest->port - b->o.port_min;
	return dest->port >= b->o.port_min && *i < b->n_ports;
}

static void expect_port(struct switchboard *b, const struct addr *local)
{
	const struct floor_place key = key_of(local);
	struct place *p = place_find(b, &key);
	size_t i;

	if (!p || !in_range(b, local, &i))
		return;
	p->ports[i].shard = shard_of(b, i);
	set_state(&p->ports[i], FLOOR_OPEN);
	b->expects = true;
}

void switchboard_expect_end(struct switchboard *b)
{
	struct place *p;
	size_t i;

	for (p = b->expects ? b->places : NULL; p; p = p->hh.next)
		for (i = 0; i < b->n_ports; i++)
			if (is_expected(p, i))
				set_state(&p->ports[i], FLOOR_CLOSED);
	b->expects = false;
}

void *const *switchboard_slot(struct switchboard *b, const struct addr *dest)
{
	struct floor_place key = key_of(dest);
	struct place *p;
	size_t i;

	if (!in_range(b, dest, &i))
		return NULL;
	p = place_find(b, &key);
	return p ? &p->of[i] : NULL;
}

void *switchboard_find(struct switchboard *b, const struct addr *dest)
{
	const struct floor_place any = { .group = group_of(dest->family) };
	void *const *slot = switchboard_slot(b, dest);
	struct place *p;
	size_t i;

	if (slot && *slot)
		return *slot;
	p = in_range(b, dest, &i) ? place_find(b, &any) : NULL;
	return p ? p->of[i] : NULL;
}

int switchboard_socket(const struct switchboard *b, unsigned int i)
{
	return b->fds.sockets[i];
}

int switchboard_raw(const struct switchboard *b, enum addr_family family)
{
	return b->raw[group_of(family)];
}

void switchboard_set_by_port(struct switchboard *b, bool by_port)
{
	b->by_port = by_port;
}

bool switchboard_by_port(const struct switchboard *b)
{
	return b->by_port;
}

struct ring *switchboard_ring(const struct switchboard *b, const struct ring_finder **finder)
{
	*finder = b->finder;
	return b->finder ? b->ring : NULL;
}

void switchboard_use_ring(struct switchboard *b, const struct ring_finder *finder)
{
	b->finder = finder;
}

bool switchboard_has_ring(const struct switchboard *b)
{
	return b->ring != NULL;
}

/* ---- turns ---- */

static void set_share(struct switchboard *b, uint32_t share)
{
	unsigned int i;

	for (i = 0; i < FLOOR_SOCKETS; i++)
		__atomic_store_n(&b->turns[i].share, share, __ATOMIC_RELAXED);
}

void switchboard_read(struct switchboard *b, unsigned int i, uint64_t stamp_ns, uint64_t now_ns,
		      bool empty)
{
	if (b->behind_ns && now_ns - b->behind_ns > CALM_NS) {
		b->behind_ns = 0;
		set_share(b, SHARE_CALM);
	}
	if (!empty && stamp_ns <= b->began_ns[i] && now_ns - b->began_ns[i] < TURN_MAX_NS)
		return;
	b->began_ns[i] = now_ns;
	__atomic_store_n(&b->turns[i].turn, b->turns[i].turn + 1, __ATOMIC_RELAXED);
}

void switchboard_behind(struct switchboard *b, uint64_t now_ns)
{
	if (!b->behind_ns)
		set_share(b, SHARE_BUSY);
	b->behind_ns = now_ns;
}

uint64_t switchboard_refused(const struct switchboard *b)
{
	uint64_t n = 0;
	unsigned int i;

	for (i = 0; i < FLOOR_SOCKETS; i++)
		n += __atomic_load_n(&b->turns[i].refused, __ATOMIC_RELAXED);
	return n;
}

/* ---- begin and end ---- */

/* A socket of the previous daemon, which may have packets, or a new one. */
static int left_socket(const struct switchboard *b, uint32_t i)
{
	enum addr_family family = family_of(group_at(i));
	int fd = b->fds.link >= 0 ? b->o.left->sockets[i] : -1;

	if (!shared_is_usable(fd, family))
		return shared_new(family, b->o.port_min, b->o.port_max);
	b->o.left->sockets[i] = -1;
	return fd;
}

static int open_socket(struct switchboard *b, uint32_t i)
{
	int fd = left_socket(b, i), err;
	uint64_t value = (uint64_t)fd;

	if (fd < 0)
		return fd;
	b->fds.sockets[i] = fd;
	err = i < FLOOR_SOCKETS ? shared_receive(fd, family_of(group_at(i))) : sockopt_deaf(fd);
	if (!err && bpf_map_update_elem(bpf_map__fd(b->skel->maps.receivers), &i, &value, BPF_ANY))
		err = -errno;
	return err;
}

static void close_group(struct switchboard *b, unsigned int group)
{
	unsigned int i;

	for (i = 0; i < FLOOR_RECEIVERS; i++) {
		if (group_at(i) != group || b->fds.sockets[i] < 0)
			continue;
		close(b->fds.sockets[i]);
		b->fds.sockets[i] = -1;
	}
	if (b->raw[group] >= 0)
		close(b->raw[group]);
	b->raw[group] = -1;
}

static int open_group(struct switchboard *b, unsigned int group)
{
	uint32_t i;
	int err = 0;

	b->raw[group] = shared_new_raw(family_of(group));
	if (b->raw[group] < 0)
		return b->raw[group];
	for (i = 0; i < FLOOR_SHARDS && !err; i++)
		err = open_socket(b, group * FLOOR_SHARDS + i);
	return err ? err : open_socket(b, FLOOR_SOCKETS + group);
}

/* Open the sockets as the user of -u, whom the host's rules see as their owner. */
static int open_sockets(struct switchboard *b)
{
	uid_t uid = b->o.uid != (uid_t)-1 ? (uid_t)setfsuid(b->o.uid) : (uid_t)-1;
	gid_t gid = b->o.gid != (gid_t)-1 ? (gid_t)setfsgid(b->o.gid) : (gid_t)-1;
	int err = open_group(b, 0);

	/* A host without IPv6 is served all the same. */
	if (!err && open_group(b, 1))
		close_group(b, 1);
	/* Without packet sockets, raw sockets send all packets. */
	if (!err && ring_new(&b->ring))
		b->ring = NULL;
	if (uid != (uid_t)-1)
		setfsuid(uid);
	if (gid != (gid_t)-1)
		setfsgid(gid);
	return err;
}

static int load(struct switchboard *b)
{
	int model = make_array(b), err;

	if (model < 0)
		return model;
	b->skel = lookup__open();
	err = b->skel ? 0 : -errno;
	if (!err) {
		b->skel->rodata->media_first = b->o.port_min;
		b->skel->rodata->media_ports = b->n_ports;
		err = bpf_map__set_inner_map_fd(b->skel->maps.places, model);
	}
	if (!err)
		err = lookup__load(b->skel);
	close(model);
	if (err)
		return err;
	b->turns = mmap(NULL, FLOOR_SOCKETS * sizeof(*b->turns), PROT_READ | PROT_WRITE, MAP_SHARED,
			bpf_map__fd(b->skel->maps.turns), 0);
	return b->turns == MAP_FAILED ? -errno : 0;
}

static int open_notices(struct switchboard *b)
{
	struct sockaddr_nl nl = { .nl_family = AF_NETLINK,
				  .nl_groups = RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR };

	b->notices = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (b->notices < 0 || bind(b->notices, (struct sockaddr *)&nl, sizeof(nl)))
		return -errno;
	return 0;
}

/* Take the link of the previous daemon over, if there is one and it is of this namespace. */
static void take_link(struct switchboard *b)
{
	struct bpf_link_info info = { 0 };
	uint32_t len = sizeof(info);
	struct stat here;

	if (!b->o.left || b->o.left->link < 0 || fstat(b->net, &here) ||
	    bpf_obj_get_info_by_fd(b->o.left->link, &info, &len) ||
	    info.type != BPF_LINK_TYPE_NETNS || info.netns.attach_type != BPF_SK_LOOKUP ||
	    info.netns.netns_ino != here.st_ino)
		return;
	b->fds.link = b->o.left->link;
	b->o.left->link = -1;
}

/*
 * Open the ports that are expected. Not beside another daemon with shared sockets, which may have
 * such a port: then switchboard_open() asks for each.
 */
static void expect_all(struct switchboard *b)
{
	uint32_t flags, ids[2], n = ARRAY_SIZE(ids);
	size_t i;

	if (bpf_prog_query(b->net, BPF_SK_LOOKUP, 0, &flags, ids, &n) || n > (b->fds.link >= 0))
		return;
	for (i = 0; i < b->o.n_expected; i++)
		expect_port(b, &b->o.expected[i]);
}

/*
 * Begin to receive: the program serves the network namespace of this process. It takes the place
 * of the previous daemon's between two packets.
 */
static int attach(struct switchboard *b)
{
	int prog = bpf_program__fd(b->skel->progs.rtpx_lookup);

	if (b->fds.link >= 0)
		return bpf_link_update(b->fds.link, prog, NULL) ? -errno : 0;
	b->fds.link = bpf_link_create(prog, b->net, BPF_SK_LOOKUP, NULL);
	return b->fds.link < 0 ? -errno : 0;
}

static int quiet(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level, (void)format, (void)args;
	return 0;
}

static int begin(struct switchboard *b, const char **step)
{
	int err;

	*step = "the program cannot be loaded";
	err = load(b);
	if (err)
		return err;
	*step = "the network namespace cannot be opened";
	b->net = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (b->net < 0)
		return -errno;
	take_link(b);
	*step = "sockets cannot be opened";
	err = open_sockets(b);
	if (!err)
		err = open_notices(b);
	if (!err)
		err = make_places(b);
	if (err)
		return err;
	*step = "the program cannot be attached to the network namespace";
	set_share(b, SHARE_CALM);
	expect_all(b);
	return attach(b);
}

int switchboard_new(struct switchboard **out, const struct switchboard_opts *opts, char *err,
		    size_t err_size)
{
	struct switchboard *b = calloc(1, sizeof(*b));
	libbpf_print_fn_t print;
	const char *step;
	unsigned int i;
	int rc;

	if (!b) {
		snprintf(err, err_size, "out of memory");
		return -ENOMEM;
	}
	b->o = *opts;
	b->n_ports = (size_t)opts->port_max - opts->port_min + 1;
	b->notices = b->net = b->fds.link = -1;
	b->turns = MAP_FAILED;
	for (i = 0; i < FLOOR_RECEIVERS; i++)
		b->fds.sockets[i] = -1;
	for (i = 0; i < FLOOR_GROUPS; i++)
		b->raw[i] = -1;
	print = libbpf_set_print(quiet);
	rc = begin(b, &step);
	libbpf_set_print(print);
	if (rc) {
		snprintf(err, err_size, "%s: %s%s", step, strerror(-rc),
			 rc == -EPERM || rc == -EACCES
				 ? "; it needs CAP_BPF, CAP_NET_ADMIN and CAP_NET_RAW"
				 : "");
		switchboard_free(b);
		return rc;
	}
	b->o.expected = NULL; /* as hosts: borrowed until now */
	b->o.left = NULL;
	*out = b;
	return 0;
}

void switchboard_fds(const struct switchboard *b, struct switchboard_fds *out)
{
	*out = b->fds;
}

void switchboard_free(struct switchboard *b)
{
	struct place *p;
	unsigned int i;

	if (!b)
		return;
	if (b->fds.link >= 0)
		close(b->fds.link);
	for (i = 0; i < FLOOR_GROUPS; i++)
		close_group(b, i);
	ring_free(b->ring);
	while ((p = b->places)) {
		HASH_DEL(b->places, p);
		place_free(b, p);
	}
	if (b->notices >= 0)
		close(b->notices);
	if (b->net >= 0)
		close(b->net);
	if (b->turns != MAP_FAILED)
		munmap(b->turns, FLOOR_SOCKETS * sizeof(*b->turns));
	if (b->skel)
		lookup__destroy(b->skel);
	free(b);
}
