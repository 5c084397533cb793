#!/bin/bash
# What one writes who has an evening: podman events -> podman inspect -> haproxy.cfg -> check -> reload.
set -u
cfg=haproxy.cfg

generate() {
  cat <<T
global
    maxconn 4000
    stats socket $WORK/admin.sock level admin expose-fd listeners
defaults
    mode http
    option forwardfor
    timeout connect 1s
    timeout client 30s
    timeout server 30s
    retries 3
    option redispatch 1
frontend web
    bind 127.0.0.1:$PORT
T
  ids=$(podman ps --quiet --filter label=proxy.host)
  [ -n "$ids" ] || return 0
  # shellcheck disable=SC2086 # words are wanted
  podman inspect --format '{{index .Config.Labels "proxy.host"}} {{index .Config.Labels "proxy.port"}} {{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}} {{.Name}}' \
    $ids >rows || return 1
  cut -d' ' -f1 rows | sort -u | while read -r host; do
    echo "    use_backend $host if { hdr(host) -i $host }"
  done
  last=
  sort rows | while read -r host port address name; do
    [ "$host" = "$last" ] || echo "backend $host"
    last=$host
    echo "    server $name $address:$port check"
  done
}

apply() {
  generate >$cfg.new || return
  cmp -s $cfg.new $cfg && return
  if haproxy -c -q -f $cfg.new; then
    mv $cfg.new $cfg
    kill -USR2 $haproxy
  fi
}

until generate >$cfg; do sleep 0.2; done
haproxy -W -S "$WORK/master.sock" -f $cfg &
haproxy=$!
trap 'kill $haproxy; exit' TERM
while read -r _; do
  while read -r -t 0.1 _; do :; done # a burst is one reload
  apply
done < <(podman events --filter type=container --filter event=start --filter event=died \
  --filter event=remove --format '{{.Status}}')
