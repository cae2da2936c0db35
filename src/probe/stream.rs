//! Answers that never end by their nature: event streams, cameras, radio. Nobody who uses one waits for its end, and nor do we.

use super::wire::{Framing, Head};

/// Whether the body of this answer is a stream, which status and headers tell all of. What says how long it is has an end.
pub(super) fn is_endless(head: &Head) -> bool {
    if matches!(head.framing, Framing::None | Framing::Length(_)) {
        return false;
    }
    let Some(kind) = head.headers.get("content-type") else { return false };
    let essence = kind.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
    let begins_with = |start: &[u8]| essence.get(..start.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(start));
    essence.eq_ignore_ascii_case(b"text/event-stream")
        || essence.eq_ignore_ascii_case(b"multipart/x-mixed-replace")
        || essence.eq_ignore_ascii_case(b"application/ogg") // as Icecast calls radio in Ogg
        || begins_with(b"audio/")
        || begins_with(b"video/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::wire::Headers;

    #[test]
    fn a_stream_is_known_by_its_type_and_by_having_no_length() {
        let head = |kind: &str, framing| {
            let raw = format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\n\r\n").into_bytes();
            is_endless(&Head { status: 200, headers: Headers::of(raw), framing })
        };
        for kind in [
            "text/event-stream",
            "Text/Event-Stream; charset=utf-8",
            "multipart/x-mixed-replace;boundary=x",
            "audio/mpeg",
            "application/ogg",
            "video/mp4",
        ] {
            assert!(head(kind, Framing::Chunked) && head(kind, Framing::UntilClose), "{kind}");
            assert!(!head(kind, Framing::Length(3)) && !head(kind, Framing::None), "{kind}");
        }
        for kind in ["text/html", "text/event-streams", "application/json", "audio", ""] {
            assert!(!head(kind, Framing::UntilClose), "{kind}");
        }
    }
}
