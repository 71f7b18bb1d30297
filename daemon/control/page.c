/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * page.c - the bytes of page.html, which the Makefile turns into a C string.
 */
#include "control/page.h"

const char page_html[] =
#include "page.html.h"
	;
