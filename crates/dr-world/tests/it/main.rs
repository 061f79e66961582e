//! What is claimed of the clients, against servers on 127.0.0.1.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

#[path = "../support/mod.rs"]
mod support;

mod access;
mod certificates;
mod clusters;
mod etcd;
mod families;
mod files;
mod names;
mod pair;
mod pods;
mod shield;
mod tokens;
mod unreachable;

#[test]
fn every_file_beside_this_one_is_listed() {
    let listed = include_str!("main.rs");
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it");
    for file in std::fs::read_dir(folder).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        let module = name.strip_suffix(".rs").unwrap();
        assert!(module == "main" || listed.contains(&format!("mod {module};")), "{module}");
    }
}
