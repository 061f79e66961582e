//! Where a name leads.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use dr_plan::Answer;

use super::dns::{self, Said};
use crate::Settings;
use crate::words::{fails, holds, pending, unknown};

/// Asks every server. Those that answer have to agree; at least one has to answer.
pub(super) async fn resolves(settings: &Settings, name: &str, address: &str) -> Answer {
    let Ok(wanted) = address.parse::<IpAddr>() else {
        return unknown(format!("{address} is no IP address"));
    };
    let limit = settings.time_limit;
    let servers = match settings.name_servers.as_slice() {
        [] => dns::of_file(&settings.resolv_conf),
        named => Ok(named.to_vec()),
    };
    let servers = match servers {
        Ok(servers) => servers,
        Err(why) => return unknown(format!("whom to ask is not known: {why}")),
    };
    let mut asked = tokio::task::JoinSet::new();
    for server in servers {
        let name = name.to_owned();
        asked.spawn(async move { (server, dns::ask(server, &name, limit).await) });
    }
    let mut said = asked.join_all().await;
    said.sort_by_key(|(server, _)| *server);
    judge(&said, wanted)
}

fn judge(said: &[(SocketAddr, Result<Said, String>)], wanted: IpAddr) -> Answer {
    let (mut right, mut wrong) = (0, 0);
    let mut words = Vec::new();
    for (server, said) in said {
        match said {
            Ok(said) => {
                if leads_only_to(&said.addresses, wanted) {
                    right += 1;
                } else {
                    wrong += 1;
                }
                let ttl = said.ttl.map(|ttl| format!(" for {ttl} s")).unwrap_or_default();
                words.push(format!("{server} says {}{ttl}", listed(&said.addresses)));
            }
            Err(why) => words.push(format!("{server}: {why}")),
        }
    }
    let evidence = words.join("; ");
    match (right, wrong) {
        (0, 0) => unknown(evidence),
        (_, 0) => holds(evidence),
        (0, _) => fails(evidence),
        // Some know the new address already: it spreads.
        (_, _) => pending(evidence),
    }
}

/// Says whether these addresses are the one, and no other.
pub(crate) fn leads_only_to(addresses: &BTreeSet<IpAddr>, wanted: IpAddr) -> bool {
    addresses.len() == 1 && addresses.contains(&wanted)
}

/// Returns addresses for people.
pub(crate) fn listed(addresses: &BTreeSet<IpAddr>) -> String {
    if addresses.is_empty() {
        return "no address".to_owned();
    }
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
