//! Heads that break the rules of HTTP where nothing hangs on it: control characters, names with spaces, folded lines. Browsers and curl
//! take them, and so do the users of the API.
//!
//! Nothing is forgiven that could be about where the body ends: a line that breaks the rules and has the name of such a header
//! anywhere in it, however hidden, makes the answer a bad one, and so does what curl refuses as well (a NUL, a line without a colon).

use super::head::beginning;

/// The names of the headers that say where the body ends, as [`names_framing`] looks for them.
const FRAMING: [&[u8]; 2] = [b"content-length", b"transfer-encoding"];

/// A head that was read to its end.
pub(super) struct LenientHead {
    pub(super) status: u16,
    pub(super) minor_version: u8,
    /// Bytes of the status line, and of blank lines before it.
    pub(super) status_line: usize,
    /// Bytes of all of it.
    pub(super) length: usize,
    pub(super) headers: usize,
}

/// Reads one head from the start of `bytes`; `None` if its end has not come. Each folded header is put onto one line.
pub(super) fn read(bytes: &mut [u8]) -> Result<Option<LenientHead>, String> {
    let mut at = 0;
    while let [b'\n', ..] | [b'\r', b'\n', ..] = bytes[at..] {
        at += 1;
    }
    let Some(first) = line_at(bytes, at) else { return Ok(None) };
    let Some((minor_version, status)) = status_line(&bytes[at..first.end]) else {
        return Err(format!("its status line is malformed; it begins with \"{}\"", beginning(&bytes[at..])));
    };
    if bytes[at..first.end].iter().any(u8::is_ascii_control)
        && (bytes[at..first.end].contains(&0) || names_framing(&bytes[at..first.end]).is_some())
    {
        return Err("its status line has a control character, and what may be a header, in it".into());
    }
    at = first.next;
    let (status_line, mut headers) = (at, 0);
    loop {
        let Some(mut line) = line_at(bytes, at) else { return Ok(None) };
        if line.end == at {
            return Ok(Some(LenientHead { status, minor_version, status_line, length: line.next, headers }));
        }
        let mut is_folded = false;
        while let Some(b' ' | b'\t') = bytes.get(line.next) {
            let Some(more) = line_at(bytes, line.next) else { return Ok(None) };
            bytes[line.end..line.next].fill(b' '); // RFC 9112, 5.2
            (line, is_folded) = (more, true);
        }
        let header = &bytes[at..line.end];
        if is_folded || !is_plain(header) {
            forgive(header)?;
        }
        headers += 1;
        at = line.next;
    }
}

/// Where a line ends, and where the next one begins.
struct Line {
    end: usize,
    next: usize,
}

fn line_at(bytes: &[u8], at: usize) -> Option<Line> {
    let feed = at + bytes.get(at..)?.iter().position(|&b| b == b'\n')?;
    let end = if feed > at && bytes[feed - 1] == b'\r' { feed - 1 } else { feed };
    Some(Line { end, next: feed + 1 })
}

/// How a status line begins, in whichever case.
const HTTP: &[u8] = b"HTTP/";

/// The versions behind it, and as which minor version of HTTP/1 each is read: over this connection, 2 can only be a slip of the pen.
const VERSIONS: [(&[u8], u8); 4] = [(b"1.0", 0), (b"1.1", 1), (b"2.0", 1), (b"2", 1)];

/// Whether `bytes` begin as a status line may, as far as they go.
pub(super) fn begins_as_http(bytes: &[u8]) -> bool {
    let length = bytes.len().min(HTTP.len());
    bytes[..length].eq_ignore_ascii_case(&HTTP[..length])
}

/// The minor version and the code of `HTTP/1.1 200 OK`. The reason may be anything.
fn status_line(line: &[u8]) -> Option<(u8, u16)> {
    let (_, rest) = line.split_at_checked(HTTP.len()).filter(|(http, _)| http.eq_ignore_ascii_case(HTTP))?;
    let (minor_version, rest) =
        VERSIONS.iter().find_map(|(version, minor)| Some((*minor, rest.strip_prefix(*version)?)))?;
    let rest = rest.strip_prefix(b" ")?.trim_ascii_start();
    let (code, reason) = rest.split_at_checked(3)?;
    let is_over = reason.is_empty() || reason.starts_with(b" ");
    let code = code.iter().try_fold(0, |n, b| b.is_ascii_digit().then(|| n * 10 + u16::from(b - b'0')))?;
    is_over.then_some((minor_version, code))
}

/// A header as RFC 9110 has it (5.1 and 5.5).
fn is_plain(header: &[u8]) -> bool {
    let is_token = |b: &u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b);
    let is_value = |b: &u8| *b == b'\t' || (*b >= b' ' && *b != 0x7f);
    let colon = header.iter().position(|&b| b == b':').unwrap_or(0);
    colon > 0 && header[..colon].iter().all(is_token) && header[colon..].iter().all(is_value)
}

/// Whether a header that breaks the rules is one on which nothing hangs.
fn forgive(header: &[u8]) -> Result<(), String> {
    if header.contains(&0) {
        return Err("it has a NUL in a header".into());
    }
    if !header.contains(&b':') {
        return Err(format!("it has a header without a colon, which begins with \"{}\"", beginning(header)));
    }
    match names_framing(header) {
        Some(name) => {
            Err(format!("a malformed header has {name} in it, so that it cannot be told where the body ends"))
        }
        None => Ok(()),
    }
}

/// The header about the body's end whose name is somewhere in `header`, also with something between its letters.
fn names_framing(header: &[u8]) -> Option<&'static str> {
    let graphic: Vec<u8> = header.iter().filter(|b| b.is_ascii_graphic()).map(u8::to_ascii_lowercase).collect();
    let name = FRAMING.into_iter().find(|name| graphic.windows(name.len()).any(|part| part == *name))?;
    str::from_utf8(name).ok()
}

/// The name and the value of a header on one line.
pub(super) fn split(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = line.iter().position(|&b| b == b':')?;
    Some((&line[..colon], line[colon + 1..].trim_ascii()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(headers: &str) -> Result<Option<usize>, String> {
        let mut head = format!("HTTP/1.1 200 OK\r\n{headers}\r\nbody").into_bytes();
        read(&mut head).map(|head| head.map(|head| head.headers))
    }

    #[test]
    fn what_frames_nothing_may_be_odd() {
        for headers in [
            "set-cookie: a=\u{1}b\r\n",
            "x: a\u{7f}\r\n",
            "x: a\rb\r\n",
            "x y: a\r\n",
            "x : a\r\n",
            ": a\r\n",
            " x: a\r\n",
            "x: a\r\n b\r\n\tc\r\n",
            "x: a\r\n  \r\n",
        ] {
            assert_eq!(of(headers), Ok(Some(1)), "{headers:?}");
        }
    }

    #[test]
    fn no_odd_line_may_hide_where_the_body_ends() {
        for headers in [
            "content-length: 9\u{1}\r\n",
            "Content-Length : 9\r\n",
            " Content-Length: 9\r\n",
            "content-\u{1}length: 9\r\n",
            "content length: 9\r\ncontent\u{b}-length: 9\r\n",
            "content-length:\r\n 9\r\n",
            "x: a\r\n content-length: 9\r\n",
            "x: a\rtransfer-encoding: chunked\r\n",
            "transfer-encoding: chunked\u{c}\r\n",
            "transfer-\r\n encoding: chunked\r\n",
            "x: a\0b\r\n",
            "oops\r\n",
        ] {
            assert!(of(headers).is_err(), "{headers:?}");
        }
    }

    #[test]
    fn a_status_line_has_a_version_and_a_code_and_any_reason() {
        assert_eq!(status_line(b"HTTP/1.0 200"), Some((0, 200)));
        for line in ["http/1.1 200 OK", "HTTP/2 200", "HTTP/2.0 200 OK"] {
            assert_eq!(status_line(line.as_bytes()), Some((1, 200)), "{line}");
        }
        assert_eq!(status_line(b"HTTP/1.1  599 sch\x01n"), Some((1, 599)));
        for line in [
            "HTTP/1.1 20",
            "HTTP/1.1 2000",
            "HTTP/1.2 200",
            "HTTP/1.1200",
            "HTTP/1.1 2x0",
            "HTTP/1.1",
            "HTTP/3 200",
            "HTTP/2.1 200",
            "",
        ] {
            assert_eq!(status_line(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn a_folded_header_is_read_as_one_line() {
        let mut head = b"HTTP/1.1 200 OK\r\nx: a\r\n b\r\n\r\n".to_vec();
        assert!(read(&mut head).unwrap().is_some());
        assert_eq!(head, b"HTTP/1.1 200 OK\r\nx: a   b\r\n\r\n");
        for end in 0..head.len() {
            let mut part = b"HTTP/1.1 200 OK\r\nx: a\r\n b\r\n\r\n"[..end].to_vec();
            assert!(read(&mut part).unwrap().is_none(), "{end}");
        }
    }
}
