//! Protobuf's wire format: fields, one after the other.

use crate::{Malformed, text};

/// The bytes of the longest varint: seven bits of 64 in each.
const VARINT_BYTES_MAX: usize = 10;

/// One field of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Field<'v> {
    /// The number that the schema gives it.
    pub(crate) number: u64,
    content: Content<'v>,
}

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content<'v> {
    /// Bytes, a text or a message.
    Bytes(&'v [u8]),
    /// A number of variable length.
    Integer(u64),
    /// A number of four or eight bytes, which nobody here asks for.
    Fixed,
}

impl<'v> Field<'v> {
    /// Returns the bytes, a text or a message.
    ///
    /// # Errors
    ///
    /// The field is a number.
    pub(crate) fn bytes(self) -> Result<&'v [u8], Malformed> {
        match self.content {
            Content::Bytes(bytes) => Ok(bytes),
            Content::Integer(_) | Content::Fixed => Err(Malformed),
        }
    }

    /// Returns the number. A negative one is larger than any that is not.
    ///
    /// # Errors
    ///
    /// The field is no number of variable length.
    pub(crate) fn integer(self) -> Result<u64, Malformed> {
        match self.content {
            Content::Integer(number) => Ok(number),
            Content::Bytes(_) | Content::Fixed => Err(Malformed),
        }
    }

    /// Returns the text.
    ///
    /// # Errors
    ///
    /// The field is a number, or no UTF-8.
    pub(crate) fn text(self) -> Result<&'v str, Malformed> {
        text(self.bytes()?)
    }
}

/// The fields of a message that are left. A field is stepped over by its length, whatever is in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields<'v> {
    rest: &'v [u8],
}

impl<'v> Fields<'v> {
    /// Reads a message.
    pub(crate) fn new(message: &'v [u8]) -> Self {
        Self { rest: message }
    }

    /// Takes the next field; `None` at the end of the message.
    ///
    /// # Errors
    ///
    /// The field ends after the message does, or is of no kind that Kubernetes writes: groups are
    /// long gone from protobuf.
    pub(crate) fn take(&mut self) -> Result<Option<Field<'v>>, Malformed> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let content = match tag & 7 {
            0 => Content::Integer(self.varint()?),
            1 => self.bytes(8).map(|_| Content::Fixed)?,
            2 => {
                let length = self.varint()?;
                Content::Bytes(self.bytes(length)?)
            }
            5 => self.bytes(4).map(|_| Content::Fixed)?,
            _ => return Err(Malformed),
        };
        match tag >> 3 {
            0 => Err(Malformed),
            number => Ok(Some(Field { number, content })),
        }
    }

    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0;
        for (at, &byte) in self.rest.iter().take(VARINT_BYTES_MAX).enumerate() {
            // The tenth byte has room for one bit of 64.
            if at + 1 == VARINT_BYTES_MAX && byte > 1 {
                return Err(Malformed);
            }
            value |= u64::from(byte & 0x7f) << (7 * at);
            if byte & 0x80 == 0 {
                self.rest = self.rest.get(at + 1..).unwrap_or_default();
                return Ok(value);
            }
        }
        Err(Malformed)
    }

    fn bytes(&mut self, length: u64) -> Result<&'v [u8], Malformed> {
        let length = usize::try_from(length).map_err(|_| Malformed)?;
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or(Malformed)?;
        self.rest = rest;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn varint(bytes: &[u8]) -> Option<u64> {
        Fields::new(bytes).varint().ok()
    }

    #[test]
    fn a_varint_ends_within_ten_bytes_and_64_bits() {
        let largest = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert_eq!(varint(&largest), Some(u64::MAX));
        assert_eq!(varint(&[0xac, 0x02]), Some(300));
        assert_eq!(varint(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02]), None);
        assert_eq!(varint(&[0x80; 11]), None);
        assert_eq!(varint(&[0x80]), None);
    }

    #[test]
    fn numbers_are_stepped_over() {
        let message =
            [0x08, 0x96, 0x01, 0x11, 1, 2, 3, 4, 5, 6, 7, 8, 0x1d, 1, 2, 3, 4, 0x22, 1, b'x'];
        let mut fields = Fields::new(&message);
        for number in 1..=3 {
            let field = fields.take().unwrap().unwrap();
            assert_eq!((field.number, field.bytes()), (number, Err(Malformed)));
            assert_eq!(field.integer(), if number == 1 { Ok(150) } else { Err(Malformed) });
        }
        let field = fields.take().unwrap().unwrap();
        assert_eq!((field.number, field.text()), (4, Ok("x")));
        assert_eq!(field.integer(), Err(Malformed));
        assert_eq!(fields.take(), Ok(None));
    }

    #[test]
    fn a_field_that_kubernetes_never_writes_is_malformed() {
        for (message, what) in [
            (&[0x0b][..], "a group"),
            (&[0x02, 0][..], "number 0"),
            (&[0x0a, 2, b'x'][..], "a text that ends after the message"),
            (&[0x09, 1][..], "a number that ends after the message"),
            (
                &[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01][..],
                "a huge text",
            ),
        ] {
            assert_eq!(Fields::new(message).take(), Err(Malformed), "{what}");
        }
    }

    proptest! {
        #[test]
        fn every_field_takes_a_byte_at_least(message in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut fields = Fields::new(&message);
            loop {
                let left = fields.rest.len();
                match fields.take() {
                    Ok(Some(_)) => prop_assert!(fields.rest.len() < left),
                    Ok(None) | Err(Malformed) => break,
                }
            }
        }
    }
}
