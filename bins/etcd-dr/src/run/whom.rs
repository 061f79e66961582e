//! Who gives an order, as far as this machine knows.

/// Returns `USER at HOST, by etcd-dr`.
pub(crate) fn operator() -> String {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    // Whoever became root by sudo is still somebody.
    let user = variable("SUDO_USER").or_else(|| variable("USER"));
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let host = host.map(|host| host.trim().to_owned()).filter(|host| !host.is_empty());
    let plain = |text: Option<String>| {
        let text = text.unwrap_or_else(|| "somebody".to_owned());
        text.chars().filter(|c| c.is_ascii_graphic()).take(64).collect::<String>()
    };
    format!("{} at {}, by etcd-dr", plain(user), plain(host.or_else(|| Some("somewhere".into()))))
}
