#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# picture.sh FILE.dot - write FILE.svg beside it, by graphviz. Colours come from style.css there, for light and
# dark pages. The first line of the picture has the checksum of its sources.
#
# picture.sh sum FILE.dot - print this checksum.
set -eu
sum() { cat "$1" "$(dirname "$1")/style.css" | sha256sum | cut -c 1-16; }
if [ "$1" = sum ]; then
	sum "$2"
	exit
fi
out=${1%.dot}.svg
{
	echo "<!-- made of $(basename "$1") by make docs: $(sum "$1") -->"
	dot -Tsvg -Gbgcolor=transparent -Gfontname=Helvetica -Nfontname=Helvetica -Efontname=Helvetica \
		-Gfontsize=13 -Nfontsize=13 -Efontsize=11 "$1" |
		sed '/^<?xml/d; /^<!DOCTYPE/,/>$/d; /^<!--.*-->$/d; /^<!--/,/-->$/d; / -->$/d' |
		awk -v css="$(dirname "$1")/style.css" '{ print }
			/^<svg/ { open = 1 }
			open && />$/ { open = 0; print "<style>"; while ((getline line < css) > 0) print line; print "</style>" }'
} >"$out.tmp"
mv "$out.tmp" "$out"
