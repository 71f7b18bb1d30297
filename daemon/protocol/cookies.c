/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cookies.c - a cache of replies to datagrams. It reads no clock and uses no socket.
 *
 * Entries lie one behind the other in chunks, in the order in which they came. An entry has no
 * allocation of its own: a chunk is allocated for its first entry and freed after its last one.
 */
#include "protocol/cookies.h"
#include "base/fnv.h"
#include "base/table.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/queue.h>

#define SWEPT_MAX 10000 /* old entries that one sweep removes; a millisecond's work */

/* The bytes of a key begin with these of struct cookies_key. Its cookie follows. */
#define KEY_HEAD offsetof(struct cookies_key, cookie)
#define KEY_MAX (KEY_HEAD + PROTO_COOKIE_MAX)

/* An entry keeps the fields of its key, and only those bytes of the address that its family has. */
struct entry {
	struct table_link link;
	uint64_t command_hash;
	uint64_t stored_ns;
	uint16_t reply_len;
	uint8_t family;
	uint8_t cookie_len;
	char bytes[]; /* the address, the cookie, the reply */
};

_Static_assert(PROTO_COOKIE_MAX <= UINT8_MAX, "cookie_len is large enough");
_Static_assert(COOKIES_REPLY_MAX <= UINT16_MAX, "reply_len is large enough");

struct chunk {
	TAILQ_ENTRY(chunk) list;
	uint32_t begin, end; /* of the entries in bytes[] */
	uint32_t n;	     /* entries */
	_Alignas(struct entry) char bytes[];
};

#define ENTRY_MAX (sizeof(struct entry) + 16 + PROTO_COOKIE_MAX + COOKIES_REPLY_MAX)
#define MALLOC_HEAD sizeof(size_t) /* bytes that malloc keeps in front of a block */
#define CHUNK_HEAD (MALLOC_HEAD + sizeof(struct chunk))
#define CHUNK_MIN 2048u
#define CHUNK_MAX 65536u
#define CHUNKS 16 /* so many fit into max_bytes; more of CHUNK_MAX, fewer of CHUNK_MIN */

_Static_assert(CHUNK_HEAD + ENTRY_MAX <= CHUNK_MIN, "every entry fits into a chunk");

struct cookies {
	struct table table;
	TAILQ_HEAD(chunks, chunk) chunks; /* oldest first; only the newest may be without entries */
	struct chunk *spare;	 /* NULL, or one for later: a steady rate needs no malloc() */
	size_t chunk_bytes;	 /* memory of each chunk, MALLOC_HEAD included */
	size_t bytes, max_bytes; /* of all chunks, the spare one included */
	void (*stored)(void *arg, struct span key, struct span reply, uint64_t stored_ns);
	void *arg; /* of stored */
};

int cookies_new(struct cookies **out, size_t max_bytes)
{
	struct cookies *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->max_bytes = max_bytes;
	c->chunk_bytes = MIN(MAX(max_bytes / CHUNKS, CHUNK_MIN), CHUNK_MAX) & ~(size_t)15;
	TAILQ_INIT(&c->chunks);
	*out = c;
	return 0;
}

size_t cookies_bytes(const struct cookies *c)
{
	return c->bytes + table_bytes(&c->table);
}

void cookies_free(struct cookies *c)
{
	struct chunk *k;

	if (!c)
		return;
	while ((k = TAILQ_FIRST(&c->chunks))) {
		TAILQ_REMOVE(&c->chunks, k, list);
		free(k);
	}
	free(c->spare);
	table_free(&c->table);
	free(c);
}

/* ---- keys ---- */

static struct span bytes_of(const struct cookies_key *key)
{
	return (struct span){ (const char *)key, KEY_HEAD + key->cookie_len };
}

void cookies_key_set(struct cookies_key *key, const struct addr *from, struct span cookie,
		     struct span command)
{
	struct span bytes;

	/* A collision also needs the same host and cookie, within COOKIES_LIFE_NS. */
	key->command_hash = fnv_add(FNV_BASIS, command);
	memcpy(key->ip, from->ip, sizeof(key->ip));
	key->family = from->family;
	key->cookie_len = MIN(cookie.len, sizeof(key->cookie));
	memcpy(key->cookie, cookie.p, key->cookie_len);
	bytes = bytes_of(key);
	key->hash = table_hash(bytes.p, bytes.len);
}

static size_t ip_len(uint8_t family)
{
	return addr_ip_len(&(struct addr){ .family = family });
}

/*
 * The bytes may come from a damaged file, so check their length. An entry has no room for bytes
 * behind the address: they must be 0.
 */
static bool key_read(struct cookies_key *key, struct span bytes)
{
	static const uint8_t zeros[sizeof(key->ip)];
	size_t n;

	if (bytes.len < KEY_HEAD || bytes.len > KEY_MAX)
		return false;
	memcpy(key, bytes.p, bytes.len);
	key->cookie_len = bytes.len - KEY_HEAD;
	key->hash = table_hash(bytes.p, bytes.len);
	n = ip_len(key->family);
	return memcmp(key->ip + n, zeros, sizeof(key->ip) - n) == 0;
}

/* ---- entries ---- */

static struct entry *entry_at(const struct chunk *k, uint32_t at)
{
	return (struct entry *)(k->bytes + at);
}

static size_t entry_bytes(const struct entry *e)
{
	size_t n = offsetof(struct entry, bytes) + ip_len(e->family) + e->cookie_len + e->reply_len;

	return (n + _Alignof(struct entry) - 1) & ~(_Alignof(struct entry) - 1);
}

static struct span reply_of(const struct entry *e)
{
	return (struct span){ e->bytes + ip_len(e->family) + e->cookie_len, e->reply_len };
}

/* The key without its hash, which cookies_each() does not need. */
static void entry_key(const struct entry *e, struct cookies_key *key)
{
	size_t n = ip_len(e->family);

	*key = (struct cookies_key){
		.command_hash = e->command_hash,
		.family = e->family,
		.cookie_len = e->cookie_len,
	};
	memcpy(key->ip, e->bytes, n);
	memcpy(key->cookie, e->bytes + n, e->cookie_len);
}

static bool has_key(const struct entry *e, const struct cookies_key *key)
{
	size_t n = ip_len(key->family);

	return e->command_hash == key->command_hash && e->family == key->family &&
	       e->cookie_len == key->cookie_len && memcmp(e->bytes, key->ip, n) == 0 &&
	       memcmp(e->bytes + n, key->cookie, key->cookie_len) == 0;
}

void cookies_fetch(const struct cookies *c, const struct cookies_key *keys, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		table_fetch_bucket(&c->table, keys[i].hash);
	for (i = 0; i < n; i++)
		table_fetch_first(&c->table, keys[i].hash);
}

static struct entry *entry_find(const struct cookies *c, const struct cookies_key *key)
{
	struct table_link *link = table_first(&c->table, key->hash);
	struct entry *e;

	for (; link; link = table_next(link)) {
		e = container_of(link, struct entry, link);
		if (has_key(e, key))
			return e;
	}
	return NULL;
}

struct span cookies_find(const struct cookies *c, const struct cookies_key *key)
{
	struct entry *e = entry_find(c, key);

	return e ? reply_of(e) : (struct span){ NULL, 0 };
}

/* ---- chunks ---- */

/* Remove the oldest entry. There is one. */
static void forget_oldest(struct cookies *c)
{
	struct chunk *k = TAILQ_FIRST(&c->chunks);
	struct entry *e = entry_at(k, k->begin);

	table_del(&c->table, &e->link);
	k->begin += entry_bytes(e);
	if (--k->n)
		return;
	TAILQ_REMOVE(&c->chunks, k, list);
	if (!c->spare) {
		c->spare = k;
		return;
	}
	free(k);
	c->bytes -= c->chunk_bytes;
}

static struct chunk *chunk_append(struct cookies *c)
{
	struct chunk *k = c->spare;

	if (!k) {
		k = malloc(c->chunk_bytes - MALLOC_HEAD);
		if (!k)
			return NULL;
		c->bytes += c->chunk_bytes;
	}
	c->spare = NULL;
	k->begin = k->end = k->n = 0;
	TAILQ_INSERT_TAIL(&c->chunks, k, list);
	return k;
}

/* The chunk for a new entry of @size bytes. The entries of the oldest chunk may have to go. */
static struct chunk *chunk_for(struct cookies *c, size_t size)
{
	struct chunk *k = TAILQ_LAST(&c->chunks, chunks);

	if (k && size <= c->chunk_bytes - CHUNK_HEAD - k->end)
		return k;
	while (!c->spare && c->table.n && c->bytes + c->chunk_bytes > c->max_bytes)
		forget_oldest(c);
	return chunk_append(c);
}

static void cookie_add(struct cookies *c, const struct cookies_key *key, struct span reply,
		       uint64_t stored_ns)
{
	const struct entry head = {
		.command_hash = key->command_hash,
		.stored_ns = stored_ns,
		.reply_len = reply.len,
		.family = key->family,
		.cookie_len = key->cookie_len,
	};
	size_t size = entry_bytes(&head), n = ip_len(key->family);
	struct chunk *k = chunk_for(c, size);
	struct entry *e;

	if (!k)
		return;
	e = entry_at(k, k->end);
	*e = head;
	memcpy(e->bytes, key->ip, n);
	memcpy(e->bytes + n, key->cookie, key->cookie_len);
	memcpy(e->bytes + n + key->cookie_len, reply.p, reply.len);
	if (table_add(&c->table, &e->link, key->hash))
		return;
	k->end += size;
	k->n++;
}

/* Remove at most @max of the entries that are too old. */
static void forget_old(struct cookies *c, uint64_t now_ns, unsigned int max)
{
	const struct chunk *k;

	while (max-- && c->table.n) {
		k = TAILQ_FIRST(&c->chunks);
		if (now_ns - entry_at(k, k->begin)->stored_ns < COOKIES_LIFE_NS)
			return;
		forget_oldest(c);
	}
}

/* Each new entry removes two old ones, so the sweep never has a backlog. */
void cookies_store(struct cookies *c, const struct cookies_key *key, struct span reply,
		   uint64_t now_ns)
{
	if (reply.len > COOKIES_REPLY_MAX)
		return;
	forget_old(c, now_ns, 2);
	cookie_add(c, key, reply, now_ns);
	if (c->stored)
		c->stored(c->arg, bytes_of(key), reply, now_ns);
}

void cookies_watch(struct cookies *c,
		   void (*stored)(void *arg, struct span key, struct span reply,
				  uint64_t stored_ns),
		   void *arg)
{
	c->stored = stored;
	c->arg = arg;
}

void cookies_each(const struct cookies *c, uint64_t since_ns, unsigned int max,
		  void (*fn)(void *arg, struct span key, struct span reply, uint64_t stored_ns),
		  void *arg)
{
	unsigned int n = c->table.n, skip = n > max ? n - max : 0;
	const struct chunk *k;
	const struct entry *e;
	struct cookies_key key;
	uint32_t at;

	TAILQ_FOREACH(k, &c->chunks, list)
	{
		if (skip >= k->n) {
			skip -= k->n;
			continue;
		}
		for (at = k->begin; at < k->end; at += entry_bytes(e)) {
			e = entry_at(k, at);
			if (skip) {
				skip--;
			} else if (e->stored_ns >= since_ns) {
				entry_key(e, &key);
				fn(arg, bytes_of(&key), reply_of(e), e->stored_ns);
			}
		}
	}
}

void cookies_restore(struct cookies *c, struct span key, struct span reply, uint64_t stored_ns)
{
	struct cookies_key read;

	if (key_read(&read, key) && reply.len <= COOKIES_REPLY_MAX && !entry_find(c, &read))
		cookie_add(c, &read, reply, stored_ns);
}

void cookies_sweep(struct cookies *c, uint64_t now_ns)
{
	forget_old(c, now_ns, SWEPT_MAX);
}
