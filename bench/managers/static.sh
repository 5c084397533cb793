#!/bin/bash
# The limit: a haproxy.cfg by hand that knows all hosts and addresses before, and never reloads.
# Hosts with two addresses are checked every 100 ms, and a refused connection marks a server down.
set -eu
cat >haproxy.cfg <<T
global
    maxconn 4000
defaults
    mode http
    option forwardfor
    timeout connect 250ms
    timeout client 30s
    timeout server 30s
    retries 3
    option redispatch 1
    retry-on conn-failure empty-response
frontend web
    bind 127.0.0.1:$PORT
    use_backend %[req.hdr(host),lower,map_str($WORK/hosts.map)]
T
while read -r host one two; do
  printf 'backend %s\n' "$host"
  if [ -n "$two" ]; then
    echo "    default-server check inter 100ms rise 1 fall 1 observe layer4 on-error mark-down error-limit 1"
    printf '    server two %s:8080\n' "$two"
  fi
  printf '    server one %s:8080\n' "$one"
done <"$HOSTS" >>haproxy.cfg
awk '{ print $1, $1 }' "$HOSTS" >hosts.map
exec haproxy -W -S "$WORK/master.sock" -f haproxy.cfg
