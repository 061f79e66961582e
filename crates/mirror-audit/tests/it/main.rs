//! Claims about audits, on simulated clusters.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

mod audits;
mod classes;
mod sealed;

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
