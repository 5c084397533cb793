#!/bin/bash
# The first process of a lab (lab.sh starts it): furnishes the namespaces, then reaps orphans.
set -euo pipefail

fresh() { # DIRECTORY [MODE]: an empty file system that dies with the lab
  mount -t tmpfs -o "mode=${2:-755}" tmpfs "$1"
}

over() { # DIRECTORY: keep what it shows, but let no write through
  local layer=/run/lab/over$1
  mkdir -p "$layer"/{upper,work}
  mount -t overlay -o "lowerdir=$1,upperdir=$layer/upper,workdir=$layer/work" overlay "$1"
}

# Mount the hierarchies again, so that this lab's group is their root.
own_cgroups() {
  local point type options
  while read -r point type options; do
    umount "$point"
    case $type,$options in
      cgroup2,*) mount -t cgroup2 cgroup2 "$point" ;;
      *,*name=*) mount -t cgroup -o "none,name=${options##*name=}" cgroup "$point" ;;
      *) mount -t cgroup -o "$(basename "$(readlink -f "$point")")" cgroup "$point" ;;
    esac
  done < <(awk '$3 == "cgroup" || $3 == "cgroup2" { print $2, $3, $4 }' /proc/mounts | sort -u)
}

configure_podman() {
  local runtime
  runtime=$(command -v runc || command -v crun)
  if [ -f /sys/fs/cgroup/cgroup.controllers ]; then
    wrap_runtime "$runtime"
    runtime=/run/lab/runtime/$(basename "$runtime")
  fi
  cat >/etc/containers/containers.conf <<S
[containers]
apparmor_profile = "unconfined"
default_ulimits = ["nofile=$(ulimit -Hn):$(ulimit -Hn)", "nproc=$(ulimit -Hu):$(ulimit -Hu)"]
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "$(basename "$runtime")"
[engine.runtimes]
$(basename "$runtime") = ["$runtime"]
[network]
network_backend = "netavark"
S
  cat >/etc/containers/storage.conf <<'S'
[storage]
driver = "overlay"
graphroot = "/var/lib/containers/storage"
runroot = "/run/containers/storage"
S
  echo '{"default": [{"type": "insecureAcceptAnything"}]}' >/etc/containers/policy.json
}

# With cgroup v2 and no systemd, Podman (4.3) makes a group for each pod that may open no device, not
# even /dev/null, so that nothing can start in it: give containers groups beside it instead.
wrap_runtime() { # PATH
  cat >/run/lab/runtime/"$(basename "$1")" <<S
#!/bin/bash
for word; do
  if [ "\$before" = --bundle ] || [ "\$before" = -b ]; then
    sed -i -E 's|("cgroupsPath": *"/libpod_parent/)[0-9a-f]{64}/|\1|' "\$word/config.json"
  fi
  before=\$word
done
exec $1 "\$@"
S
  chmod +x /run/lab/runtime/*
}

# The image: web.py, the host's Python with the few modules that it imports, `sh` and `sleep`.
# Made of the host's own files, because there is no registry, and no compiler either.
import_image() {
  local root=/run/lab/image python modules file
  python=$(readlink -f /usr/bin/python3)
  modules=$("$python" -IS "$LAB_HERE/web.py" --modules)
  # shellcheck disable=SC2086 # words are wanted
  for file in /usr/bin/python3 "$python" /bin/sh /bin/sleep $modules \
    $(ldd "$python" /bin/sh /bin/sleep $(grep '\.so$' <<<"$modules") | grep -oE '/[^ :]+' | sort -u); do
    [ -e "$root$file" ] || install -p -D "$file" "$root$file"
  done
  mkdir -p "$root$(dirname "$(grep /os.py <<<"$modules")")/lib-dynload" $root/{etc,tmp}
  install -m 755 "$LAB_HERE/web.py" $root/web
  tar -C $root -c . |
    podman import --quiet --change 'ENTRYPOINT ["/web"]' - localhost/web >/dev/null
}

start_service() {
  mkdir -p /run/podman
  podman --log-level warn system service --time 0 unix:///run/podman/podman.sock \
    >/run/lab/service.log 2>&1 &
  echo $! >/run/lab/service.pid
  for _ in $(seq 200); do
    curl -fs -o /dev/null --unix-socket /run/podman/podman.sock http://d/_ping && return
    sleep 0.05
  done
  cat /run/lab/service.log
  return 1
}

export HOME=/run/home
mount --make-rprivate /
fresh /run
fresh /dev/shm 1777
mkdir -m 1777 /run/tmp
mkdir -p /run/{home,lab/runtime,lock,netns}
own_cgroups
over /etc
over /var/lib
rm -rf /etc/proxyctl /var/lib/proxyctl # what the host has of it, as the lab sees it
mkdir -p /var/lib/containers /etc/containers/containers.conf.d
fresh /var/lib/containers
fresh /etc/containers/containers.conf.d
ip link set lo up
configure_podman
import_image
start_service
echo ready
exec >/dev/null 2>&1
while :; do
  sleep 1000 &
  wait $!
done
