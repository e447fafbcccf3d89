#!/usr/bin/env bash
# Sends a capture round and round over a veth pair at a constant rate into "sipscope capture" with limits, and prints memory,
# disk and losses by the minute. Needs root, iproute2, tcpreplay.
#   bench/soak.sh CAPTURE [MINUTES] [PACKETS_A_SECOND]       (default: 10 minutes at 20000)
# The same calls come again and again, so their Call-IDs are known; --limit and --keep make room for what is new.
set -euo pipefail
[ $# -ge 1 ] || { sed -n 2,6p "$0"; exit 2; }
capture=$(realpath "$1") minutes=${2:-10} rate=${3:-20000}
. "$(dirname "$0")/netns.sh"

ip netns exec "$b" "$bin" capture -q -d v1 --limit 20000 --keep 30s --spool "$work/spool" --spool-size 200MB \
	--metrics 127.0.0.1:9100 2>"$work/err" &
us=$!
pids+=("$us")
sleep 1.5
ip netns exec "$a" tcpreplay -q --loop=0 --pps="$rate" -i v0 "$capture" >"$work/replay" 2>&1 &
pids+=("$!")
figure() { awk -v n="$1" '$1 == n {print $2}' "$work/metrics"; }
printf '%6s %9s %9s %12s %8s %8s %8s %8s\n' minute RSS/MiB spool/MB packets calls kernel queue spool
for ((m = 0; m <= minutes; m++)); do
	[ "$m" = 0 ] && sleep 5 || sleep 60
	kill -0 "$us" || { cat "$work/err"; exit 1; }
	ip netns exec "$b" curl -s http://127.0.0.1:9100/metrics | sed 's/{\([a-z]*\)="\([a-z0-9 ]*\)"}/_\1_\2/' >"$work/metrics"
	rss=$(awk '/^VmRSS/ {print int($2 / 1024)}' /proc/"$us"/status)
	disk=$(du -sm "$work/spool" | cut -f 1)
	calls=$(awk '/^sipscope_calls_/ {n += $2} END {print n + 0}' "$work/metrics")
	packets=$(awk '/^sipscope_packets_total/ {n += $2} END {printf "%d", n}' "$work/metrics")
	printf '%6d %9d %9d %12d %8d %8.0f %8.0f %8.0f\n' "$m" "$rss" "$disk" "$packets" "$calls" \
		"$(figure sipscope_dropped_packets_total_place_kernel)" "$(figure sipscope_dropped_packets_total_place_queue)" \
		"$(figure sipscope_dropped_packets_total_place_spool)"
done
kill -TERM "$us"
wait "$us" || true
cat "$work/err"
