/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_journal.c - any bytes as a file of which records are to be saved, and as a record that describes a session.
 *
 * What is read as a session can be written again, and is the same then.
 */
#include "../../daemon/base/addr.c"
#include "../../daemon/base/dirlock.c"
#include "../../daemon/base/fields.c"
#include "../../daemon/base/table.c"
#include "../../daemon/base/whole.c"
#include "../../daemon/restart/journal.c"
#include "../../daemon/call/dtmf.c"
#include "../../daemon/call/session.c"
#include "../../daemon/call/snapshot.c"
#include "../../daemon/call/stream.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(struct span body)
{
	static uint8_t one[SNAPSHOT_MAX], two[SNAPSHOT_MAX];
	struct snapshot snap, again;
	int len;

	if (snapshot_read(&snap, body))
		return;
	len = snapshot_write(&snap, one, sizeof(one));
	if (len < 0)
		return;
	if (snapshot_read(&again, (struct span){ (char *)one, (size_t)len }) ||
	    snapshot_write(&again, two, sizeof(two)) != len || memcmp(one, two, (size_t)len))
		abort();
}

static void take(void *arg, uint64_t key, uint64_t stamp, struct span body)
{
	(void)arg, (void)key, (void)stamp;
	check(body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct journal_reader reader = { take, NULL };
	static struct journal j = { .path = "journal" };
	struct places all = { 0 };
	char err[100];

	check((struct span){ (const char *)data, size });
	if (find_records(data, size, &all) == 0)
		hand_out(&j, &all, &reader, err, sizeof(err));
	free(all.p);
	return 0;
}
