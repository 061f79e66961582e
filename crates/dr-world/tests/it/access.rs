use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dr_plan::topology::KubernetesAccess;
use dr_world::Kube;
use dr_world::kube::KubeError;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::pair::{HASTE, Pair, topology};
use crate::support::kube::{BEARER, KubeServer, write_kubeconfig};
use crate::support::tls::Authority;

fn kube(file: &std::path::Path) -> Kube {
    let kubeconfig = file.to_str().unwrap().to_owned();
    Kube::new("east", KubernetesAccess { kubeconfig, context: String::new() }, HASTE * 10)
}

/// An API with TLS that wants clients of its authority, and the authority's file.
async fn secured() -> (TempDir, KubeServer, Authority, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new("kubernetes");
    let file = dir.path().join("ca.crt");
    std::fs::write(&file, &authority.pem).unwrap();
    let tls = authority.issue(&["127.0.0.1"]).server(&["http/1.1"], Some(&authority));
    (dir, KubeServer::start(Some(tls)).await, authority, file)
}

#[tokio::test]
async fn a_client_proves_itself_with_a_certificate_from_files_or_from_the_kubeconfig() {
    let (dir, server, authority, _) = secured().await;
    server.change(|state| state.bearer = String::new());
    let issued = authority.issue(&["client"]);
    issued.write(dir.path(), "client");
    let file = dir.path().join("config");
    let url = format!("https://{}", server.address);
    // Names without a folder are those of files beside the kubeconfig.
    let user = json!({ "client-certificate": "client.crt", "client-key": "client.key" });
    write_kubeconfig(&file, &url, "ca.crt", &user);
    assert_eq!(kube(&file).get("/version").await.unwrap()["gitVersion"], "v1.30.2");

    std::fs::remove_file(dir.path().join("client.key")).unwrap();
    let error = kube(&file).get("/version").await.unwrap_err();
    assert!(matches!(&error, KubeError::Setup(why) if why.contains("client.key")), "{error}");

    let user = json!({
        "client-certificate-data": STANDARD.encode(&issued.certificate),
        "client-key-data": STANDARD.encode(&issued.key),
    });
    write_kubeconfig(&file, &url, "ca.crt", &user);
    kube(&file).get("/version").await.unwrap();
}

#[tokio::test]
async fn a_token_is_read_anew_with_each_request() {
    let dir = tempfile::tempdir().unwrap();
    let server = KubeServer::start(None).await;
    let file = dir.path().join("config");
    let user = json!({ "tokenFile": "token" });
    write_kubeconfig(&file, &format!("http://{}", server.address), "", &user);
    let kube = kube(&file);
    std::fs::write(dir.path().join("token"), "old").unwrap();
    assert!(matches!(kube.get("/version").await, Err(KubeError::Refused { status: 401, .. })));
    std::fs::write(dir.path().join("token"), format!("{BEARER}\n")).unwrap();
    kube.get("/version").await.unwrap();
    let calls = server.calls();
    assert_eq!(calls.last().unwrap().authorization, format!("Bearer {BEARER}"));
}

#[tokio::test]
async fn an_api_of_another_authority_gets_no_token() {
    let (dir, server, ..) = secured().await;
    let other = dir.path().join("other.crt");
    std::fs::write(&other, Authority::new("kubernetes").pem).unwrap();
    let file = dir.path().join("config");
    server.kubeconfig(&file, other.to_str().unwrap());
    let error = kube(&file).get("/version").await.unwrap_err();
    assert!(matches!(error, KubeError::Distrusted(_)), "{error}");
    assert!(server.calls().is_empty());
}

#[tokio::test]
async fn what_is_not_supported_is_refused_in_words() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config");
    let refused = async |server: &str, authority: &str, user: Value| {
        write_kubeconfig(&file, server, authority, &user);
        kube(&file).get("/version").await.unwrap_err().to_string()
    };
    let tls = "https://127.0.0.1:1";
    let exec = json!({ "exec": { "command": "aws", "args": ["s3cr3t"] } });
    assert!(refused(tls, "", exec).await.contains("come from a program"));
    let basic = json!({ "username": "admin", "password": "s3cr3t" });
    assert!(refused(tls, "", basic).await.contains("user name and password"));
    assert!(refused(tls, "", json!({})).await.contains("no certificate-authority"));
    let plain = refused("http://10.0.0.1:8080", "", json!({ "token": "s3cr3t" })).await;
    assert!(plain.contains("without TLS"), "{plain}");
    assert!(refused("ftp://host", "", json!({})).await.contains("no URL"));

    std::fs::write(&file, "users: [s3cr3t").unwrap();
    let broken = kube(&file).get("/version").await.unwrap_err().to_string();
    assert!(broken.contains("is no kubeconfig") && !broken.contains("s3cr3t"), "{broken}");
    std::fs::write(&file, "users: s3cr3t").unwrap();
    let broken = kube(&file).get("/version").await.unwrap_err().to_string();
    assert!(broken.contains("is no kubeconfig") && !broken.contains("s3cr3t"), "{broken}");
}

#[tokio::test]
async fn a_context_can_be_named() {
    let dir = tempfile::tempdir().unwrap();
    let server = KubeServer::start(None).await;
    let file = dir.path().join("config");
    server.kubeconfig(&file, "");
    let kubeconfig = file.to_str().unwrap().to_owned();
    let access = |context: &str| KubernetesAccess {
        kubeconfig: kubeconfig.clone(),
        context: context.into(),
    };
    Kube::new("east", access("main"), HASTE * 10).get("/version").await.unwrap();
    let error = Kube::new("east", access("mine"), HASTE).get("/version").await.unwrap_err();
    assert!(error.to_string().contains("has no context `mine`"), "{error}");
}

#[tokio::test]
async fn a_server_that_repeats_a_token_does_not_make_us_repeat_it() {
    let pair = Pair::start().await;
    pair.primary.change(|state| state.bearer = "another".into());
    // The server's refusal has the whole header in it.
    let error = pair.world().kube(&dr_plan::plan::Side::Primary.into()).unwrap();
    let error = error.get("/version").await.unwrap_err();
    assert!(error.to_string().contains("Unauthorized: Bearer …"), "{error}");
    assert!(!format!("{error:?}").contains("s3cr3t"));
}

#[test]
fn a_world_prints_paths_and_no_contents() {
    let world = dr_world::World::new(&topology());
    let shown = format!("{world:?}");
    assert!(shown.contains("/nowhere/east.kubeconfig"), "{shown}");
}
