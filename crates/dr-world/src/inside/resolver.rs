//! What tells a pod where a name leads, as far as its image has it.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::kube::Ran;

/// A program that resolves names as other programs of the pod do.
#[derive(Clone, Copy, Debug)]
pub(super) enum Resolver {
    /// Images of glibc or musl.
    Getent,
    /// Images of busybox, and those with the tools of BIND.
    Nslookup,
}

impl Resolver {
    /// Both, the one first whose answer is made for programs.
    pub(super) const ALL: [Self; 2] = [Self::Getent, Self::Nslookup];

    pub(super) fn command(self, name: &str) -> Vec<&str> {
        match self {
            Self::Getent => vec!["getent", "ahosts", name],
            Self::Nslookup => vec!["nslookup", name],
        }
    }

    /// Reads where the name leads; none if there is no such name.
    ///
    /// # Errors
    ///
    /// It does not say: it ended in another way than with an answer.
    pub(super) fn addresses(self, ran: &Ran) -> Result<BTreeSet<IpAddr>, String> {
        let found = match self {
            Self::Getent => getent(&ran.output),
            Self::Nslookup => nslookup(&ran.output),
        };
        let no_such_name = match self {
            Self::Getent => ran.code == Some(2),
            Self::Nslookup => ran.code == Some(1) && ran.output.contains("NXDOMAIN"),
        };
        if ran.code == Some(0) || no_such_name { Ok(found) } else { Err(ran.message.clone()) }
    }
}

/// One line for each address and kind of socket, the address first.
fn getent(output: &str) -> BTreeSet<IpAddr> {
    let words = output.lines().filter_map(|line| line.split_whitespace().next());
    words.filter_map(|word| word.parse().ok()).collect()
}

/// The server that was asked, with its address; then each name, with its addresses. Old busybox
/// numbers them and names each once more: `Address 1: 10.1.0.100 platform.example.org`.
fn nslookup(output: &str) -> BTreeSet<IpAddr> {
    let answers = output.lines().skip_while(|line| !line.starts_with("Name:"));
    let addresses = answers.filter_map(|line| line.strip_prefix("Address")?.split_once(':'));
    let words = addresses.filter_map(|(_, rest)| rest.split_whitespace().next());
    words.filter_map(|word| word.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ran(code: i32, output: &str) -> Ran {
        Ran { code: Some(code), output: output.to_owned(), message: "it ended so".to_owned() }
    }

    fn found(resolver: Resolver, code: i32, output: &str) -> Result<Vec<String>, String> {
        let found = resolver.addresses(&ran(code, output))?;
        Ok(found.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn addresses_are_those_of_the_name_not_of_the_server() {
        // As busybox 1.35, busybox 1.22 and BIND 9.18 print it.
        let busybox = "Server:\t\t10.96.0.10\nAddress:\t10.96.0.10:53\n\n\
                       Name:\tplatform.example.org\nAddress: 10.1.0.100\n\n\n";
        let old = "Server:    10.96.0.10\nAddress 1: 10.96.0.10 kube-dns.kube-system.svc\n\n\
                   Name:      platform.example.org\nAddress 1: 10.1.0.100 platform.example.org\n";
        let bind = "Server:\t\t10.96.0.10\nAddress:\t10.96.0.10#53\n\nNon-authoritative answer:\n\
                    Name:\tplatform.example.org\nAddress: 10.1.0.100\n";
        for output in [busybox, old, bind] {
            assert_eq!(found(Resolver::Nslookup, 0, output), Ok(vec!["10.1.0.100".to_owned()]));
        }
        let both = format!("{busybox}Name:\tplatform.example.org\nAddress: fd00::1\n");
        assert_eq!(found(Resolver::Nslookup, 0, &both).unwrap(), ["10.1.0.100", "fd00::1"]);
    }

    #[test]
    fn no_such_name_is_an_answer_and_no_server_is_none() {
        let server = "Server:\t\t10.96.0.10\nAddress:\t10.96.0.10:53\n\n";
        let gone = format!("{server}** server can't find platform.example.org: NXDOMAIN\n");
        assert_eq!(found(Resolver::Nslookup, 1, &gone), Ok(vec![]));
        let silent = ";; connection timed out; no servers could be reached\n";
        assert_eq!(found(Resolver::Nslookup, 1, silent), Err("it ended so".to_owned()));
        let failing = format!("{server}** server can't find platform.example.org: SERVFAIL\n");
        assert_eq!(found(Resolver::Nslookup, 1, &failing), Err("it ended so".to_owned()));
        assert_eq!(found(Resolver::Getent, 2, ""), Ok(vec![]));
        assert_eq!(found(Resolver::Getent, 1, ""), Err("it ended so".to_owned()));
    }
}
