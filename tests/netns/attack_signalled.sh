#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# runs: together long
exec bash "$(dirname "$0")/attack.sh" signalled
