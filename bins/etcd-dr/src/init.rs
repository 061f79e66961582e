//! A topology file to fill in.

use dr_plan::topology::{Answers, ClusterAnswers, Topology};
use mirror_config::{Exit, Failure, output};

use crate::cli::Form;
use crate::flags::InitFlags;

/// Writes the file to stdout.
pub(crate) fn init(flags: InitFlags, form: Form) -> Result<Exit, Failure> {
    if form != Form::Text {
        return Err(Failure::usage("--output: a topology file is YAML; leave the flag out"));
    }
    let answers = Answers {
        domain: flags.domain,
        certificate: flags.certificate,
        primary: ClusterAnswers {
            name: flags.primary_name,
            vip: flags.primary_vip,
            nodes: flags.primary_node,
            kubeconfig: flags.primary_kubeconfig,
        },
        standby: ClusterAnswers {
            name: flags.standby_name,
            vip: flags.standby_vip,
            nodes: flags.standby_node,
            kubeconfig: flags.standby_kubeconfig,
        },
        components: flags.component,
    };
    let file = Topology::commented(&answers);
    output::result(&file)?;
    if let Err(mistakes) = Topology::parse(&file) {
        mistakes.to_string().lines().for_each(output::warn);
    }
    Ok(Exit::Done)
}
