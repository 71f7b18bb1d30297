# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# completion.bash - completion for bash. Each program prints its options, commands and words by
# itself, so none is listed here.

# _rtpx_options PROGRAM - the options of --help.
_rtpx_options()
{
	"$1" --help 2>&1 | grep -oE '(^ +|, +|\[)--?[A-Za-z0-9][A-Za-z0-9_-]*' | grep -oE -e '-.*' | sort -u
}

# _rtpx_words PROGRAM OPTION - the fixed words that it takes, from ARG of --help: "auto|native".
_rtpx_words()
{
	"$1" --help 2>&1 | sed -n "s/^ *$2 \\([a-z|]*|[a-zA-Z|]*\\) .*/\\1/p" | tr '|' '\n' | grep -v '[A-Z]'
}

# _rtpx_commands - the commands of rtpxctl.
_rtpx_commands() { "$1" --help 2>&1 | sed -n 's/^  \([a-z][a-z-]*\) .*/\1/p'; }

_rtpx_complete()
{
	local program=$1 current=$2 before=$3 words

	COMPREPLY=()
	if [[ $current == -* ]]; then
		words=$(_rtpx_options "$program")
	elif [[ $before == -* ]] && words=$(_rtpx_words "$program" "$before") && [ -n "$words" ]; then
		:
	elif [ "${program##*/}" = rtpxctl ] && ((COMP_CWORD == 1)); then
		words=$(_rtpx_commands "$program")
	else
		return
	fi
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}

complete -o default -F _rtpx_complete rtpxd rtpxctl makeann extractaudio
