//! The questions that no flag has answered.

use std::fmt::Display;

use dr_plan::topology::{Answers, ClusterAnswers, Component};
use mirror_config::output;

use super::judged;
use crate::flags::node;
use crate::terminal;

/// Asks for what is not answered yet. An empty line leaves a question open, the end of the input
/// leaves all that are left; what can't be meant is told, and asked again.
pub(super) async fn ask(mut answers: Answers) -> Answers {
    let _ = all(&mut answers).await;
    answers
}

/// `None` once the input has ended.
async fn all(answers: &mut Answers) -> Option<()> {
    text(answers, "Domain of the platform's address: ", |all| &mut all.domain).await?;
    text(answers, "File with its certificate: ", |all| &mut all.certificate).await?;
    cluster(answers, "primary", |all| &mut all.primary).await?;
    cluster(answers, "standby", |all| &mut all.standby).await?;
    if answers.components.is_empty() {
        let known = Component::ALL.map(Component::as_str).join(", ");
        let prompt = format!("Installed components, separated by commas, out of {known}: ");
        answered(answers, &prompt, |all, typed| {
            let words: Vec<_> = typed.split(',').map(str::trim).map(str::to_owned).collect();
            let is_known = |word: &&String| Component::ALL.iter().any(|of| of.as_str() == **word);
            match words.iter().find(|word| !is_known(word)) {
                Some(word) => Err(format!("`{word}` is none of {known}")),
                None => {
                    all.components = words;
                    Ok(())
                }
            }
        })
        .await?;
    }
    Some(())
}

async fn cluster(
    answers: &mut Answers,
    role: &str,
    of: fn(&mut Answers) -> &mut ClusterAnswers,
) -> Option<()> {
    let its = |what: &str| format!("The {role}'s {what}: ");
    text(answers, &its("name"), |all| &mut of(all).name).await?;
    text(answers, &its("virtual IP"), |all| &mut of(all).vip).await?;
    if of(answers).nodes.is_empty() {
        let prompt = its("next control-plane node, as NAME=IP");
        while answered(answers, &prompt, |all, typed| {
            of(all).nodes.push(node(typed)?);
            Ok(())
        })
        .await?
        {}
    }
    // Before the file: two clusters may share one, with two contexts.
    text(answers, &its("context in its kubeconfig"), |all| &mut of(all).context).await?;
    text(answers, &its("kubeconfig file"), |all| &mut of(all).kubeconfig).await
}

/// Asks for a text that was not given.
async fn text(
    answers: &mut Answers,
    prompt: &str,
    of: impl Fn(&mut Answers) -> &mut String,
) -> Option<()> {
    if of(answers).is_empty() {
        answered(answers, prompt, |all, typed| {
            typed.clone_into(of(all));
            Ok(())
        })
        .await?;
    }
    Some(())
}

/// Asks until the answer can be meant, and takes it; whether there is one.
async fn answered(
    answers: &mut Answers,
    prompt: &str,
    put: impl Fn(&mut Answers, &str) -> Result<(), String>,
) -> Option<bool> {
    loop {
        let typed = terminal::ask(prompt).await?;
        let typed = typed.trim();
        if typed.is_empty() {
            return Some(false);
        }
        let mut with = answers.clone();
        if let Err(why) = put(&mut with, typed) {
            again(why);
            continue;
        }
        let wrong = judged(&with).wrong;
        if wrong.is_empty() {
            *answers = with;
            return Some(true);
        }
        wrong.into_iter().for_each(again);
    }
}

fn again(why: impl Display) {
    output::warn(&why.to_string());
}
