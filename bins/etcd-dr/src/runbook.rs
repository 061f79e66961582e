//! Plans, printed.

use dr_plan::plan::{Plan, PlanName};
use dr_plan::runbook::{html, markdown};
use mirror_config::{Exit, Failure, output};

use crate::cli::Form;
use crate::files;
use crate::flags::RunbookFlags;

/// Prints a plan, or all of them.
pub(crate) fn runbook(flags: &RunbookFlags, form: Form) -> Result<Exit, Failure> {
    let topology = files::topology(&flags.topology)?;
    let named = flags.plan.as_deref().and_then(PlanName::parse);
    let wanted = |name: &PlanName| named.is_none_or(|named| named == *name);
    let plans: Vec<Plan> =
        PlanName::ALL.into_iter().filter(wanted).map(|name| Plan::new(name, &topology)).collect();
    match (form, plans.as_slice()) {
        (Form::Json, [plan]) if named.is_some() => output::json(plan).map(|()| Exit::Done),
        (Form::Json, plans) => output::json(&plans).map(|()| Exit::Done),
        (Form::Html, plans) => output::done(&html(plans, &topology)),
        (Form::Text | Form::Markdown, plans) => {
            let pages: Vec<_> = plans.iter().map(|plan| markdown(plan, &topology)).collect();
            output::done(&pages.join("\n"))
        }
    }
}
