//! A real mail server: what it gets, and what it says that the mail is not taken.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use api_health::notify::channel::ChannelSettings;
use api_health::notify::email::{self, EmailNotifier};
use api_health::probe::Client;
use api_health_actors::ports::{Notifier, NotifyError};
use api_health_core::Secret;

use super::channels::Channel;
use super::faults::{Expected, Fault};
use super::http_server::refusing_port;
use super::{TestClock, down, run, up};
use crate::support::mail_server::{MailServer, Speaks, header};

/// How long a server that says nothing is waited for.
const PATIENCE: Duration = Duration::from_secs(3);

/// The channel of one recipient, with further keys.
fn settings(url: &str, to: &str, others: &[(&'static str, &str)]) -> ChannelSettings {
    let keys = [("url", url), ("from", "api-health <monitor@example.com>"), ("to", to)];
    let keys: BTreeMap<_, _> = keys.iter().chain(others).map(|(key, value)| (*key, Secret::new(*value))).collect();
    let channel = ChannelSettings {
        name: "mail".into(),
        kind: &email::KIND,
        tags: Vec::new(),
        keys,
        headers: Vec::new(),
        template: None,
        success: None,
        timeout: PATIENCE,
    };
    email::for_each_recipient(&channel).unwrap().remove(0)
}

fn notifier_of(root_pem: Option<&str>, settings: &ChannelSettings) -> EmailNotifier {
    let client = Client::new(root_pem.map(str::as_bytes)).unwrap();
    EmailNotifier::new(client, settings, "production".into(), TestClock::at("2026-11-22T07:30:06Z")).unwrap()
}

fn to(server: &MailServer, scheme: &str, address: &str, others: &[(&'static str, &str)]) -> EmailNotifier {
    let url = format!("{scheme}://localhost:{}", server.port());
    notifier_of(Some(&server.root_pem), &settings(&url, address, others))
}

const REQUIRED: (&str, &str) = ("tls", "required");

/// As a channel of the contract.
pub(super) fn channel(clock: &Arc<TestClock>) -> Channel {
    let server = MailServer::start(Speaks::Starttls);
    let url = format!("smtp://localhost:{}", server.port());
    let client = Client::new(Some(server.root_pem.as_bytes())).unwrap();
    let settings = settings(&url, "ops@example.com", &[REQUIRED]);
    let notifier = EmailNotifier::new(client, &settings, "production".into(), Arc::clone(clock) as _).unwrap();
    Channel {
        name: "e-mail".into(),
        notifier: Arc::new(notifier),
        drops_repeats: false,
        received: Box::new(move |_| {
            let ids = server.mails().iter().map(|mail| header(mail, "X-Api-Health-Alert-Id").unwrap()).collect();
            Box::pin(async move { ids })
        }),
    }
}

/// Mailboxes and servers out of order, and servers that want to know a secret.
pub(super) fn faults() -> Vec<Fault> {
    let answers: [(_, &[&str], _, _); 4] = [
        ("e-mail, busy", &["421 4.3.2 too many"], Expected::Retryable(None), "421: 4.3.2"),
        ("e-mail, no SMTP", &["SSH-2.0"], Expected::Retryable(None), "no SMTP"),
        ("e-mail, not wanted", &["554 no"], Expected::Permanent, "check url"),
        ("e-mail, no such mailbox", &["220 a", "250 a", "250 a", "550 no"], Expected::Permanent, "check to"),
    ];
    let of = |(name, lines, expected, says): (_, &'static [&'static str], _, _)| {
        let url = format!("smtp://127.0.0.1:{}", says_lines(lines));
        Fault { name, notifier: Arc::new(notifier_of(None, &settings(&url, "ops@example.com", &[]))), expected, says }
    };
    answers.into_iter().map(of).collect()
}

/// A server that never greets.
pub(super) fn hanging() -> (&'static str, Arc<dyn Notifier>, Duration) {
    let url = format!("smtp://127.0.0.1:{}", says_lines(&[]));
    ("e-mail", Arc::new(notifier_of(None, &settings(&url, "ops@example.com", &[]))), PATIENCE)
}

fn permanent(result: Result<(), NotifyError>) -> String {
    match result {
        Err(error @ NotifyError::Permanent { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

fn retryable(result: Result<(), NotifyError>) -> String {
    match result {
        Err(error @ NotifyError::Retryable { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_mail_arrives_encrypted_and_with_a_login_in_both_ways() {
    let login = [("user", "monitor"), ("password", "letmein")];
    run(async {
        for (speaks, scheme, without, mechanism) in [
            (Speaks::Starttls, "smtp", "", "PLAIN"),
            (Speaks::Starttls, "smtp", "PLAIN", "LOGIN"),
            (Speaks::Tls, "smtps", "", "PLAIN"),
        ] {
            let server = MailServer::with(speaks, &["--without", without]);
            let notifier = to(&server, scheme, "Ops <ops@example.com>", &login);
            notifier.deliver(down()).await.unwrap();
            notifier.deliver(up()).await.unwrap();
            let [down, up] = &server.mails()[..] else { panic!("{:?}", server.mails()) };
            let seen = header(down, "X-Seen").unwrap();
            let wanted = format!("from=monitor@example.com to=ops@example.com tls=True login=monitor/{mechanism} ");
            assert!(scheme == "smtps" || seen.starts_with(&wanted), "{seen}");
            assert_eq!(header(down, "To").unwrap(), "Ops <ops@example.com>");
            let id = "<shop.1795332600000.3.down.production@example.com>";
            assert_eq!(header(down, "Message-ID").unwrap(), id);
            assert_eq!(header(up, "In-Reply-To").unwrap(), id);
            let subject = header(down, "Subject").unwrap();
            assert!(subject.contains("=?utf-8?b?") && subject.ends_with("status 503 is not in 2xx"), "{subject}");
        }
    });
}

#[test]
fn a_digest_is_one_mail() {
    run(async {
        let server = MailServer::start(Speaks::Plain);
        let notifier = to(&server, "smtp", "ops@example.com", &[]);
        notifier.digests().unwrap().deliver_digest(vec![down(), up()]).await.unwrap();
        let mails = server.mails();
        assert_eq!(mails.len(), 1);
        assert!(header(&mails[0], "Subject").unwrap().starts_with("2 ALERTS: 1 down, 1 up"), "{}", mails[0]);
        assert!(header(&mails[0], "Message-ID").unwrap().starts_with("<digest."), "{}", mails[0]);
    });
}

#[test]
fn what_a_server_refuses_for_now_is_offered_again_and_what_it_refuses_for_good_is_for_a_person() {
    run(async {
        let server = MailServer::start(Speaks::Starttls);
        let told = async |address: &str| to(&server, "smtp", address, &[REQUIRED]).deliver(down()).await;
        let grey = retryable(told("grey@example.com").await);
        assert!(grey.contains("refused the recipient with 450: 4.2.0 greylisted"), "{grey}");
        told("grey@example.com").await.unwrap();
        let full = retryable(told("full@example.com").await);
        assert!(full.contains("refused the mail with 452"), "{full}");
        let nobody = permanent(told("nobody@example.com").await);
        assert!(nobody.contains("550: 5.1.1 no mailbox here by that name; check to"), "{nobody}");
        let spam = permanent(told("spam@example.com").await);
        assert!(spam.contains("554: 5.7.1-looks like 5.7.1 spam") || spam.contains("554: 5.7.1"), "{spam}");
        // The others got theirs: each recipient is told by itself.
        told("ops@example.com").await.unwrap();
        assert_eq!(server.mails().len(), 2);
    });
}

#[test]
fn silence_ends_in_time_and_what_was_cut_behind_the_mail_is_sent_once_more_with_the_same_id() {
    run(async {
        let server = MailServer::start(Speaks::Plain);
        let told = async |address: &str| to(&server, "smtp", address, &[]).deliver(down()).await;
        let (recipient, mail) = tokio::join!(told("hang@example.com"), told("hangs@example.com"));
        assert!(retryable(recipient).contains("no answer to the recipient in time"));
        assert!(retryable(mail).contains("no answer to the mail in time"));
        let cut = retryable(told("cut@example.com").await);
        assert!(cut.contains("may have been taken"), "{cut}");
        told("cut@example.com").await.unwrap();
        let ids: Vec<_> = server.mails().iter().map(|mail| header(mail, "Message-ID").unwrap()).collect();
        assert!(ids.len() == 2 && ids[0] == ids[1], "{ids:?}");
    });
}

#[test]
fn nothing_is_said_to_a_server_that_cannot_be_trusted_or_does_not_encrypt() {
    run(async {
        let (encrypts, plain) = (MailServer::start(Speaks::Starttls), MailServer::start(Speaks::Plain));
        let url = format!("smtp://localhost:{}", encrypts.port());
        let untrusted = notifier_of(None, &settings(&url, "ops@example.com", &[REQUIRED]));
        let error = permanent(untrusted.deliver(down()).await);
        assert!(error.contains("certificate issuer is unknown"), "{error}");
        let url = format!("smtp://127.0.0.1:{}", encrypts.port());
        let other_name = notifier_of(Some(&encrypts.root_pem), &settings(&url, "ops@example.com", &[REQUIRED]));
        let error = permanent(other_name.deliver(down()).await);
        assert!(error.contains("certificate"), "{error}");
        let error = permanent(to(&plain, "smtp", "ops@example.com", &[REQUIRED]).deliver(down()).await);
        assert!(error.contains("offers no STARTTLS") && error.contains("smtps://"), "{error}");
        assert!(encrypts.mails().is_empty() && plain.mails().is_empty());
    });
}

#[test]
fn a_login_that_is_refused_names_the_keys_and_hides_the_password_that_the_server_repeats() {
    run(async {
        let server = MailServer::start(Speaks::Starttls);
        let login = [("user", "monitor"), ("password", "contract-mail-password")];
        let error = permanent(to(&server, "smtp", "ops@example.com", &login).deliver(down()).await);
        assert!(error.contains("refused the login with 535: 5.7.8 not ***; check user and password"), "{error}");
        let without = MailServer::with(Speaks::Starttls, &["--without", "PLAIN,LOGIN"]);
        let error = permanent(to(&without, "smtp", "ops@example.com", &login).deliver(down()).await);
        assert!(error.contains("no login by PLAIN or LOGIN"), "{error}");
    });
}

#[test]
fn the_address_that_is_dialled_is_guarded_and_where_nobody_listens_it_is_offered_again() {
    run(async {
        let guarded = notifier_of(None, &settings("smtp://169.254.169.254:25", "ops@example.com", &[]));
        let error = permanent(guarded.deliver(down()).await);
        assert!(error.contains("169.254.169.254"), "{error}");
        let nobody = notifier_of(None, &settings(&format!("smtp://127.0.0.1:{}", refusing_port()), "a@b.test", &[]));
        assert!(retryable(nobody.deliver(down()).await).contains("refused"));
    });
}

/// A server that says these, one after the other, whatever it is told.
fn says_lines(lines: &'static [&'static str]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            for (at, line) in lines.iter().enumerate() {
                if at > 0 && stream.read_line(&mut String::new()).unwrap_or(0) == 0 {
                    break;
                }
                let end = if line.ends_with('\n') { "" } else { "\r\n" };
                let _ = stream.get_mut().write_all(format!("{line}{end}").as_bytes());
            }
            let _ = stream.read(&mut [0; 1_024]);
        }
    });
    port
}

#[test]
fn what_is_no_mail_server_or_wants_us_gone_is_told_and_nothing_counts_that_came_in_the_clear() {
    run(async {
        let told = async |lines, others: &[(&'static str, &str)]| {
            let url = format!("smtp://127.0.0.1:{}", says_lines(lines));
            notifier_of(None, &settings(&url, "ops@example.com", others)).deliver(down()).await
        };
        assert!(retryable(told(&["SSH-2.0-OpenSSH"], &[]).await).contains("no SMTP, at our greeting"));
        assert!(retryable(told(&["421 4.3.2 too many"], &[]).await).contains("421: 4.3.2 too many"));
        assert!(permanent(told(&["554 go away"], &[]).await).contains("our greeting with 554: go away"));
        let login_wanted: &[&str] = &["220 hello", "250 hello", "530 5.7.0 log in first"];
        assert!(permanent(told(login_wanted, &[]).await).contains("set user and password"));
        // Somebody between puts in answers to what will be said under TLS.
        let injected: &[&str] = &[
            "220 hello\r\n",
            "250-hello\r\n250 STARTTLS\r\n",
            "220 go on\r\n250 hello\r\n250 ok\r\n250 ok\r\n354 go on\r\n250 taken\r\n221 bye\r\n",
        ];
        assert!(told(injected, &[REQUIRED]).await.is_err());
        let long: &'static str = Box::leak(format!("220 {}", "x".repeat(100_000)).into_boxed_str());
        assert!(told(Box::leak(Box::new([long])), &[]).await.is_err());
    });
}
