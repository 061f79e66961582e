#!/usr/bin/env bash
# Two real control planes, a mirror between them, and who deletes what on the standby.
# README.md says what was seen. Needs openssl, jq, curl and kubectl.
#
#   KUBE_BIN=DIR    kube-apiserver and kube-controller-manager
#   ETCD_BIN=DIR    etcd, etcdctl and etcdutl, 3.6 or newer
#   ETCD_SYNC=FILE  the mirror
#   ORDER=owners    or keys: in which order the first copy writes
#   SECONDS_WATCHED=60
#
# Everything listens on the loopback network, lives in a folder that is removed, and is ended.
set -euo pipefail
: "${KUBE_BIN:?}" "${ETCD_BIN:?}" "${ETCD_SYNC:?}" "${ORDER:=owners}" "${SECONDS_WATCHED:=60}"
export NO_COLOR=1
readonly MONITOR=127.0.0.1:24100
declare -A VIP=([primary]=127.77.0.1 [standby]=127.77.0.2)   # 6443 of the API server
declare -A ETCD=([primary]=24001 [standby]=24011)            # peers and controllers: the next two
declare -A SERVICES=([primary]=10.96.0.0/16 [standby]=10.97.0.0/16)
declare -A ADVERTISED=([primary]=192.0.2.11 [standby]=192.0.2.12)
declare -A PID=()
HERE=$(mktemp -d)

end() {
  [ -n "${PID[$1]:-}" ] || return 0
  kill "${PID[$1]}" 2>/dev/null || true
  wait "${PID[$1]}" 2>/dev/null || true
  unset "PID[$1]"
}
end_all() {
  for name in mirror {primary,standby}-{controllers,api,etcd}; do end $name; done
  rm -rf "$HERE"
}
trap end_all EXIT

begin() { # NAME COMMAND...
  local name=$1; shift
  "$@" >>"$HERE/$name.log" 2>&1 &
  PID[$name]=$!
}
until_true() { # WHAT COMMAND...
  local what=$1; shift
  for _ in $(seq 300); do "$@" >/dev/null 2>&1 && return; sleep 0.2; done
  echo "waited for $what in vain; see:" >&2; tail -n 5 "$HERE"/*.log >&2; exit 1
}
at() { kubectl --kubeconfig "$HERE/$1/admin.kubeconfig" --cache-dir "$HERE/$1/cache" "${@:2}"; }
etcdctl() { "$ETCD_BIN/etcdctl" --endpoints "http://127.0.0.1:${ETCD[$1]}" "${@:2}"; }

issue() { # CLUSTER NAME SUBJECT [ADDRESSES]
  local d=$HERE/$1
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$d/$2.key" \
    -subj "$3" -out "$d/$2.csr" 2>/dev/null
  openssl x509 -req -in "$d/$2.csr" -CA "$d/ca.crt" -CAkey "$d/ca.key" -CAcreateserial -days 2 \
    -out "$d/$2.crt" -extfile <(printf '%s\n' "extendedKeyUsage=serverAuth,clientAuth" \
      ${4:+"subjectAltName=$4"}) 2>/dev/null
  local data="certificate-authority-data: $(base64 -w0 "$d/ca.crt")"
  cat >"$d/$2.kubeconfig" <<YAML
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://${VIP[$1]}:6443", $data}}]
users: [{name: u, user: {client-certificate: $d/$2.crt, client-key: $d/$2.key}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
YAML
}
shared_files() {
  openssl genrsa -out "$HERE/sa.key" 2048 2>/dev/null
  openssl rsa -in "$HERE/sa.key" -pubout -out "$HERE/sa.pub" 2>/dev/null
  cat >"$HERE/encryption.yaml" <<YAML
apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
- resources: [secrets]
  providers:
  - aescbc: {keys: [{name: key1, secret: $(head -c32 /dev/urandom | base64 -w0)}]}
  - identity: {}
YAML
  cat >"$HERE/audit.yaml" <<YAML
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: None, verbs: [get, list, watch]}
- {level: None, resources: [{group: coordination.k8s.io}, {group: "", resources: [events]}]}
- {level: Metadata}
YAML
}
start_etcd() { # CLUSTER
  local peer=http://127.0.0.1:$((ETCD[$1] + 1)) client=http://127.0.0.1:${ETCD[$1]}
  begin "$1-etcd" "$ETCD_BIN/etcd" --name "$1" --data-dir "$HERE/$1/data" --log-level warn \
    --listen-client-urls "$client" --advertise-client-urls "$client" --listen-peer-urls "$peer" \
    --initial-advertise-peer-urls "$peer" --initial-cluster "$1=$peer"
  until_true "the etcd of the $1" etcdctl "$1" endpoint health
}
start_kubernetes() { # CLUSTER
  local d=$HERE/$1
  begin "$1-api" "$KUBE_BIN/kube-apiserver" --etcd-servers "http://127.0.0.1:${ETCD[$1]}" \
    --bind-address "${VIP[$1]}" --secure-port 6443 --advertise-address "${ADVERTISED[$1]}" \
    --tls-cert-file "$d/server.crt" --tls-private-key-file "$d/server.key" \
    --client-ca-file "$d/ca.crt" --authorization-mode RBAC --service-cluster-ip-range "${SERVICES[$1]}" \
    --service-account-key-file "$HERE/sa.pub" --service-account-signing-key-file "$HERE/sa.key" \
    --service-account-issuer https://platform.example.org --encryption-provider-config "$HERE/encryption.yaml" \
    --audit-policy-file "$HERE/audit.yaml" --audit-log-path "$d/audit.log"
  until_true "the API of the $1" at "$1" get --raw /readyz
  local kubeconfig=$d/controllers.kubeconfig
  begin "$1-controllers" "$KUBE_BIN/kube-controller-manager" --kubeconfig "$kubeconfig" \
    --authentication-kubeconfig "$kubeconfig" --authorization-kubeconfig "$kubeconfig" \
    --bind-address 127.0.0.1 --secure-port $((ETCD[$1] + 2)) --use-service-account-credentials \
    --service-account-private-key-file "$HERE/sa.key" --root-ca-file "$d/ca.crt"
}
make_cluster() { # CLUSTER
  mkdir -p "$HERE/$1"
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
    -keyout "$HERE/$1/ca.key" -out "$HERE/$1/ca.crt" -subj "/CN=authority of the $1" 2>/dev/null
  issue "$1" server /CN=kube-apiserver "IP:${VIP[$1]}"
  issue "$1" admin /O=system:masters/CN=admin
  issue "$1" controllers /CN=system:kube-controller-manager
  start_etcd "$1"
  start_kubernetes "$1"
  # Both have the definition, as where the same platform is installed.
  at "$1" create -f - >/dev/null <<'YAML'
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget, listKind: WidgetList}
  versions:
  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}
YAML
}
populate() { # Owners sort after what they own.
  at primary create namespace team
  until_true "widgets" at primary -n team get widgets
  jq -n '[range(100) | {apiVersion: "example.com/v1", kind: "Widget", metadata: {name: "w-\(.)"}},
    {apiVersion: "v1", kind: "Secret", metadata: {name: "s-\(.)"}, stringData: {password: "\(.)"}}]
    + [range(20) | "app-\(.)" as $app | {apiVersion: "apps/v1", kind: "Deployment",
      metadata: {name: $app}, spec: {replicas: 3, selector: {matchLabels: {app: $app}},
        template: {metadata: {labels: {app: $app}},
          spec: {containers: [{name: "c", image: "registry.example.org/c:1"}]}}}},
      {apiVersion: "v1", kind: "ServiceAccount", metadata: {name: $app}},
      {apiVersion: "v1", kind: "Secret", type: "kubernetes.io/service-account-token",
        metadata: {name: "\($app)-token", annotations: {"kubernetes.io/service-account.name": $app}}}]
    | {apiVersion: "v1", kind: "List", items: .}' | at primary -n team create -f -
  at primary -n team get widgets -o json | jq '{apiVersion: "v1", kind: "List", items: [.items[].metadata
    | range(3) as $n | {apiVersion: "v1", kind: "ConfigMap", metadata: {name: "of-\(.name)-\($n)",
      ownerReferences: [{apiVersion: "example.com/v1", kind: "Widget", name, uid}]}}]}' |
    at primary -n team create -f -
}
lift_standby() {
  "$ETCD_BIN/etcdctl" --endpoints "http://127.0.0.1:${ETCD[standby]}" snapshot save "$HERE/floor.db"
  local revision; revision=$(etcdctl primary get x -w json | jq .header.revision)
  for name in standby-{controllers,api,etcd}; do end $name; done
  rm -rf "$HERE/standby/data"
  "$ETCD_BIN/etcdutl" snapshot restore "$HERE/floor.db" --data-dir "$HERE/standby/data" \
    --bump-revision $((revision + 1000000000000)) --mark-compacted --name standby \
    --initial-cluster "standby=http://127.0.0.1:$((ETCD[standby] + 1))" \
    --initial-advertise-peer-urls "http://127.0.0.1:$((ETCD[standby] + 1))"
  start_etcd standby
  start_kubernetes standby
}

shared_files
make_cluster primary
make_cluster standby
populate >/dev/null
lift_standby >/dev/null 2>&1
sleep 45 # The collector looks for kinds that are new to it every half minute.
: >"$HERE/standby/audit.log"
FLAGS=(--primary-endpoints "http://127.0.0.1:${ETCD[primary]}" --encryption-config "$HERE/encryption.yaml"
  --standby-endpoints "http://127.0.0.1:${ETCD[standby]}")
"$ETCD_SYNC" preflight "${FLAGS[@]}"
begin mirror "$ETCD_SYNC" run "${FLAGS[@]}" --order "$ORDER" --listen "$MONITOR"
sleep "$SECONDS_WATCHED"
curl -s "http://$MONITOR/check" | sed -n 1,4p
echo "requests to the standby's API that were not refused, and changed something:"
jq -r 'select(.responseStatus.code < 300)
  | [.user.username, .verb, .objectRef.resource + "/" + (.objectRef.subresource // "")] | @tsv' \
  "$HERE/standby/audit.log" | sed 's/system:serviceaccount:kube-system://' | sort | uniq -c | sort -rn
