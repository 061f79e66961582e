//! How Kubernetes spells its keys.
//!
//! An apiserver stores an object under `<etcd-prefix>/<resource>[/<namespace>]/<name>`. Namespaces
//! and names are path segments (no `/`, no `%`, neither `.` nor `..`), so the number of segments
//! tells the parts apart and no table of resources is needed:
//!
//! | first segment | segments | meaning |
//! |---|---:|---|
//! | has a dot (`group/plural/…`) | 3 | cluster-scoped object |
//! | has a dot | 4 | object in the namespace of segment 3 |
//! | `services` (then `specs` or `endpoints`) | 4 | object in the namespace of segment 3 |
//! | `ranges` | 2 | cluster-scoped object |
//! | no dot | 2 | cluster-scoped object |
//! | no dot | 3 | object in the namespace of segment 2 |
//!
//! The group of a custom resource must contain a dot and no built-in resource's does, which is
//! why `configmaps/ns/name` and `example.io/plural/name` can't be mistaken for each other.

/// The resource under which namespaces themselves are stored.
const NAMESPACES: &[u8] = b"namespaces";

/// The most segments that a key of known shape has: group, plural, namespace, name.
const SEGMENTS_MAX: usize = 4;

/// Reads keys below one `--etcd-prefix`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grammar {
    /// With a slash at both ends.
    root: String,
}

/// What a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape<'k> {
    /// A Kubernetes object.
    Object(ObjectKey<'k>),
    /// Below the etcd prefix, but spelt as no object is.
    Unknown,
    /// Not below the etcd prefix.
    Outside,
}

/// The parts of an object's key, borrowed from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectKey<'k> {
    /// As etcd spells it: `pods`, `services/specs`, `minions`, `cluster.x-k8s.io/machines`.
    pub resource: &'k [u8],
    /// The namespace that the object belongs to. A Namespace object belongs to itself.
    pub namespace: Option<&'k [u8]>,
    /// The object's name.
    pub name: &'k [u8],
}

impl Grammar {
    /// Reads keys below `etcd_prefix`, spelt as for an apiserver: slashes at the ends make no
    /// difference, and an empty prefix means the root.
    #[must_use]
    pub fn new(etcd_prefix: &str) -> Self {
        match etcd_prefix.trim_matches('/') {
            "" => Self { root: "/".to_owned() },
            inner => Self { root: format!("/{inner}/") },
        }
    }

    /// Returns the prefix with a slash at both ends.
    #[must_use]
    pub fn root(&self) -> &str {
        &self.root
    }

    /// Returns what the keys of Namespace objects begin with.
    #[must_use]
    pub fn namespaces(&self) -> String {
        format!("{}namespaces/", self.root)
    }

    /// Tells what `key` is. Allocates nothing.
    #[must_use]
    pub fn parse<'k>(&self, key: &'k [u8]) -> Shape<'k> {
        match key.strip_prefix(self.root.as_bytes()) {
            Some(path) => object(path).map_or(Shape::Unknown, Shape::Object),
            None => Shape::Outside,
        }
    }
}

impl Default for Grammar {
    fn default() -> Self {
        Self::new("/registry")
    }
}

fn object(path: &[u8]) -> Option<ObjectKey<'_>> {
    let (segments, count) = segments(path)?;
    let [a, b, c, d] = segments;
    let pair = || path.get(..a.len() + 1 + b.len());
    let (resource, namespace, name) = match (a, count) {
        (b"services", 4) if matches!(b, b"specs" | b"endpoints") => (pair()?, Some(c), d),
        (b"services", _) => return None,
        (b"ranges", 2) => (a, None, b),
        (b"ranges", _) => return None,
        (NAMESPACES, 2) => (a, Some(b), b),
        (_, 4) if has_dot(a) => (pair()?, Some(c), d),
        (_, 3) if has_dot(a) => (pair()?, None, c),
        (_, _) if has_dot(a) => return None,
        (_, 3) => (a, Some(b), c),
        (_, 2) => (a, None, b),
        _ => return None,
    };
    Some(ObjectKey { resource, namespace, name })
}

fn has_dot(segment: &[u8]) -> bool {
    segment.contains(&b'.')
}

/// Splits a path; `None` if a segment is one that Kubernetes never writes, or there are too many.
fn segments(path: &[u8]) -> Option<([&[u8]; SEGMENTS_MAX], usize)> {
    let mut found: [&[u8]; SEGMENTS_MAX] = [b""; SEGMENTS_MAX];
    let mut begin = 0;
    let mut count = 0;
    let mut take = |end: usize| {
        let segment = path.get(begin..end)?;
        if matches!(segment, b"" | b"." | b"..") {
            return None;
        }
        *found.get_mut(count)? = segment;
        begin = end + 1;
        count += 1;
        Some(())
    };
    // One pass over the bytes: this is most of what a key costs.
    for (at, &byte) in path.iter().enumerate() {
        match byte {
            b'/' => take(at)?,
            b'%' => return None,
            _ => {}
        }
    }
    take(path.len())?;
    Some((found, count))
}
