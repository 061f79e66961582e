use keyspace_filter::grammar::{Grammar, ObjectKey, Shape};

fn parts(shape: Shape<'_>) -> Option<(String, Option<String>, String)> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    match shape {
        Shape::Object(ObjectKey { resource, namespace, name }) => {
            Some((text(resource), namespace.map(text), text(name)))
        }
        Shape::Unknown | Shape::Outside => None,
    }
}

#[track_caller]
fn object(key: &str, resource: &str, namespace: Option<&str>, name: &str) {
    let wanted = (resource.to_owned(), namespace.map(str::to_owned), name.to_owned());
    assert_eq!(parts(Grammar::default().parse(key.as_bytes())), Some(wanted), "{key}");
}

#[test]
fn the_number_of_segments_tells_the_parts_apart() {
    object("/registry/pods/team/web-0", "pods", Some("team"), "web-0");
    object("/registry/minions/node-1", "minions", None, "node-1");
    object("/registry/services/specs/team/web", "services/specs", Some("team"), "web");
    object("/registry/services/endpoints/team/web", "services/endpoints", Some("team"), "web");
    object("/registry/ranges/serviceips", "ranges", None, "serviceips");
    object(
        "/registry/cluster.x-k8s.io/machines/team/m-0",
        "cluster.x-k8s.io/machines",
        Some("team"),
        "m-0",
    );
    object("/registry/auth.alauda.io/projects/p", "auth.alauda.io/projects", None, "p");
    object(
        "/registry/apiextensions.k8s.io/customresourcedefinitions/a.b.c",
        "apiextensions.k8s.io/customresourcedefinitions",
        None,
        "a.b.c",
    );
}

#[test]
fn three_segments_are_namespaced_only_without_a_group() {
    object("/registry/configmaps/ns/n", "configmaps", Some("ns"), "n");
    object("/registry/g.io/plural/n", "g.io/plural", None, "n");
}

#[test]
fn a_namespace_belongs_to_itself() {
    object("/registry/namespaces/team", "namespaces", Some("team"), "team");
}

#[test]
fn a_name_may_hold_colons_and_dots() {
    object("/registry/clusterroles/system:a:b.c", "clusterroles", None, "system:a:b.c");
}

#[test]
fn what_no_apiserver_writes_has_no_known_shape() {
    for key in [
        "/registry/",
        "/registry/pods",
        "/registry/pods/",
        "/registry//pods/x",
        "/registry/pods/ns/",
        "/registry/pods/ns/a/b",
        "/registry/pods/../x",
        "/registry/pods/./x",
        "/registry/pods/ns/a%2fb",
        "/registry/services/web",
        "/registry/services/specs/web",
        "/registry/services/other/ns/web",
        "/registry/ranges/a/b",
        "/registry/g.io/plural",
        "/registry/g.io/plural/ns/n/more",
    ] {
        assert_eq!(Grammar::default().parse(key.as_bytes()), Shape::Unknown, "{key}");
    }
}

#[test]
fn what_only_looks_like_the_prefix_is_outside() {
    for key in ["/registry", "/registryX/pods/a/b", "registry/pods/a/b", "compact_rev_key", ""] {
        assert_eq!(Grammar::default().parse(key.as_bytes()), Shape::Outside, "{key}");
    }
}

#[test]
fn the_etcd_prefix_may_be_another() {
    for spelling in ["/kubernetes.io", "kubernetes.io", "/kubernetes.io/"] {
        let grammar = Grammar::new(spelling);
        assert_eq!(grammar.root(), "/kubernetes.io/");
        let found = parts(grammar.parse(b"/kubernetes.io/pods/ns/n"));
        assert_eq!(found, Some(("pods".into(), Some("ns".into()), "n".into())));
        assert_eq!(grammar.parse(b"/registry/pods/ns/n"), Shape::Outside);
    }
    assert_eq!(Grammar::new("").root(), "/");
    assert!(matches!(Grammar::new("/").parse(b"/pods/ns/n"), Shape::Object(_)));
}

#[test]
fn a_key_need_not_be_text() {
    let shape = Grammar::default().parse(b"/registry/pods/\xff\xfe/\x80");
    assert!(matches!(shape, Shape::Object(key) if key.namespace == Some(b"\xff\xfe")));
}
