#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# runs: together vm module
#
# nftables.sh - beside an operator's rules: what the table `raw` drops is not relayed, what the module relays is seen by
# no chain after it on the way in, has no tracked connection and none of the marks that it came with; what it leaves
# alone, a merged packet, takes the usual way.

. "$(dirname "$0")/../netns/floor_lib.sh"
MOST_S=600 # of talk

lab_begin python3 jq nft
need_module
floor_net
start_rtpxd relay rtpxd 127.0.0.1 7722 -l 192.0.2.1/198.51.100.1 --bridge_symmetric --dataplane kmod
floor_call rtpxd 198.51.100.10

in_ns relay nft -f - <<-EOF
	table inet t {
		counter came { }
		counter seen { }
		counter untracked { }
		counter tracked { }
		counter marked { }
		chain raw {
			type filter hook prerouting priority raw
			udp dport $TO_BOB counter name came meta mark set 42
		}
		chain in {
			type filter hook prerouting priority mangle
			udp dport $TO_BOB counter name seen
		}
		chain out {
			type filter hook postrouting priority filter
			oifname east udp sport $TO_ALICE ct state untracked counter name untracked
			oifname east udp sport $TO_ALICE ct state new,established counter name tracked
			oifname east udp sport $TO_ALICE meta mark 42 counter name marked
		}
	}
EOF
# count NAME - packets that this counter has seen.
count() { in_ns relay nft -j list counter inet t "$1" | jq '.nftables[] | .counter // empty | .packets'; }
merged() { rtpxctl rtpxd --json stats | jq .kernel.pass_merged; }
seen_is() { [ "$(count seen)" = "$1" ]; }

by_kernel() { [ "$(rtp_of caller kernel_packets)" -ge "$1" ]; }
floor_talk $MOST_S 198.51.100.10 198.51.100.1 1
must_wait 10 "both directions in the kernel" both_in_kernel
first=$(rtp_of caller "packets - .kernel_packets")
must_wait 10 "packets through the module" by_kernel 100
floor_hang_up
is "$(bob_missed) $(heard bob .wrong)" "0 0" "what bob missed, and heard wrong"

sent=$(heard alice .sent)
kernel=$(rtp_of caller kernel_packets)
# Some may have waited in the daemon's sockets.
[ $((sent - kernel)) -le $((first + 5)) ] || fail "the daemon forwarded $((sent - kernel - first)) packets of a call in the kernel" rtpxd
is "$(count came)" "$sent" "packets of alice's in the table raw"
is "$(count untracked)" "$kernel" "untracked packets to bob"
is "$(count seen) $(count tracked)" "$((sent - kernel)) $((sent - kernel))" "packets that took the usual way in, and out"
is "$(count marked)" 0 "packets that left with the mark that they came with"
ok "$kernel of $sent packets relayed: untracked, without mark, and unseen by other chains on the way in"

# Three datagrams in one packet, which nothing divides before the hook: the kernel merges only what the device will give
# a checksum.
in_ns alice ethtool -K eth0 tx on >"$LAB_DIR/ethtool.log"
in_ns alice python3 - 192.0.2.1 "$TO_BOB" <<-'EOF'
	import socket, sys
	s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
	s.bind(("192.0.2.10", 4000))
	s.setsockopt(socket.IPPROTO_UDP, 103, 100)  # UDP_SEGMENT
	s.sendto(bytes(300), (sys.argv[1], int(sys.argv[2])))
EOF
must_wait 10 "the merged packet in other chains" seen_is $((sent - kernel + 1))
is "$(merged)" 1 "number of merged packets that the module left alone"
ok "a merged packet takes the usual way"

before=$(rtp_of caller kernel_packets)
in_ns relay nft insert rule inet t raw udp dport "$TO_BOB" drop
in_ns alice bash -c "for i in {1..10}; do echo dropped >/dev/udp/192.0.2.1/$TO_BOB; done"
is "$(rtp_of caller kernel_packets) $(counter npkts_discard)" "$before 0" "packets relayed and discarded after the table raw"
ok "what the table raw drops never reaches the relay"
stop_rtpxd rtpxd west east
pass
