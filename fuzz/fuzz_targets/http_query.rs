//! The query string of `/check`, hostile: understood, or refused on one short line that names the
//! parameter.

#![no_main]

use libfuzzer_sys::fuzz_target;
use monitor_api::{CheckFormat, CheckQuery};

fuzz_target!(|data: &[u8]| {
    let Ok(query) = std::str::from_utf8(data) else { return };
    match CheckQuery::parse(query) {
        Ok(understood) => {
            assert!(understood.limit <= CheckQuery::LIMIT_MAX);
            assert_eq!(CheckQuery::parse(&written(understood)), Ok(understood));
        }
        Err(error) => {
            let line = error.to_string();
            assert!(!line.chars().any(char::is_control), "{line:?}");
            assert!(line.len() < 400, "{line:?}");
            let named = ["unknown parameter `", "format: ", "strict: ", "limit: "];
            assert!(named.iter().any(|name| line.starts_with(name)), "{line:?}");
        }
    }
});

/// The query string that means this.
fn written(query: CheckQuery) -> String {
    let format = match query.format {
        Some(CheckFormat::Text) => "format=text&",
        Some(CheckFormat::Json) => "format=json&",
        None => "",
    };
    format!("{format}strict={}&limit={}", query.strict, query.limit)
}
