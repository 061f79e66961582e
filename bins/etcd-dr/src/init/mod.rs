//! A topology file to fill in.

mod questions;

use std::io::{self, IsTerminal as _};

use dr_plan::topology::{Answers, ClusterAnswers, Mistake, Mistakes, Topology};
use mirror_config::{Exit, Failure, output};

use crate::cli::Form;
use crate::flags::InitFlags;
use crate::interrupt::until_interrupted;

/// Writes the file, or what describes it to an editor, to stdout.
pub(crate) fn init(flags: InitFlags, form: Form) -> Result<Exit, Failure> {
    if flags.schema {
        return output::json(&Topology::schema()).map(|()| Exit::Done);
    }
    if form != Form::Text {
        return Err(Failure::usage("--output: a topology file is YAML; leave the flag out"));
    }
    file(answers(flags))
}

/// Writes the file, and says what is left to fill in. At a terminal it asks for what no flag
/// told. With an answer that can't be meant it writes none.
fn file(mut answers: Answers) -> Result<Exit, Failure> {
    let wrong = judged(&answers).wrong;
    if !wrong.is_empty() {
        return Err(Failure::usage(Mistakes(wrong)));
    }
    if io::stdin().is_terminal() && io::stderr().is_terminal() {
        answers = until_interrupted(async { Ok(questions::ask(answers).await) })?;
    }
    output::result(&Topology::commented(&answers))?;
    Mistakes(judged(&answers).open).to_string().lines().for_each(output::warn);
    Ok(Exit::Done)
}

fn answers(flags: InitFlags) -> Answers {
    let mut answers = Answers {
        domain: flags.domain,
        certificate: flags.certificate,
        primary: ClusterAnswers {
            name: flags.primary_name,
            vip: flags.primary_vip,
            nodes: flags.primary_node,
            kubeconfig: flags.primary_kubeconfig,
            context: flags.primary_context,
        },
        standby: ClusterAnswers {
            name: flags.standby_name,
            vip: flags.standby_vip,
            nodes: flags.standby_node,
            kubeconfig: flags.standby_kubeconfig,
            context: flags.standby_context,
        },
        components: flags.component,
    };
    // What has nothing in it is no answer.
    let Answers { domain, certificate, primary, standby, .. } = &mut answers;
    let own = [primary, standby].map(|of| {
        let ClusterAnswers { name, vip, kubeconfig, context, .. } = of;
        [name, vip, kubeconfig, context]
    });
    for text in own.into_iter().flatten().chain([domain, certificate]) {
        *text = text.trim().to_owned();
    }
    answers
}

/// What is wrong with a file of these answers.
struct Judged {
    /// What is left to fill in.
    open: Vec<Mistake>,
    /// What can't be meant.
    wrong: Vec<Mistake>,
}

fn judged(answers: &Answers) -> Judged {
    let parsed = Topology::parse(&Topology::commented(answers));
    let mistakes = parsed.err().map(|Mistakes(found)| found).unwrap_or_default();
    let (open, wrong) = mistakes.into_iter().partition(Mistake::is_left_open);
    Judged { open, wrong }
}
