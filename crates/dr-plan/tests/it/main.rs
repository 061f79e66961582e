//! Claims about plans.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod documented;
mod gates;
mod journal;
mod plans;
mod refusals;
mod report;
mod runbook;
mod runs;
mod samples;
mod topology;
mod typed;
mod world;

#[test]
fn every_file_beside_this_one_is_listed() {
    let listed = include_str!("main.rs");
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it");
    for file in std::fs::read_dir(folder).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        let module = name.strip_suffix(".rs").unwrap();
        assert!(module == "main" || listed.contains(&format!("\nmod {module};")), "{name}");
    }
}
