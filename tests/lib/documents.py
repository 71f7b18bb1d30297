#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The blocks of code in the documents, for tests/commands.

documents.py DIRECTORY FILE… - writes each block as a file DIRECTORY/NNN.LANGUAGE, and prints a line for each: the number,
the language, FILE:LINE, and the comment before the block ("not run: REASON", "until: TEXT"), separated by tabs. Faults of
form go to stderr, and the exit status is 1.

documents.py same EXPECTED SHOWN - succeeds if the lines of the file EXPECTED are among those of SHOWN in this order, apart
from numbers and spaces. A line "…" stands for any.
"""
import os
import re
import sys

LANGUAGES = ("sh", "console", "kamailio", "opensips", "control", "yaml", "promql", "ini", "text")
COMMENT = re.compile(r" *<!-- (not run|until): (.*) -->$")


def blocks(path, fault):
    """Yields (line number, language, comment, lines) of each fenced block."""
    with open(path, encoding="utf-8") as f:
        lines = f.read().split("\n")
    n, before = 0, ""
    while n < len(lines):
        line = lines[n]
        fence = re.match(r"( *)```(.*)", line)
        if not fence:
            if re.match(r"( {4}|\t)", line) and not before.strip():
                fault(f"{path}:{n + 1}: an indented block; put it between ``` with its language")
            before, n = line, n + 1
            continue
        begin, inside = n + 1, []
        for n in range(begin, len(lines)):
            if re.match(r" *```\s*$", lines[n]):
                break
            inside.append(lines[n].removeprefix(fence[1]))
        else:
            fault(f"{path}:{begin}: the block has no end")
        if fence[2] not in LANGUAGES:
            fault(f"{path}:{begin}: '{fence[2]}' is none of the languages {' '.join(LANGUAGES)}")
        comment = COMMENT.match(before)
        yield begin, fence[2], f"{comment[1]}: {comment[2]}" if comment else "", inside
        before, n = "```", n + 1


def write_all(directory, files):
    faults, number = [], 0
    for path in files:
        for line, language, comment, inside in blocks(path, faults.append):
            number += 1
            with open(os.path.join(directory, f"{number}.{language}"), "w", encoding="utf-8") as out:
                out.write("\n".join(inside) + "\n")
            print(number, language, f"{path}:{line}", comment, sep="\t")
    for fault in faults:
        print(fault, file=sys.stderr)
    return not faults


def shapes(path):
    """The lines of a file, with N for each number and one space for many."""
    with open(path, encoding="utf-8") as f:
        for line in f:
            yield re.sub(r"\s+", " ", re.sub(r"[0-9]+", "N", line)).strip()


def same(expected, shown):
    left = shapes(shown)
    for line in shapes(expected):
        if line != "…" and line not in left:  # goes on behind the line that it finds
            print(f"no such line, or not in this order: {line}", file=sys.stderr)
            return False
    return True


if __name__ == "__main__":
    good = same(*sys.argv[2:]) if sys.argv[1] == "same" else write_all(sys.argv[1], sys.argv[2:])
    sys.exit(0 if good else 1)
