//! The control socket at its bounds: requests and answers without an end, clients and daemons that keep silent.

use std::future::{pending, ready};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use api_health::control::client::{ControlError, ask};
use api_health::control::protocol::{Alerts, Answer, Request, Who, read_answer, write_request};
use api_health::control::server::Server;
use api_health::control::{ANSWER_BYTES_MAX, Daemon, REQUEST_BYTES_MAX};
use futures_util::future::{FutureExt as _, LocalBoxFuture};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};

use crate::server::run;

/// So many are answered at once (src/control/server.rs).
const CONNECTIONS: usize = 8;

/// A daemon that knows its own name, has settings of several MB, and never comes to an end of anything else.
struct Slow;

impl Daemon for Slow {
    fn answer(&self, request: Request) -> LocalBoxFuture<'_, Result<Answer, String>> {
        let answer = match request {
            Request::Who => Ok(Answer::Who(Who {
                pid: 7,
                version: "1".into(),
                since: String::new(),
                instance: String::new(),
                store: "the store".into(),
                folder: "/".into(),
                unstored: None,
            })),
            Request::Settings => Ok(Answer::Settings { settings: "x".repeat(ANSWER_BYTES_MAX / 2).into() }),
            Request::Reload => Err("no".into()),
            Request::Retry { alerts: Alerts::These(ids) } => Ok(Answer::Retry { alerts: ids.len() }),
            Request::Retry { alerts: Alerts::All } => Err("not all".into()),
            Request::DropChannel { .. } | Request::Maintenance { .. } => return pending().boxed_local(),
        };
        ready(answer).boxed_local()
    }
}

struct Place {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

fn place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    Place { path: folder.path().join("a.sock"), _folder: folder }
}

async fn served() -> (Place, Server) {
    let place = place();
    let server = Server::start(&place.path, Rc::new(Slow)).await.unwrap();
    (place, server)
}

/// All that comes back to `sent`, which may be half of something.
async fn exchanged(place: &Place, sent: &[u8]) -> Result<Answer, String> {
    let mut stream = UnixStream::connect(&place.path).await.unwrap();
    let _ = stream.write_all(sent).await; // who is cut hears of it below
    let mut line = Vec::new();
    let _ = stream.read_to_end(&mut line).await;
    read_answer(&line)
}

fn why(answer: Result<Answer, String>) -> String {
    match answer {
        Ok(Answer::Refused { why }) => why,
        other => panic!("{other:?} is no refusal"),
    }
}

/// Asks until the daemon has room again.
async fn ask_again(place: &Place) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    loop {
        match ask(&place.path, &Request::Who).await {
            Ok(Some(Answer::Who(who))) => return assert_eq!(who.pid, 7),
            Err(ControlError::Refused(why)) => assert!(why.starts_with("8 others are being answered"), "{why}"),
            other => panic!("{other:?}"),
        }
        assert!(tokio::time::Instant::now() < deadline, "nobody was cut");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[test]
fn a_request_has_so_many_bytes_at_most() {
    run(async {
        let (place, _server) = served().await;
        let ids = vec!["x".repeat(1_000); 60];
        let mut line = write_request(&Request::Retry { alerts: Alerts::These(ids) });
        line.truncate(line.len() - 1);
        line.resize(REQUEST_BYTES_MAX - 1, b' ');
        line.push(b'\n');
        assert_eq!(exchanged(&place, &line).await.unwrap(), Answer::Retry { alerts: 60 });
        line.insert(0, b' ');
        assert_eq!(why(exchanged(&place, &line).await), "the line has more than 65536 bytes");
        // Of one that goes on for ever no more is taken.
        assert_eq!(
            why(exchanged(&place, &vec![b'{'; 10 * REQUEST_BYTES_MAX]).await),
            "the line has more than 65536 bytes"
        );
    });
}

#[test]
fn so_many_are_answered_at_once_and_who_is_silent_is_cut() {
    run(async {
        let (place, server) = served().await;
        let mut silent = Vec::new();
        for _ in 0..CONNECTIONS {
            silent.push(UnixStream::connect(&place.path).await.unwrap());
        }
        let refused = ask(&place.path, &Request::Who).await.unwrap_err();
        assert_eq!(refused, ControlError::Refused("8 others are being answered; try again".into()));
        for mut stream in silent {
            let mut line = Vec::new();
            stream.read_to_end(&mut line).await.unwrap();
            assert_eq!(why(read_answer(&line)), "no request came within 5 s");
        }
        ask_again(&place).await;
        drop(server);
        assert_eq!(ask(&place.path, &Request::Who).await, Ok(None), "nobody listens any more");
    });
}

#[test]
fn who_does_not_read_the_answer_is_cut() {
    run(async {
        let (place, _server) = served().await;
        let mut deaf = Vec::new();
        for _ in 0..CONNECTIONS {
            let mut stream = UnixStream::connect(&place.path).await.unwrap();
            stream.write_all(&write_request(&Request::Settings)).await.unwrap();
            deaf.push(stream);
        }
        ask_again(&place).await;
        // Whoever reads it gets all of it.
        let Ok(Some(Answer::Settings { settings })) = ask(&place.path, &Request::Settings).await else { panic!() };
        assert_eq!(settings.as_str().map(str::len), Some(ANSWER_BYTES_MAX / 2));
        let mut line = Vec::new();
        deaf.remove(0).read_to_end(&mut line).await.unwrap();
        assert!(line.len() < ANSWER_BYTES_MAX / 2 && !line.ends_with(b"\n"), "{} bytes", line.len());
    });
}

#[test]
fn an_answer_that_does_not_come_is_given_up_on_both_sides() {
    run(async {
        let (place, _server) = served().await;
        let refused = ask(&place.path, &Request::DropChannel { channel: "sns".into() }).await.unwrap_err();
        assert_eq!(refused, ControlError::Refused("there is no answer after 5 s".into()));
        // A process that is stopped listens and does nothing.
        let stopped = self::place();
        let _listener = UnixListener::bind(&stopped.path).unwrap();
        let silent = ask(&stopped.path, &Request::Who).await.unwrap_err();
        assert_eq!(silent, ControlError::Silent(Duration::from_secs(7)));
    });
}

#[test]
fn of_an_answer_without_an_end_no_more_is_read_than_the_bound() {
    run(async {
        let place = place();
        let listener = UnixListener::bind(&place.path).unwrap();
        actix_rt::spawn(async move {
            for piece in [&b"x"[..], b"garbage\n", b"{\"v\":1,\"answer\":\"unheard\"}\n", b""] {
                let (mut stream, _) = listener.accept().await.unwrap();
                let _ = stream.read(&mut [0; 1_000]).await;
                let times = if piece == b"x" { 2 * ANSWER_BYTES_MAX } else { 1 };
                let _ = stream.write_all(&piece.repeat(times)).await; // until it hangs up
            }
        });
        for expected in ["more than 16777216 bytes", "it cannot be read", "unknown variant", "it hung up"] {
            match ask(&place.path, &Request::Who).await {
                Err(ControlError::Broken(why)) => assert!(why.contains(expected), "{expected}: {why}"),
                other => panic!("{expected}: {other:?}"),
            }
        }
    });
}
