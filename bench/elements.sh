#!/usr/bin/env bash
# Calls a second that SIPp makes through proxies and to user agents over UDP on loopback, and what they cost, as a table:
# sipscope's elements, and beside them SIPp alone and Kamailio. Needs python3, sip-tester, and kamailio for its rows.
#   bench/elements.sh [--calls 20000] [--rate R] [--rounds 1] [ROW...]       see bench/elements/measure.py
# SIPSCOPE names the binary (default: built here).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bin=${SIPSCOPE:-}
[ -n "$bin" ] || { (cd "$here/.." && CGO_ENABLED=0 go build -o "$work/sipscope" ./cmd/sipscope) && bin=$work/sipscope; }
# Buffers of 4 MB are what all programs here ask for. What is not ours to set stays as it is.
for limit in rmem_max wmem_max; do
	[ "$(cat /proc/sys/net/core/$limit)" -ge 4194304 ] || echo 4194304 >/proc/sys/net/core/$limit ||
		echo "elements.sh: net.core.$limit is below 4 MB: expect losses" >&2
done 2>/dev/null
python3 "$here/elements/measure.py" --sipscope "$(realpath "$bin")" --work "$work" "$@"
