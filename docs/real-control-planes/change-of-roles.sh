#!/usr/bin/env bash
# Two whole clusters on one machine, and every change of roles between them, unattended: enable,
# switchover under writes, failback; the primary's end with a tail that is not mirrored, failover,
# failback. Afterwards both are compared, and the bundle with what users were told. README.md says
# what was seen. About ten minutes.
#
#   KUBE_BIN=DIR        kube-apiserver, kube-controller-manager, kube-scheduler, kubelet, kube-proxy,
#                       coredns with its plugin `file`, and etcd
#   CNI_BIN=DIR         loopback, ptp and host-local
#   CONTAINERD_BIN=DIR  containerd, its shim and ctr, 2.0 or newer; runc is on the path
#   ETCD_BIN=DIR        etcd, etcdctl and etcdutl, 3.6 or newer
#   ETCD_SYNC, ETCD_DR  the two programs
#   BUSYBOX=FILE        one that needs no libraries
#
# Needs root, and sshd, sudo, jq, openssl, python3, iptables and kubectl. Each node has a network, a
# process tree and folders of its own. All of it ends with this script and is removed, but for empty
# folders, such as /kube, on which it mounts, and those of control groups.
set -euo pipefail
: "${KUBE_BIN:?}" "${CNI_BIN:?}" "${CONTAINERD_BIN:?}" "${ETCD_BIN:?}" "${ETCD_SYNC:?}"
: "${ETCD_DR:?}" "${BUSYBOX:=/bin/busybox}"
for program in "$KUBE_BIN"/{kube-{apiserver,controller-manager,scheduler,proxy},kubelet,coredns,etcd} \
  "$CNI_BIN"/{loopback,ptp,host-local} "$CONTAINERD_BIN"/{containerd,containerd-shim-runc-v2,ctr} \
  "$ETCD_BIN"/{etcd,etcdctl,etcdutl} "$ETCD_SYNC" "$ETCD_DR" "$BUSYBOX"; do
  [ -x "$program" ] || { echo "$program is not there" >&2; exit 1; }
done
export PROGRAMS NO_COLOR=1
PROGRAMS=$(cd "$(dirname "$0")" && pwd)
if [ -z "${HERE:-}" ]; then
  HERE=$(mktemp -d)
  trap 'rm -rf "$HERE"' EXIT
  export HERE KUBE_BIN CNI_BIN CONTAINERD_BIN ETCD_BIN
  unshare --net --mount --pid --fork --kill-child --mount-proc "$PROGRAMS/change-of-roles.sh" "$@"
  exit
fi
readonly DOMAIN=platform.example.org
source "$PROGRAMS/clusters.sh"
export PATH=$ETCD_BIN:$PATH
cd "$HERE"

say() { printf '\n%s  %s\n' "$(date +%T)" "$*"; }
until_true() { # WHAT COMMAND...
  for _ in $(seq 600); do "${@:2}" >/dev/null 2>&1 && return; sleep 0.2; done
  echo "waited for $1 in vain" >&2
  tail -n 3 "$HERE"/*/*.log >&2
  exit 1
}
of() { (source "$HERE/$1/env"; echo "${!2}"); } # CLUSTER VARIABLE

lead_to() { # CLUSTER: the name server's answer from now on
  cat >zone.new <<Z
. 3600 IN SOA ns. admin. $(date +%s) 3600 600 86400 1
$DOMAIN. 300 IN A $(of "$1" VIP)
Z
  mv zone.new zone
}
switch_on() { # CLUSTER
  unshare --net --mount --pid --uts --ipc --fork --kill-child --mount-proc \
    "$PROGRAMS/node.sh" "$1" >>"$1/node.log" 2>&1 </dev/null &
  local pid=$!
  echo $pid >"$1/pid"

  until [ "$(readlink /proc/$pid/ns/net)" != "$(readlink /proc/$$/ns/net)" ]; do sleep 0.1; done
  ip link add "to-$1" type veth peer name eth0 netns "$pid"
  ip link set "to-$1" master lan up
  until_true "the API of $1" at "$1" get --raw /readyz
}
switch_off() { # CLUSTER: as when the power fails
  kill -9 "$(cat "$1/pid")"
  wait "$(cat "$1/pid")" 2>/dev/null || true
  touch "$1/unserved" # Its virtual IP is not served until a person says so.
}
network() {
  ip link set lo up
  ip link add lan type bridge
  ip addr add 192.0.2.1/24 dev lan
  ip link set lan up
  ip route add 10.96.0.0/24 via 192.0.2.11
  ip route add 10.97.0.0/24 via 192.0.2.21
  mkdir -p dotssh /root/.ssh
  cp ssh dotssh/id_ed25519
  echo "StrictHostKeyChecking accept-new" >dotssh/config
  chmod 600 dotssh/*
  mount --bind dotssh /root/.ssh
  printf '. {\n  file %s/zone . { reload 1s }\n}\n' "$HERE" >Corefile
  lead_to east
  "$KUBE_BIN/coredns" -conf Corefile >names.log 2>&1 &
}

described() { # ROLE CLUSTER
  local pki=$HERE/$2/root/etc/kubernetes/pki address; address=$(of "$2" ADDRESS)
  cat <<Y
$1:
  name: $2
  vip: $(of "$2" VIP)
  other_addresses: [$(of "$2" VIP)]
  nodes: [{name: $2-m1, address: $address}]
  etcd:
    endpoints: ["https://$address:2379"]
    cacert: $pki/ca.crt
    cert: $pki/etcd-client.crt
    key: $pki/etcd-client.key
  kubernetes: {kubeconfig: $HERE/$2/admin.kubeconfig}
  registry: {kind: built-in, address: $DOMAIN, user_set: true, password_set: true}
Y
}
topology() { # PRIMARY STANDBY
  cat >topology.yaml <<Y
platform: {domain: $DOMAIN, certificate: $HERE/platform.crt}
$(described primary "$1")
$(described standby "$2")
components: [elasticsearch, victoriametrics, cluster-transformer]
Y
  printf 'scope: {preset: kubernetes}\nencryption_config: %s\n' "$HERE/encryption.yaml" >mirror.yaml
}

# What a person is told to type for a step.
lines() { # PLAN STEP
  "$ETCD_DR" runbook "$1" | awk -v step="$2" '
    /^`/ {mine = index($0, "`" step "`,") == 1}
    /^##/ {mine = 0}
    mine && /^ *```/ {code = !code; next}
    mine && code {sub(/^  /, ""); print}'
}
# The plugin's installation: the manifests of the documentation, with these clusters' addresses.
install_mirror() { # PRIMARY STANDBY
  local namespace=(-n cpaas-system) side cluster pki
  for side in primary:"$1" standby:"$2"; do
    cluster=${side#*:} pki=$HERE/${side#*:}/root/etc/kubernetes/pki
    at "$2" "${namespace[@]}" create secret generic "etcd-sync-${side%:*}" --dry-run=client -o yaml \
      --from-file=ca.crt="$pki/ca.crt" --from-file=tls.crt="$pki/etcd-client.crt" \
      --from-file=tls.key="$pki/etcd-client.key" | at "$2" "${namespace[@]}" apply -f -
  done
  at "$2" "${namespace[@]}" create secret generic etcd-sync-encryption --dry-run=client -o yaml \
    --from-file=encryption.yaml="$HERE/encryption.yaml" | at "$2" "${namespace[@]}" apply -f -
  awk '/^```yaml/ {on = 1; next} /^```/ {on = 0} on' "$PROGRAMS/../deploy.md" |
    sed "s#https://10.0.0.1:2379, .*#https://$(of "$1" ADDRESS):2379]#
         s#https://10.1.0.1:2379, .*#https://$(of "$2" ADDRESS):2379]#" |
    at "$2" "${namespace[@]}" apply -f -
}
do_step() { # PLAN PRIMARY STANDBY STEP
  case $4 in
    lift-revision) # Its last question is repeated until it prints nothing.
      lines "$1" "$4" | sed 's/.*pgrep.*/while [ -n "$(&)" ]; do sleep 0.2; done/' >typed.sh
      bash -ex typed.sh ;;
    log-template) eval "$(lines "$1" "$4" | grep 'delete pods')" ;; # There is no installer here.
    install-mirror) install_mirror "$2" "$3" ;;
    dns) lead_to "$3" ;;
    serve-vip)
      rm -f "$3/unserved"
      ssh "root@$(of "$3" ADDRESS)" ip addr replace "$(of "$3" VIP)/24" dev eth0 ;;
  esac
}
written() { if [ -e journal.jsonl ]; then wc -l <journal.jsonl; else echo 0; fi; }
# A person who does what the plan asks for, when it does.
hands() { # PLAN PRIMARY STANDBY
  local seen step; seen=$(written)
  while sleep 0.1; do
    [ "$(written)" -gt "$seen" ] || continue
    seen=$((seen + 1))
    step=$(sed -n "${seen}p" journal.jsonl | jq -r 'select(.event == "begun") | .step')
    do_step "$@" "$step" >>hands.log 2>&1 </dev/null
  done
}
run() { # PLAN PRIMARY STANDBY FLAGS...
  topology "$2" "$3"
  hands "$1" "$2" "$3" &
  local hands=$! began=$SECONDS
  "$ETCD_DR" "$1" --yes --name-server 192.0.2.1:53 --mirror-config mirror.yaml "${@:4}" \
    >"$1.log" 2>&1 || { tail -n 20 "$1.log" hands.log; exit 1; }
  kill $hands
  wait $hands 2>/dev/null || true
  say "$1 is done after $((SECONDS - began)) s: $(grep -c 'step .*: done$' "$1.log") steps;" \
    "$(grep -c 'was done already' "$1.log") more were done before"
}

# Changes, makes and deletes config maps through a cluster's API. In FILE is what was accepted, with
# the revision; who is refused is counted.
user() { # CLUSTER FILE
  local n=0 as=(kubectl --kubeconfig "$HERE/$1/user.kubeconfig" --request-timeout 3s -n team)
  local accepted=(-o 'jsonpath={.metadata.resourceVersion} {.metadata.name}{"\n"}')
  until [ -e "$2.stop" ]; do
    n=$((n + 1))
    "${as[@]}" create configmap "$2-$n" "${accepted[@]}" >>"$2" || echo refused >>"$2.refused"
    "${as[@]}" patch configmap diary --type merge -p "{\"data\":{\"page\":\"$2-$n\"}}" \
      "${accepted[@]}" >>"$2" || echo refused >>"$2.refused"
    [ $((n % 5)) -ne 0 ] || { "${as[@]}" delete configmap "$2-$((n - 2))" >/dev/null &&
      echo "deleted $2-$((n - 2))" >>"$2"; } || true
  done 2>/dev/null
}
# What users have made, on both sides, but for the authority that each cluster puts into tokens.
same_on_both() {
  local cluster
  for cluster in east west; do
    at $cluster -n team get configmaps,secrets,widgets,deployments,serviceaccounts -o json | jq -S '
      [.items[] | select(.metadata.name != "kube-root-ca.crt") | del(.data."ca.crt")
        | {kind, name: .metadata.name, uid: .metadata.uid, has: (.data // .spec)}]
      | sort_by(.kind, .name)' >of-$cluster
  done
  cmp of-east of-west
  say "$(jq length of-east) objects of users are the same on both sides"
}

say "files, images, power"
shared_files
cluster_files east 192.0.2.11 192.0.2.10 10.96.0
cluster_files west 192.0.2.21 192.0.2.20 10.97.0
images
network
for cluster in east west; do switch_on $cluster; furnish $cluster >/dev/null; done
until_true "widgets" at east get widgets -A
populate east >/dev/null
at east -n team create configmap diary >/dev/null
until_true "pods" at west -n cpaas-system wait --for=condition=Ready pod -l app=sentry --timeout 1s

run enable east west
SAID=(--attest local-backups --attest dns-known --attest log-template --attest page --attest clients
  --attest swap-roles)

user east first &
user=$!
run switchover east west "${SAID[@]}"
touch first.stop
wait $user
echo "$(wc -l <first) writes of the user were accepted, then $(wc -l <first.refused) refused"
same_on_both

run failback west east --attest review-writes
head -n 1 unmirrored-writes-of-east/summary.txt

user west second &
user=$!
sleep 10
# The link of the mirror fails first: a tail grows.
nsenter -t "$(cat east/pid)" -n iptables -I FORWARD -d 192.0.2.21 -p tcp --dport 2379 -j DROP
sleep 5
switch_off west
touch second.stop
wait $user
nsenter -t "$(cat east/pid)" -n iptables -D FORWARD -d 192.0.2.21 -p tcp --dport 2379 -j DROP
say "west is gone"
run failover west east "${SAID[@]}" --attest isolate-primary
grep -m1 'what is lost' failover.log
cp journal.jsonl after-failover.jsonl

switch_on west
run failback east west --attest review-writes
head -n 1 unmirrored-writes-of-west/summary.txt
checkpoint=$(jq .after_revision unmirrored-writes-of-west/manifest.json)
awk -v after="$checkpoint" '
  $1 != "deleted" && $1 + 0 > after {lost = 1}
  lost {print $1 == "deleted" ? "gone" : $1}' second | sort >told
jq -r 'if .op == "put" then .revision else "gone" end' unmirrored-writes-of-west/writes.jsonl |
  sort >exported
cmp told exported
say "in the bundle is what the user was told after revision $checkpoint, and nothing else:" \
  "$(grep -c -v gone told) puts, $(grep -c gone told) deletions"
same_on_both
"$ETCD_DR" report --journal after-failover.jsonl
