//! Keys and other foreign text, fit for a terminal, a log line and a page.

use std::fmt::Write as _;

/// Writes a key as text on one line, from which the key can be read back.
///
/// Printable UTF-8 stays as it is, save that a backslash is doubled; of everything else (control
/// characters, marks that turn the direction of text or join what stands before them, bytes that
/// are no UTF-8) each byte becomes `\xNN`. So no two keys look alike in bytes, and none can forge
/// a line or move a cursor.
#[must_use]
pub fn printable_key(key: &[u8]) -> String {
    let mut text = String::with_capacity(key.len());
    for chunk in key.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => text.push_str("\\\\"),
                _ => push(&mut text, c),
            }
        }
        push_bytes(&mut text, chunk.invalid());
    }
    text
}

/// Tells whether [`printable_key`] shows all of the key as it is, backslashes aside.
pub(crate) fn is_printable(key: &[u8]) -> bool {
    std::str::from_utf8(key).is_ok_and(|key| key.chars().all(stays))
}

/// Returns `text` with all that is not printable escaped, so that it stays on its line. What
/// [`printable_key`] wrote stays the same.
pub(crate) fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    text.chars().for_each(|c| push(&mut line, c));
    line
}

fn push(text: &mut String, c: char) {
    if stays(c) {
        text.push(c);
    } else {
        push_bytes(text, c.encode_utf8(&mut [0; 4]).as_bytes());
    }
}

fn push_bytes(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        // Writing to a string can't fail.
        let _ = write!(text, "\\x{byte:02x}");
    }
}

fn stays(c: char) -> bool {
    // Beyond ASCII, the standard library escapes what has no glyph of its own.
    matches!(c, ' '..='~') || (!c.is_ascii() && c.escape_debug().len() == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_key_stays_on_its_line() {
        assert_eq!(printable_key(b"/a\n\x1b[31m\\\xff\x7f"), r"/a\x0a\x1b[31m\\\xff\x7f");
        assert_eq!(printable_key("/ä/\u{202e}/\u{301}".as_bytes()), r"/ä/\xe2\x80\xae/\xcc\x81");
        assert_eq!(printable_key("/\u{85}\u{2028}".as_bytes()), r"/\xc2\x85\xe2\x80\xa8");
    }

    #[test]
    fn text_that_was_made_printable_is_not_escaped_again() {
        let text = printable_key(b"/a\\b\x00\xfe");
        assert_eq!(one_line(&text), text);
        assert_eq!(one_line("two\nlines\tand \\"), r"two\x0alines\x09and \");
    }
}
