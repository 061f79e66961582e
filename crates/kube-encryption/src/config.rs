//! Reads an EncryptionConfiguration.
//!
//! Refused is what an apiserver refuses, as far as it bears on keys: endpoints and timeouts of KMS
//! plugins, and which resources overlap, are not judged.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::ConfigError;
use crate::keyring::{Group, Key};
use crate::place::Place;
use crate::provider::Provider;

const API_VERSION: &str = "apiserver.config.k8s.io/v1";
const KIND: &str = "EncryptionConfiguration";

/// The providers that an item may name.
const PROVIDERS: [&str; 5] = ["aescbc", "aesgcm", "secretbox", "kms", "identity"];

/// The most bytes of a name: longer ones are no envelope.
const NAME_BYTES_MAX: usize = 1024;

/// Reads a configuration.
///
/// # Errors
///
/// See [`ConfigError`].
pub(crate) fn read(yaml: &str) -> Result<Vec<Group>, ConfigError> {
    let document = parse(yaml)?;
    let root = Place::root(&document);
    if !document.is_object() {
        return Err(ConfigError::Type {
            field: root.path(),
            expected: "an EncryptionConfiguration, with apiVersion, kind and resources",
        });
    }
    is(&document, "apiVersion", API_VERSION)?;
    is(&document, "kind", KIND)?;
    let fields = root.fields(&["apiVersion", "kind", "resources"])?;
    let expected = "a list of resources with their providers";
    fields.need("resources", expected)?.items(expected)?.iter().map(group).collect()
}

/// The one call into the YAML parser. What it says of an error may quote the text, so that only the
/// place is kept.
fn parse(yaml: &str) -> Result<Value, ConfigError> {
    let options = serde_saphyr::options! { with_snippet: false };
    serde_saphyr::from_str_with_options(yaml, options).map_err(|error| {
        let (line, column) = error.location().map_or((0, 0), |at| (at.line(), at.column()));
        ConfigError::Yaml { line, column }
    })
}

/// Makes sure that the document is of the right kind before anything else is said about it.
fn is(document: &Value, field: &'static str, expected: &'static str) -> Result<(), ConfigError> {
    match document.get(field).and_then(Value::as_str) {
        Some(text) if text == expected => Ok(()),
        _ => Err(ConfigError::Kind { field, expected }),
    }
}

fn group(place: &Place<'_>) -> Result<Group, ConfigError> {
    let fields = place.fields(&["resources", "providers"])?;
    let expected = "a list of resources, such as [secrets]";
    let resources = fields.need("resources", expected)?.items(expected)?;
    let resources =
        resources.iter().map(|name| name.text().map(str::to_owned)).collect::<Result<_, _>>()?;
    let expected = "a list of providers, such as [identity: {}]";
    let mut keys = Vec::new();
    for provider in fields.need("providers", expected)?.items(expected)? {
        keys.extend(provider_keys(&provider)?);
    }
    Ok(Group { resources, keys })
}

/// Reads one item of `providers`, which names one provider.
fn provider_keys(place: &Place<'_>) -> Result<Vec<Key>, ConfigError> {
    let fields = place.fields(&PROVIDERS)?;
    let named: Vec<_> =
        PROVIDERS.iter().filter_map(|name| Some((*name, fields.find(name)?))).collect();
    match &*named {
        [("aescbc", place)] => keys(Provider::AesCbc, place),
        [("aesgcm", place)] => keys(Provider::AesGcm, place),
        [("secretbox", place)] => keys(Provider::Secretbox, place),
        [("kms", place)] => plugin(place).map(|key| vec![key]),
        [(_, place)] => place.fields(&[]).map(|_| Vec::new()),
        _ => Err(ConfigError::Providers { field: place.path(), count: named.len() }),
    }
}

fn keys(provider: Provider, place: &Place<'_>) -> Result<Vec<Key>, ConfigError> {
    let expected = "a list of keys, each with name and secret";
    let keys = place.fields(&["keys"])?.need("keys", expected)?.items(expected)?;
    keys.iter().map(|place| key(provider, place)).collect()
}

fn key(provider: Provider, place: &Place<'_>) -> Result<Key, ConfigError> {
    let fields = place.fields(&["name", "secret"])?;
    let name = name(&fields.need("name", "the name of the key")?)?;
    let field = fields.need("secret", "the key in base64")?;
    // Line breaks within are skipped, as the apiserver does.
    let text = Zeroizing::new(field.text()?.replace(['\r', '\n'], ""));
    let secret = STANDARD.decode(&*text).map(Zeroizing::new);
    let secret = secret.map_err(|_| ConfigError::Base64 { field: field.path() })?;
    if !provider.key_bytes().contains(&secret.len()) {
        let lengths: Vec<_> = provider.key_bytes().iter().map(usize::to_string).collect();
        return Err(ConfigError::KeyLength {
            field: field.path(),
            bytes: secret.len(),
            provider: provider.name(),
            expected: lengths.join(", "),
        });
    }
    Ok(Key { provider, name, secret })
}

/// Reads a KMS plugin. It has a name, and no key that could be known here.
fn plugin(place: &Place<'_>) -> Result<Key, ConfigError> {
    let fields = place.fields(&["apiVersion", "name", "cachesize", "endpoint", "timeout"])?;
    let name_field = fields.need("name", "the name of the plugin")?;
    let name = name(&name_field)?;
    let provider = match fields.find("apiVersion") {
        None => Provider::KmsV1,
        Some(version) => match version.text()? {
            "v1" => Provider::KmsV1,
            "v2" => Provider::KmsV2,
            _ => return Err(ConfigError::KmsVersion { field: version.path() }),
        },
    };
    if provider == Provider::KmsV2 && name.contains(':') {
        return Err(ConfigError::Name {
            field: name_field.path(),
            expected: "a name without a colon",
        });
    }
    Ok(Key { provider, name, secret: Zeroizing::default() })
}

/// Reads a name that an envelope can hold and that may be shown to a user.
fn name(place: &Place<'_>) -> Result<String, ConfigError> {
    let name = place.text()?;
    // What is before its first colon is what is told of an envelope.
    if name.starts_with(':') || name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) {
        let expected = "1 to 1024 bytes that don't begin with a colon, without control characters";
        return Err(ConfigError::Name { field: place.path(), expected });
    }
    Ok(name.to_owned())
}
