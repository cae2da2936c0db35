//! Questions and answers of DNS as they travel (RFC 1035). Of an answer no more is read than what was asked for: its code,
//! and the addresses at the end of the name's aliases.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use api_health_core::observation::NameServerFault;

use super::records::{self, RecordType};

/// Aliases that are followed from one name (`CNAME`).
const ALIASES_MAX: usize = 16;
/// Addresses that are kept of one answer.
pub(super) const ANSWER_ADDRESSES_MAX: usize = 64;
/// The size of an answer over UDP that is asked for where resolv.conf says `edns0`: what glibc asks for.
const EDNS_BYTES: u16 = 1_200;

const CLASS_IN: u16 = 1;
pub(super) const TYPE_CNAME: u16 = 5;
const TYPE_OPT: u16 = 41;
const NOERROR: u8 = 0;
const NXDOMAIN: u8 = 3;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum QuestionKind {
    Ipv4,
    Ipv6,
    /// The name servers of a zone.
    Servers,
    /// Whatever there is of one type, as text.
    Records(RecordType),
}

impl QuestionKind {
    fn code(self) -> u16 {
        match self {
            Self::Ipv4 => 1,
            Self::Ipv6 => 28,
            Self::Servers => 2,
            Self::Records(of) => of.code(),
        }
    }
}

/// One question, with a number of its own that nobody can guess.
#[derive(Debug)]
pub(super) struct Question {
    /// Labels with their lengths, in lower case, the empty one of the root last.
    name: Vec<u8>,
    kind: QuestionKind,
    id: u16,
}

/// What a name server said.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The name exists; these are its addresses.
    Addresses(Vec<IpAddr>),
    /// What there is of the type that was asked for.
    Records(Vec<String>),
    NoSuchName,
    /// It did not fit into one packet.
    Truncated,
    Fault(NameServerFault),
}

impl Question {
    /// `None` if `name` cannot be a name: a label of more than 63 bytes or of none, more than 255 bytes in all.
    pub(super) fn new(name: &str, kind: QuestionKind) -> Option<Self> {
        let name = name.strip_suffix('.').unwrap_or(name);
        let mut wire = Vec::with_capacity(name.len() + 2);
        for label in name.split('.').filter(|_| !name.is_empty()) {
            let length = u8::try_from(label.len()).ok().filter(|length| (1..=63).contains(length))?;
            wire.push(length);
            wire.extend(label.bytes().map(|byte| byte.to_ascii_lowercase()));
        }
        wire.push(0);
        (wire.len() <= 255).then(|| Self { name: wire, kind, id: chance() })
    }

    /// The whole message.
    pub(super) fn bytes(&self, edns: bool) -> Vec<u8> {
        let mut message = Vec::with_capacity(self.name.len() + 27);
        let number = |number: u16, message: &mut Vec<u8>| message.extend(number.to_be_bytes());
        number(self.id, &mut message);
        for field in [0x0100, 1, 0, 0, u16::from(edns)] {
            number(field, &mut message); // recursion is wanted; one question, and perhaps what says how long an answer may be
        }
        message.extend(&self.name);
        number(self.kind.code(), &mut message);
        number(CLASS_IN, &mut message);
        if edns {
            message.push(0);
            number(TYPE_OPT, &mut message);
            number(EDNS_BYTES, &mut message);
            message.extend([0; 6]);
        }
        message
    }

    /// What `message` says to this question; `None` if it is no answer to it, but somebody else's, or a forged one.
    pub(super) fn read(&self, message: &[u8]) -> Option<Answer> {
        let field = |at: usize| Some(u16::from_be_bytes([*message.get(at)?, *message.get(at + 1)?]));
        let flags = field(2)?;
        if field(0)? != self.id || flags & 0x8000 == 0 {
            return None;
        }
        let code = (flags & 0x0f) as u8;
        let (questions, answers) = (field(4)?, field(6)?);
        let begin = match questions {
            0 if code != NOERROR => return Some(Answer::Fault(NameServerFault::Code(code))),
            1 => self.repeated_in(message)?,
            _ => return None,
        };
        if flags & 0x0200 != 0 {
            return Some(Answer::Truncated);
        }
        let (is_its_own, asks_others) = (flags & 0x0400 != 0, flags & 0x0080 != 0);
        Some(match code {
            NXDOMAIN => Answer::NoSuchName,
            NOERROR if answers == 0 && !is_its_own && !asks_others => Answer::Fault(NameServerFault::NoRecursion),
            NOERROR => {
                let found = match self.kind {
                    QuestionKind::Records(of) => {
                        records::read(message, begin, answers, &self.name, of).map(Answer::Records)
                    }
                    _ => walk(message, begin, answers, &self.name, self.kind.code(), |addresses, data| {
                        if addresses.len() < ANSWER_ADDRESSES_MAX {
                            addresses.extend(self.address(&message[data])?);
                        }
                        Some(())
                    })
                    .map(Answer::Addresses),
                };
                found.unwrap_or(Answer::Fault(NameServerFault::Garbled))
            }
            code => Answer::Fault(NameServerFault::Code(code)),
        })
    }

    /// Where the records begin, if `message` repeats this question.
    fn repeated_in(&self, message: &[u8]) -> Option<usize> {
        let (name, at) = name_at(message, 12)?;
        let rest = message.get(at..at + 4)?;
        let [kind, class] = [self.kind.code().to_be_bytes(), CLASS_IN.to_be_bytes()];
        (name == self.name && rest[..2] == kind && rest[2..] == class).then_some(at + 4)
    }

    /// Nothing for a name server, which is asked for only to see whether anybody answers.
    fn address(&self, data: &[u8]) -> Option<Option<IpAddr>> {
        Some(match self.kind {
            QuestionKind::Ipv4 => Some(Ipv4Addr::from(<[u8; 4]>::try_from(data).ok()?).into()),
            QuestionKind::Ipv6 => Some(Ipv6Addr::from(<[u8; 16]>::try_from(data).ok()?).into()),
            QuestionKind::Servers | QuestionKind::Records(_) => None,
        })
    }
}

/// What is found of the name, or of what it is an alias of: records of the type with that code, which may stand in any order. `note` is
/// handed each by where its data lies. `None` where the message cannot be read.
pub(super) fn walk<T>(
    message: &[u8],
    begin: usize,
    count: u16,
    name: &[u8],
    code: u16,
    mut note: impl FnMut(&mut Vec<T>, Range<usize>) -> Option<()>,
) -> Option<Vec<T>> {
    let mut current = name.to_vec();
    for _ in 0..=ALIASES_MAX {
        let (mut found, mut alias, mut at) = (Vec::new(), None, begin);
        for _ in 0..count {
            let (owner, fixed) = name_at(message, at)?;
            let head = message.get(fixed..fixed + 10)?;
            let number = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
            let data = fixed + 10;
            at = data + usize::from(number(8));
            message.get(data..at)?;
            if owner != current || number(2) != CLASS_IN {
                continue;
            }
            if number(0) == code {
                note(&mut found, data..at)?;
            } else if number(0) == TYPE_CNAME {
                alias = Some(name_at(message, data)?.0);
            }
        }
        match alias {
            Some(alias) if found.is_empty() => current = alias,
            _ => return Some(found),
        }
    }
    None // aliases that lead round in a circle
}

/// Pointers of one name: one for each label is more than anybody sends.
const POINTERS_MAX: usize = 128;

/// The name that begins `at`, in lower case, and where the message goes on after it. It may end in a pointer to a place before.
pub(super) fn name_at(message: &[u8], mut at: usize) -> Option<(Vec<u8>, usize)> {
    let (mut name, mut pointers) = (Vec::new(), 0);
    let mut after = None;
    loop {
        let length = *message.get(at)?;
        match length {
            0 => {
                name.push(0);
                return Some((name, after.unwrap_or(at + 1)));
            }
            1..=63 => {
                let label = message.get(at..=at + usize::from(length))?;
                name.extend(label.iter().map(u8::to_ascii_lowercase)); // a length is below any letter
                at += label.len();
            }
            0xc0.. => {
                let target = usize::from(length & 0x3f) << 8 | usize::from(*message.get(at + 1)?);
                after.get_or_insert(at + 2);
                pointers += 1;
                if target >= at || pointers > POINTERS_MAX {
                    return None;
                }
                at = target;
            }
            _ => return None,
        }
        if name.len() > 254 {
            return None; // which also ends a circle of pointers
        }
    }
}

/// From the standard library's hash keys, which come from the kernel.
fn chance() -> u16 {
    use std::hash::{BuildHasher as _, Hasher as _, RandomState};
    let [first, second, ..] = RandomState::new().build_hasher().finish().to_be_bytes();
    u16::from_be_bytes([first, second])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// Its owner, kind and data, as they travel.
    type Record<'a> = (&'a [u8], u16, &'a [u8]);

    /// An answer to `question` with these flags and records.
    fn answer(question: &Question, flags: u16, records: &[Record<'_>]) -> Vec<u8> {
        let mut message = question.bytes(false);
        message[2..4].copy_from_slice(&flags.to_be_bytes());
        message[6..8].copy_from_slice(&u16::try_from(records.len()).unwrap().to_be_bytes());
        for (owner, kind, data) in records {
            message.extend(*owner);
            message.extend(kind.to_be_bytes());
            message.extend([0, 1, 0, 0, 0, 1]);
            message.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
            message.extend(*data);
        }
        message
    }

    const ITSELF: &[u8] = &[0xc0, 12];

    #[test]
    fn a_name_has_so_many_pointers_at_most() {
        let name = |pointers: usize| {
            let mut message = vec![1, b'a', 0];
            let mut target = 0;
            for _ in 0..pointers {
                let at = message.len();
                message.extend(u16::try_from(0xc000 | target).unwrap().to_be_bytes());
                target = at;
            }
            name_at(&message, target).map(|(name, _)| name)
        };
        assert_eq!(name(POINTERS_MAX), Some(vec![1, b'a', 0]));
        assert_eq!(name(POINTERS_MAX + 1), None);
    }

    #[test]
    fn addresses_are_found_at_the_end_of_aliases_in_any_order() {
        let question = Question::new("Shop.Test.", QuestionKind::Ipv4).unwrap();
        let records: [Record<'_>; 4] = [
            (b"\x01b\x04TEST\0", 1, &[10, 0, 0, 2]),
            (ITSELF, 5, b"\x01b\xc0\x11"), // b, and then the name from its second label on
            (b"\x05other\0", 1, &[10, 0, 0, 9]),
            (b"\x01b\x04test\0", 1, &[10, 0, 0, 3]),
        ];
        let said = question.read(&answer(&question, 0x8180, &records));
        assert_eq!(said, Some(Answer::Addresses(vec![[10, 0, 0, 2].into(), [10, 0, 0, 3].into()])));
        let question = Question::new("shop.test", QuestionKind::Ipv6).unwrap();
        let loopback = Ipv6Addr::LOCALHOST.octets();
        let said = question.read(&answer(&question, 0x8180, &[(ITSELF, 28, &loopback)]));
        assert_eq!(said, Some(Answer::Addresses(vec![Ipv6Addr::LOCALHOST.into()])));
    }

    #[test]
    fn of_an_answer_so_many_addresses_are_kept_and_aliases_followed() {
        let question = Question::new("n0.test", QuestionKind::Ipv4).unwrap();
        let many = vec![(ITSELF, 1, &[10, 0, 0, 1][..]); ANSWER_ADDRESSES_MAX + 1];
        let Some(Answer::Addresses(kept)) = question.read(&answer(&question, 0x8180, &many)) else { panic!() };
        assert_eq!(kept.len(), ANSWER_ADDRESSES_MAX);
        for (aliases, is_followed) in [(ALIASES_MAX, true), (ALIASES_MAX + 1, false)] {
            let names: Vec<_> =
                (0..=aliases).map(|n| Question::new(&format!("n{n}.test"), QuestionKind::Ipv4).unwrap().name).collect();
            let mut chain: Vec<_> = names.windows(2).map(|pair| (&pair[0][..], 5, &pair[1][..])).collect();
            chain.push((&names[aliases], 1, &[10, 0, 0, 1]));
            let said = question.read(&answer(&question, 0x8180, &chain));
            assert_eq!(said == Some(Answer::Addresses(vec![[10, 0, 0, 1].into()])), is_followed, "{aliases}");
        }
    }

    #[test]
    fn each_code_is_told_apart() {
        let question = Question::new("shop.test", QuestionKind::Ipv4).unwrap();
        for (flags, expected) in [
            (0x8180, Answer::Addresses(vec![])),
            (0x8400, Answer::Addresses(vec![])),
            (0x8100, Answer::Fault(NameServerFault::NoRecursion)),
            (0x8183, Answer::NoSuchName),
            (0x8182, Answer::Fault(NameServerFault::Code(2))),
            (0x8185, Answer::Fault(NameServerFault::Code(5))),
            (0x8380, Answer::Truncated),
        ] {
            assert_eq!(question.read(&answer(&question, flags, &[])), Some(expected), "{flags:x}");
        }
        let mut bare = answer(&question, 0x8181, &[]);
        bare.truncate(12);
        bare[4..6].fill(0);
        assert_eq!(question.read(&bare), Some(Answer::Fault(NameServerFault::Code(1))), "without the question");
    }

    #[test]
    fn what_answers_another_question_is_no_answer() {
        let question = Question::new("shop.test", QuestionKind::Ipv4).unwrap();
        let good = answer(&question, 0x8180, &[(ITSELF, 1, &[10, 0, 0, 1])]);
        for at in [0, 1, 2, 13, question.bytes(false).len() - 3] {
            let mut other = good.clone();
            other[at] ^= if at == 2 { 0x80 } else { 1 };
            assert_eq!(question.read(&other), None, "byte {at}");
        }
    }

    #[test]
    fn what_is_broken_is_said_and_circles_end() {
        let question = Question::new("shop.test", QuestionKind::Ipv4).unwrap();
        let garbled = Some(Answer::Fault(NameServerFault::Garbled));
        let good = answer(&question, 0x8180, &[(ITSELF, 1, &[10, 0, 0, 1])]);
        assert_eq!(question.read(&good[..good.len() - 1]), garbled, "cut short");
        let records: [&[Record<'_>]; 4] = [
            &[(ITSELF, 5, ITSELF)],
            &[(ITSELF, 1, &[10, 0, 0])],
            &[(&[0xc0, 0xff], 1, &[10, 0, 0, 1])],
            &[(&[1, b'a', 0xc0, 27], 1, &[10, 0, 0, 1])],
        ];
        for records in records {
            assert_eq!(question.read(&answer(&question, 0x8180, records)), garbled, "{records:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(tail in vec(prop_oneof![Just(0xc0_u8), 0..28_u8, any::<u8>()], 0..200), count in any::<u16>()) {
            let question = Question::new("shop.test", QuestionKind::Ipv6).unwrap();
            let mut message = answer(&question, 0x8180, &[]);
            message[6..8].copy_from_slice(&count.to_be_bytes());
            message.extend(&tail);
            match question.read(&message) {
                Some(Answer::Addresses(addresses)) => prop_assert!(addresses.len() <= ANSWER_ADDRESSES_MAX),
                said => prop_assert_eq!(said, Some(Answer::Fault(NameServerFault::Garbled))),
            }
            prop_assert_eq!(question.read(&tail), None, "no header of an answer to this");
        }
    }

    #[test]
    fn names_have_their_bounds() {
        let long = format!("{}.test", "a".repeat(63));
        assert!(Question::new(&long, QuestionKind::Ipv4).is_some());
        for bad in [&format!("a{long}"), "a..test", ".test", &format!("{long}.{long}.{long}.{long}")] {
            assert!(Question::new(bad, QuestionKind::Ipv4).is_none(), "{bad}");
        }
        assert_eq!(Question::new(".", QuestionKind::Servers).unwrap().name, [0], "the root");
    }
}
