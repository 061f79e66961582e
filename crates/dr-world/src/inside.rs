//! What a pod in a cluster sees.

use std::collections::BTreeSet;
use std::net::IpAddr;

use dr_plan::Answer;

use crate::kube::{Kube, Ran};
use crate::network::{leads_only_to, listed};
use crate::words::{fails, holds, unknown};

/// The namespace of the platform's own components.
const PLATFORM_NAMESPACE: &str = "cpaas-system";
/// Connects with what the image has, and says with its exit code what became of it. Host and port
/// are handed over as arguments, so that nothing in them is taken for a command.
const CONNECT: &str = "if command -v bash >/dev/null 2>&1; then \
    timeout 5 bash -c 'exec 3<>\"/dev/tcp/$0/$1\"' \"$0\" \"$1\"; \
    elif command -v nc >/dev/null 2>&1; then nc -z -w 5 \"$0\" \"$1\"; \
    else exit 127; fi";

/// A place in a cluster from which something can be looked at.
pub(crate) struct Inside<'a> {
    pub(crate) kube: &'a Kube,
    /// Namespace of the mirror, whose pods are the second choice.
    pub(crate) mirror_namespace: &'a str,
}

impl Inside<'_> {
    /// Says where a name leads, as pods see it.
    pub(crate) async fn resolves(&self, name: &str, address: &str) -> Answer {
        let Ok(wanted) = address.parse::<IpAddr>() else {
            return unknown(format!("{address} is no IP address"));
        };
        let ran = match self.run(&["getent", "ahosts", name]).await {
            Ok(ran) => ran,
            Err(why) => return self.by_hand(&why, &format!("nslookup {name}")),
        };
        let lines = ran.output.lines().filter_map(|line| line.split_whitespace().next());
        let addresses: BTreeSet<IpAddr> = lines.filter_map(|word| word.parse().ok()).collect();
        let evidence = format!("inside {}: {}", self.kube.name(), listed(&addresses));
        match ran.code {
            Some(0) if leads_only_to(&addresses, wanted) => holds(evidence),
            // getent ends with 2 when there is no such name.
            Some(0 | 2) => fails(evidence),
            Some(_) | None => self.by_hand(&ran.message, &format!("nslookup {name}")),
        }
    }

    /// Says whether pods reach a port.
    pub(crate) async fn connects(&self, host: &str, port: u16) -> Answer {
        let port = port.to_string();
        let command = format!("nc -z -v -w 5 {host} {port}");
        let ran = match self.run(&["sh", "-c", CONNECT, host, &port]).await {
            Ok(ran) => ran,
            Err(why) => return self.by_hand(&why, &command),
        };
        let from = format!("from inside {}", self.kube.name());
        match ran.code {
            Some(0) => holds(format!("{from} {host} accepts a connection on {port}")),
            // No shell, no tool.
            Some(126 | 127) | None => self.by_hand(&ran.message, &command),
            Some(_) => fails(format!("{from} {host} does not accept a connection on {port}")),
        }
    }

    /// Runs a command where one can be run: in the platform's own front end, which every cluster
    /// has, else in the mirror.
    async fn run(&self, command: &[&str]) -> Result<Ran, String> {
        let mut why = Vec::new();
        for (namespace, deployment) in
            [(PLATFORM_NAMESPACE, "sentry"), (self.mirror_namespace, "etcd-sync")]
        {
            match self.kube.run(namespace, deployment, command).await {
                Ok(Ran { code: Some(126 | 127) | None, message, .. }) => {
                    let tool = command.first().copied().unwrap_or_default();
                    why.push(format!("{namespace}/{deployment} can't run {tool}: {message}"));
                }
                Ok(ran) => return Ok(ran),
                Err(error) => why.push(format!("{namespace}/{deployment}: {error}")),
            }
        }
        Err(why.join("; "))
    }

    fn by_hand(&self, why: &str, command: &str) -> Answer {
        unknown(format!(
            "no pod in {} could be asked ({why}); ask by hand: {} exec -n {PLATFORM_NAMESPACE} \
             deployments/sentry -- {command}",
            self.kube.name(),
            self.kube.kubectl()
        ))
    }
}
