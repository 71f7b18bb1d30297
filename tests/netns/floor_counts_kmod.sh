#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# runs: together module vm
exec bash "$(dirname "$0")/floor_counts.sh" kmod
