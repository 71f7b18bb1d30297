#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# version.sh [clean] - print the version of this tree; one line.
#
# A release is a tag v1.2 or v1.2.3. Its version is the tag without v. A later commit adds the number
# of commits since the tag and its name: 1.2+5.g1a2b3c4. A tree without a tag counts from 0.0. Changed
# files add .dirty, unless the argument is clean. A tarball of make dist has the file VERSION instead.
# Debian, RPM and DKMS take each of these words, and sort them in the order of the commits.
set -eu
cd "$(dirname "$0")/.."
if [ -f VERSION ]; then
	cat VERSION
	exit
fi
dirty=--dirty=.dirty
[ "${1:-}" != clean ] || dirty=
top=$(git rev-parse --show-toplevel 2>/dev/null) || top=
if [ "$top" != "$(pwd -P)" ]; then
	echo 0.0+unknown
	exit
fi
# shellcheck disable=SC2086
if described=$(git describe --tags --match 'v[0-9]*' $dirty 2>/dev/null); then
	echo "${described#v}" | sed 's/-\([0-9]*\)-g/+\1.g/'
else
	echo "0.0+$(git rev-list --count HEAD).g$(git describe --always --exclude '*' $dirty)"
fi
