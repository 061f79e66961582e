//! A topology file to fill in.

use dr_plan::topology::{Answers, ClusterAnswers, Mistake, Mistakes, Topology};
use mirror_config::{Exit, Failure, output};

use crate::cli::Form;
use crate::flags::InitFlags;

/// Writes the file to stdout, and says what is left to fill in. With an answer that can't be meant it
/// writes none.
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
    let mistakes = Topology::parse(&file).err().map(|Mistakes(found)| found).unwrap_or_default();
    let (open, wrong): (Vec<_>, Vec<_>) = mistakes.into_iter().partition(Mistake::is_left_open);
    if !wrong.is_empty() {
        return Err(Failure::usage(Mistakes(wrong)));
    }
    output::result(&file)?;
    Mistakes(open).to_string().lines().for_each(output::warn);
    Ok(Exit::Done)
}
