#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# runs: together long module
exec bash "$(dirname "$0")/nat_rtcp.sh" kmod
