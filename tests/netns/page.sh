#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# runs: together
# shellcheck source-path=SCRIPTDIR
#
# page.sh - the status page in a headless Chromium, beside a call in the kernel: overview, a search,
# one call with its quality and path, the host. The page loads nothing from elsewhere, and a name with
# HTML in it stays a text. Ubuntu has Chromium as a snap only, so make check does not install it there.

. "$(dirname "$0")/floor_lib.sh"
SEND=$LAB_ROOT/tests/lib/rtp_lossy.py
CHROMIUM=$(command -v chromium || command -v chromium-browser || echo chromium)

lab_begin python3 jq curl "$CHROMIUM"
floor_net

# dom VIEW FILE - the document of a view once its script has run.
dom()
{
	in_ns relay timeout 60 "$CHROMIUM" --headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage \
		--user-data-dir="$LAB_DIR/chromium" --virtual-time-budget=4000 --dump-dom \
		"http://127.0.0.1:9100/#$1" >"$LAB_DIR/$2.html" 2>"$LAB_DIR/$2.err"
}
# shows VIEW TEXT… - the view comes to have all texts.
shows()
{
	local view=$1 text

	dom "$view" view || return
	shift
	for text; do
		grep -qF -- "$text" "$LAB_DIR/view.html" || return
	done
}
view() { LAB_BLAME=rtpxd must_wait 20 "${*:2} in the view '$1'" shows "$@"; }

dataplane_options native
start_rtpxd relay rtpxd 127.0.0.1 7722 -l 192.0.2.1/198.51.100.1 --bridge_symmetric --metrics 9100 \
	"${DATAPLANE[@]}"
floor_call rtpxd 198.51.100.10
ODD='<img src=x onerror=alert(1)>'
rtpp rtpxd "U ${ODD// /_} 192.0.2.10 4010 odd" >/dev/null
lab_start bob bob "$SEND" 198.51.100.10 4000 198.51.100.1 "$TO_ALICE" 20000 0 0
lab_start alice alice "$SEND" 192.0.2.10 4000 192.0.2.1 "$TO_BOB" 20000 1500 1
must_wait 10 "both directions in the kernel" both_in_kernel

head=$(in_ns relay curl -sI http://127.0.0.1:9100/)
grep -q "^Content-Security-Policy: default-src 'none'; script-src 'nonce-[0-9a-f]*';" <<<"$head" ||
	fail "the page has no content policy"
in_ns relay curl -s http://127.0.0.1:9100/ >"$LAB_DIR/page.html"
! grep -oE '(src|href|url)[=(]["'"'"']?(https?:)?//[^"]*' "$LAB_DIR/page.html" || fail "the page loads from elsewhere"
! grep -q '@NONCE@' "$LAB_DIR/page.html" || fail "a nonce is missing"
ok "the page has a policy, and loads nothing"

view overview ">2</dd>" "RTP directions in the kernel" "<b>Packets a second</b>" "KERNEL" "call=$CALL" "polyline"
ok "overview: sessions, reasons, worst calls, plots"
view "calls=oor-ca" ">$CALL</a>" "2 of 2"
! grep -q onerror "$LAB_DIR/view.html" || fail "the search shows other calls"
view "calls=" "&lt;img_src=x_onerror=alert(1)&gt;"
! grep -q "<img" "$LAB_DIR/view.html" || fail "a call-id became an element"
ok "calls: a search, and names that stay texts"
view "call=$CALL" "in the kernel" "192.0.2.1:$TO_BOB" "MOS" "(G.711)" ">east</td>"
grep -oE '[0-9,]+ \([0-9.]+ %\), 0 duplicates' "$LAB_DIR/view.html" | head -1 | grep -qv '^0 ' ||
	fail "no loss of alice in the view of the call"
ok "one call: loss, MOS and path"
view host "xdp" ">west</td>"
ok "host: interfaces"
stop_rtpxd rtpxd west east
pass
