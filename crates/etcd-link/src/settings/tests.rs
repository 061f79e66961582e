use std::io::Write as _;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use tempfile::NamedTempFile;

use super::*;

fn settings(endpoints: &[&str]) -> Settings {
    let endpoints = endpoints.iter().map(ToString::to_string).collect();
    Settings { endpoints, ..Settings::default() }
}

fn urls(endpoints: &[&str]) -> Vec<String> {
    let endpoints = settings(endpoints).parse_endpoints().unwrap();
    endpoints.iter().map(Endpoint::url).collect()
}

fn refusal(settings: &Settings) -> String {
    let error = settings.validate().unwrap_err().to_string();
    assert!(!error.contains('\n'), "{error}");
    error
}

fn file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn path(file: &NamedTempFile) -> Option<PathBuf> {
    Some(file.path().to_owned())
}

#[test]
fn an_endpoint_may_leave_out_scheme_and_port() {
    assert_eq!(urls(&["10.0.0.1:2380", "etcd"]), ["http://10.0.0.1:2380", "http://etcd:2379"]);
    assert_eq!(urls(&["http://[::1]:1/", "[::1]"]), ["http://[::1]:1", "http://[::1]:2379"]);
}

#[test]
fn an_endpoint_that_can_not_be_meant_is_refused() {
    for (endpoints, part) in [
        (&[][..], "none given"),
        (&[""], "an endpoint is empty"),
        (&["ftp://a:1"], "scheme `ftp` is unknown"),
        (&["unix:///run/etcd"], "scheme `unix` is unknown"),
        (&["http://a b:1"], "is not a URL"),
        (&["http://a:1/v3"], "has a path"),
        (&["http://a:port"], ""),
        (&["http://a:70000"], "port"),
        (&["http://"], ""),
        (&["http://a:1", "https://b:1"], "are mixed"),
        (&["http://me:secret@a:1"], "holds a user"),
    ] {
        let refusal = refusal(&settings(endpoints));
        assert!(refusal.starts_with("endpoints: ") && refusal.contains(part), "{refusal}");
        assert!(!refusal.contains("secret"), "{refusal}");
    }
}

#[test]
fn pings_that_etcd_would_punish_are_refused() {
    let keep_alive_interval = Duration::from_millis(900);
    let hasty = Settings { keep_alive_interval, ..settings(&["a:1"]) };
    assert!(refusal(&hasty).starts_with("keep-alive-interval: must be at least 1s"));
}

#[test]
fn a_password_crosses_no_network_in_the_clear() {
    let password = file("secret\n");
    let with = |endpoint| Settings {
        user: Some("mirror".into()),
        password_file: path(&password),
        ..settings(&[endpoint])
    };
    assert_eq!(with("http://127.0.0.1:1").validate(), Ok(()));
    assert_eq!(with("http://[::1]:1").validate(), Ok(()));
    assert_eq!(with("localhost:1").validate(), Ok(()));
    assert!(refusal(&with("http://10.0.0.1:1")).contains("in the clear"));
    assert!(refusal(&with("http://localhost.example:1")).contains("in the clear"));
}

#[test]
fn user_and_password_belong_together() {
    let password = file("\n");
    let user = Some("mirror".to_owned());
    let alone = Settings { user: user.clone(), ..settings(&["localhost:1"]) };
    assert!(refusal(&alone).starts_with("password-file: missing"));
    let alone = Settings { password_file: path(&password), ..settings(&["localhost:1"]) };
    assert!(refusal(&alone).starts_with("user: missing"));
    let empty = Settings { user: user.clone(), ..alone.clone() };
    assert!(refusal(&empty).ends_with("is empty"));
    let absent = Settings { user, password_file: Some("/no/such".into()), ..alone };
    assert!(refusal(&absent).starts_with("password-file: can't read /no/such"));
}

#[test]
fn a_password_keeps_what_only_looks_like_a_line_end() {
    assert_eq!(read_password(file(" a b \r\n").path()).unwrap(), " a b ");
    assert_eq!(read_password(file("a\n\n").path()).unwrap(), "a\n");
}

#[test]
fn certificates_are_read_and_matched_before_anything_is_dialled() {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let other = generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (cert, key) = (file(&cert.pem()), file(&signing_key.serialize_pem()));
    let (foreign, junk) = (file(&other.signing_key.serialize_pem()), file("junk"));
    let good = Settings {
        cacert: path(&cert),
        cert: path(&cert),
        key: path(&key),
        ..settings(&["https://localhost:1", "localhost:2"])
    };
    assert_eq!(good.validate(), Ok(()));
    for (wrong, part) in [
        (Settings { cacert: None, ..settings(&["https://a"]) }, "cacert: missing"),
        (Settings { key: None, ..good.clone() }, "key: missing"),
        (Settings { cert: None, ..good.clone() }, "cert: missing"),
        (Settings { cacert: path(&junk), ..good.clone() }, "cacert: "),
        (Settings { cacert: path(&key), ..good.clone() }, "holds no certificate"),
        (Settings { key: path(&junk), ..good.clone() }, "key: "),
        (Settings { key: path(&foreign), ..good.clone() }, "is unusable"),
        (Settings { cert: Some("/no/such".into()), ..good.clone() }, "cert: can't read"),
        (Settings { endpoints: vec!["http://a".into()], ..good }, "given for http://"),
    ] {
        let refusal = refusal(&wrong);
        assert!(refusal.contains(part), "{refusal}");
    }
}
