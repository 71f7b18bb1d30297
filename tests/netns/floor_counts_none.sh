#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# runs: together quick
exec bash "$(dirname "$0")/floor_counts.sh" none
