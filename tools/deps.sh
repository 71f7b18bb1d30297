#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# deps.sh run|test|package - install the Debian packages of packages.txt that are missing. "test" and
# "package" include "run".
set -eu
for=${1:-run}
list=${DEPS_LIST:-$(dirname "$0")/../packages.txt}
case $for in
run | test | package) ;;
*) echo "deps.sh: '$for' is none of run, test, package" >&2; exit 2 ;;
esac

# Prints the wanted packages, a line each: NAME, or NAME|NAME… when the releases differ. The name -
# stands for none, where a release has none of the others.
wanted() { sed -n "s/^run  *//p; s/^$for  *//p" "$list" | tr -d ' ' | sort -u; }
installed() { dpkg-query -W -f '${Status}\n' "$1" 2>/dev/null | grep -q 'ok installed'; }
available() { [ "$1" = - ] || apt-cache policy "$1" 2>/dev/null | grep -q '^  Candidate: [^(]'; }

# any PREDICATE NAME|NAME… - prints the first name for which PREDICATE holds, or fails.
any() {
	for name in $(echo "$2" | tr '|' ' '); do
		if "$1" "$name"; then
			echo "$name"
			return 0
		fi
	done
	return 1
}

missing=
for p in $(wanted); do
	any installed "$p" >/dev/null || missing="$missing $p"
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null; then
	echo "deps.sh: missing:$missing - this is not Debian; install their equivalents by hand" >&2
	exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
	echo "deps.sh: missing:$missing - run again as root, or install them with apt-get (of a|b, one)" >&2
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
apt-get update >"$log" 2>&1 || {
	tail -n 20 "$log" >&2
	echo "deps.sh: apt-get update failed" >&2
	exit 1
}
names=
for p in $missing; do
	# Without a candidate apt-get itself says what is wrong with the first name.
	names="$names $(any available "$p" || echo "${p%%|*}")"
done
names=$(echo "$names" | tr ' ' '\n' | grep -vx -e - -e '' | tr '\n' ' ') || :
[ -n "$names" ] || exit 0
# shellcheck disable=SC2086
if ! apt-get install -y --no-install-recommends $names >"$log" 2>&1; then
	tail -n 20 "$log" >&2
	echo "deps.sh: apt-get could not install:$names" >&2
	exit 1
fi
