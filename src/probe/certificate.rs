//! What a certificate says of itself, for words and for dates. Whether it is good is for webpki to say.

use api_health_core::evidence::Certificate;
use api_health_core::{Timestamp, text};

/// Characters of a name that are shown.
const NAME_CHARS_MAX: usize = 80;

/// Subject, issuer and dates of a certificate, names as they are encoded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts<'a> {
    pub(super) issuer: &'a [u8],
    pub(super) subject: &'a [u8],
    pub(super) not_before: Timestamp,
    pub(super) not_after: Timestamp,
}

impl<'a> Facts<'a> {
    /// Reads them from DER (RFC 5280, 4.1); `None` of what is no certificate.
    pub(super) fn read(der: &'a [u8]) -> Option<Self> {
        let certificate = Reader(der).next(SEQUENCE)?;
        let mut fields = Reader(Reader(certificate).next(SEQUENCE)?);
        fields.skip(VERSION);
        fields.next(INTEGER)?; // serial number
        fields.next(SEQUENCE)?; // signature algorithm
        let issuer = fields.next(SEQUENCE)?;
        let mut validity = Reader(fields.next(SEQUENCE)?);
        let (not_before, not_after) = (validity.time()?, validity.time()?);
        let subject = fields.next(SEQUENCE)?;
        Some(Self { issuer, subject, not_before, not_after })
    }
}

/// The same for people; `None` of what is no certificate. One without a name in its subject has the first that it is for.
pub(super) fn shown(der: &[u8]) -> Option<Certificate> {
    let Facts { issuer, subject, not_before, not_after } = Facts::read(der)?;
    let subject = known_as(subject).or_else(|| first_dns_name(der)).unwrap_or_else(|| "nobody".into());
    Some(Certificate { subject, issuer: name(issuer), not_before, not_after })
}

/// The first name of a host that a certificate is for (RFC 5280, 4.2.1.6).
fn first_dns_name(der: &[u8]) -> Option<String> {
    let mut fields = Reader(Reader(Reader(der).next(SEQUENCE)?).next(SEQUENCE)?);
    let mut field = fields.any()?;
    while field.0 != EXTENSIONS {
        field = fields.any()?;
    }
    let mut extensions = Reader(Reader(field.1).next(SEQUENCE)?);
    while let Some(extension) = extensions.next(SEQUENCE) {
        let mut parts = Reader(extension);
        if parts.next(OBJECT_IDENTIFIER)? != [0x55, 29, 17] {
            continue;
        }
        parts.skip(BOOLEAN);
        let mut names = Reader(Reader(parts.next(OCTET_STRING)?).next(SEQUENCE)?);
        while let Some((tag, name)) = names.any() {
            if tag == DNS_NAME {
                return Some(text::line(&String::from_utf8_lossy(name), NAME_CHARS_MAX));
            }
        }
    }
    None
}

/// A name as people know it: the common name, else the organisation.
pub(super) fn name(encoded: &[u8]) -> String {
    known_as(encoded).unwrap_or_else(|| "an authority without a name".into())
}

fn known_as(encoded: &[u8]) -> Option<String> {
    let found = attribute(encoded, &[0x55, 4, 3]).or_else(|| attribute(encoded, &[0x55, 4, 10]));
    found.map(|name| text::line(&String::from_utf8_lossy(name), NAME_CHARS_MAX))
}

fn attribute<'a>(name: &'a [u8], wanted: &[u8]) -> Option<&'a [u8]> {
    let mut parts = Reader(name);
    while let Some(part) = parts.next(SET) {
        let mut pair = Reader(Reader(part).next(SEQUENCE)?);
        if pair.next(OBJECT_IDENTIFIER)? == wanted {
            return pair.any().map(|(_, value)| value).filter(|value| !value.is_empty());
        }
    }
    None
}

const BOOLEAN: u8 = 0x01;
const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const OBJECT_IDENTIFIER: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const DNS_NAME: u8 = 0x82;
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;

/// Takes DER apart, one value after the other.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// The tag and the content of the next value.
    fn any(&mut self) -> Option<(u8, &'a [u8])> {
        let (&[tag, short], mut rest) = self.0.split_first_chunk()?;
        let mut length = usize::from(short);
        if short >= 0x80 {
            let (bytes, after) =
                rest.split_at_checked(usize::from(short & 0x7f)).filter(|(b, _)| (1..=4).contains(&b.len()))?;
            length = bytes.iter().fold(0, |n, b| n << 8 | usize::from(*b));
            rest = after;
        }
        let (content, after) = rest.split_at_checked(length)?;
        self.0 = after;
        Some((tag, content))
    }

    fn next(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.any().filter(|(found, _)| *found == tag).map(|(_, content)| content)
    }

    fn skip(&mut self, tag: u8) {
        if self.0.first() == Some(&tag) {
            self.any();
        }
    }

    fn time(&mut self) -> Option<Timestamp> {
        let (tag, digits) = self.any()?;
        let digits = str::from_utf8(digits).ok().filter(|text| text.is_ascii())?;
        let (century, rest) = match tag {
            // RFC 5280, 4.1.2.5.1: two digits are of 1950 to 2049.
            UTC_TIME => (if digits < "50" { "20" } else { "19" }, digits),
            GENERALIZED_TIME => digits.split_at_checked(2)?,
            _ => return None,
        };
        // Each probe reads some: no text is made for it on the heap.
        let mut text = *b"CCYY-MM-DDTHH:MM:SSZ";
        text[..2].copy_from_slice(century.as_bytes());
        for (at, part) in
            [2, 5, 8, 11, 14, 17].into_iter().zip(rest.as_bytes().chunks(2).chain(std::iter::repeat(&b""[..])))
        {
            text[at..at + 2].copy_from_slice(Some(part).filter(|part| part.len() == 2)?);
        }
        Timestamp::parse(str::from_utf8(&text).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rcgen::{CertificateParams, DnType, KeyPair};

    fn certificate(change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
        let mut params = CertificateParams::new(vec!["a.test".to_owned()]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.not_before = rcgen::date_time_ymd(2001, 2, 3);
        params.not_after = rcgen::date_time_ymd(2061, 2, 3);
        change(&mut params);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn names_and_dates_in_both_forms() {
        let der = certificate(|params| {
            params.distinguished_name.push(DnType::OrganizationName, "People");
            params.distinguished_name.push(DnType::CommonName, "Jörg\u{202e}");
        });
        let facts = Facts::read(&der).unwrap();
        assert_eq!((name(facts.subject), facts.issuer), ("Jörg\u{fffd}".to_owned(), facts.subject));
        assert_eq!(Some(facts.not_before), Timestamp::parse("2001-02-03T00:00:00Z"));
        assert_eq!(Some(facts.not_after), Timestamp::parse("2061-02-03T00:00:00Z"));
        let der = certificate(|params| params.distinguished_name.push(DnType::OrganizationName, "People"));
        assert_eq!(name(Facts::read(&der).unwrap().subject), "People");
        let der = certificate(|_| {});
        assert_eq!(name(Facts::read(&der).unwrap().subject), "an authority without a name");
        let shown = shown(&der).unwrap();
        assert_eq!((&*shown.subject, &*shown.issuer), ("a.test", "an authority without a name"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(cut in 0_usize..400, at in 0_usize..400, byte: u8) {
            let mut der = certificate(|params| params.distinguished_name.push(DnType::CommonName, "People"));
            let length = der.len();
            der[at % length] = byte;
            der.truncate(cut);
            if let Some(facts) = Facts::read(&der) {
                name(facts.issuer);
            }
            shown(&der);
        }
    }
}
