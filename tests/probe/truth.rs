//! Every script over TCP and over TLS: what we say of it, what a person would, and what hyper does.

use std::time::Duration;

use api_health::probe::{Exchange, Request};
use api_health_core::Failure;

use crate::hyper_oracle::{self, Says};
use crate::scripts::{self, Case, Oracle, Verdict};
use crate::server::{CLIENT, End, Script, Server, get, good_config, run};

/// Long where an answer is expected, so that a busy machine changes no verdict.
const PATIENCE: Duration = Duration::from_secs(10);
/// Short where the timeout is what is expected.
const IMPATIENCE: Duration = Duration::from_millis(700);

pub fn verdict(exchange: Exchange) -> Result<Verdict, Failure> {
    Ok(match exchange.result {
        Ok(reply) => Verdict::Response(reply.status, reply.body),
        Err(Failure::BodyCutShort { received, expected }) => Verdict::CutShort(received, expected),
        Err(Failure::Closed { phase }) => Verdict::Closed(phase),
        Err(Failure::Reset { phase }) => Verdict::Reset(phase),
        Err(Failure::TimedOut { phase, .. }) => Verdict::TimedOut(phase),
        Err(Failure::NotHttp { .. }) => Verdict::NotHttp,
        Err(other) => return Err(other),
    })
}

fn short(text: String) -> String {
    if text.len() > 300 { format!("{}…", text.chars().take(300).collect::<String>()) } else { text }
}

async fn check(server: &Server, case: &Case, tls: bool) -> Vec<String> {
    *server.script.borrow_mut() = case.script.clone();
    let want = &case.want;
    let transport = if tls { "TLS" } else { "TCP" };
    let mut wrong = Vec::new();

    let limit = if matches!(want, Verdict::TimedOut(_)) { IMPATIENCE } else { PATIENCE };
    let request = Request {
        method: case.method,
        body: case.body.clone(),
        timeout: limit,
        ..get(&server.url(if tls { "https" } else { "http" }))
    };
    let said = verdict(CLIENT.exchange(&request).await);
    if said.as_ref() != Ok(want) {
        wrong.push(short(format!("{} over {transport}: said {said:?}, wanted {want:?}", case.name)));
    }

    if !matches!(case.oracle, Oracle::Not(_)) {
        let limit = if case.oracle == Oracle::MayWait { IMPATIENCE } else { limit };
        let hyper = hyper_oracle::ask(server.address, tls, case.method, case.body.clone(), limit).await;
        let agree = match (want, &hyper) {
            (Verdict::Response(status, body), Says::Response(s, b)) => status == s && body == b,
            (Verdict::Response(..), _) | (_, Says::Response(..) | Says::BadTrailers(..)) => false,
            (Verdict::TimedOut(_), says) => *says == Says::Nothing,
            (_, Says::Error) => true,
            (_, Says::Nothing) => case.oracle == Oracle::MayWait,
        };
        if !agree {
            wrong.push(short(format!("{} over {transport}: hyper says {hyper:?}, wanted {want:?}", case.name)));
        }
    }
    wrong
}

fn check_all(tls: bool) {
    let cases = scripts::all();
    assert!(cases.len() >= 100, "{} scripts", cases.len());
    let wrong = run(async {
        let server = Server::start(tls.then(good_config), Script::new("", End::Fin)).await;
        let mut wrong = Vec::new();
        for case in &cases {
            wrong.extend(check(&server, case, tls).await);
        }
        wrong
    });
    assert!(wrong.is_empty(), "{} of {} scripts:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn every_script_over_tcp() {
    check_all(false);
}

#[test]
fn every_script_over_tls() {
    check_all(true);
}
