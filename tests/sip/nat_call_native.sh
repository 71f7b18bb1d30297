#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# runs: together long quick
exec bash "$(dirname "$0")/nat_call.sh" native
