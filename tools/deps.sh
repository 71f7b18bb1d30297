#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# deps.sh run|test - install the Debian packages of packages.txt that are missing; "test" includes "run".
set -eu
for=${1:-run}
list=$(dirname "$0")/../packages.txt
case $for in
run) want=$(awk '$1 == "run" { print $2 }' "$list") ;;
test) want=$(awk '$1 == "run" || $1 == "test" { print $2 }' "$list") ;;
*) echo "deps.sh: '$for' is neither run nor test" >&2; exit 2 ;;
esac

missing=
for p in $want; do
	dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing="$missing $p"
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null; then
	echo "deps.sh: missing:$missing - this is not Debian; install their equivalents by hand" >&2
	exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
	echo "deps.sh: missing:$missing - run again as root, or: apt-get install$missing" >&2
	exit 1
fi
echo "installing:$missing"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive
# Daemons that come as test peers must not start on their own.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
	printf '#!/bin/sh\nexit 101\n' >$policy
	chmod 755 $policy
	trap 'rm -f "$log" $policy' EXIT
fi
# shellcheck disable=SC2086
if ! { apt-get update && apt-get install -y --no-install-recommends $missing; } >"$log" 2>&1; then
	tail -n 20 "$log" >&2
	echo "deps.sh: apt-get could not install:$missing" >&2
	exit 1
fi
