//! Whether an API is gone.

use dr_plan::Answer;

use super::client::Call;
use super::{Kube, KubeError, kubeconfig};
use crate::Settings;
use crate::network::address::Address;
use crate::words::{fails, holds, unknown};

/// What was heard of one address.
enum Heard {
    /// Nothing.
    Silence,
    /// Somebody is there; what, in words.
    Answer(String),
    /// Somebody is there, and who it is can't be told.
    Stranger(String),
    /// It could not be asked.
    Unasked(String),
}

/// Asks an API at the address of its kubeconfig and on each of these hosts, as often as the settings
/// say.
///
/// A machine that is cut off itself hears nobody: so the other cluster's API has to answer, or
/// nothing can be told.
pub(crate) async fn unreachable(
    gone: &Kube,
    hosts: &[String],
    witness: &Kube,
    settings: &Settings,
) -> Answer {
    let attempts = settings.attempts.max(1);
    for attempt in 1..=attempts {
        match heard_anywhere(gone, hosts, settings.api_port).await {
            Heard::Silence => {}
            Heard::Answer(what) => return fails(what),
            Heard::Stranger(why) | Heard::Unasked(why) => return unknown(why),
        }
        if attempt < attempts {
            tokio::time::sleep(settings.pause).await;
        }
    }
    let silence = format!("the API of {} is silent", gone.name);
    match heard(witness, None).await {
        Heard::Answer(_) => holds(format!("{silence}, that of {} answers", witness.name)),
        Heard::Silence => unknown(format!(
            "{silence}, but so is that of {}: it may be this machine that is cut off",
            witness.name
        )),
        Heard::Stranger(why) | Heard::Unasked(why) => {
            unknown(format!("{silence}; that of {} tells nothing: {why}", witness.name))
        }
    }
}

/// Asks at all addresses at once. The one that says most decides.
async fn heard_anywhere(kube: &Kube, hosts: &[String], api_port: u16) -> Heard {
    let access = match kubeconfig::read(&kube.access) {
        Ok(access) => access,
        Err(error) => return Heard::Unasked(error.to_string()),
    };
    let mut addresses = vec![access.server.address.clone()];
    for port in [access.server.address.port, api_port] {
        let more = hosts.iter().map(|host| Address::new(host.as_str(), port));
        for address in more {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
    }
    let mut asked = tokio::task::JoinSet::new();
    for address in addresses {
        let kube = kube.clone();
        asked.spawn(async move { heard(&kube, Some(address)).await });
    }
    let mut most = Heard::Silence;
    for one in asked.join_all().await {
        most = match (most, one) {
            (most @ Heard::Answer(_), _) | (most, Heard::Silence) => most,
            (_, one @ Heard::Answer(_)) | (Heard::Silence, one) => one,
            (most @ (Heard::Stranger(_) | Heard::Unasked(_)), _) => most,
        };
    }
    most
}

async fn heard(kube: &Kube, at: Option<Address>) -> Heard {
    let mut access = match kubeconfig::read(&kube.access) {
        Ok(access) => access,
        Err(error) => return Heard::Unasked(error.to_string()),
    };
    // A refusal is an answer too; so the token need not go to an address that is only guessed.
    access.token = None;
    let shown = at.as_ref().unwrap_or(&access.server.address).to_string();
    match access.call_at(at.as_ref(), &Call::get("/version"), kube.limit).await {
        Ok(_) => Heard::Answer(format!("the API of {} answers at {shown}", kube.name)),
        Err(KubeError::Refused { status, .. }) => {
            Heard::Answer(format!("the API of {} answers {status} at {shown}", kube.name))
        }
        Err(KubeError::Away(_)) => Heard::Silence,
        // A node's own certificate may lack the name by which it was asked: somebody lives.
        Err(error @ (KubeError::Distrusted(_) | KubeError::Lost(_))) => {
            Heard::Stranger(format!("somebody is there: {error}"))
        }
        Err(error @ KubeError::Setup(_)) => Heard::Unasked(error.to_string()),
    }
}
