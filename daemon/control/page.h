/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * page.h - the status page, from page.html. Text only: it has no state.
 */
#ifndef RTPX_PAGE_H
#define RTPX_PAGE_H

/* The page, NUL-terminated. "@NONCE@" stands where the nonce of the content policy belongs. */
extern const char page_html[];

#endif
