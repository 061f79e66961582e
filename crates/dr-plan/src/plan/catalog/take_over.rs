//! The standby becomes the primary; the same in a planned and in a forced change of roles.

use crate::plan::Phase;
use crate::plan::action::Action;
use crate::plan::place::{Place, Side};
use crate::plan::probe::Probe;
use crate::plan::step::Step;
use crate::topology::{Component, Topology};

use super::{
    MIRROR_DEPLOYMENT, MIRROR_SELECTOR, PLATFORM_NAMESPACE, attested, page, point_domain, restarts,
};

/// Nobody writes into the standby any more but the standby.
pub(super) fn fence_mirror() -> Step {
    Step::automatic(
        "fence-mirror",
        "Fence the mirror",
        Action::FenceMirror,
        "Raises the epoch for good: no instance ever writes again, not even one that is cut off \
         now and comes back, nor a write that is on its way. This is the moment from which the \
         standby has its own history.",
    )
    .after("the mirror is fenced, under an epoch of yours", Probe::MirrorFenced)
    .minutes(5)
}

/// The mirror's pods have nothing left to do.
pub(super) fn stop_mirror(topology: &Topology) -> Step {
    let namespace = topology.mirror.namespace.clone();
    let action = Action::Scale {
        target: Side::Standby.into(),
        namespace: namespace.clone(),
        deployment: MIRROR_DEPLOYMENT.to_owned(),
        replicas: 0,
    };
    let probe = Probe::PodsGone {
        target: Side::Standby.into(),
        namespace,
        selector: MIRROR_SELECTOR.to_owned(),
    };
    Step::automatic(
        "stop-mirror",
        "Stop the mirror's pods",
        action,
        "What the plugin's removal did: nothing mirrors into this cluster any more. It is fenced \
         already, so that nothing is left to go wrong between the two.",
    )
    .before("the mirror is fenced", Probe::MirrorFenced)
    .after("no pod of the mirror is left", probe)
}

/// What would have acted on machines and other clusters is set free.
pub(super) fn release_parked() -> Step {
    Step::automatic(
        "release-parked",
        "Release what was held until now",
        Action::ReleaseParked,
        "What the mirror's rules hold until promotion lies parked, where no API sees it. It goes to \
         its own place, owners before what they own, before controllers learn that this cluster is \
         the primary. Where no rule holds anything, nothing is parked.",
    )
    .before("the mirror is fenced", Probe::MirrorFenced)
    .after("what can be released is in its own place", Probe::Released)
    .minutes(30)
}

/// Elasticsearch finds its template, or it refuses what comes in under the new role.
pub(super) fn log_template(topology: &Topology) -> Option<Step> {
    let standby = &topology.standby;
    let node = standby.nodes.first().filter(|_| topology.has(Component::Elasticsearch))?;
    let at = format!("{}@{}", standby.ssh_user, node.address);
    Some(
        Step::by_hand(
            "log-template",
            "Make sure of the log storage's template",
            "Not to be left out where log storage is installed: without its template the standby \
             stores no logs. The script comes with the installer.",
        )
        .type_in(format!(
            "scp installer/res/packaged-scripts/for-upgrade/ensure-asm-template.sh {at}:/root/\n\
             ssh -t {at} sudo bash /root/ensure-asm-template.sh"
        ))
        .tell("If it reports 401, restart Elasticsearch with the line below and run it again.")
        .tell("Restart Elasticsearch in any case.")
        .type_in(format!(
            "{} delete pods -n {PLATFORM_NAMESPACE} -l {}",
            standby.kubernetes.kubectl(),
            restarts::ELASTICSEARCH
        ))
        .after(
            "Elasticsearch is back with new pods",
            Probe::PodsRestarted {
                target: Side::Standby.into(),
                namespace: PLATFORM_NAMESPACE.to_owned(),
                selector: restarts::ELASTICSEARCH.to_owned(),
            },
        )
        .after(
            "the template is there",
            attested(format!(
                "ensure-asm-template.sh has run on {} and reported no error.",
                standby.name
            )),
        ),
    )
}

/// The domain leads to the standby, for everybody.
pub(super) fn serve(topology: &Topology) -> Phase {
    let (domain, standby) = (&topology.platform.domain, &topology.standby);
    let mut phase = Phase::new("serve", &format!("{} serves", standby.name));
    if topology.primary.etcd_through_vip || standby.etcd_through_vip {
        phase = phase.step(forwarding(topology));
    }
    let inside = Probe::Resolves {
        name: domain.clone(),
        address: standby.vip.clone(),
        from: Place::Inside(Side::Standby),
    };
    phase
        .step(record_role("record-role", Side::Standby, "primary"))
        .step(point_domain(
            "dns",
            "Point the domain at the standby",
            topology,
            standby,
            "This is what makes it the primary: users and agents follow the name.",
        ))
        .step(restarts::coredns())
        .step(
            Step::watched(
                "dns-inside",
                "The domain resolves inside the cluster",
                format!(
                    "Asked as pods ask: `{} exec -n {PLATFORM_NAMESPACE} deployments/sentry -- \
                     nslookup {domain}`. Until it is right, the resolver's pods are to be restarted \
                     and the question repeated.",
                    standby.kubernetes.kubectl()
                ),
            )
            .after(format!("{domain} resolves to {} there", standby.vip), inside)
            .minutes(30),
        )
        .step(page_step(topology))
        .steps(restarts::after_change(topology))
        .step(clients())
}

fn forwarding(topology: &Topology) -> Step {
    let (primary, standby) = (&topology.primary, &topology.standby);
    Step::by_hand(
        "remove-forwarding",
        "Stop forwarding port 2379",
        "No mirror reads through it any more. Whatever still did would mirror the wrong way.",
    )
    .tell(format!("Remove the forwarding of 2379 from {} and from {}.", primary.vip, standby.vip))
    .after(
        "nothing forwards 2379",
        attested(format!("Neither {} nor {} forwards 2379.", primary.vip, standby.vip)),
    )
    .undo("Forward 2379 again, as plain TCP.")
}

/// Controllers look the role up before they act on what is outside of the cluster.
pub(super) fn record_role(id: &str, side: Side, role: &str) -> Step {
    let (title, role_word) = (format!("Record the role {role}"), role.to_owned());
    Step::automatic(
        id,
        &title,
        Action::RecordRole { side, role: role_word.clone() },
        "Controllers that act on machines and other clusters wait for it: two platforms that \
         manage the same inventory destroy it.",
    )
    .after(
        format!("the role that is recorded is {role}"),
        Probe::RoleRecorded { side, role: role_word },
    )
    .minutes(5)
}

fn page_step(topology: &Topology) -> Step {
    let (url, standby) = (page(topology), &topology.standby);
    let (name, address) = (&standby.name, standby.vip.clone());
    Step::by_hand(
        "page",
        "Look at the platform's page",
        "A browser remembers where it was; with an empty cache it goes where the name leads.",
    )
    .tell(format!("Clear the browser's cache, open {url}, and see that it is {name} that answers."))
    .after("the page is served by the standby", Probe::PageServed { url, address })
    .after("seen", attested(format!("The page shows {name}.")))
}

fn clients() -> Step {
    Step::by_hand(
        "clients",
        "Restart clients that do not read anew",
        "Clients outside of the cluster remember a revision of the old primary. With the revision \
         floor they are told that it is too old and read everything again. Where that gate was \
         overridden they may wait for ever.",
    )
    .tell("Look at agents and controllers outside; restart the ones that are silent.")
    .after("none is silent", attested("Agents of workload clusters and other clients are heard."))
}

/// The file says what is.
pub(super) fn close(topology: &Topology) -> Phase {
    let (primary, standby) = (&topology.primary.name, &topology.standby.name);
    Phase::new("close", "Close").step(
        Step::by_hand(
            "swap-roles",
            "Exchange the roles in the topology file",
            format!(
                "{standby} is the primary from now on. {primary} stays fenced until it is the new \
                 standby.",
            ),
        )
        .tell("Exchange the contents of `primary:` and `standby:` in the topology file.")
        .tell(format!("When {primary} is at hand again, run `etcd-dr failback`."))
        .after("exchanged", attested("The topology file names the roles as they are now.")),
    )
}
