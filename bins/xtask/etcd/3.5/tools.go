//go:build tools

// Package tools names the programs that `cargo xtask` builds, so that their versions are pinned.
package tools

import (
	_ "go.etcd.io/etcd/etcdctl/v3"
	_ "go.etcd.io/etcd/etcdutl/v3"
	_ "go.etcd.io/etcd/server/v3"
)
