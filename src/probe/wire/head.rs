//! The head of an answer as it was on the wire, and where it says that its body ends (RFC 9112, section 6.3).

use std::mem::MaybeUninit;

use api_health_core::Method;

/// The longest head, interim responses included.
pub(super) const HEAD_BYTES_MAX: usize = 256 * 1024;
/// The most headers in one response.
pub(super) const HEADERS_MAX: usize = 512;
/// The most 1xx responses before the final one.
pub(super) const INTERIM_MAX: usize = 16;

/// The status and headers of a final response.
#[derive(Debug)]
pub(in crate::probe) struct Head {
    pub(in crate::probe) status: u16,
    pub(in crate::probe) headers: Headers,
    pub(in crate::probe) framing: Framing,
}

/// Where a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::probe) enum Framing {
    /// There is none, whatever the headers say.
    None,
    /// After so many bytes.
    Length(u64),
    /// After the last chunk.
    Chunked,
    /// With the connection.
    UntilClose,
}

/// Headers as they were on the wire, in order. They are taken apart when somebody asks for one, which few do.
#[derive(Debug, Default)]
pub struct Headers {
    /// The whole head; it was read once without an error.
    raw: Vec<u8>,
}

impl Headers {
    /// Every header, in order, names in the case in which they came.
    pub fn list(&self) -> Vec<(&[u8], &[u8])> {
        let mut slots = [const { MaybeUninit::<httparse::Header<'_>>::uninit() }; HEADERS_MAX];
        let mut response = httparse::Response::new(&mut []);
        let read =
            httparse::ParserConfig::default().parse_response_with_uninit_headers(&mut response, &self.raw, &mut slots);
        match read {
            Ok(_) => response.headers.iter().map(|header| (header.name.as_bytes(), header.value)).collect(),
            Err(_) => Vec::new(),
        }
    }

    /// The first header of this name, in either case.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.list().into_iter().find(|(n, _)| n.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value)
    }
}

/// What the bytes so far amount to.
pub(super) enum Parsed {
    /// More is needed.
    Partial,
    /// A 1xx response (but 101, which is final), and the bytes that it took.
    Interim(u16, usize),
    /// The final response; the bytes after it are left in the buffer.
    Final(Head),
}

/// Reads one head from the start of `bytes`. A final one is taken out of it.
pub(super) fn parse(bytes: &mut Vec<u8>, method: Method) -> Result<Parsed, String> {
    let mut slots = [const { MaybeUninit::<httparse::Header<'_>>::uninit() }; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    let length = match config.parse_response_with_uninit_headers(&mut response, bytes, &mut slots) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(Parsed::Partial),
        Err(httparse::Error::TooManyHeaders) => return Err(format!("more than {HEADERS_MAX} headers")),
        Err(error) => return Err(format!("{error}; it begins with \"{}\"", beginning(bytes))),
    };
    let (Some(status), Some(version)) = (response.code, response.version) else {
        return Err("no status line".into()); // cannot be: the parse was complete
    };
    match status {
        0..100 => return Err(format!("{status:03} is not a status code")),
        100 | 102..200 => return Ok(Parsed::Interim(status, length)),
        _ => {}
    }
    let framing = framing(status, version, response.headers, method)?;
    let rest = bytes[length..].to_vec();
    let mut raw = std::mem::replace(bytes, rest);
    raw.truncate(length);
    Ok(Parsed::Final(Head { status, headers: Headers { raw }, framing }))
}

fn framing(
    status: u16,
    minor_version: u8,
    headers: &[httparse::Header<'_>],
    method: Method,
) -> Result<Framing, String> {
    if method == Method::Head || matches!(status, 101 | 204 | 304) {
        return Ok(Framing::None);
    }
    let mut encoding = None;
    let mut length = None;
    for header in headers {
        if header.name.eq_ignore_ascii_case("transfer-encoding") {
            encoding = Some(header.value);
        } else if header.name.eq_ignore_ascii_case("content-length") {
            for part in header.value.split(|&b| b == b',') {
                let one = digits(part.trim_ascii()).ok_or("its content-length is not a number")?;
                if length.is_some_and(|other| other != one) {
                    return Err("it has two content-lengths that differ".into());
                }
                length = Some(one);
            }
        }
    }
    match (encoding, length) {
        (Some(_), _) if minor_version == 0 => Err("transfer-encoding in HTTP/1.0".into()),
        (Some(last), _) => {
            let coding = last.rsplit(|&b| b == b',').next().unwrap_or_default();
            let chunked = coding.trim_ascii().eq_ignore_ascii_case(b"chunked");
            Ok(if chunked { Framing::Chunked } else { Framing::UntilClose })
        }
        (None, Some(length)) => Ok(Framing::Length(length)),
        (None, None) => Ok(Framing::UntilClose),
    }
}

/// A number in plain digits: no sign, no space, nothing that overflows.
fn digits(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u64, |n, &b| {
        b.is_ascii_digit().then_some(())?;
        n.checked_mul(10)?.checked_add(u64::from(b - b'0'))
    })
}

/// Enough of what came to recognise a mail or SSH server by.
fn beginning(bytes: &[u8]) -> String {
    bytes[..bytes.len().min(16)].escape_ascii().to_string()
}
