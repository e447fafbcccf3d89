# Sourced by live.sh and soak.sh: two network namespaces, $a with v0 and $b with v1, joined by a veth pair; a folder $work; the
# program $bin. All go when the script ends, with the processes in pids. Needs root and iproute2.
work=$(mktemp -d)
a=sipscope-bench-a-$$ b=sipscope-bench-b-$$
pids=()
cleanup() {
	for p in "${pids[@]}"; do kill "$p" 2>/dev/null || true; done
	ip netns del "$a" 2>/dev/null || true
	ip netns del "$b" 2>/dev/null || true
	rm -rf "$work"
}
trap cleanup EXIT
bin=${SIPSCOPE:-}
[ -n "$bin" ] || { (cd "$(dirname "$0")/.." && CGO_ENABLED=0 go build -o "$work/sipscope" ./cmd/sipscope) && bin=$work/sipscope; }
bin=$(realpath "$bin")
ip netns add "$a"; ip netns add "$b"
ip -n "$a" link add v0 mtu 9000 type veth peer name v1 netns "$b"
ip netns exec "$b" ip link set v1 mtu 9000
for n in "$a" "$b"; do ip netns exec "$n" sh -c 'echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6'; done
ip -n "$a" link set v0 up; ip -n "$b" link set v1 up
ip -n "$b" link set lo up
