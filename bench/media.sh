#!/usr/bin/env bash
# Times sipscope and tshark on a capture of which most packets are RTP: every stream's loss and jitter. Prints packets a second,
# peak memory and the ratio. Needs tshark, GNU time, and the generator sipgen.
#   bench/media.sh [CAPTURE]      default: makes one of some 527,000 packets, 98 % of them RTP, with SIPGEN
# SIPGEN is the folder of sipgen (default: ../shared/tools/sipgen), SIPSCOPE names the binary (default: built here), RUNS says how
# often each runs (default 5; the quickest counts), CALLS and RTP the size (default 1000 and 420).
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bin=${SIPSCOPE:-$work/sipscope}
[ -n "${SIPSCOPE:-}" ] || CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o "$bin" ./cmd/sipscope
capture=${1:-$work/media.pcap}
if [ $# -eq 0 ]; then
	(cd "${SIPGEN:-../shared/tools/sipgen}" && go run . -calls "${CALLS:-1000}" -rtp "${RTP:-420}" -o "$capture" -truth "$work/truth.json")
fi
cat "$capture" >/dev/null # from the page cache
packets=$("$bin" stats -q --format json "$capture" | python3 -c 'import json,sys; print(json.load(sys.stdin)["packets"])')

# best RUNS COMMAND...: seconds and peak KiB of the quickest run
best() {
	local runs=$1
	shift
	for _ in $(seq "$runs"); do
		/usr/bin/time -f '%e %M' -o "$work/time" "$@" >"$work/out" 2>/dev/null
		tail -n 1 "$work/time"
	done | sort -n | head -n 1
}

row() { printf '%-34s %8.2f s %12.0f packets/s %7d MB\n' "$1" "$2" "$(awk "BEGIN{print $packets/$2}")" "$(($3 / 1024))"; }

echo "$packets packets on $(nproc) cores"
read -r ours memory < <(best "${RUNS:-5}" "$bin" media -q --format json "$capture")
row "sipscope media --format json" "$ours" "$memory"
streams=$(python3 -c 'import json,sys; print(len(json.load(open(sys.argv[1]))["streams"]))' "$work/out")
read -r theirs memory < <(best 1 tshark -r "$capture" -q -z rtp,streams)
row "tshark -q -z rtp,streams" "$theirs" "$memory"
echo "$streams streams; tshark takes $(awk "BEGIN{printf \"%.1f\", $theirs/$ours}") times as long"
