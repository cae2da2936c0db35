//! Numbers as few bytes, and how what was written so is read again. Whatever the bytes are, reading ends in a value or a reason.

use std::fmt;

use serde_json::Value;

/// Why bytes cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormError {
    /// A newer version of this program wrote them.
    Newer { form: u8, known: u8 },
    /// They are not what this program writes, for this reason.
    Damaged(&'static str),
}

impl fmt::Display for FormError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Newer { form, known } => {
                write!(f, "it was written by a newer version of this program (form {form}, this one reads {known})")
            }
            Self::Damaged(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for FormError {}

/// Appends a number: seven bits in a byte, the lowest first, and the eighth says that more follow.
pub(super) fn put(out: &mut Vec<u8>, mut number: u64) {
    while number > 0x7f {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Reads an item that is JSON, whose form stands in it by that name.
pub(super) fn read_json(bytes: &[u8], known: u8) -> Result<Value, FormError> {
    let item: Value = serde_json::from_slice(bytes).map_err(|_| FormError::Damaged("it is no JSON"))?;
    match item["form"].as_u64() {
        Some(form) if form == u64::from(known) => Ok(item),
        Some(form) if form > u64::from(known) => {
            Err(FormError::Newer { form: u8::try_from(form).unwrap_or(u8::MAX), known })
        }
        _ => Err(FormError::Damaged("it has no form")),
    }
}

/// What is left to read.
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The first byte of an item says its form, which grows whenever an older version could misread it.
    pub(super) fn form(&mut self, known: u8) -> Result<(), FormError> {
        match self.byte()? {
            0 => Err(FormError::Damaged("there is no form 0")),
            form if form > known => Err(FormError::Newer { form, known }),
            _ => Ok(()),
        }
    }

    pub(super) fn byte(&mut self) -> Result<u8, FormError> {
        let (first, rest) = self.0.split_first().ok_or(FormError::Damaged("it ends too soon"))?;
        self.0 = rest;
        Ok(*first)
    }

    pub(super) fn number(&mut self) -> Result<u64, FormError> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                break;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(FormError::Damaged("a number is too long"))
    }

    /// A number of at most 32 bits.
    pub(super) fn small(&mut self) -> Result<u32, FormError> {
        u32::try_from(self.number()?).map_err(|_| FormError::Damaged("a number is too large"))
    }

    /// A mask of which parts follow, in so many bytes.
    pub(super) fn mask(&mut self, bytes: usize) -> Result<u32, FormError> {
        (0..bytes).try_fold(0, |mask, byte| Ok(mask | u32::from(self.byte()?) << (8 * byte)))
    }

    pub(super) fn end(self) -> Result<(), FormError> {
        if self.0.is_empty() { Ok(()) } else { Err(FormError::Damaged("there is more than it says")) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_number_is_read_as_it_was_written(number: u64) {
            let mut out = Vec::new();
            put(&mut out, number);
            let mut reader = Reader::new(&out);
            prop_assert_eq!(reader.number(), Ok(number));
            prop_assert_eq!(reader.end(), Ok(()));
        }

        #[test]
        fn any_bytes_are_a_number_or_a_reason(bytes in proptest::collection::vec(any::<u8>(), 0..12)) {
            let mut reader = Reader::new(&bytes);
            if let Ok(number) = reader.number() {
                prop_assert_eq!(Reader::new(&bytes).small().ok(), u32::try_from(number).ok());
            }
        }
    }
}
