//! A runbook says everything that its plan says.

use dr_plan::plan::{Instruction, Kind, Plan, PlanName};
use dr_plan::runbook::{html, markdown};

use crate::plans::pairs;
use crate::topology::pair;

#[test]
fn both_forms_have_every_step_gate_and_command() {
    for topology in pairs() {
        for name in PlanName::ALL {
            let plan = Plan::new(name, &topology);
            let (text, page) =
                (markdown(&plan, &topology), html(std::slice::from_ref(&plan), &topology));
            for step in plan.steps() {
                assert!(text.contains(&format!("\n`{}`, ", step.id)), "{name}: {}", step.id);
                assert!(
                    page.contains(&format!("id=\"{name}-{}\"", step.id)),
                    "{name}: {}",
                    step.id
                );
                let Kind::ByHand(instructions) = &step.kind else { continue };
                for instruction in instructions {
                    let Instruction::Type(lines) = instruction else { continue };
                    for line in lines.lines() {
                        assert!(text.contains(&format!("\n  {line}\n")), "{name}: {line}");
                        let escaped = line
                            .replace('&', "&amp;")
                            .replace('"', "&quot;")
                            .replace('\'', "&#39;")
                            .replace('>', "&gt;");
                        assert!(page.contains(&escaped), "{name}: {line}");
                    }
                }
            }
            for gate in plan.gates() {
                assert!(text.contains(&format!("- [ ] **{}**. ", gate.name)));
                assert!(page.contains(&format!("<strong>{}</strong>", gate.name)));
                assert!(
                    text.contains("  - If it is closed: ")
                        && page.contains("<br>If it is closed: ")
                );
            }
        }
    }
}

#[test]
fn the_page_needs_nothing_from_elsewhere() {
    for name in PlanName::ALL {
        let page = html(&[Plan::new(name, &pair())], &pair());
        for tag in ["<script", "<link", "<img", "src=", "@import", "url("] {
            assert!(!page.contains(tag), "{name} has {tag}");
        }
        for tag in ["section", "ul", "p", "h2", "h3", "table", "aside", "code", "pre", "label"] {
            let opened = page.matches(&format!("<{tag}>")).count()
                + page.matches(&format!("<{tag} ")).count();
            assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{name}: {tag}");
        }
    }
}

#[test]
fn a_name_can_not_become_markup() {
    let mut topology = pair();
    topology.primary.nodes[0].name = "<b>&\"".to_owned();
    let plan = Plan::new(PlanName::Install, &topology);
    let page = html(std::slice::from_ref(&plan), &topology);
    assert!(!page.contains("<b>"));
    assert!(page.contains("&lt;b&gt;&amp;&quot;"));
    assert!(!markdown(&plan, &topology).contains(" <b>"));
}

#[test]
fn a_forced_failover_opens_with_what_one_must_know() {
    let topology = pair();
    let text = markdown(&Plan::new(PlanName::Failover, &topology), &topology);
    let confirm = text.find("> - To confirm, type `east`.").unwrap();
    let first_step = text.find("\n### 1. ").unwrap();
    assert!(confirm < first_step);
    assert!(text.contains("| virtual IP | 10.0.0.100 | 10.1.0.100 |"));
}

#[test]
fn several_plans_on_one_page_do_not_share_an_anchor() {
    let topology = pair();
    let plans: Vec<_> = PlanName::ALL.map(|name| Plan::new(name, &topology)).to_vec();
    let page = html(&plans, &topology);
    let mut anchors: Vec<_> =
        page.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    let count = anchors.len();
    anchors.sort_unstable();
    anchors.dedup();
    assert_eq!(anchors.len(), count);
    for name in PlanName::ALL {
        assert!(page.contains(&format!("<a href=\"#{name}\">")));
    }
}

#[test]
fn what_a_program_does_can_be_done_by_hand_with_values_filled_in() {
    let topology = pair();
    let text = markdown(&Plan::new(PlanName::Switchover, &topology), &topology);
    for line in [
        "kubectl --kubeconfig east/kubeconfig apply -f - <<'END'",
        "kubectl --kubeconfig west/kubeconfig scale deployment etcd-sync -n cpaas-system \
         --replicas=0",
        "kubectl --kubeconfig shop/kubeconfig delete pods -n cpaas-system -l 'service_name=warlock'",
        "curl http://$(kubectl --kubeconfig west/kubeconfig get svc -n cpaas-system \
         etcd-sync-monitor -o jsonpath='{.spec.clusterIP}')/check",
    ] {
        assert!(text.contains(&format!("\n{line}\n")), "{line}");
    }
    let text = markdown(&Plan::new(PlanName::Upgrade, &topology), &topology);
    assert!(
        text.contains(
            "\netcd-sync pause --mirror-name default --standby-endpoints https://10.1.0.1"
        )
    );
}

#[test]
fn only_what_needs_this_software_has_no_line_to_type() {
    for topology in pairs() {
        for name in PlanName::ALL {
            for step in Plan::new(name, &topology).steps() {
                let Kind::Automatic(action) = &step.kind else { continue };
                let alone = ["fence-mirror", "admit-mirror", "release-parked", "export-writes"];
                let typed = action.by_hand(&topology).is_some();
                assert_eq!(typed, !alone.contains(&step.id.as_str()), "{name}: {}", step.id);
            }
        }
    }
}
