//! What a probe measured, for metrics: of passes too, and over all hops.

use std::sync::Arc;
use std::time::Duration;

use api_health_actors::ports::Probe as _;
use api_health_core::assertion::{TlsVersion, judge};
use api_health_core::figures::{CertificateEnds, HttpVersion};
use api_health_core::{ApiConfig, IpFamily, Phase, ProbeFigures, Timestamp};

use crate::port::{config, probe};
use crate::server::{AUTHORITY, End, Script, Server, run, server_config};

#[test]
fn a_pass_by_tls_behind_a_redirect_carries_all_figures_and_phases_of_both_hops() {
    run(async {
        let of = |year| rcgen::date_time_ymd(year, 6, 1);
        let tls = || {
            server_config(&AUTHORITY, &["localhost"], |params| {
                (params.not_before, params.not_after) = (of(2020), of(2049));
            })
        };
        let answer = Script::new("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi".to_owned(), End::Hold);
        let last = Server::start(Some(tls()), answer).await;
        let to = last.url("https");
        let moved = format!("HTTP/1.1 302 X\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n");
        let first = Server::start(Some(tls()), Script::new(moved, End::Hold)).await;
        let api = ApiConfig { max_redirects: 3, ..config(&first.url("https")) };
        let seen = probe(1, 100).probe(Arc::new(api.clone())).await;
        let ProbeFigures { http_version, redirects, tls, family, content_length, body_bytes, phases, .. } =
            seen.figures;
        assert_eq!((http_version, redirects, tls), (Some(HttpVersion::V1_1), 1, Some(TlsVersion::V1_3)));
        assert_eq!((content_length, body_bytes), (Some(2), 2));
        assert!(matches!(family, Some(IpFamily::Ipv4 | IpFamily::Ipv6)), "{family:?}");
        for (phase, of_last) in [(Phase::Connect, seen.phases.connect), (Phase::Tls, seen.phases.tls)] {
            let (sum, of_last) = (phases.get(phase), of_last.expect("it happened"));
            assert!(sum.is_some_and(|sum| sum > of_last), "{phase:?}: {sum:?} of both hops, {of_last:?} of the last");
        }
        let end = Timestamp::parse("2049-06-01T00:00:00Z").unwrap();
        assert!(seen.figures.ends().is_some_and(|ends| ends.earliest <= end && ends.of_chain <= end));
        assert!(seen.figures.took().abs_diff(seen.took) < Duration::from_micros(1));
        assert_eq!(judge(&api, &seen).figures, seen.figures);
    });
}

#[test]
fn what_did_not_happen_has_no_figure() {
    run(async {
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let seen = probe(1, 100).probe(Arc::new(config(&format!("http://{closed}/")))).await;
        let figures = seen.figures;
        assert_eq!((figures.http_version, figures.tls, figures.ends()), (None, None, None::<CertificateEnds>));
        assert_eq!((figures.phases.get(Phase::FirstByte), figures.content_length), (None, None));
        let answer = "HTTP/1.0 200 OK\r\n\r\nhi".to_owned();
        let server = Server::start(None, Script::new(answer, End::Fin)).await;
        let figures = probe(1, 100).probe(Arc::new(config(&server.url("http")))).await.figures;
        assert_eq!(
            (figures.http_version, figures.content_length, figures.body_bytes),
            (Some(HttpVersion::V1_0), None, 2)
        );
        assert_eq!((figures.tls, figures.phases.get(Phase::Tls)), (None, None));
    });
}
