#!/usr/bin/env bash
# The first process of a node, of the cluster NAME: what the node runs ends with it. Started by
# change-of-roles.sh in namespaces of its own, with the network's other end not there yet.
set -euo pipefail
readonly CLUSTER=$1 D=$HERE/$1
source "$D/env" # ADDRESS VIP PODS DNS

network() {
  ip link set lo up
  until ip link show eth0 >/dev/null 2>&1; do sleep 0.1; done
  ip addr add "$ADDRESS/24" dev eth0
  [ -e "$D/unserved" ] || ip addr add "$VIP/24" dev eth0
  ip link set eth0 up
  ip route add default via 192.0.2.1
  echo 1 >/proc/sys/net/ipv4/ip_forward
}
disk() { # What it writes is its own, and is there again when it is switched on again.
  mount --make-rprivate /
  local folder
  for folder in etc/kubernetes etc/cni/net.d var/lib run/containerd run/sshd run/netns \
    var/log/pods var/log/containers opt/cni; do
    mkdir -p "/$folder" "$D/root/$folder"
    mount --bind "$D/root/$folder" "/$folder"
    mount --make-shared "/$folder"
  done
  mkdir -p /var/lib/kubelet /var/lib/containerd /opt/cni/bin /kube
  mount --bind "$KUBE_BIN" /kube
  mount --bind "$CNI_BIN" /opt/cni/bin
  mount -t tmpfs tools /usr/local/sbin
  cp "$ETCD_BIN"/etcd* /usr/local/sbin/
  echo "nameserver 192.0.2.1" >"$D/resolv.conf"
  mount --bind "$D/resolv.conf" /etc/resolv.conf
  printf '127.0.0.1 localhost\n%s %s-m1\n' "$ADDRESS" "$CLUSTER" >"$D/hosts"
  mount --bind "$D/hosts" /etc/hosts
}
containers() {
  cat >/etc/cni/net.d/10-pods.conflist <<J
{"cniVersion": "1.0.0", "name": "pods", "plugins": [{"type": "ptp", "ipMasq": true, "ipam": {
  "type": "host-local", "dataDir": "/run/containerd/ipam", "ranges": [[{"subnet": "$PODS"}]],
  "routes": [{"dst": "0.0.0.0/0"}]}}]}
J
  cat >"$D/containerd.toml" <<'T'
version = 3
root = "/var/lib/containerd"
state = "/run/containerd"
[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "registry.example.org/busybox:1"
[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = true
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
T
  export PATH=$CONTAINERD_BIN:$PATH
  containerd -c "$D/containerd.toml" -l warn >>"$D/containerd.log" 2>&1 &
  until ctr version >/dev/null 2>&1; do sleep 0.1; done
  local image
  for image in "$HERE"/images/*.tar; do
    ctr -n k8s.io image import "$image" >>"$D/containerd.log" 2>&1
  done
}
kubernetes() {
  cat >"$D/kubelet.yaml" <<Y
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication:
  x509: {clientCAFile: /etc/kubernetes/pki/ca.crt}
  anonymous: {enabled: false}
  webhook: {enabled: false}
authorization: {mode: AlwaysAllow}
staticPodPath: /etc/kubernetes/manifests
clusterDNS: [$DNS]
clusterDomain: cluster.local
resolvConf: /etc/resolv.conf
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
# This is one machine of any kind: its groups and its memory are not the node's business.
cgroupDriver: cgroupfs
cgroupsPerQOS: false
enforceNodeAllocatable: []
failCgroupV1: false
failSwapOn: false
imageGCHighThresholdPercent: 100
evictionHard: {memory.available: "0%", nodefs.available: "0%", imagefs.available: "0%"}
Y
  /kube/kubelet --config "$D/kubelet.yaml" --kubeconfig /etc/kubernetes/kubelet.kubeconfig \
    --hostname-override "$CLUSTER-m1" --node-ip "$ADDRESS" >>"$D/kubelet.log" 2>&1 &
  /kube/kube-proxy --kubeconfig /etc/kubernetes/proxy.kubeconfig --proxy-mode iptables \
    --hostname-override "$CLUSTER-m1" --bind-address "$ADDRESS" --conntrack-max-per-core 0 \
    >>"$D/proxy.log" 2>&1 &
}
others() {
  [ -f "$D/ssh_host" ] || ssh-keygen -q -t ed25519 -N '' -f "$D/ssh_host"
  /usr/sbin/sshd -D -e -f /dev/null -o ListenAddress="$ADDRESS" -o HostKey="$D/ssh_host" \
    -o AuthorizedKeysFile="$HERE/ssh.pub" -o StrictModes=no -o UsePAM=no -o PidFile=none \
    -o PermitRootLogin=yes -o Subsystem="sftp internal-sftp" >>"$D/sshd.log" 2>&1 &
  python3 "$PROGRAMS/page.py" "$HERE/platform.crt" "$HERE/platform.key" "$CLUSTER" \
    >>"$D/page.log" 2>&1 &
}

hostname "$CLUSTER-m1"
network
disk
containers
kubernetes
others
wait
