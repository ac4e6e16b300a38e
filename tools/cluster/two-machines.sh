#!/usr/bin/env bash
# Two "machines" on this one: network namespaces with addresses and names of their own, joined by a link of a given delay and rate.
#
#     tools/cluster/two-machines.sh DELAY_US MBIT_PER_S COMMAND…
#
# Runs COMMAND on the first machine; in it, $RSH is the program that Open MPI's launcher takes in place of ssh, and $ON_BOTH the options of
# mpirun that start a process on each. Needs root, ip and /dev/net/tun. DELAY_US is one way. 0 0 is a link without either, inside the
# kernel (veth), which takes less time from the processors: as fast as they copy.
set -eu
delay=$1 rate=$2
shift 2
folder=$(mktemp -d)
source=$(dirname "$(realpath "$0")")/link.cc
ids="bnn$$a bnn$$b"
# shellcheck disable=SC2086
set -- $ids -- "$@"
a=$1 b=$2
shift 3
cleanup() {
  [ "$link" = 0 ] || kill "$link" 2>/dev/null || true
  ip netns del "$a" 2>/dev/null || true
  ip netns del "$b" 2>/dev/null || true
  rm -rf "$folder"
}
link=0
trap cleanup EXIT
ip netns add "$a"
ip netns add "$b"
if [ "$delay $rate" = "0 0" ]; then
  ip link add "$a" type veth peer name "$b"
else
  c++ -std=c++17 -O2 -pthread "$source" -o "$folder/link"
  "$folder/link" "$a" "$b" "$delay" "$rate" >"$folder/ready" &
  link=$!
  for _ in $(seq 100); do grep -q ready "$folder/ready" 2>/dev/null && break || sleep 0.05; done
fi
number=1
for name in "$a" "$b"; do
  ip link set "$name" netns "$name" mtu 65000
  ip -n "$name" addr add "10.77.0.$number/24" dev "$name"
  ip -n "$name" link set lo up
  ip -n "$name" link set "$name" up
  number=$((number + 1))
done
cat >"$folder/rsh" <<RSH
#!/usr/bin/env bash
while [[ "\$1" == -* ]]; do shift; done
case "\$1" in 10.77.0.1) n=$a m=machine-1 ;; 10.77.0.2) n=$b m=machine-2 ;; *) exit 255 ;; esac
shift
exec ip netns exec \$n unshare -u sh -c "hostname \$m; exec sh -c \"\\\$0\"" "\$*"
RSH
chmod +x "$folder/rsh"
export RSH="$folder/rsh"
net=10.77.0.0/24
export ON_BOTH="--host 10.77.0.1:1,10.77.0.2:1 -n 2 --bind-to none --mca plm_rsh_agent $RSH --mca plm_rsh_no_tree_spawn 1 --mca oob_tcp_if_include $net --mca btl_tcp_if_include $net --mca btl tcp,self"
[ "$(id -u)" != 0 ] || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
ip netns exec "$a" unshare -u sh -c 'hostname machine-1; exec "$0" "$@"' "$@"
