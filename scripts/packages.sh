#!/bin/bash
# Install the Debian or Ubuntu packages of the programs that are missing; start none of them.
set -euo pipefail
export PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin:/usr/lib/podman:/usr/libexec/podman

policy=/usr/sbin/policy-rc.d

# What is there, whoever installed it, stays as it is.
missing_packages() {
  local program package
  while read -r program package; do
    command -v "$program" >/dev/null || echo "$package"
  done <<'S'
/usr/bin/python3 python3
podman podman
netavark netavark
aardvark-dns aardvark-dns
catatonit catatonit
haproxy haproxy
busybox busybox-static
curl curl
ip iproute2
unshare util-linux
ps procps
iptables iptables
nft nftables
systemd-analyze systemd
pebble-challtestsrv pebble
openssl openssl
redis-server redis-server
redis-cli redis-tools
S
  command -v crun >/dev/null || command -v runc >/dev/null || echo runc
  python3 -c 'import ensurepip, venv' 2>/dev/null || echo python3-venv
  [ -e /etc/ssl/certs/ca-certificates.crt ] || echo ca-certificates
}

# Not to be had everywhere; one test more where it is. apt may know of no package at all so far.
a_browser() {
  command -v chromium-headless-shell >/dev/null && return
  apt-cache show chromium-headless-shell 2>/dev/null | awk '/^Package:/ { print $2; exit }' || true
}

# Debian's packages start their services. We want the programs, not another HAProxy on this host.
# An existing policy is the administrator's, and stays.
forbid_starting_services() {
  [ ! -e $policy ] || return 0
  trap 'rm -f $policy' EXIT
  trap 'exit 1' INT TERM HUP
  printf '#!/bin/sh\n# proxyctl, make install: removed at its end\nexit 101\n' >$policy
  chmod 755 $policy
}

# ... nor one after the next boot, if it was us who brought it.
disable() {
  [ ! -d /run/systemd/system ] || systemctl --quiet disable "$1.service"
}

mapfile -t packages < <(missing_packages | sort -u)
[ ${#packages[@]} -gt 0 ] || mapfile -t packages < <(a_browser)
[ ${#packages[@]} -gt 0 ] || exit 0

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "NOT INSTALLED (only root on Debian and Ubuntu can): ${packages[*]}" >&2
  echo "\`make check\` does without most of them, \`make test\` and \`make demo\` do not." >&2
  exit 0
fi

forbid_starting_services
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq || echo "apt-get update failed, going on with the lists there are" >&2
mapfile -t -O ${#packages[@]} packages < <(a_browser)
mapfile -t packages < <(printf '%s\n' "${packages[@]}" | sort -u)
echo "installing ${packages[*]}"
apt-get install -qq -y --no-install-recommends "${packages[@]}" </dev/null >/dev/null
for service in haproxy redis-server; do
  if [[ " ${packages[*]} " == *" $service "* ]]; then disable $service; fi
done
