//! A planned change of roles, without loss.

use crate::plan::action::Action;
use crate::plan::gate::Confirmation;
use crate::plan::place::Side;
use crate::plan::probe::Probe;
use crate::plan::step::Step;
use crate::plan::{Check, Gate, Phase};
use crate::topology::Topology;

use super::{exact_check, gates, take_over};

pub(super) fn plan(topology: &Topology) -> (&'static str, Vec<Phase>) {
    let purpose = "Makes the standby the primary while both are well; nothing is lost.";
    let phases = vec![
        stop_writes(topology),
        hand_over(topology),
        take_over::serve(topology),
        take_over::close(topology),
    ];
    (purpose, phases)
}

fn stop_writes(topology: &Topology) -> Phase {
    let (primary, standby) = (&topology.primary.name, &topology.standby.name);
    let statement = format!(
        "{primary} takes no writes from here on. Users can read until the domain points at \
         {standby}. Until the mirror is fenced everything can be undone.",
    );
    let facts = vec![Check::new("how far the standby is", Probe::LossKnown)];
    Phase::new("stop-writes", "Stop the primary's writes")
        .gates([gates::lag(topology), gates::checked_lately(), gates::standby_healthy().firm()])
        .gates(gates::mirror_sound())
        .gates([gates::headroom(), gates::values_readable(), gates::floor()])
        .gates([gates::owners_live(), gates::certificate_served(topology)])
        .gates([gates::backups(), gates::dns_known(topology)])
        .confirm(Confirmation { statement, facts, word: primary.clone() })
        .steps(take_over::log_template(topology))
        .step(
            Step::automatic(
                "fence-writers",
                "Fence the primary's writers",
                Action::RaiseShield { side: Side::Primary },
                "Its API refuses writes to what is mirrored. Scaling writers down instead could be \
                 reverted by whoever owns them.",
            )
            .after(
                "the primary's API refuses, and its scope stands still",
                Probe::WritesRefused { side: Side::Primary },
            )
            .undo("Lower the shield on the primary: `kubectl delete` the policy and its binding."),
        )
        .step(take_over::record_role("role-resigned", Side::Primary, "standby"))
        .step(
            Step::watched(
                "drain",
                "The standby has everything",
                "No write comes in, so the lag goes to 0 and stays there.",
            )
            .after("the checkpoint is the primary's newest revision", Probe::Drained)
            .minutes(30),
        )
        .step(exact_check(
            "exact-check",
            "Compare once more, exactly",
            "With no writes on either side this is the proof that nothing is lost.",
        ))
}

fn hand_over(topology: &Topology) -> Phase {
    Phase::new("hand-over", "Take the mirror away")
        .gate(
            Gate::new(
                "writers-fenced",
                "Two clusters that both take writes have two truths from then on.",
            )
            .mend("Raise the shield again, and stop whoever is still seen to write.")
            .evidence(
                "the primary's API refuses, and its scope stands still",
                Probe::WritesRefused { side: Side::Primary },
            )
            .firm(),
        )
        .gate(
            Gate::new("drained", "What is not on the standby now never will be.")
                .mend("See that the mirror runs, and wait until it has everything.")
                .evidence("the checkpoint is the primary's newest revision", Probe::Drained)
                .firm(),
        )
        .gate(
            Gate::new(
                "in-sync",
                "Without the mirror nobody puts back what the standby's collector takes for want \
                 of an owner; objects that stand for machines take the machines with them.",
            )
            .mend("Do what the check says about each key, then compare again.")
            .evidence(
                "the last check said in-sync, at most 15 minutes ago",
                Probe::CheckedWithin { seconds: 900 },
            )
            .firm(),
        )
        .step(
            // Asked once more where a run goes on and passes the gates over.
            take_over::fence_mirror()
                .before(
                    "the primary's API refuses, and its scope stands still",
                    Probe::WritesRefused { side: Side::Primary },
                )
                .before("the checkpoint is the primary's newest revision", Probe::Drained),
        )
        .step(take_over::stop_mirror(topology))
        .step(take_over::release_parked())
}
