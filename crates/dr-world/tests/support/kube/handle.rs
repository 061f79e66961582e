//! What the API does with a call.

use std::sync::{Arc, Mutex};

use hyper::Method;
use serde_json::{Value, json};

use super::{Call, State, decode, pod};

/// Status and body.
pub(super) type Answer = (u16, Value);

fn refusal(status: u16, message: &str) -> Answer {
    (status, json!({ "kind": "Status", "code": status, "message": message }))
}

pub(super) fn handle(state: &mut State, call: &Call, shared: &Arc<Mutex<State>>) -> Answer {
    if !state.bearer.is_empty() && call.authorization != format!("Bearer {}", state.bearer) {
        return refusal(401, &format!("Unauthorized: {}", call.authorization));
    }
    let refused = state.refused.iter().find(|(beginning, _, _)| call.path.starts_with(beginning));
    if let Some((_, status, message)) = refused {
        return refusal(*status, message);
    }
    let (path, query) = call.path.split_once('?').unwrap_or((&call.path, ""));
    match call.method {
        Method::GET => get(state, path, query),
        Method::POST => post(state, path, &call.body),
        Method::PATCH => patch(state, path, &call.body),
        Method::DELETE => delete(state, path, &call.body, shared),
        _ => refusal(405, "no such method"),
    }
}

fn get(state: &State, path: &str, query: &str) -> Answer {
    match path {
        "/version" => return (200, json!({ "gitVersion": state.version })),
        "/.well-known/openid-configuration" => return (200, json!({ "issuer": state.issuer })),
        "/openid/v1/jwks" => {
            let keys: Vec<_> = state.keys.iter().map(|id| json!({ "kid": id })).collect();
            return (200, json!({ "keys": keys }));
        }
        _ => {}
    }
    if let Some(found) = state.objects.get(path) {
        return (200, found.clone());
    }
    let kind = path.rsplit('/').next().unwrap();
    let lists = ["pods", "services", "serviceaccounts"];
    let workloads = ["deployments", "statefulsets", "daemonsets"];
    if !lists.contains(&kind) && !workloads.contains(&kind) {
        return refusal(404, &format!("{path} not found"));
    }
    let selector = query.split('&').find_map(|pair| pair.strip_prefix("labelSelector="));
    let selector = decode(selector.unwrap_or_default());
    let one_namespace = path.contains("/namespaces/");
    let fits = |at: &str| {
        let inside = if one_namespace { at.strip_prefix(path) } else { Some(at) };
        inside.is_some_and(|rest| rest.contains('/')) && at.rsplit('/').nth(1) == Some(kind)
    };
    let found = state.objects.iter().filter(|(at, object)| fits(at) && matches(object, &selector));
    let mut items: Vec<Value> = found.map(|(_, object)| object.clone()).collect();
    // One object a page, so that every reader has to turn pages.
    let page: usize = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("continue="))
        .map_or(0, |page| page.parse().unwrap());
    let more = items.len() > page + 1 && kind == "pods";
    if kind == "pods" {
        items = items.into_iter().skip(page).take(1).collect();
    }
    let next = if more { (page + 1).to_string() } else { String::new() };
    (200, json!({ "items": items, "metadata": { "continue": next } }))
}

/// Whether the labels fit `a=b` and `a in (b,c)`, separated by commas.
fn matches(object: &Value, selector: &str) -> bool {
    let label = |name: &str| {
        object.pointer("/metadata/labels").and_then(|labels| labels[name].as_str()).unwrap_or("")
    };
    if let Some((name, rest)) = selector.split_once(" in (") {
        return rest.trim_end_matches(')').split(',').any(|value| value == label(name));
    }
    selector.split(',').filter(|pair| !pair.is_empty()).all(|pair| {
        let (name, value) = pair.split_once('=').unwrap();
        label(name) == value
    })
}

fn post(state: &mut State, path: &str, body: &str) -> Answer {
    let body: Value = serde_json::from_str(body).unwrap();
    if path == "/api/v1/namespaces" {
        if state.shielded() {
            return refusal(
                422,
                "namespaces \"etcd-sync-write-probe-x\" is forbidden: ValidatingAdmissionPolicy \
                 'etcd-sync-write-shield' with binding 'etcd-sync-write-shield' denied request",
            );
        }
        return (201, body);
    }
    if path.ends_with("/token") {
        let (audiences, token) = (&state.audiences, &state.makes);
        let made = json!({ "spec": { "audiences": audiences }, "status": { "token": token } });
        return (201, made);
    }
    if path.ends_with("/tokenreviews") {
        let token = body["spec"]["token"].as_str().unwrap();
        let good = state.accepts.iter().any(|one| one == token);
        let error = if good { String::new() } else { format!("invalid token {token}") };
        return (201, json!({ "status": { "authenticated": good, "error": error } }));
    }
    refusal(404, "nothing to post to")
}

fn patch(state: &mut State, path: &str, body: &str) -> Answer {
    let body: Value = serde_saphyr::from_str(body).unwrap();
    let Some(path) = path.strip_suffix("/scale") else {
        let known = state.objects.insert(path.to_owned(), body.clone()).is_some();
        return (if known { 200 } else { 201 }, body);
    };
    let Some(deployment) = state.objects.get_mut(path) else {
        return refusal(404, "no such deployment");
    };
    deployment["spec"]["replicas"] = body["spec"]["replicas"].clone();
    let app = deployment.pointer("/spec/selector/matchLabels/app").unwrap().clone();
    if body["spec"]["replicas"] == 0 {
        state.objects.retain(|_, object| object.pointer("/metadata/labels/app") != Some(&app));
    }
    (200, body)
}

fn delete(state: &mut State, path: &str, body: &str, shared: &Arc<Mutex<State>>) -> Answer {
    let Some(object) = state.objects.get(path).cloned() else {
        return refusal(404, "not found");
    };
    if let Ok(options) = serde_json::from_str::<Value>(body) {
        let wanted = options.pointer("/preconditions/uid");
        if wanted.is_some_and(|uid| object.pointer("/metadata/uid") != Some(uid)) {
            return refusal(409, "another uid");
        }
    }
    state.objects.remove(path);
    if let Some((folder, name)) = path.rsplit_once("/pods/") {
        let namespace = folder.rsplit('/').next().unwrap().to_owned();
        let (name, delay) = (format!("{name}-again"), state.delay);
        let at = format!("{folder}/pods/{name}");
        let shared = shared.clone();
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            let mut state = shared.lock().unwrap();
            let (now, uid) = (state.now(), state.unique());
            let labels = object["metadata"]["labels"].clone();
            state.objects.insert(at, pod(&namespace, &name, labels, now, &uid));
        });
    }
    (200, json!({ "status": "Success" }))
}
