//! What a pod in a cluster sees.

mod resolver;

use std::net::IpAddr;

use dr_plan::Answer;

use crate::kube::{Kube, Ran};
use crate::network::{leads_only_to, listed};
use crate::words::{fails, holds, unknown};

use resolver::Resolver;

/// The namespace of the platform's own components.
const PLATFORM_NAMESPACE: &str = "cpaas-system";
/// Connects with what the image has, and says with its exit code what became of it. Host and port
/// are handed over as arguments, so that nothing in them is taken for a command.
///
/// There are several programs of the name `nc`, and a busybox is built with more or fewer of its
/// options: which it knows is read from what it says about itself. One that knows neither is none,
/// for its exit code is 1 whether it was refused or has not understood.
const CONNECT: &str = r#"
if command -v bash >/dev/null 2>&1; then
  timeout 5 bash -c 'exec 3<>"/dev/tcp/$0/$1"' "$0" "$1"
else
  case "$(nc -h 2>&1)" in
    *-z*) nc -z -w 5 "$0" "$1" ;;
    *'-e PROG'*) nc -w 5 "$0" "$1" -e true ;;
    *) exit 127 ;;
  esac
fi"#;

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
        let mut why = Vec::new();
        for resolver in Resolver::ALL {
            let ran = self.run(&resolver.command(name)).await;
            match ran.and_then(|ran| resolver.addresses(&ran)) {
                Ok(addresses) => {
                    let evidence = format!("inside {}: {}", self.kube.name(), listed(&addresses));
                    let right = leads_only_to(&addresses, wanted);
                    return if right { holds(evidence) } else { fails(evidence) };
                }
                Err(error) => why.push(error),
            }
        }
        self.by_hand(&why.join("; "), &format!("nslookup {name}"))
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::process::Command;

    use super::*;

    /// How the command ends where this is what the image has as `nc`, and nothing else.
    fn ends_with(nc: Option<&str>) -> Option<i32> {
        let image = tempfile::tempdir().unwrap();
        if let Some(script) = nc {
            let path = image.path().join("nc");
            std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let mut sh = Command::new("/bin/sh");
        sh.args(["-c", CONNECT, "10.0.0.1", "2379"]).env("PATH", image.path());
        sh.status().unwrap().code()
    }

    #[test]
    fn each_nc_is_asked_in_its_own_words() {
        // As OpenBSD's, and a busybox with the options of netcat 1.10.
        let full = r#"[ "$1" = -h ] && { echo '-z  Zero-I/O mode' >&2; exit 1; }
                      [ "$*" = "-z -w 5 10.0.0.1 2379" ]"#;
        assert_eq!(ends_with(Some(full)), Some(0));
        // As Debian's busybox.
        let small = r#"[ "$1" = -h ] && { echo '-e PROG  Run PROG after connect' >&2; exit 1; }
                       [ "$*" = "-w 5 10.0.0.1 2379 -e true" ]"#;
        assert_eq!(ends_with(Some(small)), Some(0));
        assert_eq!(ends_with(Some(&small.replace("10.0.0.1", "10.0.0.2"))), Some(1));
    }

    #[test]
    fn who_has_no_nc_of_use_does_not_say_that_a_port_is_closed() {
        assert_eq!(ends_with(None), Some(127));
        assert_eq!(ends_with(Some("echo 'no options at all' >&2; exit 1")), Some(127));
    }
}
