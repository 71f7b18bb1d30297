/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * keys.h - keeps the keys that a party presses, such as a card number, out of recordings: finds
 * RTP packets with telephone events (RFC 4733).
 *
 * Pure. Does not find tones within the audio, nor events within redundant audio (RFC 2198) whose
 * payload type is not named.
 */
#ifndef RTPX_KEYS_H
#define RTPX_KEYS_H

#include "base/base.h"

enum keys { KEYS_KEEP, KEYS_MASK, KEYS_DROP };

/*
 * keys_in - true if the packet has telephone events: its payload type is in @types, or it is a
 * dynamic type whose payload has the form of one event.
 */
bool keys_in(const uint8_t *packet, size_t len, uint32_t types);

/*
 * keys_mask - make each event of a packet that keys_in() has found a '*', in place. Volume,
 * duration and length stay. Returns false if the payload is not a row of events; the packet cannot
 * be masked then.
 */
bool keys_mask(uint8_t *packet, size_t len);

#endif
