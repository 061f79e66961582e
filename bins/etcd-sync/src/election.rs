//! Who this instance is among those that may lead, and which of them are gone.

use std::fs;
use std::sync::Arc;

use etcd_mvcc::Value;
use mirror_config::Config;
use mirror_engine::Election;
use serde::{Deserialize, Serialize};

/// How instances elect a leader; `None` if they are not to.
pub(crate) fn election(config: &Config, owner: &str) -> Option<Election> {
    let ttl = config.leader_lease()?;
    let me = Holder::of_this_process(owner);
    let holder = Value::from(serde_json::to_vec(&me).unwrap_or_default());
    let is_gone = Arc::new(move |holder: &Value| {
        Holder::read(holder).is_some_and(|holder| holder.is_gone(&me))
    });
    let name_of =
        Arc::new(|holder: &Value| Holder::read(holder).map(|it| it.owner).unwrap_or_default());
    Some(Election { ttl, holder, is_gone, name_of })
}

/// A process, as it can be found again on its machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Holder {
    /// For people: host, process, start.
    owner: String,
    /// The machine, since it was switched on.
    boot: String,
    /// What the process ids count in.
    namespace: String,
    pid: u32,
    /// When it started, in ticks since the machine did: a number may be given away again.
    started: String,
}

impl Holder {
    fn read(holder: &Value) -> Option<Self> {
        serde_json::from_slice(holder.expose()).ok()
    }

    fn of_this_process(owner: &str) -> Self {
        let pid = std::process::id();
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let namespace = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
        Self {
            owner: owner.to_owned(),
            boot: boot.trim().to_owned(),
            namespace: namespace.to_string_lossy().into_owned(),
            pid,
            started: started(pid).unwrap_or_default(),
        }
    }

    /// Tells whether the process is known to be gone: it was one of this machine, where processes
    /// can be looked for, and it is not there any more.
    fn is_gone(&self, me: &Self) -> bool {
        let here = !self.boot.is_empty()
            && !self.namespace.is_empty()
            && (&self.boot, &self.namespace) == (&me.boot, &me.namespace);
        here && started(self.pid).is_none_or(|started| started != self.started)
    }
}

/// When a process started; `None` if there is no such process.
fn started(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything; the start is the 20th field after it.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace();
    // Dead, and not yet buried by its parent.
    let state = fields.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    fields.nth(18).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_runs_is_not_gone_and_one_of_its_number_that_started_before_is() {
        let me = Holder::of_this_process("me");
        assert!(!me.started.is_empty(), "{me:?}");
        assert!(!me.is_gone(&me));
        let before = Holder { started: "1".into(), ..me.clone() };
        assert!(before.is_gone(&me));
        let elsewhere = Holder { boot: "another machine".into(), ..before.clone() };
        assert!(!elsewhere.is_gone(&me), "nobody can tell");
        let walled_off = Holder { namespace: "pid:[1]".into(), ..before };
        assert!(!walled_off.is_gone(&me), "nobody can tell");
    }

    #[test]
    fn a_process_that_has_ended_is_gone() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let me = Holder::of_this_process("me");
        let pid = child.id();
        child.wait().unwrap();
        assert!(Holder { pid, started: "1".into(), ..me.clone() }.is_gone(&me));
    }
}
