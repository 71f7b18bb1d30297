#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# runs: together module
exec bash "$(dirname "$0")/restart.sh" kmod
