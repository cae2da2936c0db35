//! The head of an answer as it was on the wire, and where it says that its body ends (RFC 9112, section 6.3).

use std::mem::MaybeUninit;

use api_health_core::Method;

use super::lenient;

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
    /// The whole head, each header on one line; it was read once without an error.
    raw: Vec<u8>,
}

impl Headers {
    /// Those of a head that was read without an error.
    pub(in crate::probe) fn of(raw: Vec<u8>) -> Self {
        Self { raw }
    }

    /// The line before them, without its end.
    pub fn status_line(&self) -> &[u8] {
        self.raw.split(|&b| b == b'\n').map(<[u8]>::trim_ascii).find(|line| !line.is_empty()).unwrap_or_default()
    }

    /// The first header of this name, in either case.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.all(name).next()
    }

    /// Every value of the headers of this name, in order.
    pub(in crate::probe) fn all(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value)
    }

    fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let lines = self.raw.split(|&b| b == b'\n').skip_while(|line| line.trim_ascii().is_empty()).skip(1);
        lines.filter_map(lenient::split)
    }
}

/// What the bytes so far amount to.
pub(super) enum Parsed {
    /// More is needed.
    Partial,
    /// A 1xx response (but 101, which is final), and the bytes that it took.
    Interim(usize),
    /// The final response; the bytes after it are left in the buffer.
    Final(Head),
}

/// Bytes of the blank lines before a head, as far as they are whole.
pub(super) fn blank_lines(bytes: &[u8]) -> usize {
    let mut at = 0;
    loop {
        at += match bytes[at..] {
            [b'\n', ..] => 1,
            [b'\r', b'\n', ..] => 2,
            _ => return at,
        };
    }
}

/// Reads one head from the start of `bytes`. A final one is taken out of it.
pub(super) fn parse(bytes: &mut Vec<u8>, method: Method) -> Result<Parsed, String> {
    let mut slots = [const { MaybeUninit::<httparse::Header<'_>>::uninit() }; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    let length = match config.parse_response_with_uninit_headers(&mut response, bytes, &mut slots) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(Parsed::Partial),
        Err(httparse::Error::TooManyHeaders) => return Err(too_many()),
        Err(httparse::Error::Version) if !lenient::begins_as_http(bytes) => return Err(no_http(bytes)),
        Err(_) => return parse_leniently(bytes, method),
    };
    let (Some(status), Some(version)) = (response.code, response.version) else {
        return Err("no status line".into()); // cannot be: the parse was complete
    };
    let headers = response.headers.iter().map(|header| (header.name.as_bytes(), header.value));
    let framing = match framing(status, version, headers, method)? {
        Some(framing) => framing,
        None => return Ok(Parsed::Interim(length)),
    };
    Ok(taken_out(bytes, length, status, framing))
}

/// The same of a head that breaks the rules where it may.
fn parse_leniently(bytes: &mut Vec<u8>, method: Method) -> Result<Parsed, String> {
    let Some(head) = lenient::read(bytes)? else { return Ok(Parsed::Partial) };
    if head.headers > HEADERS_MAX {
        return Err(too_many());
    }
    let headers = bytes[head.status_line..head.length].split(|&b| b == b'\n').filter_map(lenient::split);
    match framing(head.status, head.minor_version, headers, method)? {
        Some(framing) => Ok(taken_out(bytes, head.length, head.status, framing)),
        None => Ok(Parsed::Interim(head.length)),
    }
}

fn taken_out(bytes: &mut Vec<u8>, length: usize, status: u16, framing: Framing) -> Parsed {
    let rest = bytes[length..].to_vec();
    let mut raw = std::mem::replace(bytes, rest);
    raw.truncate(length);
    Parsed::Final(Head { status, headers: Headers { raw }, framing })
}

fn too_many() -> String {
    format!("more than {HEADERS_MAX} headers")
}

/// What it is that begins with no status line, as far as that can be told.
fn no_http(bytes: &[u8]) -> String {
    match bytes {
        // The frame that opens a connection of HTTP/2.
        [0, 0, _, 4, 0, 0, 0, 0, 0, ..] => {
            "it speaks HTTP/2 alone, which api-health speaks over TLS; other clients may understand it".into()
        }
        [0x15, 3, ..] => "it speaks TLS, so that its URL may have to begin with https".into(),
        _ => format!("it begins with \"{}\", and not with a status line of HTTP/1.1", beginning(bytes)),
    }
}

/// Where the body ends; `None` if a response is still to come.
fn framing<'a>(
    status: u16,
    minor_version: u8,
    headers: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    method: Method,
) -> Result<Option<Framing>, String> {
    match status {
        0..100 => return Err(format!("{status:03} is not a status code")),
        100 | 102..200 => return Ok(None),
        101 | 204 | 304 => return Ok(Some(Framing::None)),
        _ if method == Method::Head => return Ok(Some(Framing::None)),
        _ => {}
    }
    let mut encoding: Option<Option<&[u8]>> = None;
    let mut length = None;
    for (name, value) in headers {
        if name.eq_ignore_ascii_case(b"transfer-encoding") {
            // Empty elements do not count (RFC 9110, 5.6.1); the last coding over all such headers does.
            let last = value.split(|&b| b == b',').map(<[u8]>::trim_ascii).rfind(|coding| !coding.is_empty());
            encoding = Some(last.or(encoding.flatten()));
        } else if name.eq_ignore_ascii_case(b"content-length") {
            for part in value.split(|&b| b == b',') {
                let one = digits(part.trim_ascii()).ok_or("its content-length is not a number")?;
                if length.is_some_and(|other| other != one) {
                    return Err("it has two content-lengths that differ".into());
                }
                length = Some(one);
            }
        }
    }
    let framing = match (encoding, length) {
        (Some(_), _) if minor_version == 0 => return Err("transfer-encoding in HTTP/1.0".into()),
        (Some(None), _) => return Err("its transfer-encoding is empty".into()),
        (Some(Some(last)), _) if last.eq_ignore_ascii_case(b"chunked") => Framing::Chunked,
        (Some(Some(_)), _) => Framing::UntilClose,
        (None, Some(length)) => Framing::Length(length),
        (None, None) => Framing::UntilClose,
    };
    Ok(Some(framing))
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
pub(super) fn beginning(bytes: &[u8]) -> String {
    bytes[..bytes.len().min(16)].escape_ascii().to_string()
}
