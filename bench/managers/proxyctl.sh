#!/bin/bash
# proxyctl as `proxyctl run` alone starts it, but for the port: its own HAProxy, no root's folders.
set -eu
mkdir etc # its folder is watched: what is written at work stands elsewhere
cat >etc/config.toml <<T
[haproxy]
mode = "embedded"
master-socket = "$WORK/master.sock"
[entrypoints.web]
bind = ["127.0.0.1:$PORT"]
[[podman.sockets]]
path = "$PODMAN_SOCK"
T
export XDG_RUNTIME_DIR=$WORK/run XDG_STATE_HOME=$WORK/state
mkdir -p "$XDG_RUNTIME_DIR" "$XDG_STATE_HOME"
exec proxyctl --config etc/config.toml run
