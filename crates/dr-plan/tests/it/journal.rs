//! A journal finds every change to it, and cuts only what was never whole.

use dr_plan::Timestamp;
use dr_plan::journal::{Damage, Event, Journal, Opening, Progress, StepState};
use dr_plan::plan::PlanName;
use proptest::prelude::*;

fn events() -> Vec<Event> {
    let opening = Opening {
        plan: PlanName::Switchover,
        plan_digest: "a".repeat(64),
        topology_digest: "b".repeat(64),
    };
    vec![
        Event::Opened(opening),
        Event::GateOverridden {
            gate: "lag".to_owned(),
            reason: "a \"quoted\"\nreason, 理由".to_owned(),
            evidence: Vec::new(),
        },
        Event::Begun { step: "fence-writers".to_owned() },
        Event::Failed {
            step: "fence-writers".to_owned(),
            why: "no answer".to_owned(),
            refused: false,
        },
        Event::Begun { step: "fence-writers".to_owned() },
        Event::Done { step: "fence-writers".to_owned(), evidence: Vec::new() },
        Event::Begun { step: "drain".to_owned() },
    ]
}

fn lines() -> Vec<String> {
    let mut journal = Journal::default();
    let at = |n: usize| Timestamp::from_ms(1_790_000_000_000 + u64::try_from(n).unwrap() * 1000);
    events().into_iter().enumerate().map(|(n, event)| journal.append(at(n), event)).collect()
}

fn file() -> Vec<u8> {
    lines().concat().into_bytes()
}

#[test]
fn what_was_written_is_read() {
    let read = Journal::verify(&file()).unwrap();
    let events_read: Vec<_> = read.entries.iter().map(|entry| entry.event.clone()).collect();
    assert_eq!(events_read, events());
    assert_eq!(read.whole_bytes, file().len());

    // And gone on with: the next line holds on to the last.
    let mut journal = read.journal;
    let mut file = file();
    file.extend(journal.append(Timestamp::from_ms(5), Event::Resumed).into_bytes());
    assert_eq!(Journal::verify(&file).unwrap().journal, journal);
}

#[test]
fn a_line_is_this_to_the_letter() {
    let mut journal = Journal::default();
    let line = journal
        .append(Timestamp::from_ms(1_790_000_000_123), Event::Begun { step: "drain".to_owned() });
    assert_eq!(
        line,
        "{\"number\":1,\"at_ms\":1790000000123,\"at\":\"2026-09-21T14:13:20Z\",\"previous\":\
         \"0000000000000000000000000000000000000000000000000000000000000000\",\
         \"event\":\"begun\",\"step\":\"drain\",\"hash\":\
         \"d0ed9aa7f2a927003ec1b78f4dcd193bc4e0368f6db3d654fda5801f98f59145\"}\n"
    );
}

#[test]
fn a_line_that_has_a_field_of_other_times_is_read() {
    let line = format!(
        "{{\"number\":1,\"at_ms\":1790000000123,\"at\":\"2026-09-21T14:13:20Z\",\"previous\":\"{}\",\
         \"event\":\"opened\",\"plan\":\"check\",\"plan_digest\":\"{}\",\"topology_digest\":\"{}\",\
         \"drill\":false,\"hash\":\"c1bd14cfa24a5c38c5e5e529245ca08ad94c49bbaf730d22863286927f0fff11\"}}\n",
        "0".repeat(64),
        "a".repeat(64),
        "b".repeat(64),
    );
    let read = Journal::verify(line.as_bytes()).unwrap();
    let [entry] = &read.entries[..] else { panic!() };
    assert!(matches!(&entry.event, Event::Opened(opening) if opening.plan == PlanName::Check));
}

#[test]
fn progress_is_what_the_lines_say() {
    let entries = Journal::verify(&file()).unwrap().entries;
    let progress = Progress::from(&entries).unwrap();
    assert_eq!(progress.of("fence-writers"), Some(StepState::Done));
    assert_eq!(progress.of("drain"), Some(StepState::Begun(Timestamp::from_ms(1_790_000_006_000))));
    assert_eq!(progress.of("dns"), None);
    assert!(!progress.ended());

    // What was begun first counts, however often it was begun.
    let progress = Progress::from(&entries[..5]).unwrap();
    let first = StepState::Begun(Timestamp::from_ms(1_790_000_002_000));
    assert_eq!(progress.of("fence-writers"), Some(first));
    assert_eq!(Progress::from(&[]), None);
}

#[test]
fn a_line_that_is_missing_put_in_or_out_of_place_is_named() {
    let lines = lines();
    let damage = |lines: &[&String]| {
        let file: String = lines.iter().map(|line| line.as_str()).collect();
        Journal::verify(file.as_bytes()).unwrap_err()
    };
    let without = [&lines[0], &lines[1], &lines[3]];
    assert_eq!(damage(&without), Damage::OutOfPlace { line: 3 });
    let swapped = [&lines[0], &lines[2], &lines[1]];
    assert_eq!(damage(&swapped), Damage::OutOfPlace { line: 2 });
    let twice = [&lines[0], &lines[1], &lines[1]];
    assert_eq!(damage(&twice), Damage::OutOfPlace { line: 3 });
    assert_eq!(damage(&[&lines[1]]), Damage::OutOfPlace { line: 1 });
    let foreign = "hello\n".to_owned();
    let told = damage(&[&lines[0], &foreign]).to_string();
    assert_eq!(told, "line 2 is no line of a journal: it has no hash at its end");
}

#[test]
fn a_line_that_was_cut_short_and_closed_is_damage() {
    // Only a line without its newline was being written when its writer died.
    let mut file = file();
    file.truncate(file.len() - 40);
    assert!(Journal::verify(&file).is_ok());
    file.push(b'\n');
    let damage = Journal::verify(&file).unwrap_err();
    assert!(matches!(damage, Damage::Unreadable { line: 7, .. }), "{damage}");
}

proptest! {
    #[test]
    fn a_file_that_ends_anywhere_is_its_whole_lines(end in 0..=file().len()) {
        let whole = &file()[..end];
        let read = Journal::verify(whole).unwrap();
        let newlines = whole.iter().filter(|byte| **byte == b'\n').count();
        prop_assert_eq!(read.entries.len(), newlines);
        prop_assert!(read.whole_bytes <= end);
        prop_assert!(!whole[read.whole_bytes..].contains(&b'\n'));
    }

    #[test]
    fn one_changed_bit_is_found_and_its_line_named(at in 0..file().len() - 1, bit in 0..8_u8) {
        let mut changed = file();
        changed[at] ^= 1 << bit;
        let line = u64::try_from(file()[..at].iter().filter(|byte| **byte == b'\n').count()).unwrap();
        let damage = Journal::verify(&changed).unwrap_err();
        let named = match damage {
            Damage::Unreadable { line, .. }
            | Damage::Changed { line }
            | Damage::OutOfPlace { line } => line,
            other => panic!("{other}"),
        };
        prop_assert_eq!(named, line + 1);
    }

    #[test]
    fn bytes_that_are_no_journal_are_refused_without_a_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let _ = Journal::verify(&bytes);
    }
}
