/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * findings.c - lines of a report as JSON objects.
 */
#include "findings.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *const finding_names[] = { "ok", "warning", "wrong" };

void found(struct findings *f, const char *check, enum result result, const char *remedy,
	   const char *fmt, ...)
{
	struct json_object *o = json_object_new_object();
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	json_object_object_add(o, "check", json_object_new_string(check));
	json_object_object_add(o, "result", json_object_new_string(finding_names[result]));
	json_object_object_add(o, "text", json_object_new_string(text));
	json_object_object_add(o, "remedy", result == OK ? NULL : json_object_new_string(remedy));
	json_object_array_add(f->lines, o);
}

bool first_line(const char *path, char *buf, size_t size)
{
	FILE *file = fopen(path, "re");
	bool good = file && fgets(buf, (int)size, file);

	if (file)
		fclose(file);
	if (good)
		buf[strcspn(buf, "\n")] = '\0';
	return good;
}

bool line_of(const char *path, const char *key, char *buf, size_t size)
{
	FILE *file = fopen(path, "re");
	char line[512];
	bool good = false;

	while (file && !good && fgets(line, sizeof(line), file)) {
		if (strncmp(line, key, strlen(key)))
			continue;
		line[strcspn(line, "\n")] = '\0';
		snprintf(buf, size, "%s", line + strlen(key));
		good = true;
	}
	if (file)
		fclose(file);
	return good;
}
