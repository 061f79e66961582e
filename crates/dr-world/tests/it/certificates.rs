use std::time::{Duration, Instant};

use dr_plan::Verdict;
use dr_plan::plan::{Place, Probe};

use crate::pair::{HASTE, Pair, assert_says};
use crate::support::tls::{Authority, Issued, PAGE, Says, Server, nobody};

const DOMAIN: &str = "platform.example.org";

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

fn serves_names(server: &Server, wanted: &[&str]) -> Probe {
    Probe::CertificateNames {
        host: "127.0.0.1".into(),
        port: server.address.port(),
        server_name: DOMAIN.into(),
        names: names(wanted),
    }
}

fn page_at(address: &str) -> Probe {
    Probe::PageServed { url: format!("https://{DOMAIN}/"), address: address.into() }
}

fn platform() -> (Authority, Issued) {
    let authority = Authority::new("platform");
    let issued = authority.issue(&[DOMAIN, "10.0.0.100", "10.1.0.100"]);
    (authority, issued)
}

#[tokio::test]
async fn a_port_connects_if_somebody_listens() {
    let pair = Pair::start().await;
    let connects = |port| Probe::Connects { host: "127.0.0.1".into(), port, from: Place::Here };
    let server = Server::mute().await;
    let answer = pair.ask(&connects(server.address.port())).await;
    assert_says(&answer, Verdict::Holds, "accepts a connection");
    let answer = pair.ask(&connects(nobody().await.port())).await;
    assert_says(&answer, Verdict::Fails, "refused");
}

#[tokio::test]
async fn the_names_of_the_certificate_that_is_served_are_compared() {
    let pair = Pair::start().await;
    let server = Server::start(Some(platform().1.server(&[], None)), Says::Nothing).await;
    let answer = pair.ask(&serves_names(&server, &[DOMAIN, "10.0.0.100", "10.1.0.100"])).await;
    assert_says(&answer, Verdict::Holds, "platform.example.org, 10.0.0.100, 10.1.0.100");
    let answer = pair.ask(&serves_names(&server, &[DOMAIN, "10.2.0.100", "other.org"])).await;
    assert_says(&answer, Verdict::Fails, "lacks 10.2.0.100, other.org");
    let old = Authority::new("platform").issue_until(&[DOMAIN], 2_001);
    let server = Server::start(Some(old.server(&[], None)), Says::Nothing).await;
    assert_says(&pair.ask(&serves_names(&server, &[DOMAIN])).await, Verdict::Fails, "expired");
}

#[tokio::test]
async fn a_wildcard_stands_for_one_label() {
    let pair = Pair::start().await;
    let wild = Authority::new("platform").issue(&["*.example.org"]);
    let server = Server::start(Some(wild.server(&[], None)), Says::Nothing).await;
    assert_says(&pair.ask(&serves_names(&server, &[DOMAIN])).await, Verdict::Holds, "*.example");
    for not in ["example.org", "a.platform.example.org"] {
        assert_says(&pair.ask(&serves_names(&server, &[not])).await, Verdict::Fails, not);
    }
}

#[tokio::test]
async fn a_server_that_shows_no_certificate_within_the_limit_tells_nothing() {
    let mut pair = Pair::start().await;
    pair.settings.time_limit = HASTE;
    let server = Server::mute().await;
    let began = Instant::now();
    let answer = pair.ask(&serves_names(&server, &[DOMAIN])).await;
    assert_says(&answer, Verdict::Unknown, "says nothing within 700ms");
    assert!(began.elapsed() < Duration::from_secs(3));
    let server = Server::start(None, PAGE).await;
    let answer = pair.ask(&serves_names(&server, &[DOMAIN])).await;
    assert_says(&answer, Verdict::Unknown, "does not speak TLS");
}

#[tokio::test]
async fn the_names_and_the_date_of_a_file_are_read() {
    let pair = Pair::start().await;
    let ask = async |file: &str, wanted: &[&str]| {
        let file = pair.dir.path().join(file).to_str().unwrap().to_owned();
        pair.ask(&Probe::CertificateFile { file, names: names(wanted) }).await
    };
    platform().1.write(pair.dir.path(), "good");
    assert_says(&ask("good.crt", &[DOMAIN, "10.1.0.100"]).await, Verdict::Holds, DOMAIN);
    assert_says(&ask("good.crt", &["other.org"]).await, Verdict::Fails, "lacks other.org");
    Authority::new("platform").issue_until(&[DOMAIN], 2_001).write(pair.dir.path(), "old");
    assert_says(&ask("old.crt", &[DOMAIN]).await, Verdict::Fails, "expired");
    assert_says(&ask("none.crt", &[DOMAIN]).await, Verdict::Fails, "No such file");
    std::fs::write(pair.dir.path().join("bad.crt"), "s3cr3t").unwrap();
    assert_says(&ask("bad.crt", &[DOMAIN]).await, Verdict::Unknown, "no certificate in PEM");
}

#[tokio::test]
async fn one_certificate_on_both_is_told_from_two() {
    let mut pair = Pair::start().await;
    pair.settings.time_limit = HASTE * 5;
    let (authority, issued) = platform();
    let one = Server::start(Some(issued.server(&[], None)), Says::Nothing).await;
    let two = Server::start(Some(issued.server(&[], None)), Says::Nothing).await;
    let renewed = authority.issue(&[DOMAIN, "10.0.0.100", "10.1.0.100"]);
    let three = Server::start(Some(renewed.server(&[], None)), Says::Nothing).await;
    let mute = Server::mute().await;
    let same = |servers: &[std::net::SocketAddr]| Probe::SameCertificate {
        hosts: servers.iter().map(ToString::to_string).collect(),
        server_name: DOMAIN.into(),
    };
    assert_says(&pair.ask(&same(&[one.address, two.address])).await, Verdict::Holds, "serves");
    assert_says(&pair.ask(&same(&[one.address, three.address])).await, Verdict::Fails, "serves");
    let answer = pair.ask(&same(&[one.address, mute.address])).await;
    assert_says(&answer, Verdict::Unknown, "says nothing");
    let answer = pair.ask(&same(&[one.address, nobody().await])).await;
    assert_says(&answer, Verdict::Fails, "refused");
}

#[tokio::test]
async fn the_page_is_the_platforms_if_its_certificate_is() {
    let mut pair = Pair::start().await;
    let (authority, issued) = platform();
    let (file, _) = issued.write(pair.dir.path(), "platform");
    pair.topology.platform.certificate = file.to_str().unwrap().to_owned();
    let serve = async |issued: &Issued, says| {
        Server::start(Some(issued.server(&["http/1.1"], None)), says).await
    };
    let ask = async |server: &Server| pair.ask(&page_at(&server.address.to_string())).await;

    assert_says(&ask(&serve(&issued, PAGE).await).await, Verdict::Holds, "serves it");
    let login = "HTTP/1.1 302 Found\r\nLocation: /login?state=s3cr3t\r\nContent-Length: 0\r\n\r\n";
    let server = serve(&issued, Says::Bytes(login)).await;
    assert_says(&ask(&server).await, Verdict::Holds, "302 and leads to /login");
    let sorry = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";
    assert_says(&ask(&serve(&issued, Says::Bytes(sorry)).await).await, Verdict::Fails, "503");
    let server = serve(&issued, Says::Bytes("SSH-2.0\r\n")).await;
    assert_says(&ask(&server).await, Verdict::Unknown, "not HTTP");

    let other = authority.issue(&[DOMAIN]);
    assert_says(&ask(&serve(&other, PAGE).await).await, Verdict::Fails, "another certificate");
    let answer = pair.ask(&page_at(&nobody().await.to_string())).await;
    assert_says(&answer, Verdict::Fails, "refused");
}

#[tokio::test]
async fn a_page_is_not_judged_without_the_file_that_says_whose_it_is() {
    let pair = Pair::start().await;
    let server = Server::start(Some(platform().1.server(&[], None)), PAGE).await;
    let answer = pair.ask(&page_at(&server.address.to_string())).await;
    assert_says(&answer, Verdict::Unknown, "/nowhere/platform.crt");
}
