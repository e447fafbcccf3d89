#!/usr/bin/env bash
# Replays a capture over a veth pair between two network namespaces, at several speeds, into sipscope, tcpdump and sngrep,
# and prints what each kept. Needs root, iproute2, tcpreplay, wireshark-common, python3; tcpdump and sngrep for their rows.
#   bench/live.sh CAPTURE TRUTH.json [SPEED...]     speeds in packets a second; 0 is as fast as it goes (default: 50000 0)
# CAPTURE and TRUTH come from sipgen. SIPSCOPE names the binary (default: built here); BUFFER the large buffer in MB.
set -euo pipefail
[ $# -ge 2 ] || { sed -n 2,6p "$0"; exit 2; }
capture=$(realpath "$1") truth=$(realpath "$2")
shift 2
speeds=("${@:-50000}"); [ $# -gt 0 ] || speeds=(50000 0)
buffer=${BUFFER:-256}
. "$(dirname "$0")/netns.sh"
cat "$capture" >/dev/null # from the page cache
sent=$(capinfos -Mc "$capture" | awk '/Number of packets/ {print $NF}')

# replay SPEED: prints packets a second
replay() {
	local how=(--topspeed)
	[ "$1" = 0 ] || how=(--pps="$1")
	ip netns exec "$a" tcpreplay -q -K "${how[@]}" -i v0 "$capture" 2>&1 | awk '/^Rated/ {sub(/.*, /, ""); print}' | tail -n 1
}

# row TOOL BUFFER SPEED KEPT REST
row() { printf '%-22s %-8s %10s %9s of %s  %6.2f %%  %s\n' "$1" "$2" "$3" "$4" "$sent" "$(awk "BEGIN{print 100*$4/$sent}")" "${5:-}"; }

stop() { kill -INT "$1"; wait "$1" 2>/dev/null || true; }

ours() { # BUFFER SPEED
	ip netns exec "$b" /usr/bin/time -f '%M' -o "$work/mem" "$bin" stats -d v1 -q -B "$1" --format json >"$work/ours.json" 2>"$work/ours.err" &
	local p=$!
	pids+=("$p")
	sleep 1.5
	replay "$2" >"$work/rate"
	sleep 2
	pkill -INT -P "$p" # time waits for it
	wait "$p" || { cat "$work/ours.err" >&2; return 1; }
	python3 - "$work/ours.json" "$truth" >"$work/verdict" <<'P'
import json, sys
us, truth = (json.load(open(p)) for p in sys.argv[1:3])
bad = [k for k in ("sip_messages", "requests_by_method", "responses_by_status", "call_ids", "retransmissions") if k in truth and us.get(k) != truth[k]]
print(us["packets"], "calls equal the truth" if not bad else "differs from the truth: " + ", ".join(bad))
P
	read -r kept rest <"$work/verdict"
	row sipscope "$1 MB" "$(sed 's/ .*//' "$work/rate")" "$kept" "$rest, $(($(tail -n 1 "$work/mem") / 1024)) MiB"
}

peer() { # NAME BUFFER SPEED COMMAND...
	local name=$1 size=$2 speed=$3
	shift 3
	rm -f "$work/peer.pcap"
	ip netns exec "$b" env TERM=xterm "$@" >"$work/peer.out" 2>&1 </dev/null &
	local p=$!
	pids+=("$p")
	sleep 1.5
	replay "$speed" >"$work/rate"
	sleep 3
	stop "$p"
	kept=$(capinfos -Mc "$work/peer.pcap" 2>/dev/null | awk '/Number of packets/ {print $NF}')
	row "$name" "$size" "$(sed 's/ .*//' "$work/rate")" "${kept:-0}"
}

printf '%-22s %-8s %10s %s\n' tool buffer packets/s kept
for speed in "${speeds[@]}"; do
	ours 64 "$speed"
	ours "$buffer" "$speed"
	if command -v tcpdump >/dev/null; then
		peer tcpdump default "$speed" tcpdump -q -i v1 -w "$work/peer.pcap"
		peer tcpdump "$buffer MB" "$speed" tcpdump -q -i v1 -B $((buffer * 1024)) -w "$work/peer.pcap"
	fi
	if command -v sngrep >/dev/null; then
		peer sngrep default "$speed" sngrep -N -q -l 10000000 -d v1 -O "$work/peer.pcap"
		peer sngrep "$buffer MB" "$speed" sngrep -N -q -B "$buffer" -l 10000000 -d v1 -O "$work/peer.pcap"
	fi
done
