//! A scope as it is written down by a user.

use serde::{Deserialize, Serialize};

/// Which keys are mirrored, as flags and configuration say it. [`crate::Scope::compile`] makes it
/// usable; until then nothing is checked.
///
/// The first rule that matches a key decides: the user's `rules` in their order, then
/// `exclude_namespaces` and `exclude_prefixes`, then the preset's rules.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct ScopeSpec {
    /// What holds where no rule of the user's does. Default: `kubernetes`.
    pub preset: Preset,
    /// Only keys that begin with one of these are in scope. Default: none, which means `/registry/`
    /// (the etcd prefix) with preset `kubernetes` and every key with preset `none`.
    pub prefixes: Vec<String>,
    /// Keys that begin with one of these, as spelt on the primary, stay local.
    pub exclude_prefixes: Vec<String>,
    /// Namespaces that stay local, their Namespace objects included.
    pub exclude_namespaces: Vec<String>,
    /// Namespaces that the preset leaves local and that are mirrored all the same. The preset's
    /// other rules go on to hold in them. Restricts nothing: a namespace that is not named here is
    /// treated as before.
    pub include_namespaces: Vec<String>,
    /// The user's rules; the first that matches a key decides.
    pub rules: Vec<RuleSpec>,
    /// The standby's keys begin with this where the primary's begin with the one prefix.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dest_prefix: Option<String>,
    /// The standby's keys lack the one prefix.
    pub no_dest_prefix: bool,
    /// The apiservers' `--etcd-prefix`. Default: `/registry`.
    pub etcd_prefix: String,
}

impl Default for ScopeSpec {
    fn default() -> Self {
        Self {
            preset: Preset::Kubernetes,
            prefixes: Vec::new(),
            exclude_prefixes: Vec::new(),
            exclude_namespaces: Vec::new(),
            include_namespaces: Vec::new(),
            rules: Vec::new(),
            dest_prefix: None,
            no_dest_prefix: false,
            etcd_prefix: "/registry".to_owned(),
        }
    }
}

/// What holds where no rule of the user's does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// Every Kubernetes object but those of a cluster's own namespaces, those that are a cluster's
    /// own identity and those that act on real infrastructure. Keys below the etcd prefix that are
    /// spelt as no object is stay local too.
    #[default]
    Kubernetes,
    /// Every key.
    None,
}

/// What a rule does with the keys that it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// They are in scope.
    Include,
    /// They stay local: never written, never deleted, never compared.
    Local,
}

/// One rule of the user's. Matches a key if every field that is given does; at least one must be.
///
/// In the patterns only `*` is special: alone it stands for anything, elsewhere for any characters
/// up to the next `/`. A rule with a `namespace`, `resource` or `name` matches Kubernetes objects
/// only.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RuleSpec {
    /// What to do with the keys that match.
    pub action: Action,
    /// What the key begins with, on the primary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// The namespace that the object belongs to. Never matches a cluster-scoped object, save a
    /// Namespace, which belongs to itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The resource as etcd spells it: `configmaps`, `services/specs`, `cluster.x-k8s.io/machines`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// The object's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Admit keys that are hard-local too: those that act on real infrastructure or that would
    /// keep an apiserver from starting. Default: false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub r#unsafe: bool,
    /// Copy the keys that this rule admits before all others. For what the standby needs early,
    /// such as the seed of the keys that values are encrypted with. Goes with `include` only;
    /// which keys are in scope does not depend on it. Default: false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub urgent: bool,
    /// Why the rule stands here, for whoever reads a plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl RuleSpec {
    /// A rule without a field: add at least one.
    #[must_use]
    pub fn new(action: Action) -> Self {
        Self {
            action,
            prefix: None,
            namespace: None,
            resource: None,
            name: None,
            r#unsafe: false,
            urgent: false,
            reason: None,
        }
    }
}
