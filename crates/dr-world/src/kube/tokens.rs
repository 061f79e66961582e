//! Service account tokens: would one cluster accept those of the other?

use std::collections::{BTreeMap, BTreeSet};

use dr_plan::plan::LOCAL_NAMESPACES;
use dr_plan::{Answer, Digest};
use serde_json::{Value, json};

use super::client::{Call, encode};
use super::error::untold;
use super::{Kube, KubeError, text};
use crate::words::{fails, holds, one_line, unknown};

/// The shortest life that an API gives a token, in seconds.
const TOKEN_SECONDS: u32 = 600;

/// What decides whether a token is good.
struct Settings {
    issuer: String,
    /// Each public key by its id, as a digest.
    keys: BTreeSet<String>,
    /// `None` if this user may not find out.
    audiences: Option<BTreeSet<String>>,
}

impl Kube {
    async fn token_settings(&self) -> Result<Settings, KubeError> {
        let about = self.get("/.well-known/openid-configuration").await?;
        let keys = self.get("/openid/v1/jwks").await?;
        let keys = keys.get("keys").and_then(Value::as_array);
        let digest = |key: &Value| Digest::of(key.to_string().as_bytes()).to_string();
        let audiences = match self.token("default", "default").await {
            Ok((audiences, _)) => Some(audiences),
            Err(KubeError::Refused { status: 401..=404, .. }) => None,
            Err(error) => return Err(error),
        };
        Ok(Settings {
            issuer: text(&about, "/issuer").to_owned(),
            keys: keys.into_iter().flatten().map(digest).collect(),
            audiences,
        })
    }

    /// Has a token made for a service account; returns the audiences that it is for, and the token.
    async fn token(
        &self,
        namespace: &str,
        account: &str,
    ) -> Result<(BTreeSet<String>, String), KubeError> {
        let (namespace, account) = (encode(namespace), encode(account));
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token");
        let request = json!({
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": { "expirationSeconds": TOKEN_SECONDS },
        });
        let made = self.call(&Call::post(path, &request)).await?.body;
        let audiences = made.pointer("/spec/audiences").and_then(Value::as_array);
        let audiences = audiences.into_iter().flatten().filter_map(Value::as_str);
        let audiences = audiences.map(str::to_owned).collect();
        Ok((audiences, text(&made, "/status/token").to_owned()))
    }

    /// Reads the service accounts that are mirrored, by namespace and name, with their identities.
    async fn accounts(&self) -> Result<BTreeMap<(String, String), String>, KubeError> {
        // One page is enough: one account that both have is enough.
        let found = self.get("/api/v1/serviceaccounts?limit=500").await?;
        let items = found.get("items").and_then(Value::as_array);
        let part = |item: &Value, pointer: &str| text(item, pointer).to_owned();
        let accounts = items.into_iter().flatten().map(|item| {
            let at = (part(item, "/metadata/namespace"), part(item, "/metadata/name"));
            (at, part(item, "/metadata/uid"))
        });
        let mirrored = |namespace: &str| !LOCAL_NAMESPACES.contains(&namespace);
        Ok(accounts.filter(|((namespace, _), _)| mirrored(namespace)).collect())
    }
}

/// Says whether keys, issuer and audiences agree.
pub(crate) async fn same_settings(primary: &Kube, standby: &Kube) -> Answer {
    let (ours, theirs) = tokio::join!(primary.token_settings(), standby.token_settings());
    let (ours, theirs) = match (ours, theirs) {
        (Ok(ours), Ok(theirs)) => (ours, theirs),
        (Err(error), _) => return untold(&primary.name, &error),
        (_, Err(error)) => return untold(&standby.name, &error),
    };
    if ours.issuer != theirs.issuer {
        return fails(format!("the issuers differ: {} and {}", ours.issuer, theirs.issuer));
    }
    if ours.keys != theirs.keys {
        let common = ours.keys.intersection(&theirs.keys).count();
        let (first, second) = (ours.keys.len(), theirs.keys.len());
        return fails(format!("of {first} and {second} keys {common} are the same"));
    }
    let agree = format!("{} keys and the issuer {} agree", ours.keys.len(), ours.issuer);
    let list = |audiences: &BTreeSet<String>| {
        audiences.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
    };
    match (ours.audiences, theirs.audiences) {
        _ if ours.keys.is_empty() => unknown("an API that shows no keys"),
        (Some(ours), Some(theirs)) if ours == theirs => {
            holds(format!("{agree}; so do the audiences {}", list(&ours)))
        }
        (Some(ours), Some(theirs)) => {
            fails(format!("the audiences differ: {} and {}", list(&ours), list(&theirs)))
        }
        (None, _) | (_, None) => unknown(format!(
            "{agree}; the audiences are not told to this user, who may not make a token for the \
             service account default/default; compare --api-audiences on the nodes"
        )),
    }
}

/// Has the primary make a token for a mirrored service account, and asks the standby about it. The
/// token lives for ten minutes, and is never shown.
pub(crate) async fn token_accepted(primary: &Kube, standby: &Kube) -> Answer {
    let (ours, theirs) = tokio::join!(primary.accounts(), standby.accounts());
    let (ours, theirs) = match (ours, theirs) {
        (Ok(ours), Ok(theirs)) => (ours, theirs),
        (Err(error), _) => return untold(&primary.name, &error),
        (_, Err(error)) => return untold(&standby.name, &error),
    };
    let common = ours.iter().find(|(at, uid)| theirs.get(*at) == Some(*uid));
    let Some(((namespace, account), _)) = common else {
        return unknown("no service account of a mirrored namespace is the same on both");
    };
    let token = match primary.token(namespace, account).await {
        Ok((_, token)) if !token.is_empty() => token,
        Ok(_) => return unknown(format!("{} made no token", primary.name)),
        Err(error) => return untold(&primary.name, &error),
    };
    let review = json!({
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "spec": { "token": token },
    });
    let path = "/apis/authentication.k8s.io/v1/tokenreviews";
    // What comes back may contain what was sent.
    let hide = |text: &str| one_line(&text.replace(&token, "…"));
    let reviewed = match standby.call(&Call::post(path, &review)).await {
        Ok(found) => found.body,
        Err(error) => return unknown(hide(&untold(&standby.name, &error).evidence)),
    };
    let whose = format!("a token that {} made for {namespace}/{account}", primary.name);
    if reviewed.pointer("/status/authenticated") == Some(&Value::Bool(true)) {
        return holds(format!("{} accepts {whose}", standby.name));
    }
    let why = hide(text(&reviewed, "/status/error"));
    fails(format!("{} refuses {whose}: {why}", standby.name))
}
