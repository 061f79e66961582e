# Two clusters, east and west, as files: keys, certificates, manifests, images, and what is installed
# in them. Read by change-of-roles.sh.

make_key() { # KEY SUBJECT REQUEST
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$1" -subj "$2" \
    -out "$3" 2>/dev/null
}
sign() { # AUTHORITY REQUEST CERTIFICATE [NAMES]
  openssl x509 -req -in "$2" -CA "$1.crt" -CAkey "$1.key" -CAcreateserial -days 2 -out "$3" \
    -extfile <(printf '%s\n' "extendedKeyUsage=serverAuth,clientAuth" \
      ${4:+"subjectAltName=$4"}) 2>/dev/null
}
authority() { # NAME SUBJECT
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
    -keyout "$1.key" -out "$1.crt" -subj "$2" 2>/dev/null
}
issue() { # FOLDER NAME SUBJECT [NAMES]
  make_key "$1/$2.key" "$3" "$1/$2.csr"
  sign "$1/ca" "$1/$2.csr" "$1/$2.crt" "${4:-}"
}
kubeconfig() { # FOLDER NAME ADDRESS FILE
  cat >"$4" <<Y
apiVersion: v1
kind: Config
clusters:
- name: c
  cluster: {server: "https://$3:6443", certificate-authority-data: $(base64 -w0 <"$1/ca.crt")}
users:
- name: u
  user:
    client-certificate-data: $(base64 -w0 <"$1/$2.crt")
    client-key-data: $(base64 -w0 <"$1/$2.key")
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
Y
}
static_pod() { # PROGRAM ARGUMENTS...
  cat <<Y
apiVersion: v1
kind: Pod
metadata: {name: $1, namespace: kube-system, labels: {component: $1, tier: control-plane}}
spec:
  hostNetwork: true
  containers:
  - name: $1
    image: registry.example.org/busybox:1
    command: $(jq -nc '$ARGS.positional' --args -- "/kube/$1" "${@:2}")
    volumeMounts:
    - {name: kube, mountPath: /kube}
    - {name: etc, mountPath: /etc/kubernetes}
    - {name: etcd, mountPath: /var/lib/etcd}
  volumes:
  - {name: kube, hostPath: {path: /kube}}
  - {name: etc, hostPath: {path: /etc/kubernetes}}
  - {name: etcd, hostPath: {path: /var/lib/etcd}}
Y
}

# An image of files, FILE:PLACE each, as `docker save` writes it. A busybox gets all its names.
image() { # NAME TAR ENTRYPOINT FILE...
  local d file tool; d=$(mktemp -d -p "$HERE")
  mkdir -p "$d"/root/{bin,etc,tmp,proc,sys,dev}
  for file in "${@:4}"; do install -D "${file%%:*}" "$d/root${file##*:}"; done
  if [ -e "$d/root/bin/busybox" ]; then
    for tool in $("$d/root/bin/busybox" --list); do
      [ -e "$d/root/bin/$tool" ] || ln -s busybox "$d/root/bin/$tool"
    done
  fi
  tar -C "$d/root" --owner=0 --group=0 -cf "$d/layer.tar" .
  jq -nc --arg id "sha256:$(sha256sum "$d/layer.tar" | cut -d' ' -f1)" --argjson entry "$3" \
    '{architecture: "amd64", os: "linux", config: {Env: ["PATH=/bin"], Entrypoint: $entry},
      rootfs: {type: "layers", diff_ids: [$id]}}' >"$d/config.json"
  jq -nc --arg name "$1" '[{Config: "config.json", RepoTags: [$name], Layers: ["layer.tar"]}]' \
    >"$d/manifest.json"
  tar -C "$d" -cf "$2" manifest.json config.json layer.tar
  rm -rf "$d"
}
images() {
  mkdir -p "$HERE/images"
  image registry.example.org/busybox:1 "$HERE/images/busybox.tar" '["/bin/sleep", "1000000"]' \
    "$BUSYBOX:/bin/busybox"
  local libraries
  mapfile -t libraries < <(ldd "$ETCD_SYNC" | grep -o '/[^ ]*' | sed 's/.*/&:&/')
  image etcd-sync:0.1.0 "$HERE/images/etcd-sync.tar" '["/etcd-sync"]' \
    "$ETCD_SYNC:/etcd-sync" "${libraries[@]}"
}

shared_files() {
  ssh-keygen -q -t ed25519 -N '' -f "$HERE/ssh"
  authority "$HERE/platform-ca" /CN=authority-of-the-platform
  make_key "$HERE/platform.key" "/CN=$DOMAIN" "$HERE/platform.csr"
  sign "$HERE/platform-ca" "$HERE/platform.csr" "$HERE/platform.crt" \
    "DNS:$DOMAIN,IP:192.0.2.10,IP:192.0.2.20"
  openssl genrsa -out "$HERE/sa.key" 2048 2>/dev/null
  openssl rsa -in "$HERE/sa.key" -pubout -out "$HERE/sa.pub" 2>/dev/null
  cat >"$HERE/encryption.yaml" <<Y
apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
- resources: [secrets]
  providers:
  - aescbc: {keys: [{name: key1, secret: $(head -c32 /dev/urandom | base64 -w0)}]}
  - identity: {}
Y
}
cluster_files() { # CLUSTER ADDRESS VIP SERVICES
  local name=$1 address=$2 vip=$3 services=$4 p=/etc/kubernetes/pki who
  local d=$HERE/$name k=$HERE/$name/root/etc/kubernetes
  local pki=$k/pki
  mkdir -p "$pki" "$k/manifests"
  cat >"$d/env" <<Y
ADDRESS=$address VIP=$vip PODS=10.244.0.0/24 DNS=$services.10
Y
  authority "$pki/ca" "/CN=authority-of-$name"
  issue "$pki" server "/CN=server" \
    "IP:$address,IP:$vip,IP:127.0.0.1,IP:$services.1,DNS:kubernetes.default.svc"
  issue "$pki" etcd-client /CN=root
  issue "$pki" admin /O=system:masters/CN=admin
  issue "$pki" user /O=system:masters/CN=somebody
  issue "$pki" controllers /CN=system:kube-controller-manager
  issue "$pki" scheduler /CN=system:kube-scheduler
  issue "$pki" kubelet "/O=system:nodes/CN=system:node:$name-m1"
  issue "$pki" proxy /CN=system:kube-proxy
  cp "$HERE/sa.key" "$HERE/sa.pub" "$pki/"
  cp "$HERE/encryption.yaml" "$k/encryption-provider.conf"
  chmod 600 "$k/encryption-provider.conf" "$pki"/*.key
  for who in admin user; do kubeconfig "$pki" $who "$address" "$d/$who.kubeconfig"; done
  for who in controllers scheduler kubelet proxy; do
    kubeconfig "$pki" $who "$address" "$k/$who.kubeconfig"
  done
  static_pod etcd --name "$name-m1" --data-dir /var/lib/etcd --log-level warn \
    --listen-client-urls https://0.0.0.0:2379 --advertise-client-urls "https://$address:2379" \
    --listen-peer-urls "https://$address:2380" \
    --initial-advertise-peer-urls "https://$address:2380" \
    --initial-cluster "$name-m1=https://$address:2380" \
    --cert-file $p/server.crt --key-file $p/server.key --trusted-ca-file $p/ca.crt \
    --client-cert-auth --peer-cert-file $p/server.crt --peer-key-file $p/server.key \
    --peer-trusted-ca-file $p/ca.crt --peer-client-cert-auth >"$k/manifests/etcd.yaml"
  static_pod kube-apiserver --etcd-servers https://127.0.0.1:2379 --etcd-cafile $p/ca.crt \
    --etcd-certfile $p/etcd-client.crt --etcd-keyfile $p/etcd-client.key \
    --advertise-address "$address" --tls-cert-file $p/server.crt \
    --tls-private-key-file $p/server.key --client-ca-file $p/ca.crt \
    --authorization-mode Node,RBAC --enable-admission-plugins NodeRestriction \
    --service-cluster-ip-range "$services.0/24" --service-account-key-file $p/sa.pub \
    --service-account-signing-key-file $p/sa.key --service-account-issuer "https://$DOMAIN" \
    --encryption-provider-config /etc/kubernetes/encryption-provider.conf \
    --kubelet-preferred-address-types InternalIP --kubelet-client-certificate $p/admin.crt \
    --kubelet-client-key $p/admin.key >"$k/manifests/kube-apiserver.yaml"
  static_pod kube-controller-manager --use-service-account-credentials \
    --kubeconfig /etc/kubernetes/controllers.kubeconfig --root-ca-file $p/ca.crt \
    --service-account-private-key-file $p/sa.key >"$k/manifests/kube-controller-manager.yaml"
  static_pod kube-scheduler --kubeconfig /etc/kubernetes/scheduler.kubeconfig \
    >"$k/manifests/kube-scheduler.yaml"
}

at() { kubectl --kubeconfig "$HERE/$1/admin.kubeconfig" --cache-dir "$HERE/$1/cache" "${@:2}"; }

sleeper() { # NAME LABELS
  cat <<Y
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: $1, namespace: cpaas-system}
spec:
  selector: {matchLabels: {app: $1}}
  template:
    metadata: {labels: {app: $1, $2}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: c, image: "registry.example.org/busybox:1"}]
Y
}
# What each cluster has for itself, in namespaces that stay local; the definition of a resource, as
# where the same platform is installed on both.
furnish() { # CLUSTER
  local DNS; DNS=$(source "$HERE/$1/env"; echo "$DNS")
  {
    cat <<Y
apiVersion: v1
kind: Namespace
metadata: {name: cpaas-system}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget, listKind: WidgetList}
  versions:
  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: coredns, namespace: kube-system}
data: {Corefile: ". {\n  errors\n  ready\n  cache 300\n  forward . 192.0.2.1\n}\n"}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: coredns, namespace: kube-system, labels: {k8s-app: kube-dns}}
spec:
  replicas: 2
  selector: {matchLabels: {k8s-app: kube-dns}}
  template:
    metadata: {labels: {k8s-app: kube-dns}}
    spec:
      dnsPolicy: Default
      terminationGracePeriodSeconds: 5
      containers:
      - name: coredns
        image: registry.example.org/busybox:1
        command: [/kube/coredns, -conf, /etc/coredns/Corefile]
        readinessProbe: {httpGet: {path: /ready, port: 8181}, periodSeconds: 2}
        volumeMounts: [{name: kube, mountPath: /kube}, {name: config, mountPath: /etc/coredns}]
      volumes: [{name: kube, hostPath: {path: /kube}}, {name: config, configMap: {name: coredns}}]
---
apiVersion: v1
kind: Service
metadata: {name: kube-dns, namespace: kube-system}
spec:
  clusterIP: $DNS
  selector: {k8s-app: kube-dns}
  ports: [{name: dns, port: 53, protocol: UDP}, {name: dns-tcp, port: 53, protocol: TCP}]
Y
    sleeper sentry "part: front-end"
    sleeper elasticsearch "service_name: cpaas-elasticsearch"
    sleeper vmselect "service_name: vmselect"
    sleeper transformer "service_name: cluster-transformer"
  } | at "$1" create -f -
}
populate() { # CLUSTER: owners sort after what they own
  at "$1" create namespace team
  jq -n '[range(100) | {apiVersion: "example.com/v1", kind: "Widget", metadata: {name: "w-\(.)"}},
      {apiVersion: "v1", kind: "Secret", metadata: {name: "s-\(.)"}, stringData: {password: "\(.)"}}]
      + [range(20) | "app-\(.)" as $app | {apiVersion: "apps/v1", kind: "Deployment",
        metadata: {name: $app}, spec: {replicas: (if . < 2 then 2 else 0 end),
          selector: {matchLabels: {app: $app}}, template: {metadata: {labels: {app: $app}},
            spec: {terminationGracePeriodSeconds: 1,
              containers: [{name: "c", image: "registry.example.org/busybox:1"}]}}}},
        {apiVersion: "v1", kind: "ServiceAccount", metadata: {name: $app}},
        {apiVersion: "v1", kind: "Secret", type: "kubernetes.io/service-account-token",
          metadata: {name: "\($app)-token",
            annotations: {"kubernetes.io/service-account.name": $app}}}]
      | {apiVersion: "v1", kind: "List", items: .}' | at "$1" -n team create -f -
  at "$1" -n team get widgets -o json | jq '{apiVersion: "v1", kind: "List", items: [.items[].metadata
      | range(3) as $n | {apiVersion: "v1", kind: "ConfigMap", metadata: {name: "of-\(.name)-\($n)",
        ownerReferences: [{apiVersion: "example.com/v1", kind: "Widget", name, uid}]}}]}' |
    at "$1" -n team create -f -
}
