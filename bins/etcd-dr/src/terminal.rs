//! A line from whoever sits at the terminal.

use std::io::{self, BufRead as _, Write as _};

use tokio::sync::oneshot;

/// Asks for a line; `None` if there will be none.
///
/// # Cancel safety
///
/// Whoever is interrupted goes: the line is waited for on a thread of its own, and nobody waits for
/// that.
pub(crate) async fn ask(prompt: &str) -> Option<String> {
    let _ = write!(io::stderr(), "{prompt}");
    let _ = io::stderr().flush();
    let (hand_over, typed) = oneshot::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = io::stdin().lock().read_line(&mut line);
        let _ = hand_over.send(read.map(|bytes| (bytes, line)));
    });
    match typed.await {
        Ok(Ok((bytes, line))) if bytes > 0 => Some(line),
        _ => None,
    }
}
