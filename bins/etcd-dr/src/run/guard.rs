//! `--from STEP`: what comes before that step must be done already.

use dr_plan::journal::Event;
use dr_plan::plan::Plan;
use mirror_config::Failure;

/// The step before which nothing may be done.
#[derive(Clone, Debug, Default)]
pub(crate) struct StartAt {
    step: Option<String>,
    /// Steps that come before it.
    before: Vec<String>,
}

impl StartAt {
    /// Takes the step's name.
    ///
    /// # Errors
    ///
    /// The plan has no such step.
    pub(super) fn new(plan: &Plan, step: Option<&str>) -> Result<Self, Failure> {
        let Some(step) = step else { return Ok(Self::default()) };
        let names: Vec<&str> = plan.steps().map(|step| step.id.as_str()).collect();
        let Some(at) = names.iter().position(|name| *name == step) else {
            let known = names.join(", ");
            return Err(Failure::usage(format!("--from: `{step}` is no step; they are {known}")));
        };
        let before = names.into_iter().take(at).map(str::to_owned).collect();
        Ok(Self { step: Some(step.to_owned()), before })
    }

    /// Says why something is not to be written, and so not to be done.
    pub(super) fn forbids(&self, event: &Event) -> Option<String> {
        let Event::Begun { step } = event else { return None };
        self.forbids_to_begin(step)
    }

    /// Says why a step is not to be begun.
    pub(crate) fn forbids_to_begin(&self, step: &str) -> Option<String> {
        let from = self.step.as_ref()?;
        self.before.iter().any(|before| before == step).then(|| {
            format!("`{step}` comes before `{from}` and is not done; leave --from out to do it")
        })
    }
}

#[cfg(test)]
mod tests {
    use dr_plan::plan::PlanName;
    use dr_plan::topology::{Answers, ClusterAnswers, Topology};

    use super::*;

    fn plan() -> Plan {
        let cluster = |name: &str, network: u8| ClusterAnswers {
            name: name.into(),
            vip: format!("10.{network}.0.100"),
            nodes: vec![(format!("{name}-m1"), format!("10.{network}.0.1"))],
            kubeconfig: format!("{name}.kubeconfig"),
            context: String::new(),
        };
        let file = Topology::commented(&Answers {
            domain: "platform.example.org".into(),
            certificate: "platform.crt".into(),
            primary: cluster("east", 0),
            standby: cluster("west", 1),
            components: Vec::new(),
        });
        Plan::new(PlanName::Switchover, &Topology::parse(&file).unwrap())
    }

    #[test]
    fn nothing_before_the_step_is_begun_and_the_step_itself_is() {
        let from = StartAt::new(&plan(), Some("fence-mirror")).unwrap();
        let begun = |step: &str| Event::Begun { step: step.to_owned() };
        assert!(from.forbids(&begun("drain")).is_some_and(|why| why.contains("`drain`")));
        assert_eq!(from.forbids(&begun("fence-mirror")), None);
        assert_eq!(StartAt::default().forbids(&begun("drain")), None);
    }

    #[test]
    fn a_step_that_is_none_is_told_with_those_that_are() {
        let failure = StartAt::new(&plan(), Some("fence")).unwrap_err();
        assert!(failure.message.contains("fence-mirror"), "{}", failure.message);
    }
}
