//! Samples are thinned with age, never grow beyond a bound, and never look better than they were.

use dr_plan::Timestamp;
use dr_plan::samples::{Sample, Samples};
use proptest::prelude::*;

const START: u64 = 1_790_000_000_000;

pub(crate) fn sample(second: u64, lag_ms: Option<u64>) -> Sample {
    Sample {
        at: Timestamp::from_ms(START + second * 1000),
        primary_revision: 1000 + second,
        checkpoint: 1000 + second - (lag_ms.unwrap_or(0) / 1000).min(second),
        lag_ms,
    }
}

fn worst(samples: &Samples) -> Option<u64> {
    samples.buckets().filter_map(|bucket| bucket.worst.lag_ms).max()
}

#[test]
fn the_last_hour_is_kept_second_by_second() {
    let mut samples = Samples::default();
    for second in 0..3_600 {
        samples.add(sample(second, Some(second % 7)));
    }
    assert_eq!(samples.buckets().count(), 3_600);
    let lags: Vec<_> = samples.buckets().map(|bucket| bucket.worst.lag_ms.unwrap()).collect();
    assert_eq!(lags, (0..3_600).map(|second| second % 7).collect::<Vec<_>>());
}

#[test]
fn a_year_fits_into_a_bound_and_a_quarter_is_still_there() {
    let mut samples = Samples::default();
    // One look a minute does for the coarse tiers.
    for minute in 0..366 * 24 * 60 {
        samples.add(sample(minute * 60, Some(5)));
    }
    assert!(samples.buckets().count() <= 35_424, "{}", samples.buckets().count());
    let (oldest, newest) = (samples.buckets().next(), samples.buckets().last());
    let kept = newest.unwrap().from.since(oldest.unwrap().from);
    assert!(kept.as_secs() >= 13 * 7 * 86_400, "{kept:?}");
}

#[test]
fn the_worst_moment_survives_thinning_whole() {
    let mut samples = Samples::default();
    let peak = sample(1_000, Some(77_000));
    for second in 0..200_000 {
        samples.add(if second == 1_000 { peak } else { sample(second, Some(3)) });
    }
    assert!(samples.buckets().any(|bucket| bucket.worst == peak && bucket.span > 1));
    assert_eq!(samples.buckets().map(|bucket| bucket.seconds).sum::<u64>(), 200_000);
}

#[test]
fn a_clock_that_is_set_back_rewrites_nothing() {
    let mut samples = Samples::default();
    samples.add(sample(100, Some(1)));
    samples.add(sample(50, Some(9)));
    samples.add(sample(101, Some(2)));
    let seen: Vec<_> =
        samples.buckets().map(|bucket| (bucket.from.ms(), bucket.worst.lag_ms)).collect();
    assert_eq!(seen, [(START + 100_000, Some(9)), (START + 101_000, Some(2))]);
}

#[test]
fn what_is_no_sample_is_named_by_its_line() {
    let mut samples = Samples::default();
    samples.add(sample(0, None));
    let text = samples.encode();
    assert_eq!(
        text,
        "{\"span\":1,\"from\":1790000000000,\"seconds\":1,\"unknown\":1,\"worst\":\
         {\"at\":1790000000000,\"primary_revision\":1000,\"checkpoint\":1000,\"lag_ms\":null}}\n"
    );
    let told = Samples::decode(&format!("{text}hello\n")).unwrap_err().to_string();
    assert!(told.starts_with("line 2 of the samples is none: "), "{told}");
    let other = text.replace("\"span\":1", "\"span\":7");
    assert!(Samples::decode(&other).unwrap_err().why.contains("no span of 7 s"));
    // A line that was being written.
    assert_eq!(Samples::decode(&text[..text.len() - 1]).unwrap().buckets().count(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn nothing_looks_better_and_all_is_read_back(
        steps in prop::collection::vec((1_u64..400, prop::option::of(0_u64..100_000)), 1..600),
    ) {
        let mut samples = Samples::default();
        let (mut second, mut expected) = (0, None);
        for (step, lag_ms) in steps {
            second += step;
            expected = expected.max(lag_ms);
            samples.add(sample(second, lag_ms));
        }
        prop_assert_eq!(worst(&samples), expected);
        for bucket in samples.buckets() {
            prop_assert!(bucket.seconds <= bucket.span && bucket.unknown <= bucket.seconds);
        }
        let read = Samples::decode(&samples.encode()).unwrap();
        prop_assert_eq!(read.encode(), samples.encode());
    }
}
