//! Questions, to a person at a terminal or to what was said beforehand.

use std::collections::BTreeSet;
use std::io::{self, IsTerminal as _};

use dr_plan::plan::{Instruction, Plan};
use dr_plan::runner::{Question, Reply};
use mirror_config::Failure;

use crate::flags::RunFlags;
use crate::terminal;

/// What became of a question.
#[derive(Debug)]
pub(super) enum Said {
    /// An answer.
    Reply(Reply),
    /// There is nobody who could answer; why, and what to do.
    Nobody(String),
}

/// Whom to ask.
#[derive(Debug)]
pub(super) struct Asker {
    /// `--yes`: nobody is asked.
    unattended: bool,
    /// `--attest`: gates and steps whose statements somebody has said yes to beforehand.
    attested: BTreeSet<String>,
}

impl Asker {
    /// Takes what was said beforehand.
    ///
    /// # Errors
    ///
    /// Something was attested that is neither a gate nor a step of the plan.
    pub(super) fn new(plan: &Plan, flags: &RunFlags) -> Result<Self, Failure> {
        let steps = plan.steps().map(|step| step.id.as_str());
        let gates = plan.gates().map(|gate| gate.name.as_str());
        let known: BTreeSet<&str> = steps.chain(gates).collect();
        if let Some(name) = flags.attest.iter().find(|name| !known.contains(name.as_str())) {
            return Err(Failure::usage(format!(
                "--attest: `{name}` is neither a gate nor a step of this plan"
            )));
        }
        Ok(Self { unattended: flags.yes, attested: flags.attest.iter().cloned().collect() })
    }

    /// Asks.
    pub(super) async fn ask(&self, question: &Question) -> Said {
        match question {
            Question::Attest { of, statement } => {
                if self.attested.contains(of) {
                    return Said::Reply(Reply::Yes);
                }
                if self.unattended {
                    // A gate stays closed then, and is told with the others.
                    say(&format!("{of}: nobody says so: {statement} (--attest {of} would)"));
                    return Said::Reply(Reply::No);
                }
                show(question);
                at_terminal(of, "Is it so? [y/N] ").await.map_or_else(Said::Nobody, yes_or_no)
            }
            Question::Confirm { phase, word, .. } => {
                show(question);
                if self.unattended {
                    say(&format!("{phase}: confirmed by --yes"));
                    return Said::Reply(Reply::Typed(word.clone()));
                }
                let prompt = format!("Type {word} to go on: ");
                let typed = at_terminal(phase, &prompt).await;
                typed.map_or_else(Said::Nobody, |typed| Said::Reply(Reply::Typed(typed)))
            }
            Question::ByHand { step, attests, .. } => {
                show(question);
                if attests.is_empty() && self.unattended || self.attested.contains(step) {
                    say(&format!("{step}: waiting until it is seen to be done"));
                    return Said::Reply(Reply::Yes);
                }
                if self.unattended {
                    return Said::Nobody(format!(
                        "`{step}` is done by a person, and only a person can say that it is: \
                         run it without --yes, or give --attest {step} once it is so: {}",
                        attests.join(" ")
                    ));
                }
                let done = at_terminal(step, "Done? [y/N] ").await;
                done.map_or_else(Said::Nobody, yes_or_no)
            }
        }
    }
}

fn yes_or_no(typed: String) -> Said {
    let yes = matches!(typed.trim().to_ascii_lowercase().as_str(), "y" | "yes");
    Said::Reply(if yes { Reply::Yes } else { Reply::No })
}

/// Reads a line from whoever sits at the terminal.
async fn at_terminal(of: &str, prompt: &str) -> Result<String, String> {
    if !io::stdin().is_terminal() {
        return Err(format!("`{of}` waits for a person, and stdin is no terminal: give --yes"));
    }
    let line = terminal::ask(prompt).await;
    line.ok_or_else(|| format!("`{of}` waits for a person, and stdin has ended"))
}

fn show(question: &Question) {
    match question {
        Question::Attest { of, statement } => say(&format!("{of}: {statement}")),
        Question::Confirm { phase, statement, facts, .. } => {
            for fact in facts {
                say(&format!("{}: {}: {}", fact.says, fact.verdict.as_str(), fact.evidence));
            }
            say(&format!("{phase}: {statement}"));
        }
        Question::ByHand { step, instructions, attests, begun } => {
            if let Some(begun) = begun {
                say(&format!("{step} was begun at {begun}: some of it may be done"));
            }
            for instruction in instructions {
                match instruction {
                    Instruction::Do(text) => say(&format!("{step}: {text}")),
                    Instruction::Type(lines) => {
                        lines.lines().for_each(|line| say(&format!("    {line}")));
                    }
                }
            }
            attests.iter().for_each(|statement| say(&format!("{step}: yes means: {statement}")));
        }
    }
}

fn say(line: &str) {
    super::teller::say(line);
}
