//! Objects written in each format, as an apiserver writes them.

use kube_meta::Owner;
use serde_json::{Value, json};

/// What an object is to say of itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Object {
    pub(crate) api_version: String,
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) namespace: String,
    pub(crate) uid: String,
    pub(crate) deleting: bool,
    /// The version of the API, the kind, the name and the uid of each.
    pub(crate) owners: Vec<[String; 4]>,
    pub(crate) finalizers: Vec<String>,
    /// Everything else, of which nothing may show.
    pub(crate) rest: String,
}

impl Object {
    /// A Pod of a ReplicaSet that is being deleted.
    pub(crate) fn pod() -> Self {
        let texts = |texts: [&str; 4]| texts.map(str::to_owned);
        Self {
            api_version: "v1".into(),
            kind: "Pod".into(),
            name: "web-574bd6ddb7-x2x7p".into(),
            namespace: "shop".into(),
            uid: "pod-uid".into(),
            deleting: true,
            owners: vec![
                texts(["apps/v1", "ReplicaSet", "web-574bd6ddb7", "set-uid"]),
                texts(["v1", "Node", "worker-1", "node-uid"]),
            ],
            finalizers: vec!["example.io/one".into(), "example.io/two".into()],
            rest: "anything".into(),
        }
    }

    pub(crate) fn owners(&self) -> Vec<Owner<'_>> {
        fn owner([api_version, kind, name, uid]: &[String; 4]) -> Owner<'_> {
            Owner { api_version, kind, name, uid }
        }
        self.owners.iter().map(owner).collect()
    }

    pub(crate) fn protobuf(&self) -> Vec<u8> {
        let object = [message(1, &self.object_meta()), message(2, &text(9, &self.rest))].concat();
        let type_meta = [text(1, &self.api_version), text(2, &self.kind)].concat();
        let unknown = [message(1, &type_meta), message(2, &object), text(3, ""), text(4, "")];
        [b"k8s\0", &*unknown.concat()].concat()
    }

    fn object_meta(&self) -> Vec<u8> {
        let mut fields = vec![text(1, &self.name), text(3, &self.namespace)];
        fields.extend([text(5, &self.uid), number(7, 300)]);
        if self.deleting {
            fields.push(message(9, &number(1, 1_767_323_045)));
        }
        fields.push(message(12, &[text(1, "annotation"), text(2, &self.rest)].concat()));
        for [api_version, kind, name, uid] in &self.owners {
            let texts = [text(1, kind), text(3, name), text(4, uid), text(5, api_version)];
            fields.push(message(13, &[texts.concat(), number(6, 1), number(7, 0)].concat()));
        }
        fields.extend(self.finalizers.iter().map(|finalizer| text(14, finalizer)));
        fields.concat()
    }

    pub(crate) fn tree(&self) -> Value {
        let owner = |[api_version, kind, name, uid]: &[String; 4]| {
            json!({
                "apiVersion": api_version, "kind": kind, "name": name, "uid": uid,
                "controller": true,
            })
        };
        json!({
            "apiVersion": self.api_version,
            "kind": self.kind,
            "metadata": {
                "annotations": {"annotation": self.rest},
                "deletionTimestamp": self.deleting.then_some("2026-01-02T03:04:05Z"),
                "finalizers": self.finalizers,
                "generation": 300,
                "name": self.name,
                "namespace": self.namespace,
                "ownerReferences": self.owners.iter().map(owner).collect::<Vec<_>>(),
                "uid": self.uid,
            },
            "spec": {"rest": self.rest, "list": [1, -1, 1.5, true, null, {}]},
        })
    }

    pub(crate) fn json(&self) -> Vec<u8> {
        self.tree().to_string().into_bytes()
    }

    /// Writes texts and keys as byte strings, as the apiserver does, or as text strings.
    pub(crate) fn cbor(&self, byte_strings: bool) -> Vec<u8> {
        let mut value = vec![0xd9, 0xd9, 0xf7];
        cbor(&mut value, &self.tree(), if byte_strings { 2 } else { 3 });
        value
    }
}

/// Writes a protobuf varint.
fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value > 0x7f {
        bytes.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    bytes.push(value.to_le_bytes()[0]);
    bytes
}

/// Writes a protobuf field that is a message.
pub(crate) fn message(field: u64, content: &[u8]) -> Vec<u8> {
    [varint(field << 3 | 2), varint(content.len() as u64), content.to_vec()].concat()
}

/// Writes a protobuf field that is a text.
pub(crate) fn text(field: u64, content: &str) -> Vec<u8> {
    message(field, content.as_bytes())
}

/// Writes a protobuf field that is a number.
pub(crate) fn number(field: u64, value: u64) -> Vec<u8> {
    [varint(field << 3), varint(value)].concat()
}

fn head(bytes: &mut Vec<u8>, major: u8, argument: usize) {
    match u16::try_from(argument).expect("a short item").to_be_bytes() {
        [0, small @ 0..24] => bytes.push(major << 5 | small),
        [0, byte] => bytes.extend([major << 5 | 24, byte]),
        [high, low] => bytes.extend([major << 5 | 25, high, low]),
    }
}

fn cbor(bytes: &mut Vec<u8>, tree: &Value, string: u8) {
    let write = |bytes: &mut Vec<u8>, text: &str| {
        head(bytes, string, text.len());
        bytes.extend(text.as_bytes());
    };
    match tree {
        Value::Null => bytes.push(0xf6),
        Value::Bool(value) => bytes.push(if *value { 0xf5 } else { 0xf4 }),
        Value::Number(number) if number.is_f64() => {
            bytes.push(0xfb);
            bytes.extend(number.as_f64().unwrap().to_be_bytes());
        }
        Value::Number(number) => match number.as_i64().unwrap() {
            value @ 0.. => head(bytes, 0, usize::try_from(value).unwrap()),
            value => head(bytes, 1, usize::try_from(-1 - value).unwrap()),
        },
        Value::String(text) => write(bytes, text),
        Value::Array(items) => {
            head(bytes, 4, items.len());
            items.iter().for_each(|item| cbor(bytes, item, string));
        }
        Value::Object(pairs) => {
            head(bytes, 5, pairs.len());
            for (key, item) in pairs {
                write(bytes, key);
                cbor(bytes, item, string);
            }
        }
    }
}
