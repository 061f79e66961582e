//! A plan that is killed at each of its steps, at a terminal at which a person answers.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use dr_plan::journal::{Entry, Event};
use dr_plan::plan::PlanName;
use end_to_end::process::Process;
use end_to_end::{Direction, Proxy, eventually};
use rustix::process::Signal;

use crate::pair::{Cluster, NAMESPACE, Pair};
use crate::run::{Dr, PATIENCE, begun, ended};
use crate::terminal::Terminal;

/// A plan, how it is called, and who is the primary in it.
pub(crate) struct Kills {
    pub(crate) plan: PlanName,
    /// The arguments after the plan's name.
    pub(crate) args: Vec<&'static str>,
    pub(crate) primary_is_east: bool,
}

impl Kills {
    /// Calls the plan again and again, and kills each run with SIGKILL once the next step's doing is
    /// seen; `hands` then do what the step asks of a person. In the end the plan is completed, each
    /// step was done once, in its order, and no API was asked to change the same thing twice.
    /// Returns how many runs went on where another was killed.
    pub(crate) async fn at_every_step(
        &self,
        pair: &mut Pair,
        mut hands: impl AsyncFnMut(&mut Pair, &str),
    ) -> usize {
        let dr = Dr::new(pair);
        let far = FarAway::put(pair).await;
        let before = [pair.east.kube.calls().len(), pair.west.kube.calls().len()];
        let earlier = dr.entries().len();
        let steps: Vec<String> = dr.plan(self.plan).steps().map(|step| step.id.clone()).collect();
        for step in &steps {
            if is_over(&dr.entries()[earlier..], step) {
                continue;
            }
            self.kill_at(pair, &dr, earlier, step).await;
            hands(pair, step).await;
        }
        // The last of them may have come to its end before it was killed.
        if !dr.entries()[earlier..].iter().any(|entry| entry.event == Event::Completed) {
            let (mut run, mut person) = self.start(&dr);
            let ended = self.to_the_end(&mut run, &mut person).await;
            assert_eq!(ended, Some(0), "{}", run.tail(40));
        }
        far.bring_back();
        dr.assert_completed();
        let entries = &dr.entries()[earlier..];
        assert_each_step_once(entries, &steps);
        for (cluster, before) in [&pair.east, &pair.west].into_iter().zip(before) {
            assert_no_call_twice(cluster, before);
        }
        entries.iter().filter(|entry| entry.event == Event::Resumed).count()
    }

    fn start(&self, dr: &Dr) -> (Process, Person) {
        let (terminal, input) = Terminal::open();
        let args: Vec<&str> =
            std::iter::once(self.plan.as_str()).chain(self.args.clone()).collect();
        let heard = dr.told().len();
        let run = dr.start_at(input, &args);
        // A run that was killed may have asked something, which nobody answers any more.
        (run, Person { terminal, heard })
    }

    /// Kills the run once the step's doing is seen, or the step is over. What is asked before, of
    /// gates and of earlier steps, the person says yes to.
    async fn kill_at(&self, pair: &Pair, dr: &Dr, earlier: usize, step: &str) {
        let (mut run, mut person) = self.start(dr);
        eventually(&format!("{step} is done or over"), PATIENCE, async || {
            let entries = dr.entries().split_off(earlier);
            let is_begun = entries.iter().any(|entry| begun(&entry.event) == Some(step));
            if let Some(status) = run.ended().filter(|status| !status.success()) {
                // It may come to a stop there by itself.
                assert!(is_begun, "etcd-dr ended with {status} before {step}\n{}", run.tail(40));
                return Some(());
            }
            if is_over(&entries, step) || is_begun && self.is_done(pair, step).await {
                return Some(());
            }
            person.answer(&run);
            None
        })
        .await;
        run.signal(Signal::KILL);
        run.wait(PATIENCE);
    }

    async fn to_the_end(&self, run: &mut Process, person: &mut Person) -> Option<i32> {
        let what = format!("{} is done", self.plan);
        let ended = eventually(&what, PATIENCE, async || {
            person.answer(run);
            run.ended()
        });
        ended.await.code()
    }

    /// Whether what a step does to the world is done; steps that do nothing there are begun, no more.
    async fn is_done(&self, pair: &Pair, step: &str) -> bool {
        let (primary, standby) =
            if self.primary_is_east { (&pair.east, &pair.west) } else { (&pair.west, &pair.east) };
        let deployment = format!("/apis/apps/v1/namespaces/{NAMESPACE}/deployments/etcd-sync");
        match step {
            "fence-writers" => primary.is_shielded(),
            "fence-old" => standby.is_shielded(),
            "lower-shield" => !standby.is_shielded(),
            "role-resigned" if self.plan == PlanName::Switchover => primary.role().is_some(),
            "role-resigned" | "role-standby" => standby.role().as_deref() == Some("standby"),
            "record-role" => standby.role().as_deref() == Some("primary"),
            "fence-mirror" => ordered(standby).await.as_deref() == Some("promoted"),
            "admit-mirror" => ordered(standby).await.as_deref() != Some("promoted"),
            "pause-mirror" => ordered(standby).await.as_deref() == Some("pause"),
            "resume-mirror" => ordered(standby).await.as_deref() == Some("run"),
            "stop-mirror" => {
                let found = standby.kube.object(&deployment);
                found.is_some_and(|found| found["spec"]["replicas"] == 0)
            }
            "remove-surplus" => {
                let mut client = standby.etcd.client().await;
                !client.get("/etcd-sync/default/repair", None).await.unwrap().kvs().is_empty()
            }
            "restart-coredns" => standby.kube.deleted() > 0,
            "export-writes" => {
                let folder = pair.path(&format!("unmirrored-writes-of-{}", standby.name));
                folder.join("writes.jsonl").exists()
            }
            _ => true,
        }
    }
}

/// What the mirror is told to do.
async fn ordered(standby: &Cluster) -> Option<String> {
    let mut client = standby.etcd.client().await;
    let control = client.get("/etcd-sync/default/control", None).await.unwrap();
    let control: serde_json::Value =
        serde_json::from_slice(control.kvs().first()?.value()).unwrap();
    Some(control["desired"].as_str().unwrap().to_owned())
}

/// Says yes to whatever is asked.
struct Person {
    terminal: Terminal,
    /// How much of what was told is heard, in bytes.
    heard: usize,
}

impl Person {
    fn answer(&mut self, run: &Process) {
        let told = run.output();
        let asked = told.lines().last().unwrap_or_default();
        let line = if asked.ends_with("[y/N] ") {
            "y"
        } else if let Some(word) = asked.strip_prefix("Type ").filter(|_| asked.ends_with(": ")) {
            word.split(' ').next().unwrap()
        } else {
            return;
        };
        if told.len() > self.heard {
            self.heard = told.len();
            self.terminal.types(line);
        }
    }
}

/// Both clusters, so far away from whoever runs the plan that a step can be caught in its middle.
struct FarAway {
    _links: Vec<Proxy>,
    /// The files that name the clusters, as they were.
    near: Vec<(PathBuf, String)>,
}

impl FarAway {
    async fn put(pair: &Pair) -> Self {
        let clusters = [&pair.east, &pair.west];
        let kubeconfigs =
            clusters.map(|cluster| pair.path(&format!("{}.kubeconfig", cluster.name)));
        let files = [pair.topology_file()].into_iter().chain(kubeconfigs);
        let near: Vec<_> =
            files.map(|file| (file.clone(), std::fs::read_to_string(file).unwrap())).collect();
        let mut far = near.clone();
        let mut links = Vec::new();
        for cluster in clusters {
            let api = format!("http://{}", cluster.kube.address);
            for server in [cluster.etcd.endpoints().remove(0), api] {
                let link = Proxy::start(&server).await;
                for direction in [Direction::ToServer, Direction::ToClient] {
                    link.change(direction, |faults| faults.latency = Duration::from_millis(40));
                }
                for (_, text) in &mut far {
                    *text = text.replace(&server, &link.endpoint());
                }
                links.push(link);
            }
        }
        far.into_iter().for_each(|(file, text)| std::fs::write(file, text).unwrap());
        Self { _links: links, near }
    }

    fn bring_back(self) {
        self.near.into_iter().for_each(|(file, text)| std::fs::write(file, text).unwrap());
    }
}

fn is_over(entries: &[Entry], step: &str) -> bool {
    entries.iter().any(|entry| ended(&entry.event) == Some(step))
}

/// Steps are done in their order, each once; and none is begun after a later one.
fn assert_each_step_once(entries: &[Entry], steps: &[String]) {
    let place = |id: &str| steps.iter().position(|step| step == id).unwrap();
    let done: Vec<&str> = entries.iter().filter_map(|entry| ended(&entry.event)).collect();
    assert_eq!(done, steps);
    let begun: Vec<usize> =
        entries.iter().filter_map(|entry| begun(&entry.event)).map(place).collect();
    assert!(begun.is_sorted(), "{begun:?}");
}

/// Whatever changed an API was asked for once. The shield is two objects: whoever is killed between
/// them asks again for both to be gone, and the one that is stays so.
fn assert_no_call_twice(cluster: &Cluster, before: usize) {
    let mut counts = BTreeMap::new();
    for call in &cluster.kube.calls()[before..] {
        let lowers = call.method == "DELETE" && call.path.ends_with("/etcd-sync-write-shield");
        if call.method != "GET" && !call.path.contains("dryRun=All") && !lowers {
            *counts.entry(format!("{} {} {}", call.method, call.path, call.body)).or_insert(0) += 1;
        }
    }
    let twice: Vec<_> = counts.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "{}: {twice:?}", cluster.name);
}
