//! A scope and keys, both hostile. A line of JSON is the scope, every further line a key.

#![no_main]

use etcd_mvcc::Key;
use keyspace_filter::{OWN_PREFIX, Scope, ScopeSpec};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut lines = data.split(|&byte| byte == b'\n');
    let spec = lines.next().and_then(|line| serde_json::from_slice::<ScopeSpec>(line).ok());
    let Ok(scope) = Scope::compile(spec.unwrap_or_default()) else { return };
    for line in lines {
        check(&scope, &Key::from(line.to_vec()));
    }
});

fn check(scope: &Scope, key: &Key) {
    let decision = scope.decide(key.as_bytes());
    assert_eq!(decision.admitted, scope.admits(key.as_bytes()));
    assert_eq!(decision.admitted, decision.rule.admits());
    assert!(!decision.rule.to_string().contains('\n'));
    let place = scope.place(key);
    assert_eq!(place.is_some(), decision.admitted);
    let Some(place) = place else { return };
    assert_eq!(place.as_bytes().starts_with(OWN_PREFIX.as_bytes()), decision.parked);
    assert!(!place.is_empty() && scope.is_parked(place.as_bytes()) == decision.parked);
    assert!(scope.admits_standby(place.as_bytes()));
    assert_eq!(scope.primary_key(&place).as_ref(), Some(key));
    let holding = |ranges: &[etcd_mvcc::KeyRange], key: &Key| {
        ranges.iter().filter(|range| range.contains(key.as_bytes())).count()
    };
    assert_eq!(holding(scope.primary_ranges(), key), 1);
    assert_eq!(holding(scope.standby_ranges(), &place), usize::from(!decision.parked));
    let stretches = scope.stretches().iter().filter(|stretch| stretch.holds(&place));
    assert!(stretches.map(|stretch| stretch.primary.contains(key.as_bytes())).eq([true]));
}
