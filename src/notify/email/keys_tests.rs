//! What the keys of a channel of e-mail mean, and what is refused.

use std::collections::BTreeMap;
use std::time::Duration;

use super::*;

fn channel(keys: &[(&'static str, &str)]) -> ChannelSettings {
    ChannelSettings {
        name: "mail".into(),
        kind: &KIND,
        tags: vec!["shop".into()],
        keys: keys.iter().map(|(key, value)| (*key, Secret::new(*value))).collect::<BTreeMap<_, _>>(),
        headers: Vec::new(),
        template: None,
        success: None,
        timeout: Duration::from_secs(15),
    }
}

fn with<'a>(others: &[(&'static str, &'a str)]) -> Vec<(&'static str, &'a str)> {
    let usual = [("url", "smtp://mail.example.com"), ("from", "monitor@example.com"), ("to", "ops@example.com")];
    let kept = usual.into_iter().filter(|(key, _)| others.iter().all(|(other, _)| other != key));
    kept.chain(others.iter().copied()).collect()
}

#[test]
fn each_recipient_is_a_channel_by_a_name_that_does_not_depend_on_the_others() {
    let to = "Ops <ops@example.com>, \"Shift, night\" <Night@Example.com>";
    let one_each = for_each_recipient(&channel(&with(&[("to", to)]))).unwrap();
    let names: Vec<&str> = one_each.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["mail/ops@example.com", "mail/night@example.com"]);
    assert!(one_each.iter().all(|one| one.tags == ["shop"]));
    let routes: Vec<MailRoute> = one_each.iter().map(|one| MailRoute::read(one).unwrap()).collect();
    assert_eq!(routes[1].to.to_string(), "\"Shift, night\" <Night@Example.com>");
    assert_eq!(for_each_recipient(&channel(&with(&[]))).unwrap()[0].name, "mail/ops@example.com");
}

#[test]
fn where_nothing_is_said_it_is_encrypted_but_to_this_machine() {
    let login = [("user", "monitor"), ("password", "hunter2")];
    for (others, place, encryption) in [
        (vec![("url", "smtp://Mail.Example.com")], "mail.example.com:587", Encryption::Starttls),
        (vec![("url", "smtp://mail.example.com:25/")], "mail.example.com:25", Encryption::Starttls),
        (vec![("url", "smtps://mail.example.com")], "mail.example.com:465", Encryption::AtOnce),
        (vec![("url", "smtp://mail.example.com"), ("tls", "none")], "mail.example.com:587", Encryption::None),
        (vec![("url", "smtp://localhost:25")], "localhost:25", Encryption::None),
        (vec![("url", "smtp://127.0.0.1:25")], "127.0.0.1:25", Encryption::None),
        (vec![("url", "smtp://[::1]:25")], "[::1]:25", Encryption::None),
        (vec![("url", "smtp://localhost"), ("tls", "required")], "localhost:587", Encryption::Starttls),
        (vec![("url", "smtp://localhost"), login[0], login[1]], "localhost:587", Encryption::Starttls),
        (vec![("url", "smtp://localhost.example.com")], "localhost.example.com:587", Encryption::Starttls),
    ] {
        let route = MailRoute::read(&channel(&with(&others))).unwrap();
        assert_eq!((route.server().as_str(), route.encryption), (place, encryption), "{others:?}");
    }
}

#[test]
fn each_fault_is_told_with_its_key_and_what_to_write() {
    for (others, key, why) in [
        (vec![("url", "https://mail.example.com")], "url", "neither smtp:// nor smtps://"),
        (vec![("url", "smtp://me:hunter2@mail.example.com")], "url", "has a key of its own"),
        (vec![("url", "smtp://mail.example.com:99999")], "url", "is not a host and a port"),
        (vec![("url", "smtp://mail.example.com/x")], "url", "more in it"),
        (vec![("from", "monitor")], "from", "is no address"),
        (vec![("from", "monitor@example.com\r\nBcc: a@b.test")], "from", "control character"),
        (vec![("to", "ops@example.com\nBcc: a@b.test")], "to", "control character"),
        (vec![("to", "")], "to", "names nobody"),
        (vec![("to", "ops@example.com, OPS@example.com")], "to", "twice"),
        (vec![("to", "öps@example.com")], "to", "ASCII"),
        (vec![("user", "monitor")], "password", "is missing beside user"),
        (vec![("password", "hunter2")], "user", "is missing beside password"),
        (vec![("tls", "maybe")], "tls", "is not known"),
        (vec![("url", "smtps://mail.example.com"), ("tls", "none")], "tls", "is not what smtps:// means"),
        (vec![("user", "monitor"), ("password", "hunter2"), ("tls", "none")], "tls", "in the clear"),
    ] {
        let faults = for_each_recipient(&channel(&with(&others))).unwrap_err();
        assert_eq!(faults.len(), 1, "{others:?}: {faults:?}");
        assert_eq!(faults[0].0, key, "{faults:?}");
        assert!(faults[0].1.why.contains(why), "{faults:?}");
        assert!(!faults[0].1.remedy.is_empty() && !format!("{faults:?}").contains("hunter2"), "{faults:?}");
    }
    let all = for_each_recipient(&channel(&[("tls", "maybe"), ("url", "smtp://a.test")])).unwrap_err();
    let keys: Vec<&str> = all.iter().map(|(key, _)| *key).collect();
    assert_eq!(keys, ["to", "from", "tls"], "all at once");
}

#[test]
fn any_addresses_are_read_or_refused() {
    let many = (0..=RECIPIENTS_MAX).map(|n| format!("a{n}@example.com")).collect::<Vec<_>>().join(",");
    assert!(for_each_recipient(&channel(&with(&[("to", &many)]))).unwrap_err()[0].1.why.contains("more than 10"));
    let long = format!("{}@example.com", "a".repeat(300));
    assert!(for_each_recipient(&channel(&with(&[("to", &long)]))).is_err());
    assert!(for_each_recipient(&channel(&with(&[("to", "a@b.test junk")]))).is_err());
}
