#!/bin/bash
# A throw-away real Podman for tests: namespaces of its own, loopback only, no uplink.
#
#   lab.sh keep             make a lab, print "ready PID" (its first process), keep it until standard
#                           input ends; then nothing of it is left, however its user died
#   lab.sh exec PID CMD...  run CMD in the lab of that PID, with nothing but the lab's environment
#   lab.sh run CMD...       run CMD in a lab of its own
#   lab.sh missing          print what this machine lacks for it; status 1 if anything
#
# In the lab everything is where a host has it: `podman`, /run/podman/podman.sock, and the image
# localhost/web (web.py; its arguments are ports). /run, /dev/shm and /var/lib/containers are empty
# tmpfs; what is written to /etc and /var/lib never reaches the host; the clone is the host's own.
set -euo pipefail

here=$(dirname "$(readlink -f "$0")")
venv=${PROXYCTL_VENV:-$(dirname "$(dirname "$here")")/.venv}
system=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH=$PATH:$system

die() {
  echo "lab: $*" >&2
  exit 1
}

missing() {
  local lacks=() program
  [ "$(id -u)" = 0 ] || lacks+=("root")
  for program in podman haproxy busybox curl ip ps unshare nsenter setpriv catatonit \
    openssl redis-server redis-cli; do
    command -v $program >/dev/null || lacks+=("$program")
  done
  command -v runc >/dev/null || command -v crun >/dev/null || lacks+=("runc")
  [ -x /usr/bin/python3 ] || lacks+=("/usr/bin/python3")
  [ ${#lacks[@]} = 0 ] && return
  echo "${lacks[*]}"
  return 1
}

# Where cgroup hierarchies are mounted: one line on a host that has cgroup v2 only.
hierarchies() {
  if [ -f /sys/fs/cgroup/cgroup.controllers ]; then
    echo /sys/fs/cgroup
  else
    awk '$3 == "cgroup" || $3 == "cgroup2" { print $2 }' /proc/mounts | sort -u
  fi
}

make_groups() {
  local top
  for top in $(hierarchies); do
    mkdir "$top/$1" || die "cannot make a cgroup in $top: is it mounted read-only?"
    if [ -f "$top/cgroup.controllers" ]; then
      mkdir "$top/$1/lab" # v2: only a group without processes of its own can hand on controllers
    elif [ -f "$top/cpuset.cpus" ]; then
      cat "$top/cpuset.cpus" >"$top/$1/cpuset.cpus"
      cat "$top/cpuset.mems" >"$top/$1/cpuset.mems"
    fi
  done
}

# Move this shell into the lab's group, or into the leaf of it where there is one.
join_groups() {
  local top
  for top in $(hierarchies); do
    if [ -d "$top/$1/lab" ] && [ "$2" = leaf ]; then
      echo $$ >"$top/$1/lab/cgroup.procs"
    else
      echo $$ >"$top/$1/cgroup.procs"
    fi
  done
}

remove_groups() {
  local top
  for top in $(hierarchies); do
    for _ in $(seq 100); do # a killed process leaves its group a little later
      [ -d "$top/$1" ] || break
      find "$top/$1" -depth -type d -exec rmdir {} + 2>/dev/null || sleep 0.05
    done
    [ ! -d "$top/$1" ] || echo "lab: $top/$1 is left" >&2
  done
}

# The chain of deaths: user (end of input) -> keeper -> unshare -> init -> all of the PID namespace.
# Each of the three links is an exec, because only an exec keeps the signal asked for.
first_link() {
  join_groups "$1" top
  exec setpriv --pdeathsig KILL unshare --cgroup "$here/lab.sh" _second "$1"
}

second_link() {
  join_groups "$1" leaf # the root of the cgroup namespace stays one above
  exec unshare --mount --net --pid --ipc --uts --fork --mount-proc --kill-child=KILL \
    env -i PATH="$venv/bin:$system" LAB_GROUP="$1" LAB_HERE="$here" LC_ALL=C.UTF-8 \
    "$here/init.sh"
}

take_down() {
  trap - EXIT
  kill -KILL "$1" 2>/dev/null && wait "$1" 2>/dev/null || true
  remove_groups "$2"
}

keep() {
  local lacks group from_lab outer first line=""
  lacks=$(missing) || die "this machine lacks: $lacks (run \`make install\` as root)"
  group=proxyctl-lab-$$
  make_groups "$group"
  exec {from_lab}< <(exec "$here/lab.sh" _first "$group" 2>&1 </dev/null)
  outer=$!
  # shellcheck disable=SC2064 # now is the time to expand
  trap "take_down $outer $group" EXIT
  trap 'exit 1' TERM INT HUP
  while read -r -t 60 line <&"$from_lab" && [ "$line" != ready ]; do echo "lab: $line" >&2; done
  [ "$line" = ready ] || die "it did not come up"
  first=$(cat "/proc/$outer/task/$outer/children")
  echo ready $first
  cat >/dev/null
}

enter() {
  local first=$1 group
  shift
  group=$(tr '\0' '\n' 2>/dev/null <"/proc/$first/environ" | sed -n 's/^LAB_GROUP=//p') || true
  [ -n "$group" ] || die "no lab has process $first"
  join_groups "$group" leaf
  exec nsenter --target "$first" --mount --net --pid --ipc --uts --cgroup \
    env -i -C "$PWD" PATH="$venv/bin:$system" HOME=/run/home TMPDIR=/run/tmp \
    TERM="${TERM:-dumb}" LC_ALL=C.UTF-8 "$@"
}

run() {
  local ready first status=0
  coproc KEEPER { exec setsid "$here/lab.sh" keep; }
  read -r ready first <&"${KEEPER[0]}" || die "no lab"
  "$here/lab.sh" exec "$first" "$@" || status=$?
  # shellcheck disable=SC2153 # bash sets KEEPER_PID
  local keeper=$KEEPER_PID to_keeper=${KEEPER[1]}
  exec {to_keeper}>&-
  wait "$keeper"
  exit $status
}

operation=${1:?keep, exec, run or missing}
shift
case $operation in
  keep) keep ;;
  exec) enter "$@" ;;
  run) run "$@" ;;
  missing) missing ;;
  _first) first_link "$@" ;;
  _second) second_link "$@" ;;
  *) die "no such operation: $operation" ;;
esac
