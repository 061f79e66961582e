//! Who may do what, and what becomes of a mirror when that changes.

use std::path::Path;
use std::time::Duration;

use end_to_end::{Etcd, MirrorBuilder, Proxy, assert_equal_in_scope, dump};
use etcd_client::{Permission, PermissionType};

use crate::support::{
    assert_caught_up, assert_only_guards, fill, head, mirror, put, wait_for_ready,
};

fn tls(builder: MirrorBuilder, side: &str, etcd: &Etcd, client: &str) -> MirrorBuilder {
    let certificates = etcd.certificates();
    builder
        .connection_flag(format!("--{side}-cacert"))
        .connection_flag(certificates.ca())
        .connection_flag(format!("--{side}-cert"))
        .connection_flag(certificates.cert(client))
        .connection_flag(format!("--{side}-key"))
        .connection_flag(certificates.key(client))
}

fn user(builder: MirrorBuilder, side: &str, name: &str, password: &Path) -> MirrorBuilder {
    builder
        .connection_flag(format!("--{side}-user"))
        .connection_flag(name)
        .connection_flag(format!("--{side}-password-file"))
        .connection_flag(password)
}

#[tokio::test]
async fn renewed_certificates_are_taken_without_a_restart() {
    let (mut primary, mut standby) =
        tokio::join!(Etcd::builder().tls().start(), Etcd::builder().standby().tls().start());
    fill(&mut primary.client().await, "/a/", 20, "1").await;
    for etcd in [&primary, &standby] {
        etcd.certificates().issue("mirror", "mirror");
    }
    let builder = mirror(&primary.endpoints(), &standby.endpoints());
    let builder = tls(tls(builder, "primary", &primary, "mirror"), "standby", &standby, "mirror");
    let mut mirror = builder.start();
    assert_caught_up(&mut mirror, &primary, &standby).await;

    // The servers come back with certificates that nobody has seen before.
    for etcd in [&mut primary, &mut standby] {
        etcd.certificates().issue("server", "renewed");
        etcd.kill();
        etcd.restart().await;
    }
    put(&mut primary.client().await, "/server", "renewed").await;
    assert_caught_up(&mut mirror, &primary, &standby).await;
    mirror.assert_no_errors(&[]);

    // Ours are replaced too: by some that are refused, which shows that the files are read ...
    let foreign = tempfile::tempdir().unwrap();
    let foreign = end_to_end::tls::Certificates::generate(foreign.path());
    for etcd in [&mut primary, &mut standby] {
        let ours = etcd.certificates();
        std::fs::copy(foreign.cert("client"), ours.cert("mirror")).unwrap();
        std::fs::copy(foreign.key("client"), ours.key("mirror")).unwrap();
        etcd.kill();
        etcd.restart().await;
    }
    let status = mirror.wait_for_state("blocked").await;
    assert_eq!(status["blocked"]["guard"], "denied", "{status}");
    wait_for_ready(&mirror, false).await;
    put(&mut primary.client().await, "/while", "refused").await;
    // ... and by some that are good.
    for etcd in [&primary, &standby] {
        etcd.certificates().issue("mirror", "mirror");
    }
    assert_caught_up(&mut mirror, &primary, &standby).await;
    wait_for_ready(&mirror, true).await;
    assert_only_guards(&mut mirror);
}

/// A cluster with authentication, tokens of which last two seconds.
async fn guarded(standby: bool) -> Etcd {
    let builder = Etcd::builder().flag("--auth-token-ttl=2");
    let builder = if standby { builder.standby() } else { builder };
    let mut etcd = builder.start().await;
    etcd.enable_auth("root's").await;
    etcd
}

/// Makes a user `mirror` with these permissions.
async fn allow(etcd: &Etcd, password: &str, permissions: Vec<Permission>) {
    let mut client = etcd.client().await;
    client.user_add("mirror", password, None).await.unwrap();
    client.role_add("mirror").await.unwrap();
    for permission in permissions {
        client.role_grant_permission("mirror", permission).await.unwrap();
    }
    client.user_grant_role("mirror", "mirror").await.unwrap();
}

fn may_read(prefix: &str) -> Permission {
    Permission::new(PermissionType::Read, prefix).with_prefix()
}

fn may_write(prefix: &str) -> Permission {
    Permission::new(PermissionType::Readwrite, prefix).with_prefix()
}

#[tokio::test]
async fn a_role_that_covers_the_scope_and_no_more_is_enough() {
    let (primary, standby) = tokio::join!(guarded(false), guarded(true));
    let prefix = "/app/";
    allow(&primary, "one", vec![may_read(prefix)]).await;
    // One watch sees who writes what in scope and which transactions are ours: it spans both.
    let between = Permission::new(PermissionType::Read, prefix).with_range_end("/etcd-sync0");
    allow(&standby, "one", vec![may_write(prefix), may_write("/etcd-sync/"), between]).await;
    let dir = tempfile::tempdir().unwrap();
    let [first, second] = ["primary", "standby"].map(|side| dir.path().join(side));
    std::fs::write(&first, "one\n").unwrap();
    std::fs::write(&second, "one\n").unwrap();
    let in_scope = |key: &[u8]| key.starts_with(prefix.as_bytes());
    let mut client = primary.client().await;
    fill(&mut client, prefix, 20, "1").await;
    put(&mut client, "/other", "1").await;
    // Through proxies, so that a connection can be taken away.
    let front = Proxy::start(&primary.endpoints()[0]).await;
    let back = Proxy::start(&standby.endpoints()[0]).await;
    let builder = mirror(&[front.endpoint()], &[back.endpoint()])
        .connection_flag("--prefix")
        .connection_flag(prefix);
    let builder = user(user(builder, "primary", "mirror", &first), "standby", "mirror", &second);
    let mut mirror = builder.start();
    let equal = async |mirror: &mut end_to_end::Mirror, key: &str| {
        let mut client = primary.client().await;
        let revision = put(&mut client, key, "1").await;
        mirror.wait_for_checkpoint(revision).await;
        // As somebody new: the token of before may have run out.
        let primary = dump(&primary.client().await).await;
        let standby = dump(&standby.client().await).await;
        assert_equal_in_scope(&primary, &standby, in_scope);
        assert!(!standby.keys.contains_key(&b"/other"[..]));
    };
    equal(&mut mirror, "/app/first").await;

    // Tokens have run out several times over: on an idle connection, and on one that is new.
    tokio::time::sleep(Duration::from_secs(5)).await;
    equal(&mut mirror, "/app/token").await;
    front.cut();
    back.cut();
    equal(&mut mirror, "/app/reconnected").await;
    mirror.assert_no_errors(&[]);

    // The password changes first, the file after it.
    for (etcd, file) in [(&primary, &first), (&standby, &second)] {
        etcd.client().await.user_change_password("mirror", "two").await.unwrap();
        front.cut();
        back.cut();
        let mut client = primary.client().await;
        put(&mut client, "/app/while", "refused").await;
        let status = mirror.wait_for_state("blocked").await;
        assert_eq!(status["blocked"]["guard"], "denied", "{status}");
        std::fs::write(file, "two\n").unwrap();
        mirror.wait_for_state("following").await;
        equal(&mut mirror, "/app/rotated").await;
    }

    // The role loses what it needs, and gets it back. Denial is never taken for deletion.
    let held = dump(&standby.client().await).await.filtered(in_scope);
    let mut root = primary.client().await;
    let options = etcd_client::RoleRevokePermissionOptions::new().with_prefix();
    root.role_revoke_permission("mirror", prefix, Some(options)).await.unwrap();
    front.cut();
    mirror.wait_for_state("blocked").await;
    wait_for_ready(&mirror, false).await;
    assert_eq!(dump(&standby.client().await).await.filtered(in_scope).keys, held.keys);
    root.role_grant_permission("mirror", may_read(prefix)).await.unwrap();
    mirror.wait_for_state("following").await;
    equal(&mut mirror, "/app/allowed").await;
    assert_only_guards(&mut mirror);
}

#[tokio::test]
async fn authentication_that_is_turned_on_while_the_mirror_runs_is_met() {
    let (mut primary, standby) =
        tokio::join!(Etcd::builder().flag("--auth-token-ttl=2").start(), Etcd::start_standby());
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("password");
    std::fs::write(&file, "root's\n").unwrap();
    put(&mut primary.client().await, "/a", "1").await;
    let builder = mirror(&primary.endpoints(), &standby.endpoints());
    let mut mirror = user(builder, "primary", "root", &file).start();
    assert_caught_up(&mut mirror, &primary, &standby).await;
    primary.enable_auth("root's").await;
    let mut client = primary.client().await;
    put(&mut client, "/b", "1").await;
    let revision = head(&mut client).await;
    mirror.wait_for_checkpoint(revision).await;
    primary.kill();
    primary.restart().await;
    put(&mut primary.client().await, "/c", "1").await;
    assert_caught_up(&mut mirror, &primary, &standby).await;
    mirror.assert_no_errors(&[]);
}
