//! The page at `/`: the mirror at a glance. It says all it has to say without a script; a small one
//! renews it where scripts run.

use std::fmt::Write as _;

use crate::check::CheckReport;
use crate::report::StatusReport;

/// Checks that the page lists.
const CHECKS_SHOWN: usize = 5;

/// Keys that the page names of the last check.
const KEYS_SHOWN: usize = 20;

/// The page's style, which it loads from beside it.
pub(crate) const STYLE: &str = "\
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.4rem } h2 { font-size: 1.1rem; margin-top: 2rem }
.ok { color: #17692b } .in-progress { color: #7a5400 } .action-needed, .unknown { color: #a11 }
table { border-collapse: collapse } td, th { padding: .15rem 1.2rem .15rem 0; text-align: left;
vertical-align: top } th { font-weight: 600 } code { overflow-wrap: anywhere }
@media (prefers-color-scheme: dark) { body { background: #181a1b; color: #ddd } a { color: #8ab4f8 }
.ok { color: #7ecf91 } .in-progress { color: #e0b050 } .action-needed, .unknown { color: #ff8a80 } }
";

/// Renews the page in place every five seconds. A page that reloads itself (by a meta element or a
/// header) takes the focus, the selection and the place away from whoever reads it, and a screen
/// reader begins anew each time; WCAG forbids it (2.2.1, 3.2.5). Without scripts the page stands still.
pub(crate) const SCRIPT: &str = "\
setInterval(async () => {
  if (document.hidden || !document.getSelection().isCollapsed) return;
  try {
    const text = await (await fetch('/', { headers: { accept: 'text/html' } })).text();
    const next = new DOMParser().parseFromString(text, 'text/html').querySelector('main');
    const now = document.querySelector('main');
    if (next && !now.contains(document.activeElement)) now.replaceWith(next);
  } catch { /* the mirror is away; the page keeps what it showed last */ }
}, 5000);
";

/// The paths that the page leads to.
const LINKS: [(&str, &str); 8] = [
    ("/check", "compares both clusters now"),
    ("/api/v1/status", "what the mirror does, as JSON"),
    ("/api/v1/checks", "the last checks, as JSON"),
    ("/api/v1/preflight", "what was found before the first write, as JSON"),
    ("/api/v1/events", "status and checks as they change"),
    ("/metrics", "Prometheus and OpenMetrics"),
    ("/readyz?verbose", "whether the mirror follows or stands by"),
    ("/livez?verbose", "whether a restart would help"),
];

/// Writes the page.
pub(crate) fn page<'c>(
    status: &StatusReport,
    checks: impl IntoIterator<Item = &'c CheckReport>,
) -> String {
    let checks: Vec<&CheckReport> = checks.into_iter().take(CHECKS_SHOWN).collect();
    let mut html = String::from(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>etcd-sync</title>\n<link rel=\"stylesheet\" href=\"page.css\">\n\
         <script src=\"page.js\" defer></script>\n<main>\n",
    );
    // Writing to a string can't fail.
    let _ = write_page(&mut html, status, &checks);
    html.push_str("</main>\n");
    html
}

fn write_page(
    html: &mut String,
    status: &StatusReport,
    checks: &[&CheckReport],
) -> std::fmt::Result {
    let verdict = status.verdict.as_str();
    writeln!(
        html,
        "<h1>{}: <span class=\"{verdict}\">{}</span></h1>\n<p>{}</p>",
        Escaped(&status.mirror),
        Escaped(&status.state),
        Escaped(&status.reason)
    )?;
    for step in &status.next_steps {
        writeln!(html, "<p>Next: <code>{}</code></p>", Escaped(step))?;
    }
    writeln!(html, "<table>")?;
    for (name, value) in facts(status) {
        writeln!(html, "<tr><th>{name}<td>{}", Escaped(&value))?;
    }
    writeln!(html, "</table>\n<h2>Last checks</h2>")?;
    match checks.first() {
        None => writeln!(html, "<p>There was none yet.</p>")?,
        Some(last) => {
            for check in checks {
                let (verdict, reason) = (check.verdict().as_str(), Escaped(check.reason()));
                writeln!(html, "<p>{verdict}: {reason}</p>")?;
            }
            differences(html, last)?;
        }
    }
    writeln!(html, "<h2>More</h2>\n<table>")?;
    for (path, what) in LINKS {
        writeln!(html, "<tr><td><a href=\"{path}\">{path}</a><td>{what}")?;
    }
    writeln!(html, "</table>")
}

fn differences(html: &mut String, check: &CheckReport) -> std::fmt::Result {
    let found = &check.found().differences;
    if found.is_empty() {
        return Ok(());
    }
    writeln!(html, "<h2>Differences</h2>\n<table>\n<tr><th>how<th>why<th>key")?;
    for difference in found.iter().take(KEYS_SHOWN) {
        let (kind, class) = (difference.kind.as_str(), Escaped(&difference.class));
        writeln!(html, "<tr><td>{kind}<td>{class}<td><code>{}</code>", Escaped(&difference.key))?;
    }
    writeln!(html, "</table>")?;
    let more = check.found().count_all().saturating_sub(KEYS_SHOWN as u64);
    if more > 0 {
        writeln!(html, "<p>and {more} more</p>")?;
    }
    Ok(())
}

fn facts(status: &StatusReport) -> Vec<(&'static str, String)> {
    let number = |number: Option<i64>| number.map_or("unknown".to_owned(), |n| n.to_string());
    let lag = match (status.lag_seconds, status.lag_revisions) {
        (Some(seconds), Some(revisions)) => format!("{seconds:.1} s, {revisions} revisions"),
        (None, Some(revisions)) => format!("{revisions} revisions"),
        _ => "unknown".to_owned(),
    };
    let torn = if status.torn { " (the standby is not whole)" } else { "" };
    let mut facts = vec![
        ("lag", lag),
        ("checkpoint", format!("{}{torn}", number(status.checkpoint_revision))),
        ("primary", format!("revision {}", number(status.primary_revision))),
        ("standby", format!("revision {}", number(status.standby_revision))),
        ("revision gap", number(status.revision_gap)),
        ("epoch", status.epoch.map_or("unknown".to_owned(), |epoch| epoch.to_string())),
        ("version", status.version.clone()),
    ];
    let copy = &status.copy;
    if status.state == "copying" {
        let total = copy.keys_total.map_or("?".to_owned(), |total| total.to_string());
        facts.push((
            "copy",
            format!("{} of {total} keys, {} written", copy.keys_read, copy.keys_written),
        ));
    }
    for (name, seconds) in [
        ("primary unanswered", status.primary_unanswered_seconds),
        ("standby unanswered", status.standby_unanswered_seconds),
        ("primary watch behind", status.primary_watch_behind_seconds),
        ("standby watch behind", status.standby_watch_behind_seconds),
    ] {
        facts.extend(seconds.map(|seconds| (name, format!("for {seconds:.0} s"))));
    }
    for (name, db) in
        [("primary database", status.primary_db), ("standby database", status.standby_db)]
    {
        let Some(db) = db else { continue };
        let mib = |bytes: u64| bytes / (1 << 20);
        let quota = db.quota_bytes.map(|quota| format!(" of {} MiB", mib(quota)));
        facts.push((name, format!("{} MiB{}", mib(db.bytes), quota.unwrap_or_default())));
    }
    if status.held_back.count > 0 {
        facts.push(("held back", format!("{} keys", status.held_back.count)));
    }
    if status.drift.healed + status.drift.refused > 0 {
        let (healed, refused) = (status.drift.healed, status.drift.refused);
        facts.push(("drift", format!("{healed} keys put back, {refused} refused by the standby")));
    }
    facts
}

/// A text in which no markup can hide.
struct Escaped<'a>(&'a str);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for part in self.0.chars().filter(|c| !c.is_control()) {
            match part {
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '&' => f.write_str("&amp;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}
