//! Records of a name as text, for whoever watches a name server: `10 mail.example.com` for a mail server.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use super::message::{TYPE_CNAME, name_at, walk};

/// Records that are read of one answer.
pub(super) const RECORDS_MAX: usize = 64;

/// What a name server can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordType {
    A,
    Aaaa,
    Caa,
    Cname,
    Mx,
    Ns,
    Ptr,
    Srv,
    Txt,
}

impl RecordType {
    /// Every type, with its name and its number.
    const ALL: [(Self, &'static str, u16); 9] = [
        (Self::A, "A", 1),
        (Self::Aaaa, "AAAA", 28),
        (Self::Caa, "CAA", 257),
        (Self::Cname, "CNAME", TYPE_CNAME),
        (Self::Mx, "MX", 15),
        (Self::Ns, "NS", 2),
        (Self::Ptr, "PTR", 12),
        (Self::Srv, "SRV", 33),
        (Self::Txt, "TXT", 16),
    ];

    /// Reads its name in either case.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(_, name, _)| name.eq_ignore_ascii_case(text)).map(|(kind, ..)| kind)
    }

    /// The names of all, with commas between them.
    pub fn names() -> String {
        Self::ALL.map(|(_, name, _)| name).join(", ")
    }

    pub(super) fn code(self) -> u16 {
        Self::ALL.into_iter().find(|(kind, ..)| *kind == self).map_or(1, |(_, _, code)| code)
    }
}

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::ALL.into_iter().find(|(kind, ..)| kind == self).map_or("A", |(_, name, _)| name))
    }
}

/// The records of this type of `name`, or of what it is an alias of; `None` where the message cannot be read.
pub(super) fn read(message: &[u8], begin: usize, count: u16, name: &[u8], of: RecordType) -> Option<Vec<String>> {
    walk(message, begin, count, name, of.code(), |records, data| {
        let record = text(message, data, of)?;
        if records.len() < RECORDS_MAX {
            records.push(record);
        }
        Some(())
    })
}

/// One record, whose data stands there.
fn text(message: &[u8], Range { start: at, end }: Range<usize>, of: RecordType) -> Option<String> {
    let data = message.get(at..end)?;
    let number = |at: usize| Some(u16::from_be_bytes([*data.get(at)?, *data.get(at + 1)?]));
    let name = |at: usize| Some(readable(&name_at(message, at)?.0));
    Some(match of {
        RecordType::A => Ipv4Addr::from(<[u8; 4]>::try_from(data).ok()?).to_string(),
        RecordType::Aaaa => Ipv6Addr::from(<[u8; 16]>::try_from(data).ok()?).to_string(),
        RecordType::Cname | RecordType::Ns | RecordType::Ptr => name(at)?,
        RecordType::Mx => format!("{} {}", number(0)?, name(at + 2)?),
        RecordType::Srv => format!("{} {} {} {}", number(0)?, number(2)?, number(4)?, name(at + 6)?),
        RecordType::Txt => {
            let (mut whole, mut rest) = (Vec::new(), data);
            while let Some((length, more)) = rest.split_first() {
                let (part, after) = more.split_at_checked(usize::from(*length))?;
                whole.extend_from_slice(part);
                rest = after;
            }
            String::from_utf8_lossy(&whole).into_owned()
        }
        RecordType::Caa => {
            let (flags, length) = (*data.first()?, usize::from(*data.get(1)?));
            let (tag, value) = data.get(2..)?.split_at_checked(length)?;
            format!("{flags} {} \"{}\"", String::from_utf8_lossy(tag), String::from_utf8_lossy(value))
        }
    })
}

/// A name as people write it.
fn readable(name: &[u8]) -> String {
    let (mut labels, mut rest) = (Vec::new(), name);
    while let Some((&length, more)) = rest.split_first().filter(|(length, _)| **length > 0) {
        let (label, after) = more.split_at(usize::from(length).min(more.len()));
        labels.push(String::from_utf8_lossy(label).into_owned());
        rest = after;
    }
    labels.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Records of `shop.test`, as they travel; the name stands at 0.
    fn records(list: &[(&[u8], u16, &[u8])]) -> (Vec<u8>, usize, u16) {
        let mut message = b"\x04shop\x04test\0".to_vec();
        let begin = message.len();
        for (owner, kind, data) in list {
            message.extend(*owner);
            message.extend(kind.to_be_bytes());
            message.extend([0, 1, 0, 0, 0, 1]);
            message.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
            message.extend(*data);
        }
        (message, begin, u16::try_from(list.len()).unwrap())
    }

    const ITSELF: &[u8] = &[0xc0, 0];

    fn said(list: &[(&[u8], u16, &[u8])], of: RecordType) -> Option<Vec<String>> {
        let (message, begin, count) = records(list);
        read(&message, begin, count, b"\x04shop\x04test\0", of)
    }

    #[test]
    fn each_type_is_told_as_people_write_it() {
        for (of, data, told) in [
            (RecordType::A, &[10, 0, 0, 1][..], "10.0.0.1"),
            (RecordType::Aaaa, &Ipv6Addr::LOCALHOST.octets(), "::1"),
            (RecordType::Cname, b"\x01B\xc0\x05", "b.test"),
            (RecordType::Ns, b"\x02ns\xc0\x05", "ns.test"),
            (RecordType::Ptr, b"\xc0\x00", "shop.test"),
            (RecordType::Mx, b"\x00\x0a\x04mail\xc0\x05", "10 mail.test"),
            (RecordType::Srv, b"\x00\x01\x00\x02\x13\xc4\x03sip\xc0\x05", "1 2 5060 sip.test"),
            (RecordType::Txt, b"\x05v=a b\x02 c", "v=a b c"),
            (RecordType::Caa, b"\x00\x05issueca.test", "0 issue \"ca.test\""),
        ] {
            assert_eq!(said(&[(ITSELF, of.code(), data)], of), Some(vec![told.to_owned()]), "{of}");
            assert_eq!(RecordType::parse(&of.to_string().to_lowercase()), Some(of));
        }
    }

    #[test]
    fn aliases_are_followed_and_others_passed_over() {
        let list: [(&[u8], u16, &[u8]); 3] = [
            (b"\x01b\x04test\0", 1, &[10, 0, 0, 2]),
            (ITSELF, 5, b"\x01b\x04test\0"),
            (b"\x05other\0", 1, &[10, 0, 0, 9]),
        ];
        assert_eq!(said(&list, RecordType::A), Some(vec!["10.0.0.2".to_owned()]));
        assert_eq!(said(&list, RecordType::Cname), Some(vec!["b.test".to_owned()]));
        assert_eq!(said(&[(ITSELF, 5, ITSELF)], RecordType::A), None, "a circle");
        assert_eq!(said(&[(ITSELF, 1, &[10, 0, 0])], RecordType::A), None, "three bytes of four");
        let many = vec![(ITSELF, 1, &[10, 0, 0, 1][..]); RECORDS_MAX + 1];
        assert_eq!(said(&many, RecordType::A).map(|records| records.len()), Some(RECORDS_MAX));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(tail in proptest::collection::vec(any::<u8>(), 0..100), of in 0..9_usize, count in 0..9_u16) {
            let (mut message, begin, _) = records(&[]);
            let (of, _, code) = RecordType::ALL[of];
            message.extend(ITSELF);
            message.extend(code.to_be_bytes());
            message.extend([0, 1, 0, 0, 0, 1, 0, u8::try_from(tail.len()).unwrap()]);
            message.extend(&tail);
            if let Some(found) = read(&message, begin, count, b"\x04shop\x04test\0", of) {
                prop_assert!(found.len() <= RECORDS_MAX);
            }
        }
    }
}
