//! Both formats of the metrics, held against their grammars: by a parser that is as strict as
//! `promtool check metrics` and the OpenMetrics specification.

use std::collections::{BTreeMap, BTreeSet};

use monitor_api::{CheckReport, Checks, Exposition, StatusReport, render};

use crate::harness::{body, server};
use crate::{blocked_report, full_report, nothing};

/// A family: its type, its help, and its samples with their labels.
#[derive(Debug, Default)]
struct Family {
    kind: Option<String>,
    help: Option<String>,
    samples: BTreeSet<String>,
}

/// Reads a text in one of the formats, or says what is wrong with it.
fn parse(text: &str, exposition: Exposition) -> Result<BTreeMap<String, Family>, String> {
    let open = exposition == Exposition::OpenMetrics;
    let kinds: &[&str] = match exposition {
        Exposition::Text => &["counter", "gauge", "histogram", "summary", "untyped"],
        Exposition::OpenMetrics => &["counter", "gauge", "histogram", "info", "unknown"],
    };
    if !text.ends_with('\n') {
        return Err("the last line does not end".into());
    }
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let (mut current, mut ended) = (String::new(), false);
    for line in text.lines() {
        let wrong = |why: &str| Err(format!("{why}: {line}"));
        if ended {
            return wrong("after the end");
        }
        if let Some(comment) = line.strip_prefix('#') {
            let Some(described) = comment.strip_prefix(' ') else { return wrong("a comment") };
            if described == "EOF" {
                if !open {
                    return wrong("an end mark in the text format");
                }
                ended = true;
                continue;
            }
            let mut words = described.splitn(3, ' ');
            let (word, name) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
            let rest = words.next().unwrap_or("");
            if !is_name(name) {
                return wrong("no name");
            }
            if current != name && families.contains_key(name) {
                return wrong("a family in two parts");
            }
            name.clone_into(&mut current);
            let family = families.entry(name.to_owned()).or_default();
            if !family.samples.is_empty() {
                return wrong("described after its samples");
            }
            let slot = match word {
                "HELP" => &mut family.help,
                "TYPE" if kinds.contains(&rest) => &mut family.kind,
                "TYPE" => return wrong("an unknown type"),
                _ => return wrong("an unknown comment"),
            };
            if rest.is_empty() || slot.replace(rest.to_owned()).is_some() {
                return wrong("described twice, or not at all");
            }
            continue;
        }
        let name: String = line.chars().take_while(|c| !matches!(c, '{' | ' ')).collect();
        if !is_name(&name) {
            return wrong("no name of a sample");
        }
        let (labels, value) = match line.get(name.len()..) {
            Some(rest) if rest.starts_with('{') => {
                rest.rsplit_once("} ").map(|(labels, value)| (&labels[1..], value))
            }
            Some(rest) => rest.strip_prefix(' ').map(|value| ("", value)),
            None => None,
        }
        .ok_or_else(|| format!("neither labels nor a value: {line}"))?;
        let labels = parse_labels(labels).map_err(|why| format!("{why}: {line}"))?;
        let number = match value {
            "+Inf" => f64::INFINITY,
            other => other.parse().map_err(|_| format!("no number: {line}"))?,
        };
        let Some(family) = families.get_mut(&current) else { return wrong("no family") };
        let suffix = name.strip_prefix(&current).ok_or_else(|| format!("a stranger: {line}"))?;
        let kind = family.kind.clone().ok_or_else(|| format!("no type before: {line}"))?;
        let fits = match (kind.as_str(), suffix) {
            // In the text format the family has the name of its samples, in OpenMetrics it has not.
            ("counter", "") => !open && current.ends_with("_total"),
            ("counter", "_total") => open && !current.ends_with("_total"),
            ("gauge", "") => !current.ends_with("_total"),
            ("histogram", "_bucket") => labels.contains_key("le"),
            ("histogram", "_sum" | "_count") => true,
            _ => false,
        };
        if !fits || (kind == "counter" && number < 0.0) {
            return wrong("not a sample of its type");
        }
        if !family.samples.insert(format!("{name}{labels:?}")) {
            return wrong("twice");
        }
    }
    if open && !ended {
        return Err("no end mark".into());
    }
    for (name, family) in &families {
        if family.kind.is_none() || family.help.is_none() {
            return Err(format!("{name} has no type or no help"));
        }
    }
    Ok(families)
}

fn is_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':')
}

fn parse_labels(mut text: &str) -> Result<BTreeMap<String, String>, &'static str> {
    let mut labels = BTreeMap::new();
    while !text.is_empty() {
        let (name, rest) = text.split_once("=\"").ok_or("a label without a value")?;
        let mut value = String::new();
        let mut chars = rest.char_indices();
        let end = loop {
            match chars.next().ok_or("a value without an end")? {
                (at, '"') => break at,
                (_, '\\') => match chars.next().ok_or("half an escape")?.1 {
                    'n' => value.push('\n'),
                    c @ ('\\' | '"') => value.push(c),
                    _ => return Err("an unknown escape"),
                },
                (_, '\n') => return Err("a line break in a value"),
                (_, c) => value.push(c),
            }
        };
        if !is_name(name) || labels.insert(name.to_owned(), value).is_some() {
            return Err("a label's name, or one twice");
        }
        text = &rest[end + 1..];
        text = match text.strip_prefix(',') {
            Some("") => return Err("a comma at the end"),
            Some(more) => more,
            None if text.is_empty() => text,
            None => return Err("no comma"),
        };
    }
    Ok(labels)
}

/// Reports that are full, empty, and up to no good.
fn reports() -> [StatusReport; 4] {
    let hostile = StatusReport {
        state: "da\"n\\c\ning".into(),
        version: "1\"} 7\n# EOF".into(),
        ..full_report()
    };
    [full_report(), blocked_report(), StatusReport::default(), hostile]
}

#[tokio::test]
async fn metrics_are_valid_in_both_formats() {
    let checks = Checks::new(|| async { CheckReport::judged(nothing()) });
    checks.run().await;
    let totals = checks.totals();
    for report in reports() {
        for totals in [None, Some(&totals)] {
            for exposition in [Exposition::Text, Exposition::OpenMetrics] {
                let text = render(&report, totals, exposition);
                let read = parse(&text, exposition);
                let read = read.unwrap_or_else(|why| panic!("{exposition:?}: {why}\n{text}"));
                let info = &read["etcd_sync_build_info"];
                assert_eq!(info.kind.as_deref(), Some("gauge"));
                // What one format says the other one says, too.
                let names = |name: &String| name.trim_end_matches("_total").to_owned();
                let other = render(&report, totals, Exposition::OpenMetrics);
                let other = parse(&other, Exposition::OpenMetrics).unwrap();
                let (read, other): (Vec<_>, Vec<_>) =
                    (read.keys().map(names).collect(), other.keys().map(names).collect());
                assert_eq!(read, other);
            }
        }
    }
}

#[test]
fn the_parser_refuses_one_format_in_place_of_the_other() {
    let text = |exposition| render(&full_report(), None, exposition);
    let (plain, open) = (text(Exposition::Text), text(Exposition::OpenMetrics));
    assert!(parse(&open, Exposition::Text).is_err());
    assert!(parse(&plain, Exposition::OpenMetrics).is_err());
    let info = "# HELP a_build x\n# TYPE a_build info\na_build_info{version=\"1\"} 1\n";
    assert!(parse(info, Exposition::Text).unwrap_err().contains("unknown type"));
    let doubled = "# HELP a_total x\n# TYPE a_total counter\na_total_total 1\n";
    assert!(parse(doubled, Exposition::Text).is_err());
}

#[tokio::test]
async fn a_client_that_asks_for_nothing_gets_the_text_format() {
    let server = server(monitor_api::Limits::default()).await;
    let answer = server.request("GET", "/metrics").await;
    let head = answer.split("\r\n\r\n").next().unwrap().to_ascii_lowercase();
    assert!(head.contains("content-type: text/plain; version=0.0.4"), "{head}");
    parse(body(&answer), Exposition::Text).unwrap();
}
