//! The platform's page, at one address.

use std::time::Duration;

use dr_plan::Answer;
use http_body_util::Empty;
use hyper::Request;
use hyper::header::{HOST, LOCATION, USER_AGENT};

use super::address::{Address, Url};
use super::certificate::{self, Certificate};
use super::look::{Look, look};
use crate::http::{self, exchange};
use crate::words::{fails, holds, unknown};

/// Asks `address` for the page under the name in its URL. The certificate has to be the one of the
/// file: whoever shows it and has its key is the platform.
pub(super) async fn page_served(
    url: &str,
    address: &str,
    certificate_file: &str,
    limit: Duration,
) -> Answer {
    let Some(url) = Url::parse(url).filter(|url| url.tls) else {
        return unknown(format!("{url} is no https URL"));
    };
    let Some(at) = Address::parse(address, url.address.port) else {
        return unknown(format!("{address} is no address"));
    };
    let expected = match Certificate::of_file(certificate_file) {
        Ok(expected) => expected,
        Err(why) => return unknown(format!("which certificate is the platform's: {why}")),
    };
    let name = &url.address.host;
    let Look { chain, stream, .. } = match look(&at, name, &[b"http/1.1"], None, limit).await {
        Ok(seen) => seen,
        Err(error) => return super::not_seen(&error),
    };
    let Some(shown) = chain.first().and_then(Certificate::read) else {
        return fails(format!("{at} shows no certificate that can be read"));
    };
    if shown.fingerprint != expected.fingerprint {
        return fails(format!(
            "{at} shows another certificate ({}) than {certificate_file} holds",
            shown.introduced()
        ));
    }
    if let Some(why) = shown.out_of_date(certificate::now()) {
        return fails(format!("{at} shows the platform's certificate: {why}"));
    }
    let request = Request::get(&url.path)
        .header(HOST, &url.address.host)
        .header(USER_AGENT, http::AGENT)
        .body(Empty::<bytes::Bytes>::new());
    let request = match request {
        Ok(request) => request,
        Err(error) => return unknown(format!("{}: {error}", url.path)),
    };
    match exchange(stream, request, limit).await {
        Err(why) => unknown(format!("{at} shows the platform's certificate; then: {why}")),
        Ok(reply) if reply.status.is_success() => holds(format!("{at} serves it")),
        Ok(reply) if reply.status.is_redirection() => {
            let to = reply.headers.get(LOCATION).and_then(|to| to.to_str().ok());
            // What comes behind a question mark may be meant for one reader.
            let to = to.and_then(|to| to.split('?').next()).unwrap_or("nowhere");
            holds(format!("{at} answers {} and leads to {to}", reply.status.as_u16()))
        }
        Ok(reply) => fails(format!("{at} answers {}", reply.status)),
    }
}
