//! Where things are.

use std::path::{Path, PathBuf};

/// Returns the top of the workspace.
pub(crate) fn workspace() -> PathBuf {
    // bins/xtask -> the top
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

/// Returns where programs are kept that the tasks fetched or built. Not below `CARGO_TARGET_DIR`,
/// so that several target directories share them.
pub(crate) fn etcds() -> PathBuf {
    workspace().join("target").join("etcd")
}

/// Finds a program on `PATH`.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|path| path.is_file())
}

/// Returns the cargo that runs this task.
pub(crate) fn cargo() -> std::process::Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = std::process::Command::new(cargo);
    command.current_dir(workspace());
    command
}
