//! A forced change of roles: the primary is gone.

use crate::plan::gate::Confirmation;
use crate::plan::on_nodes::for_each;
use crate::plan::place::Side;
use crate::plan::probe::{Probe, Signal};
use crate::plan::step::Step;
use crate::plan::{Check, Gate, Phase};
use crate::topology::Topology;

use super::{gates, take_over};

pub(super) fn plan(topology: &Topology) -> (&'static str, Vec<Phase>) {
    let purpose =
        "Makes the standby the primary without the primary's help; what was not mirrored is lost.";
    let phases = vec![
        isolate(topology),
        fence(topology),
        take_over::serve(topology),
        take_over::close(topology),
    ];
    (purpose, phases)
}

/// The primary does not come back by itself.
fn isolate(topology: &Topology) -> Phase {
    let primary = &topology.primary;
    let seconds = topology.objectives.rpo_seconds;
    let statement = format!(
        "Whatever {} has written and the standby lacks is lost for now: it can be exported if the \
         cluster comes back, never merged by itself. This can't be undone.",
        primary.name
    );
    let facts = vec![
        Check::new("what is lost, in revisions and in seconds", Probe::LossKnown),
        Check::new(
            format!("the loss against the objective of {seconds} s"),
            Probe::LossWithin { seconds },
        ),
    ];
    Phase::new("isolate", "Be sure that the primary is gone")
        .gate(
            Gate::new(
                "primary-gone",
                "One silent signal is a broken link as often as a broken cluster; two that are \
                 independent of each other are asked. If the primary still answers, a switchover \
                 loses nothing.",
            )
            .mend("While the primary answers, use `etcd-dr switchover`: it loses nothing.")
            .evidence("its API is silent", gone(Signal::Api))
            .evidence("every member of its etcd is silent", gone(Signal::Etcd)),
        )
        .gates([gates::standby_healthy(), gates::checked_lately(), gates::values_readable()])
        .gates([gates::floor(), gates::owners_live(), gates::dns_known(topology)])
        .gate(gates::backups())
        .gate(
            Gate::new("loss-within-objective", "More than was promised is not lost unnoticed.")
                .mend(
                    "If the primary can be brought back, let the mirror catch up; else decide, and \
                     say why.",
                )
                .evidence(
                    format!("what the standby lacks is known, and at most {seconds} s"),
                    Probe::LossWithin { seconds },
                ),
        )
        .confirm(Confirmation { statement, facts, word: primary.name.clone() })
        .step(
            Step::by_hand(
                "isolate-primary",
                "Keep the primary away",
                "A primary that comes back in the middle and takes writes makes two truths. It \
                 stays away until it is enrolled as the new standby.",
            )
            .tell(format!("Stop serving {} on its load balancer.", primary.vip))
            .tell("Power its control-plane nodes off, or cut their network. If they answer to ssh:")
            .type_in(for_each(
                primary,
                "mv /etc/kubernetes/manifests/kube-apiserver.yaml /etc/kubernetes/",
            ))
            .after("its API is silent", gone(Signal::Api))
            .after("it can't come back by itself", attested_away(&primary.name)),
        )
}

fn gone(signal: Signal) -> Probe {
    Probe::Unreachable { side: Side::Primary, signal }
}

fn attested_away(name: &str) -> Probe {
    super::attested(format!("{name} is off or cut off, and nobody switches it on unasked."))
}

fn fence(topology: &Topology) -> Phase {
    Phase::new("fence", "Take the mirror away")
        .step(take_over::fence_mirror())
        .steps(take_over::log_template(topology))
        .step(
            Step::watched(
                "standby-whole",
                "The standby is whole in itself",
                "There is nobody left to compare with. What can be proved is that every object \
                 has its owner and every secret can be read; the last check says the rest.",
            )
            .after("every object with owners has one that lives", Probe::OwnersLive)
            .after("mirrored secrets can be read", Probe::ValuesReadable)
            .minutes(30),
        )
        .step(take_over::stop_mirror(topology))
        .step(take_over::release_parked())
}
