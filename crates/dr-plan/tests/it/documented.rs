//! Every step and gate that the documentation names is in its plan.

use std::collections::{BTreeMap, BTreeSet};

use dr_plan::plan::{Plan, PlanName};

use crate::plans::pairs;

const PAGE: &str = include_str!("../../../../docs/runbook.md");

/// The names of steps and gates, by plan, over all pairs.
fn names() -> BTreeMap<&'static str, BTreeSet<String>> {
    let mut names: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
    for topology in pairs() {
        for name in PlanName::ALL {
            let plan = Plan::new(name, &topology);
            let known = names.entry(name.as_str()).or_default();
            known.extend(plan.steps().map(|step| step.id.clone()));
            known.extend(plan.gates().map(|gate| gate.name.clone()));
        }
    }
    names
}

/// The last cell of a row, as references.
fn references(row: &str) -> Vec<(&str, &str)> {
    let cell = row.trim_end_matches('|').rsplit('|').next().unwrap();
    cell.split('`').filter_map(|token| token.split_once('/')).collect()
}

fn rows(section: &str) -> Vec<&'static str> {
    let from = PAGE.find(section).unwrap();
    let section = &PAGE[from + section.len()..];
    let section = section.split("\n## ").next().unwrap();
    section.lines().filter(|line| line.starts_with("| ")).skip(1).collect()
}

#[test]
fn every_name_in_the_tables_is_in_its_plan() {
    let names = names();
    let mut seen = 0;
    for section in ["## The old page", "## What the plans add"] {
        for row in rows(section) {
            let references = references(row);
            assert!(!references.is_empty(), "no step or gate: {row}");
            for (plan, id) in references {
                let id = id.replace("CLUSTER", "shop");
                let known = names.get(plan).unwrap_or_else(|| panic!("no plan {plan}: {row}"));
                assert!(known.contains(&id), "{plan} has no {id}: {row}");
                seen += 1;
            }
        }
    }
    assert!(seen > 100, "only {seen} names were found: are the tables read?");
}

#[test]
fn every_section_of_the_old_page_has_its_rows() {
    let rows = rows("## The old page");
    for (section, count) in [
        ("Overview", 2),
        ("Supported scenarios", 3),
        ("Unsupported scenarios", 3),
        ("Notes", 8),
        ("Process overview", 7),
        ("Required resources", 3),
        ("Step 1", 8),
        ("Step 2", 7),
        ("Step 3", 13),
        ("Disaster recovery", 15),
        ("Routine checks", 2),
        ("Uploading packages", 4),
    ] {
        let found = rows.iter().filter(|row| row.starts_with(&format!("| {section} |"))).count();
        assert_eq!(found, count, "{section}");
    }
}

#[test]
fn every_plan_is_listed() {
    for name in PlanName::ALL {
        assert!(PAGE.contains(&format!("\n| `{name}` | ")), "{name}");
    }
}
