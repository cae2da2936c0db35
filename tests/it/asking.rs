//! Other ways to ask than by a plain request, from outside: secrets in URLs, certificates in files, connections, networks that are opened.

use std::net::TcpListener;

use api_health::configs::checker::Checker;
use api_health::configs::raw::RawRow;
use api_health_core::{ApiConfig, Protocol};
use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};

use super::bad_input::rules;
use super::cli::Place;
use crate::alerts::Receiver;
use crate::apis::row;
use crate::daemon::{Home, SOON};
use crate::support::http::{Answer, Server};

const SECRET: &str = "query-secret-5d1c0a77";

#[test]
fn a_secret_in_a_url_is_sent_and_shown_nowhere() {
    let (target, receiver) = (Server::start(), Receiver::start());
    let path = format!("/live/{SECRET}?token={SECRET}");
    // It says where to look next, and repeats the secret of its path.
    target.set(&path, Answer::Redirect(format!("/live/{SECRET}/?token={SECRET}")));
    let written = target.url("/live/${env:KEY}?token=${env:KEY}");
    let settings = format!("[log]\nlevel = \"trace\"\n{}", receiver.settings());
    let mut home = Home::new(&settings, &row("forge", &written));
    home.env("KEY", SECRET);
    let daemon = home.run();
    let alert = receiver.wait_for("forge", "down", SOON);
    assert!(alert.text("url").ends_with("/live/***?token=***"), "{}", alert.text("url"));
    assert!(alert.text("reason").contains("(redirects to /live/***/?***)"), "{}", alert.text("reason"));
    assert!(target.hits(&path) > 0);
    let mut places = vec![("alert", alert.text("url").to_owned() + alert.text("reason"))];
    for words in
        [&["status", "--json"][..], &["status"], &["alerts", "list", "--json"], &["apis", "list"], &["probe", "forge"]]
    {
        let ended = home.start(words).wait(SOON);
        places.push((words[0], ended.output + &ended.log));
    }
    let ended = daemon.stop();
    places.push(("log", ended.output + &ended.log));
    for name in ["api-health.db", "api-health.db-wal"] {
        let bytes = std::fs::read(home.path().join(name)).unwrap_or_default();
        places.push((name, String::from_utf8_lossy(&bytes).into_owned()));
    }
    for (place, text) in places {
        assert!(!text.contains(SECRET), "{place}: {text}");
    }
}

fn check(fields: Value) -> Result<ApiConfig, String> {
    let Value::Object(mut fields) = fields else { panic!("{fields}") };
    fields.insert("api_id".into(), "a".into());
    let refused = |refused: api_health_actors::ports::RefusedRow| refused.faults[0].to_string();
    rules().check(&RawRow { location: "t".into(), fields }).map_err(refused)
}

#[test]
fn each_kind_is_read_from_its_url_with_or_without_a_scheme() {
    for (kind, written, read) in [
        ("tcp", "tcp://DB.example.com:5432", "tcp://db.example.com:5432"),
        ("tcp", "db.example.com:5432", "tcp://db.example.com:5432"),
        ("tls", "mail.example.com", "tls://mail.example.com:443"),
        ("dns", "10.0.0.2/shop.example.com", "dns://10.0.0.2/shop.example.com?type=A"),
        ("http", "https://shop.example.com", "https://shop.example.com/"),
    ] {
        let api = check(json!({ "url": written, "kind": kind })).unwrap();
        assert_eq!((api.url.as_str(), api.protocol().as_str()), (read, kind));
        assert_eq!(check(json!({ "url": read })).unwrap().url, read, "it may be written again");
    }
    assert_eq!(check(json!({ "url": "tls://a.test" })).unwrap().protocol(), Protocol::Tls);
    let plain = check(json!({ "url": "https://shop.example.com", "kind": "http", "head_only": false })).unwrap();
    assert_eq!(plain.asking, None, "a plain request has nothing of it");
    let blind = json!({ "url": "https://a.test/", "head_only": true, "assert": "body contains ok" });
    assert!(check(blind).unwrap_err().contains("expects something of a body, and head_only leaves it unread"));
    for address in ["tcp://169.254.169.254:80", "tls://[fd00:ec2::254]:443", "dns://169.254.169.253/a.test"] {
        assert!(check(json!({ "url": address })).unwrap_err().contains("which is never probed"), "{address}");
    }
}

#[test]
fn a_fixed_credential_becomes_a_header() {
    let header = |fields: Value| check(fields).unwrap().headers.remove(0);
    let (name, value) = header(json!({ "url": "https://a.test/", "basic_auth": "me:pass word" }));
    assert_eq!((name.as_str(), value.reveal()), ("Authorization", "Basic bWU6cGFzcyB3b3Jk"));
    let (_, value) = header(json!({ "url": "https://a.test/", "bearer_token": "t0k3n" }));
    assert_eq!(value.reveal(), "Bearer t0k3n");
}

#[test]
fn a_secret_stands_behind_the_host_alone_and_is_in_no_fault() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "hunter2#x").unwrap();
    let reference = format!("${{file:{}}}", secret.display());
    let url = |text: &str| json!({ "url": text.replace("SECRET", &reference) });
    let said = check(url("https://a.test/?key=SECRET")).unwrap_err();
    assert!(said.contains("references filled in has a fragment") && !said.contains("hunter2"), "{said}");
    std::fs::write(&secret, "hunter2").unwrap();
    for written in ["https://SECRET.test/", "https://a.test:SECRET/", "SECRET://a.test/", "tcp://a.test:5/SECRET"] {
        let said = check(url(written)).unwrap_err();
        assert!(!said.contains("hunter2"), "{said}");
    }
    let api = check(url("https://a.test/x/SECRET")).unwrap();
    assert_eq!((api.url.as_str(), api.whole_url()), ("https://a.test/x/***", "https://a.test/x/hunter2"));
    assert!(!format!("{api:?}").contains("hunter2"));
}

#[test]
fn files_of_certificates_are_watched_by_path_and_by_reference() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["client".into()]).unwrap().self_signed(&key).unwrap();
    std::fs::write(path("client.pem"), certificate.pem()).unwrap();
    std::fs::write(path("client.key"), key.serialize_pem()).unwrap();
    let fields = json!({
        "api_id": "a", "url": "https://a.test/",
        "client_certificate": format!("${{file:{}}}", path("client.pem").display()),
        "client_key": path("client.key"), "ca_certificates": path("client.pem"),
    });
    let Value::Object(fields) = fields else { unreachable!() };
    let row = RawRow { location: "t".into(), fields };
    let rules = rules();
    let mut checker = Checker::new(&rules);
    checker.push(&row);
    let (loaded, asked) = checker.finish();
    assert_eq!(loaded.refused, []);
    assert!(asked.contains(&path("client.pem")) && asked.contains(&path("client.key")), "{asked:?}");
    std::fs::write(path("client.key"), KeyPair::generate().unwrap().serialize_pem()).unwrap();
    let said = rules.check(&row).unwrap_err().faults[0].to_string();
    assert!(said.contains("client_key: the text is not that of client_certificate"), "{said}");
}

#[test]
fn what_is_der_is_told_with_what_makes_pem_of_it() {
    let place = Place::new();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["client".into()]).unwrap().self_signed(&key).unwrap();
    let path = |name: &str| place.path(name).display().to_string();
    for (name, der) in [("ca.der", &certificate.der()[..]), ("key.der", key.serialized_der()), ("any", &b"\xff"[..])] {
        std::fs::write(path(name), der).unwrap();
    }
    std::fs::write(path("a.p12"), b"\x30\x82\x09\xff\x02\x01\x03\x30\x82").unwrap();
    let fields = json!({
        "api_id": "a", "url": "https://a.test/", "ca_certificates": path("ca.der"),
        "client_certificate": path("a.p12"), "client_key": format!("${{file:{}}}", path("key.der")),
        "bearer_token": format!("${{file:{}}}", path("any")),
    });
    let Value::Object(fields) = fields else { unreachable!() };
    let refused = rules().check(&RawRow { location: "t".into(), fields }).unwrap_err();
    let said = refused.faults.iter().map(|fault| format!("{fault}\n")).collect::<String>();
    for (name, command) in [("ca.der", "x509 -inform der"), ("a.p12", "pkcs12 -nodes"), ("key.der", "pkey -inform der")]
    {
        let file = path(name);
        let expected = format!("is DER and not PEM (openssl {command} -in {file} -out {file}.pem)");
        assert!(said.contains(&expected), "{said}");
    }
    assert!(said.contains("any} is not UTF-8 text"), "{said}");
    place.write("api-health.toml", "[probe]\nextra_roots = \"ca.der\"\n");
    let ran = place.run(&["probe", "https://127.0.0.1:1/"]);
    assert!(ran.code == 64 && ran.err.contains("ca.der is DER and not PEM (openssl x509 -inform der -in "), "{ran:?}");
}

#[test]
fn a_connection_is_tried_from_the_command_line() {
    let place = Place::new();
    let open = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("tcp://{}", open.local_addr().unwrap());
    let ran = place.run(&["probe", &url]);
    assert!(ran.code == 0 && ran.out.starts_with(&format!("tcp {url}\n")) && ran.out.contains("pass"), "{ran:?}");
    let probe = place.json(&["probe", &url]);
    assert_eq!(
        (&probe["verdict"], &probe["method"], &probe["status_code"]),
        (&json!("pass"), &Value::Null, &Value::Null)
    );
    drop(open);
    let ran = place.run(&["probe", &url]);
    assert!(ran.code == 1 && ran.out.contains("refused"), "{ran:?}");
}

#[test]
fn a_network_is_opened_in_the_settings_and_metadata_never() {
    let place = Place::new();
    place.write("apis.toml", &row("service", "http://169.254.171.5/"));
    let with = |probe: &str| {
        place.write("api-health.toml", &format!("[apis]\nfile = \"apis.toml\"\n[probe]\n{probe}\n"));
        place.run(&["apis", "validate"])
    };
    let refused = with("");
    assert!(refused.code == 64 && refused.err.contains("link-local"), "{refused:?}");
    assert_eq!(with("allowed_link_local = \"169.254.171.0/24\"").code, 0);
    for metadata in ["169.254.169.254/32", "169.254.0.0/16", "169.254.170.2/32", "fd00:ec2::/48"] {
        let refused = with(&format!("allowed_link_local = [\"{metadata}\"]"));
        assert!(refused.code == 64 && refused.err.contains("never probed"), "{refused:?}");
    }
}
