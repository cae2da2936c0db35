//! The table of raw answers, each with what a person would say of it.

use std::time::Duration;

use api_health_core::{Method, Phase};
use bytes::Bytes;

use crate::server::End::{self, Fin, Hold, NoNotify, Rst};
use crate::server::Script;

/// What a person would say of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Response(u16, Vec<u8>),
    CutShort(u64, Option<u64>),
    Closed(Phase),
    Reset(Phase),
    TimedOut(Phase),
    NotHttp,
}

/// How far hyper is asked about the same bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oracle {
    /// It must agree.
    Agrees,
    /// It waits where we know already.
    MayWait,
    /// It is not asked, because.
    Not(&'static str),
}

#[derive(Clone, Debug)]
pub struct Case {
    pub name: &'static str,
    pub method: Method,
    pub body: Option<Bytes>,
    pub script: Script,
    /// Over TCP and over TLS alike.
    pub want: Verdict,
    pub oracle: Oracle,
}

impl Case {
    fn head(mut self) -> Self {
        self.method = Method::Head;
        self
    }

    fn post(mut self, bytes: usize) -> Self {
        self.method = Method::Post;
        self.body = Some(vec![b'x'; bytes].into());
        self
    }

    fn early(mut self) -> Self {
        self.script.early = true;
        self
    }

    fn slow(mut self, piece: usize) -> Self {
        self.script.piece = Some((piece, Duration::from_millis(1)));
        self
    }

    fn oracle(mut self, oracle: Oracle) -> Self {
        self.oracle = oracle;
        self
    }
}

/// What breaks the rules where nothing hangs on it.
const ODD: Oracle = Oracle::Not("it refuses what curl and browsers take");

fn case(name: &'static str, bytes: impl Into<Vec<u8>>, end: End, want: Verdict) -> Case {
    Case { name, method: Method::Get, body: None, script: Script::new(bytes, end), want, oracle: Oracle::Agrees }
}

fn ok(status: u16, body: &str) -> Verdict {
    Verdict::Response(status, body.as_bytes().to_vec())
}

fn cut(received: u64, expected: u64) -> Verdict {
    Verdict::CutShort(received, Some(expected))
}

fn cut_open(received: u64) -> Verdict {
    Verdict::CutShort(received, None)
}

/// `HTTP/1.1 200 OK` with these headers and this body.
fn r200(headers: &str, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{headers}\r\n{body}")
}

fn many_headers(n: usize) -> String {
    let mut headers: String = (1..n).map(|i| format!("x-{i}: {i}\r\n")).collect();
    headers.push_str("content-length: 2\r\n");
    headers
}

pub fn all() -> Vec<Case> {
    let mut cases = whole();
    cases.extend(lengths());
    cases.extend(chunked());
    cases.extend(cuts());
    cases.extend(interim());
    cases.extend(bodiless());
    cases.extend(statuses());
    cases.extend(malformed());
    cases.extend(large());
    cases.extend(early());
    cases
}

fn whole() -> Vec<Case> {
    vec![
        case("length, left open", r200("content-length: 3\r\n", "abc"), Hold, ok(200, "abc")),
        case("length, closed", r200("content-length: 3\r\n", "abc"), Fin, ok(200, "abc")),
        case("length, no close_notify", r200("content-length: 3\r\n", "abc"), NoNotify, ok(200, "abc")),
        case("length, then reset", r200("content-length: 3\r\n", "abc"), Rst, ok(200, "abc")),
        case("length 0, left open", r200("content-length: 0\r\n", ""), Hold, ok(200, "")),
        case("more than the length", r200("content-length: 3\r\n", "abcdef"), Hold, ok(200, "abc")),
        case("a second response behind", r200("content-length: 1\r\n", "aHTTP/1.1 500 No\r\n\r\n"), Hold, ok(200, "a")),
        case("1.1 without a length, closed", r200("", "hello"), Fin, ok(200, "hello")),
        case("1.1 without a length, empty", r200("", ""), Fin, ok(200, "")),
        case("1.0 without a length", "HTTP/1.0 200 OK\r\n\r\nhello", Fin, ok(200, "hello")),
        case("1.0 with a length", "HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nhi", Hold, ok(200, "hi")),
        case(
            "1.0 keep-alive",
            "HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nhi",
            Hold,
            ok(200, "hi"),
        ),
        case("connection: close", r200("connection: close\r\ncontent-length: 2\r\n", "hi"), Hold, ok(200, "hi")),
        case(
            "upgrade beside a length",
            r200("upgrade: websocket\r\ncontent-length: 3\r\n", "abc"),
            Hold,
            ok(200, "abc"),
        ),
        case(
            "connection: upgrade",
            r200("connection: upgrade\r\nupgrade: h2c\r\ncontent-length: 3\r\n", "abc"),
            Hold,
            ok(200, "abc"),
        ),
        case(
            "426 with upgrade",
            "HTTP/1.1 426 Upgrade Required\r\nupgrade: websocket\r\ncontent-length: 4\r\n\r\nnope",
            Hold,
            ok(426, "nope"),
        ),
        case("two hosts", r200("host: a\r\nhost: b\r\ncontent-length: 1\r\n", "a"), Hold, ok(200, "a")),
        case("expect in an answer", r200("expect: 100-continue\r\ncontent-length: 1\r\n", "a"), Hold, ok(200, "a")),
        case("claims gzip", r200("content-encoding: gzip\r\ncontent-length: 3\r\n", "abc"), Hold, ok(200, "abc")),
        case("byte by byte", r200("content-length: 3\r\nx: y\r\n", "abc"), Hold, ok(200, "abc")).slow(1),
        case("byte by byte, to the end", r200("", "abc"), Fin, ok(200, "abc")).slow(1),
        case(
            "seven bytes at a time",
            r200("transfer-encoding: chunked\r\n", "3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n"),
            Hold,
            ok(200, "abcdefg"),
        )
        .slow(7),
        case("post with its body read", r200("content-length: 1\r\n", "a"), Hold, ok(200, "a")).post(10),
        case("post of nothing", r200("content-length: 1\r\n", "a"), Hold, ok(200, "a")).post(0),
        case("post of 300 KB", r200("content-length: 1\r\n", "a"), Hold, ok(200, "a")).post(300_000),
    ]
}

fn lengths() -> Vec<Case> {
    let bad =
        |name, value: &str| case(name, r200(&format!("content-length: {value}\r\n"), "abc"), Hold, Verdict::NotHttp);
    vec![
        case("length twice, equal", r200("content-length: 3\r\ncontent-length: 3\r\n", "abc"), Hold, ok(200, "abc")),
        case("length 3, 3", r200("content-length: 3, 3\r\n", "abc"), Hold, ok(200, "abc")),
        case("length with spaces", r200("content-length:    3   \r\n", "abc"), Hold, ok(200, "abc")),
        case("length 003", r200("content-length: 003\r\n", "abc"), Hold, ok(200, "abc")),
        case("length in capitals", r200("CONTENT-LENGTH: 3\r\n", "abc"), Hold, ok(200, "abc")),
        case(
            "length twice, different",
            r200("content-length: 3\r\ncontent-length: 4\r\n", "abcd"),
            Hold,
            Verdict::NotHttp,
        ),
        bad("length 3, 4", "3, 4"),
        bad("length +3", "+3"),
        bad("length -3", "-3"),
        bad("length abc", "abc"),
        bad("length empty", ""),
        bad("length 0x3", "0x3"),
        bad("length 3.0", "3.0"),
        bad("length 3 3", "3 3"),
        bad("length over 64 bits", "99999999999999999999"),
    ]
}

fn chunked() -> Vec<Case> {
    let te = |name, value: &str, body: &str, want| {
        case(name, r200(&format!("transfer-encoding: {value}\r\n"), body), Hold, want)
    };
    let good = |name, body: &str, want| te(name, "chunked", body, want);
    vec![
        good("chunked", "3\r\nabc\r\n0\r\n\r\n", ok(200, "abc")),
        good("chunked, two chunks", "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", ok(200, "abcde")),
        good("chunked, empty", "0\r\n\r\n", ok(200, "")),
        good("chunked, extension", "3;a=b\r\nabc\r\n0;c\r\n\r\n", ok(200, "abc")),
        good("chunked, space behind the size", "3 \r\nabc\r\n0\r\n\r\n", ok(200, "abc")),
        good("chunked, trailers", "3\r\nabc\r\n0\r\nx: y\r\nz: w\r\n\r\n", ok(200, "abc")),
        good("chunked, capital size", "A\r\n0123456789\r\n0\r\n\r\n", ok(200, "0123456789")),
        good("chunked, padded size", "0003\r\nabc\r\n000\r\n\r\n", ok(200, "abc")),
        good("chunked, more behind", "1\r\na\r\n0\r\n\r\njunk", ok(200, "a")),
        te("Chunked in capitals", "CHUNKED", "1\r\na\r\n0\r\n\r\n", ok(200, "a")),
        te("gzip, chunked", "gzip, chunked", "1\r\na\r\n0\r\n\r\n", ok(200, "a")),
        te("chunked in a second header", "gzip\r\ntransfer-encoding: chunked", "1\r\na\r\n0\r\n\r\n", ok(200, "a")),
        te("chunked and a length", "chunked\r\ncontent-length: 99", "1\r\na\r\n0\r\n\r\n", ok(200, "a")),
        te("chunked between empty codings", ", chunked, ,", "1\r\na\r\n0\r\n\r\n", ok(200, "a"))
            .oracle(Oracle::Not("it takes the empty one for the last, where RFC 9110 (5.6.1) has it not count")),
        te("no coding at all", "", "a", Verdict::NotHttp).oracle(Oracle::Not("it reads to the end")),
        te("nothing but commas", ", ,", "a", Verdict::NotHttp).oracle(Oracle::Not("it reads to the end")),
        case("gzip and not chunked", r200("transfer-encoding: gzip\r\n", "raw"), Fin, ok(200, "raw")),
        case("identity", r200("transfer-encoding: identity\r\n", "raw"), Fin, ok(200, "raw")),
        case(
            "chunked in 1.0",
            "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
            Fin,
            Verdict::NotHttp,
        ),
        good("chunked, a trailer that is no header", "3\r\nabc\r\n0\r\noops\r\n\r\n", ok(200, "abc"))
            .oracle(Oracle::Not("it reads trailers, and we skip them: the body is whole")),
        good("chunk size no number", "x\r\nabc\r\n0\r\n\r\n", Verdict::NotHttp),
        good("chunk size empty", "\r\nabc\r\n0\r\n\r\n", Verdict::NotHttp),
        good("chunk size -1", "-1\r\nabc\r\n0\r\n\r\n", Verdict::NotHttp),
        good("chunk size over 64 bits", "11111111111111111\r\nabc\r\n0\r\n\r\n", Verdict::NotHttp),
        good("chunk longer than its size", "2\r\nabc\r\n0\r\n\r\n", Verdict::NotHttp),
        good("chunk size ended by LF", "3\nabc\r\n0\r\n\r\n", Verdict::NotHttp),
    ]
}

fn cuts() -> Vec<Case> {
    let te = "transfer-encoding: chunked\r\n";
    let l10 = "content-length: 10\r\n";
    vec![
        case("3 of 10 bytes", r200(l10, "abc"), Fin, cut(3, 10)),
        case("3 of 10 bytes, no close_notify", r200(l10, "abc"), NoNotify, cut(3, 10)),
        case("3 of 10 bytes, reset", r200(l10, "abc"), Rst, Verdict::Reset(Phase::Body)),
        case("3 of 10 bytes, held", r200(l10, "abc"), Hold, Verdict::TimedOut(Phase::Body)),
        case("0 of 10 bytes", r200(l10, ""), Fin, cut(0, 10)),
        case("3 of 10 bytes in 1.0", "HTTP/1.0 200 OK\r\ncontent-length: 10\r\n\r\nabc", Fin, cut(3, 10)),
        case("9 of 10 bytes, one by one", r200(l10, "012345678"), Fin, cut(9, 10)).slow(1),
        case("chunked without its end", r200(te, "3\r\nabc\r\n"), Fin, cut_open(3)),
        case("chunked, cut in a chunk", r200(te, "5\r\nab"), Fin, cut_open(2)),
        case("chunked, cut in a size", r200(te, "3\r\nabc\r\n1"), Fin, cut_open(3)),
        case("chunked, cut before the last line", r200(te, "3\r\nabc\r\n0\r\n"), Fin, cut_open(3)),
        case("chunked, cut in a trailer", r200(te, "3\r\nabc\r\n0\r\nx: y"), Fin, cut_open(3)),
        case("chunked, nothing", r200(te, ""), Fin, cut_open(0)),
        case("chunked, no close_notify", r200(te, "3\r\nabc\r\n"), NoNotify, cut_open(3)),
        case("chunked, reset", r200(te, "3\r\nabc\r\n"), Rst, Verdict::Reset(Phase::Body)),
        case("chunked, held", r200(te, "3\r\nabc\r\n"), Hold, Verdict::TimedOut(Phase::Body)),
        case("to the end, reset", r200("", "hello"), Rst, Verdict::Reset(Phase::Body)),
        case("to the end, no close_notify", r200("", "hello"), NoNotify, ok(200, "hello"))
            .oracle(Oracle::Not("over TLS it takes no end without a close_notify, where curl and browsers do")),
        case("gzip to the end, no close_notify", r200("transfer-encoding: gzip\r\n", "raw"), NoNotify, ok(200, "raw"))
            .oracle(Oracle::Not("as above")),
        case("3 of 10 bytes one by one, no close_notify", r200(l10, "abc"), NoNotify, cut(3, 10)).slow(1),
        case("chunked but for its last line, no close_notify", r200(te, "3\r\nabc\r\n0\r\n"), NoNotify, cut_open(3)),
        case("to the end, held", r200("", "hello"), Hold, Verdict::TimedOut(Phase::Body)),
        case("nothing, closed", "", Fin, Verdict::Closed(Phase::FirstByte)),
        case("nothing, no close_notify", "", NoNotify, Verdict::Closed(Phase::FirstByte)),
        case("nothing, reset", "", Rst, Verdict::Reset(Phase::FirstByte)),
        case("nothing, held", "", Hold, Verdict::TimedOut(Phase::FirstByte)),
        case("half a status line", "HTTP/1.1 20", Fin, Verdict::Closed(Phase::Body)),
        case("half a head", "HTTP/1.1 200 OK\r\ncontent-le", Fin, Verdict::Closed(Phase::Body)),
        case("half a head, no close_notify", "HTTP/1.1 200 OK\r\ncontent-le", NoNotify, Verdict::Closed(Phase::Body)),
        case("half a head, reset", "HTTP/1.1 200 OK\r\ncontent-le", Rst, Verdict::Reset(Phase::Body)),
        case("half a head, held", "HTTP/1.1 200 OK\r\ncontent-le", Hold, Verdict::TimedOut(Phase::Body)),
        case(
            "a head but for its blank line",
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n",
            Fin,
            Verdict::Closed(Phase::Body),
        ),
    ]
}

fn interim() -> Vec<Case> {
    let then = |interim: &str| format!("{interim}HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi");
    let hints = "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n";
    vec![
        case("100, then 200", then("HTTP/1.1 100 Continue\r\n\r\n"), Hold, ok(200, "hi")),
        case("102, then 200", then("HTTP/1.1 102 Processing\r\n\r\n"), Hold, ok(200, "hi")),
        case("103, then 200", then(hints), Hold, ok(200, "hi")),
        case("103 three times, then 200", then(&hints.repeat(3)), Hold, ok(200, "hi")),
        case("199, then 200", then("HTTP/1.1 199 What\r\n\r\n"), Hold, ok(200, "hi")),
        case("103 with a length, then 200", then("HTTP/1.1 103 X\r\ncontent-length: 9\r\n\r\n"), Hold, ok(200, "hi")),
        case("103, byte by byte", then(hints), Hold, ok(200, "hi")).slow(1),
        case("103, then to the end", format!("{hints}HTTP/1.1 503 No\r\n\r\nbye"), Fin, ok(503, "bye")),
        case("100, then closed", "HTTP/1.1 100 Continue\r\n\r\n", Fin, Verdict::Closed(Phase::Body)),
        case("100, then held", "HTTP/1.1 100 Continue\r\n\r\n", Hold, Verdict::TimedOut(Phase::Body)),
        case("100, then garbage", "HTTP/1.1 100 Continue\r\n\r\ngarbage\r\n\r\n", Hold, Verdict::NotHttp),
        case("16 interim responses", then(&hints.repeat(16)), Hold, ok(200, "hi")),
        case("17 interim responses", then(&hints.repeat(17)), Hold, Verdict::NotHttp)
            .oracle(Oracle::Not("it has no bound")),
        case("101 unasked for", "HTTP/1.1 101 Switching Protocols\r\n\r\n", Hold, ok(101, "")),
        case(
            "101 with an upgrade",
            "HTTP/1.1 101 X\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n\x01\x02",
            Hold,
            ok(101, ""),
        ),
    ]
}

fn bodiless() -> Vec<Case> {
    vec![
        case("204", "HTTP/1.1 204 No Content\r\n\r\n", Hold, ok(204, "")),
        case("204 with a length", "HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\n", Hold, ok(204, "")),
        case("204 chunked", "HTTP/1.1 204 No Content\r\ntransfer-encoding: chunked\r\n\r\n", Hold, ok(204, "")),
        case(
            "204 with two lengths",
            "HTTP/1.1 204 X\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n",
            Hold,
            ok(204, ""),
        ),
        case("304", "HTTP/1.1 304 Not Modified\r\n\r\n", Hold, ok(304, "")),
        case("304 with a length", "HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n", Hold, ok(304, "")),
        case("205 with no body", "HTTP/1.1 205 Reset\r\ncontent-length: 0\r\n\r\n", Hold, ok(205, "")),
        case("HEAD with a length", r200("content-length: 10\r\n", ""), Hold, ok(200, "")).head(),
        case("HEAD chunked", r200("transfer-encoding: chunked\r\n", ""), Hold, ok(200, "")).head(),
        case("HEAD without a length", r200("", ""), Hold, ok(200, "")).head(),
        case("HEAD over 1.0", "HTTP/1.0 200 OK\r\n\r\n", Hold, ok(200, "")).head(),
        case(
            "HEAD, 404 with a body all the same",
            "HTTP/1.1 404 No\r\ncontent-length: 3\r\n\r\nabc",
            Hold,
            ok(404, ""),
        )
        .head(),
        case("HEAD, cut in the head", "HTTP/1.1 200 OK\r\n", Fin, Verdict::Closed(Phase::Body)).head(),
    ]
}

fn statuses() -> Vec<Case> {
    let line = |name, line: &str, want| case(name, format!("{line}\r\ncontent-length: 1\r\n\r\na"), Hold, want);
    vec![
        line("500", "HTTP/1.1 500 Internal Server Error", ok(500, "a")),
        line("503", "HTTP/1.1 503 Service Unavailable", ok(503, "a")),
        line("404", "HTTP/1.1 404 Not Found", ok(404, "a")),
        line("301 with a location", "HTTP/1.1 301 Moved\r\nlocation: /y", ok(301, "a")),
        line("no reason", "HTTP/1.1 200", ok(200, "a")),
        line("an empty reason", "HTTP/1.1 200 ", ok(200, "a")),
        line("a reason in UTF-8", "HTTP/1.1 200 schön", ok(200, "a")),
        line("999", "HTTP/1.1 999 Odd", ok(999, "a")),
        line("099", "HTTP/1.1 099 Low", Verdict::NotHttp),
        line("2000", "HTTP/1.1 2000 High", Verdict::NotHttp),
        line("20", "HTTP/1.1 20 Short", Verdict::NotHttp),
        line("abc", "HTTP/1.1 abc Word", Verdict::NotHttp),
        line("520", "HTTP/1.1 520 Web server error", ok(520, "a")),
        line("600", "HTTP/1.1 600 Odd", ok(600, "a")),
        line("a control character in the reason", "HTTP/1.1 200 a\u{1}b", ok(200, "a")).oracle(ODD),
        line("two spaces before the code", "HTTP/1.1  200 OK", ok(200, "a")).oracle(ODD),
    ]
}

fn malformed() -> Vec<Case> {
    let bad = |name, bytes: &[u8]| case(name, bytes, Hold, Verdict::NotHttp).oracle(Oracle::MayWait);
    let header =
        |name, header: &str, want| case(name, r200(&format!("{header}\r\ncontent-length: 1\r\n"), "a"), Hold, want);
    vec![
        bad("garbage", b"garbage\r\n\r\n"),
        bad("an SSH server", b"SSH-2.0-OpenSSH_9.2\r\n"),
        bad("a mail server", b"220 mail.test ESMTP\r\n"),
        bad("a web page without a head", b"<html><body>hello</body></html>"),
        bad("zeros", &[0; 64]),
        bad("a TLS alert", b"\x15\x03\x01\x00\x02\x02\x50"),
        case("HTTP/2.0 in so many letters", "HTTP/2.0 200 OK\r\ncontent-length: 1\r\n\r\na", Hold, ok(200, "a"))
            .oracle(ODD),
        case("HTTP/2", "HTTP/2 200\r\ncontent-length: 9\r\n\r\na", Fin, cut(1, 9)).oracle(ODD),
        bad("HTTP/1.2", b"HTTP/1.2 200 OK\r\n\r\n"),
        case("http/1.1 in small letters", "http/1.1 200 OK\r\ncontent-length: 1\r\n\r\na", Hold, ok(200, "a"))
            .oracle(ODD),
        case("small letters, byte by byte", "http/1.1 200 OK\r\ncontent-length: 1\r\n\r\na", Hold, ok(200, "a"))
            .oracle(ODD)
            .slow(1),
        bad("HTTP/2 settings", b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x80"),
        bad("ICY", b"ICY 200 OK\r\n\r\n"),
        case("garbage, closed", "garbage", Fin, Verdict::NotHttp),
        case("blank lines first", format!("\r\n\r\n{}", r200("content-length: 1\r\n", "a")), Hold, ok(200, "a")),
        case("blank lines without an end", "\r\n".repeat(200_000), Fin, Verdict::NotHttp)
            .oracle(Oracle::Not("it has another bound")),
        case(
            "a control character in a reason",
            "HTTP/1.1 200 O\u{1}K\r\ncontent-length: 1\r\n\r\na",
            Hold,
            ok(200, "a"),
        )
        .oracle(ODD),
        case("a NUL in a reason", "HTTP/1.1 200 O\0K\r\ncontent-length: 1\r\n\r\na", Hold, Verdict::NotHttp),
        case("a length in a status line", "HTTP/1.1 200 OK\rcontent-length: 9\r\n\r\na", Hold, Verdict::NotHttp),
        case("line feeds alone", "HTTP/1.1 200 OK\ncontent-length: 1\n\na", Hold, ok(200, "a")),
        case("line feeds alone, byte by byte", "HTTP/1.1 200 OK\ncontent-length: 1\n\na", Hold, ok(200, "a")).slow(1),
        header("a header without a colon", "oops", Verdict::NotHttp),
        header("a space in a name", "o ops: a", ok(200, "a")).oracle(ODD),
        header("a space before the colon", "oops : a", ok(200, "a")).oracle(ODD),
        header("a folded header", "x: a\r\n b", ok(200, "a")).oracle(ODD),
        header("a folded header, byte by byte", "x: a\r\n b\r\n\tc", ok(200, "a")).oracle(ODD).slow(1),
        header("a header that begins with a space", " x: a", ok(200, "a")).oracle(ODD),
        header("an empty name", ": a", ok(200, "a")).oracle(ODD),
        header("a control character in a cookie", "set-cookie: ___u=\u{1}abc; path=/", ok(200, "a")).oracle(ODD),
        header("a DEL in a value", "x-made-by: a\u{7f}b", ok(200, "a")).oracle(ODD),
        header("an escape in a value", "x: \u{1b}[31m", ok(200, "a")).oracle(ODD),
        header("a lone CR in a value", "x: a\rb", ok(200, "a")).oracle(ODD),
        header("a control character, byte by byte", "x: \u{1}", ok(200, "a")).oracle(ODD).slow(1),
        header("a control character in a name", "x\u{1}: a", ok(200, "a")).oracle(ODD),
        header("a NUL in a value", "x: a\0b", Verdict::NotHttp),
        header("a control character behind a length", "content-length: 9\u{1}", Verdict::NotHttp),
        header("a space behind the name of a length", "Content-Length : 9", Verdict::NotHttp),
        header("a control character in the name of a length", "content-\u{1}length: 9", Verdict::NotHttp),
        header("a folded length", "content-length:\r\n 9", Verdict::NotHttp),
        header("a length in a folded line", "x: a\r\n content-length: 9", Verdict::NotHttp),
        header("a length behind a lone CR", "x: a\rcontent-length: 9", Verdict::NotHttp),
        header("a length at the edge of the head", " content-length: 9", Verdict::NotHttp),
        header("chunked behind a control character", "transfer-encoding: \u{b}chunked", Verdict::NotHttp),
        header("a folded transfer-encoding", "transfer-encoding:\r\n chunked", Verdict::NotHttp),
        header("transfer-encoding behind a lone CR", "x: a\rtransfer-encoding: chunked", Verdict::NotHttp),
        case(
            "a control character in an early hint",
            format!("HTTP/1.1 103 X\r\nx: \u{1}\r\n\r\n{}", r200("content-length: 1\r\n", "a")),
            Hold,
            ok(200, "a"),
        )
        .oracle(ODD),
        case("a control character and a cut body", r200("x: \u{1}\r\ncontent-length: 9\r\n", "ok"), Fin, cut(2, 9)),
        case(
            "a folded line and a cut body in chunks",
            r200("x: a\r\n b\r\ntransfer-encoding: chunked\r\n", "2\r\nok"),
            Fin,
            cut_open(2),
        ),
        header("a value in Latin-1 or UTF-8", "x: ü", ok(200, "a")),
        header("an empty value", "x:", ok(200, "a")),
    ]
}

fn large() -> Vec<Case> {
    let value = |n: usize| format!("x: {}\r\ncontent-length: 2\r\n", "v".repeat(n));
    let name = |n: usize| format!("{}: y\r\ncontent-length: 2\r\n", "n".repeat(n));
    let body = "b".repeat(1 << 20);
    vec![
        case("97 headers", r200(&many_headers(97), "hi"), Hold, ok(200, "hi")),
        case("200 headers", r200(&many_headers(200), "hi"), Hold, ok(200, "hi")),
        case("512 headers", r200(&many_headers(512), "hi"), Hold, ok(200, "hi")),
        case("513 headers", r200(&many_headers(513), "hi"), Hold, Verdict::NotHttp),
        case("a head of 130 KB", r200(&value(130_000), "hi"), Hold, ok(200, "hi")),
        case("a head of 200 KB", r200(&value(200_000), "hi"), Hold, ok(200, "hi")),
        case("a head of 300 KB", r200(&value(300_000), "hi"), Hold, Verdict::NotHttp)
            .oracle(Oracle::Not("its bound is looser")),
        case("a head without an end", r200(&value(600_000), ""), Hold, Verdict::NotHttp),
        case("a name of 70,000 bytes", r200(&name(70_000), "hi"), Hold, ok(200, "hi"))
            .oracle(Oracle::Not("it panics on it in a debug build")),
        case("a body of 1 MiB", r200("content-length: 1048576\r\n", &body), Hold, ok(200, &body)),
        case("a body of 1 MiB to the end", r200("", &body), Fin, ok(200, &body)),
    ]
}

fn early() -> Vec<Case> {
    let answer = "HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno";
    vec![
        case("413 before the body is read, left open", answer, Hold, ok(413, "no")).post(8 << 20).early(),
        case("413 before the body is read, to the end", "HTTP/1.1 413 X\r\n\r\nno", Fin, ok(413, "no"))
            .post(8 << 20)
            .early(),
        case("answered before a short request", answer, Hold, ok(413, "no")).early(),
    ]
}
