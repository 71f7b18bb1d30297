#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# runs: together long
exec bash "$(dirname "$0")/nat_rtcp.sh" generic
