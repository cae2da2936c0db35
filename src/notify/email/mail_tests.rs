//! What stands in a mail, and that nothing an alert says gets out of its place.

use api_health_core::{ApiId, Status};
use proptest::prelude::*;

use super::*;

fn alert(kind: AlertKind) -> Alert {
    let at = |text| Timestamp::parse(text).unwrap();
    Alert {
        alert_id: Alert::id("shop.1795332600000.3", kind),
        incident_id: "shop.1795332600000.3".into(),
        kind,
        api_id: ApiId::parse("shop").unwrap(),
        name: "Größe <b>".into(),
        url: "https://shop.test/health?a=1&b=2".into(),
        previous_status: Status::Up,
        happened_at: at("2026-11-22T07:30:00Z"),
        detected_at: at("2026-11-22T07:30:05Z"),
        incident_started_at: at("2026-11-22T07:30:00Z"),
        reason: "status 503 is not in 2xx".into(),
        changes_left_out: 0,
        evidence: None,
    }
}

fn written(alert: &Alert, environment: &str) -> String {
    let [from, to] = ["api-health <monitor@example.com>", "Ops <ops@example.com>"].map(|text| text.parse().unwrap());
    let envelope = Envelope { from: &from, to: &to, environment };
    String::from_utf8(envelope.alert(alert, alert.detected_at).unwrap()).unwrap()
}

fn head(mail: &str) -> Vec<String> {
    let (head, _) = mail.split_once("\r\n\r\n").unwrap();
    head.replace("\r\n ", " ").split("\r\n").map(str::to_owned).collect()
}

#[test]
fn a_mail_says_who_writes_what_it_is_and_which_it_belongs_to() {
    let down = head(&written(&alert(AlertKind::Down), "production"));
    for line in [
        "From: api-health <monitor@example.com>",
        "To: Ops <ops@example.com>",
        "Date: Sun, 22 Nov 2026 07:30:05 +0000",
        "Message-ID: <shop.1795332600000.3.down.production@example.com>",
        "Auto-Submitted: auto-generated",
        "X-Api-Health-Alert-Id: shop.1795332600000.3.down",
        "MIME-Version: 1.0",
    ] {
        assert!(down.iter().any(|found| found == line), "{line}: {down:#?}");
    }
    assert!(!down.iter().any(|line| line.starts_with("References:")), "it is the first of its incident");
    let up = head(&written(&alert(AlertKind::Up), "production"));
    for line in [
        "Message-ID: <shop.1795332600000.3.up.production@example.com>",
        "In-Reply-To: <shop.1795332600000.3.down.production@example.com>",
        "References: <shop.1795332600000.3.down.production@example.com>",
    ] {
        assert!(up.iter().any(|found| found == line), "{line}: {up:#?}");
    }
}

#[test]
fn the_text_is_plain_and_html_and_what_an_api_is_called_is_no_markup() {
    let rows = [("URL", "https://shop.test/?a=1&b=\"2\"".to_owned())];
    let html = html("DOWN Größe <b>", ["a<b".to_owned()].into_iter(), &rows);
    assert!(html.contains("<b>DOWN Größe &lt;b&gt;</b>") && html.contains("<p>a&lt;b</p>"), "{html}");
    assert!(html.contains("?a=1&amp;b=&quot;2&quot;"), "{html}");
    let mail = written(&alert(AlertKind::Down), "");
    for part in ["multipart/alternative", "text/plain; charset=utf-8", "text/html; charset=utf-8"] {
        assert!(mail.contains(part), "{mail}");
    }
    assert!(mail.is_ascii(), "no server has to have 8BITMIME");
}

#[test]
fn an_id_has_the_form_that_mail_wants() {
    assert_eq!(atom("api-health:store.1.2.down", 100), "api-health_store.1.2.down");
    assert_eq!(atom(".a..b.", 100), "_a._b");
    assert_eq!(atom("a b>\r\nc", 100), "a_b___c");
    assert_eq!(atom("", 100), "");
    assert_eq!(atom("abcdef", 3), "abc");
}

proptest! {
    #[test]
    fn nothing_that_an_alert_says_begins_another_header_and_no_line_is_too_long(
        name in "(\\PC|\\pC|[\r\n:]){0,300}",
        reason in "(\\PC|\\pC|[\r\n.]){0,600}",
        environment in "(\\PC|[\r\n]){0,80}",
    ) {
        let mut alert = alert(AlertKind::Up);
        (alert.name, alert.reason) = (name, reason);
        let mail = written(&alert, &environment);
        let (head, body) = mail.split_once("\r\n\r\n").unwrap();
        let names: Vec<&str> = head
            .split("\r\n")
            .filter(|line| !line.starts_with([' ', '\t']))
            .map(|line| line.split_once(':').unwrap().0)
            .collect();
        let known = ["From", "To", "Date", "Subject", "Message-ID", "In-Reply-To", "References", "Auto-Submitted",
                     "X-Api-Health-Alert-Id", "MIME-Version", "Content-Type"];
        prop_assert!(names.iter().all(|name| known.contains(name)), "{names:?}");
        prop_assert_eq!(names.len(), known.len());
        prop_assert!(mail.lines().all(|line| line.len() <= 998));
        prop_assert!(!body.replace("\r\n", "").contains(['\r', '\n']));
    }
}
