//! Custom resources as an apiserver stores them with CBOR switched on.
//!
//! Read is what the apiserver's encoder writes: every length known in advance, keys and texts as
//! byte strings or text strings, no key twice. Everything is borrowed from the value.

use crate::{Malformed, Owner, text};

/// What the value begins with: tag 55799, which says that CBOR follows.
pub(crate) const PREFIX: &[u8] = &[0xd9, 0xd9, 0xf7];

/// Kinds of items, as their first three bits say.
mod major {
    pub(super) const BYTES: u8 = 2;
    pub(super) const TEXT: u8 = 3;
    pub(super) const ARRAY: u8 = 4;
    pub(super) const MAP: u8 = 5;
    pub(super) const TAG: u8 = 6;
}

/// The item that stands for nothing.
const NULL: u8 = 0xf6;

/// An object, read to its end and found sound.
#[derive(Clone, Copy, Default)]
pub(crate) struct Object<'v> {
    pub(crate) api_version: &'v str,
    pub(crate) kind: &'v str,
    pub(crate) name: &'v str,
    pub(crate) namespace: &'v str,
    pub(crate) uid: &'v str,
    pub(crate) deleting: bool,
    owners: Items<'v>,
    finalizers: Items<'v>,
}

impl<'v> Object<'v> {
    /// Reads what follows [`PREFIX`].
    ///
    /// # Errors
    ///
    /// It is no object, or is not written as the apiserver's encoder does.
    pub(crate) fn read(body: &'v [u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor { rest: body };
        let mut object = Self::default();
        let (mut api_version, mut kind, mut metadata) = (Once(false), Once(false), Once(false));
        for _ in 0..cursor.map()? {
            match cursor.key()? {
                b"apiVersion" => object.api_version = api_version.first(cursor.text()?)?,
                b"kind" => object.kind = kind.first(cursor.text()?)?,
                b"metadata" => metadata.first(object.read_metadata(&mut cursor)?)?,
                _ => cursor.skip()?,
            }
        }
        if metadata == Once(false) || !cursor.rest.is_empty() {
            return Err(Malformed);
        }
        Ok(object)
    }

    fn read_metadata(&mut self, cursor: &mut Cursor<'v>) -> Result<(), Malformed> {
        let (mut name, mut namespace) = (Once(false), Once(false));
        let (mut uid, mut deleting) = (Once(false), Once(false));
        let (mut owners, mut finalizers) = (Once(false), Once(false));
        for _ in 0..cursor.map()? {
            match cursor.key()? {
                b"name" => self.name = name.first(cursor.text()?)?,
                b"namespace" => self.namespace = namespace.first(cursor.text()?)?,
                b"uid" => self.uid = uid.first(cursor.text()?)?,
                b"deletionTimestamp" => self.deleting = deleting.first(cursor.time()?)?,
                b"ownerReferences" => {
                    self.owners = owners.first(cursor.items(|item| item.owner().map(drop))?)?;
                }
                b"finalizers" => {
                    self.finalizers =
                        finalizers.first(cursor.items(|item| item.text().map(drop))?)?;
                }
                _ => cursor.skip()?,
            }
        }
        Ok(())
    }

    /// Returns the references to owners, in their order.
    pub(crate) fn owners(&self) -> Owners<'v> {
        Owners(self.owners)
    }

    /// Returns the finalizers, in their order.
    pub(crate) fn finalizers(&self) -> Finalizers<'v> {
        Finalizers(self.finalizers)
    }
}

/// Items of an array that are left, all of them found sound.
#[derive(Clone, Copy, Default)]
struct Items<'v> {
    count: u64,
    cursor: Cursor<'v>,
}

impl<'v> Items<'v> {
    fn next<T>(&mut self, read: impl Fn(&mut Cursor<'v>) -> Result<T, Malformed>) -> Option<T> {
        self.count = self.count.checked_sub(1)?;
        read(&mut self.cursor).ok()
    }
}

/// The references to owners that are left.
#[derive(Clone, Copy)]
pub(crate) struct Owners<'v>(Items<'v>);

impl<'v> Iterator for Owners<'v> {
    type Item = Owner<'v>;

    fn next(&mut self) -> Option<Owner<'v>> {
        self.0.next(Cursor::owner)
    }
}

/// The finalizers that are left.
#[derive(Clone, Copy)]
pub(crate) struct Finalizers<'v>(Items<'v>);

impl<'v> Iterator for Finalizers<'v> {
    type Item = &'v str;

    fn next(&mut self) -> Option<&'v str> {
        self.0.next(Cursor::text)
    }
}

/// Whether a key was there already. An apiserver refuses a map that has a key twice.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Once(bool);

impl Once {
    fn first<T>(&mut self, value: T) -> Result<T, Malformed> {
        if self.0 {
            return Err(Malformed);
        }
        self.0 = true;
        Ok(value)
    }
}

/// What is left to read.
#[derive(Clone, Copy, Default)]
struct Cursor<'v> {
    rest: &'v [u8],
}

impl<'v> Cursor<'v> {
    /// Takes the head of an item: its kind, and the number that comes with it.
    fn head(&mut self) -> Result<(u8, u64), Malformed> {
        let [first] = *self.bytes(1)? else { return Err(Malformed) };
        let number = match first & 0x1f {
            small @ 0..24 => u64::from(small),
            wide @ 24..28 => {
                let bytes = self.bytes(1 << (wide - 24))?;
                bytes.iter().fold(0, |number, &byte| number << 8 | u64::from(byte))
            }
            // Lengths that only show at the end, and what is reserved.
            _ => return Err(Malformed),
        };
        Ok((first >> 5, number))
    }

    fn bytes(&mut self, length: u64) -> Result<&'v [u8], Malformed> {
        let length = usize::try_from(length).map_err(|_| Malformed)?;
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or(Malformed)?;
        self.rest = rest;
        Ok(bytes)
    }

    /// Takes a null, if there is one.
    fn null(&mut self) -> bool {
        match self.rest.split_first() {
            Some((&NULL, rest)) => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    /// Takes a point in time; tells whether it is something else than null.
    fn time(&mut self) -> Result<bool, Malformed> {
        Ok(!self.null() && self.text().map(|_| true)?)
    }

    /// Takes the key of a pair.
    fn key(&mut self) -> Result<&'v [u8], Malformed> {
        match self.head()? {
            (major::BYTES | major::TEXT, length) => self.bytes(length),
            _ => Err(Malformed),
        }
    }

    /// Takes a text; null is an empty one.
    fn text(&mut self) -> Result<&'v str, Malformed> {
        if self.null() { Ok("") } else { text(self.key()?) }
    }

    /// Takes the head of a map; returns the number of pairs.
    fn map(&mut self) -> Result<u64, Malformed> {
        match self.head()? {
            (major::MAP, pairs) => Ok(pairs),
            _ => Err(Malformed),
        }
    }

    /// Takes an array of which each item can be read so; null is an empty one.
    fn items(
        &mut self,
        read: impl Fn(&mut Self) -> Result<(), Malformed>,
    ) -> Result<Items<'v>, Malformed> {
        if self.null() {
            return Ok(Items::default());
        }
        let (major::ARRAY, count) = self.head()? else { return Err(Malformed) };
        let items = Items { count, cursor: *self };
        for _ in 0..count {
            read(self)?;
        }
        Ok(items)
    }

    fn owner(&mut self) -> Result<Owner<'v>, Malformed> {
        let mut owner = Owner::default();
        let (mut api_version, mut kind) = (Once(false), Once(false));
        let (mut name, mut uid) = (Once(false), Once(false));
        for _ in 0..self.map()? {
            match self.key()? {
                b"apiVersion" => owner.api_version = api_version.first(self.text()?)?,
                b"kind" => owner.kind = kind.first(self.text()?)?,
                b"name" => owner.name = name.first(self.text()?)?,
                b"uid" => owner.uid = uid.first(self.text()?)?,
                _ => self.skip()?,
            }
        }
        Ok(owner)
    }

    /// Steps over an item with all that is in it.
    ///
    /// Counts the items that are owed instead of descending into them, so that no depth of nesting
    /// costs stack. Each takes a byte at least, so a count that lies meets the end of the value.
    fn skip(&mut self) -> Result<(), Malformed> {
        let mut owed: u64 = 1;
        while let Some(left) = owed.checked_sub(1) {
            let inner = match self.head()? {
                (major::BYTES | major::TEXT, length) => self.bytes(length).map(|_| 0)?,
                (major::ARRAY, items) => items,
                (major::MAP, pairs) => pairs.checked_mul(2).ok_or(Malformed)?,
                (major::TAG, _) => 1,
                // Numbers, booleans, null: the head is all there is.
                _ => 0,
            };
            owed = left.checked_add(inner).ok_or(Malformed)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_keeps_nothing_that_was_allocated() {
        fn copied<T: Copy>() {}
        copied::<Object<'_>>();
        copied::<Owners<'_>>();
        copied::<Finalizers<'_>>();
    }

    #[test]
    fn an_item_is_stepped_over_whole() {
        for item in [
            &[0x00][..],
            &[0x1b, 1, 2, 3, 4, 5, 6, 7, 8],
            &[0x38, 99],
            &[0x42, 1, 2],
            &[0x61, b'x'],
            &[0x82, 0x01, 0x81, 0x02],
            &[0xa1, 0x41, b'k', 0xa0],
            &[0xd6, 0x41, 0],
            &[0xf5],
            &[0xf9, 0x3c, 0x00],
            &[0xfb, 0, 0, 0, 0, 0, 0, 0, 0],
        ] {
            let followed = [item, &[0x07]].concat();
            let mut cursor = Cursor { rest: &followed };
            assert_eq!(cursor.skip(), Ok(()), "{item:02x?}");
            assert_eq!(cursor.rest, [0x07], "{item:02x?}");
            let mut cut = Cursor { rest: &item[..item.len() - 1] };
            assert_eq!(cut.skip(), Err(Malformed), "{item:02x?}");
        }
    }

    #[test]
    fn counts_that_lie_meet_the_end() {
        for item in [
            &[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0][..],
            &[0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0],
            &[0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0],
            &[0x9f, 0xff],
        ] {
            assert_eq!(Cursor { rest: item }.skip(), Err(Malformed), "{item:02x?}");
        }
    }
}
