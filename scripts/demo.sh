#!/bin/bash
# A pod gets a label, and is served. `make demo` runs this in a lab (tests/lab/lab.sh), where
# Podman is real, and nothing else of this machine can be reached or changed.
#
# Each command is printed as one would type it, then run; the demo ends where an answer is not the
# one that it tells about.
set -euo pipefail

[ -e /run/lab ] || {
  echo "this is for a lab: make demo" >&2
  exit 2
}

image=localhost/web
url=http://127.0.0.1:8080/
log=/run/lab/proxyctl.log
bold="" dim="" plain=""
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
  bold=$'\e[1m' dim=$'\e[2m' plain=$'\e[0m'
fi

fail() {
  printf '\nDEMO FAILED: %s\n' "$*" >&2
  sed 's/^/    proxyctl run: /' $log >&2 || true
  exit 1
}

say() {
  printf '\n%s# %s%s\n' "$dim" "$*" "$plain"
}

# Print a command, run it, show what it prints, and remember that in $printed and $status.
type_in() {
  local word line=""
  for word in "$@"; do
    case $word in
      *[!A-Za-z0-9_./:=@,+-]*) line+=" '$word'" ;;
      *) line+=" $word" ;;
    esac
  done
  printf '%s$%s%s\n' "$bold" "$line" "$plain"
  status=0
  printed=$("$@" 2>&1) || status=$?
  [ -z "$printed" ] || sed 's/^/  /' <<<"$printed"
}

# Like type_in, for what must work.
run() {
  type_in "$@"
  [ $status = 0 ] || fail "\"$*\" ended with $status"
}

shows() {
  grep -qF -- "$1" <<<"$printed" || fail "expected \"$1\" in the answer"
}

# The request of the README.
ask=(curl -sS -m 5 -H 'Host: git.example.com' -w 'HTTP %{http_code}\n' $url)

# Ask until the answer holds the text, then show the request as if it had been the only one.
ask_until() {
  local _
  for _ in $(seq 300); do
    if grep -qF -- "$1" <<<"$("${ask[@]}" 2>&1)"; then break; fi
    sleep 0.05
  done
  type_in "${ask[@]}"
  shows "$1"
}

address() {
  local infra
  infra=$(podman pod inspect --format '{{.InfraContainerID}}' gitea)
  podman container inspect --format '{{.NetworkSettings.Networks.podman.IPAddress}}' "$infra"
}

create_gitea() {
  run podman pod create --name gitea --hostname gitea "$@" \
    --label proxyctl.host=git.example.com --label proxyctl.port=3000
  run podman run -d --name gitea-server --expose 3000 --pod gitea $image 3000
  run podman run -d --name gitea-db --expose 3306 --pod gitea $image 3306
}

wait_until() {
  local _
  for _ in $(seq 300); do
    if "$@" >/dev/null 2>&1; then return; fi
    sleep 0.05
  done
  fail "\"$*\" did not work within 15 seconds"
}

say "proxyctl as a service, with a HAProxy of its own on 127.0.0.1:8080"
mkdir -p /etc/proxyctl
cat >/etc/proxyctl/config.toml <<'S'
[haproxy]
mode = "embedded"

[entrypoints.web]
bind = ["127.0.0.1:8080"]
S
run cat /etc/proxyctl/config.toml
printf '%s$ proxyctl run &%s\n' "$bold" "$plain"
proxyctl run >$log 2>&1 &
proxyctl_pid=$!
disown # bash would tell of its end
wait_until curl -s -o /dev/null $url

say "a pod, made as ever, with two labels"
create_gitea --ip 10.88.0.2

say "and it is served"
ask_until '"pod": "gitea"'
shows "HTTP 200"
run proxyctl ls
shows git.example.com
run proxyctl render gitea
shows "backend gitea"
shows "10.88.0.2:3000"

say "replaced by one without --ip: Podman chooses the address, proxyctl follows"
run podman pod rm --force --time 0 gitea
podman pod create --name placeholder >/dev/null # holds an address, so that gitea gets another
podman pod start placeholder >/dev/null
create_gitea
ask_until '"pod": "gitea"'
run podman pod restart gitea
ask_until '"pod": "gitea"'
run proxyctl render gitea
shows "$(address):3000"
if grep -qF 10.88.0.2: <<<"$printed"; then fail "the old address is still there"; fi

say "a label with a mistake costs its own pod, nobody else's"
run podman pod create --name wiki --label proxyctl.hots=wiki.example.com --label proxyctl.port=80
run podman run -d --name wiki-server --pod wiki $image 80
wait_until bash -c 'grep -q hots <<<"$(proxyctl status)"'
type_in proxyctl status
shows 'pod "wiki"'
shows proxyctl.hots=wiki.example.com
shows proxyctl.host
ask_until '"pod": "gitea"'

say "proxyctl is killed: HAProxy goes on serving"
run kill -KILL $proxyctl_pid
ask_until '"pod": "gitea"'
printf '%s$ proxyctl run &%s\n' "$bold" "$plain"
proxyctl run >>$log 2>&1 &
wait_until proxyctl ls

say "the pod goes, and its route with it"
run podman pod rm --force --time 0 gitea
ask_until "HTTP 404"
type_in proxyctl ls
if grep -qF git.example.com <<<"$printed"; then fail "the route is still there"; fi

say "that was all; nothing of it is left on this machine"
