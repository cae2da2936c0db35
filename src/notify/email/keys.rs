//! What a channel of e-mail is told by its settings.

use api_health_core::Secret;
use lettre::Address;
use lettre::message::{Mailbox, Mailboxes};
use url::{Host, Url};

use crate::configs::values::{ValueFault, quote};
use crate::notify::channel::{ChannelKind, ChannelSettings, Key, KeyFault};
use crate::notify::kinds::key;
use crate::probe::place;

/// The most recipients of one channel.
const RECIPIENTS_MAX: usize = 10;
/// The longest address: it stands in the name of the channel, and so in each alert that is owed.
const ADDRESS_CHARS_MAX: usize = 64;
/// The longest name beside an address.
const NAME_CHARS_MAX: usize = 100;
/// The port of submission by STARTTLS, and of submission by TLS from the first byte on (RFC 8314).
const STARTTLS_PORT: u16 = 587;
const TLS_PORT: u16 = 465;

/// The kind of channel.
pub const KIND: ChannelKind =
    ChannelKind { name: "email", keys: &[URL, FROM, TO, USER, PASSWORD, TLS], hosts: &[], posting: None };

const URL: Key = key(
    "url",
    true,
    false,
    "\"smtp://mail.example.com:587\"",
    "The mail server: `smtp://` encrypts by STARTTLS (port 587), `smtps://` from the first byte on (port 465).",
);
const FROM: Key = key("from", true, false, "\"api-health <monitor@example.com>\"", "Whose mails they are.");
/// Who gets them.
pub const TO: Key = key(
    "to",
    true,
    false,
    "\"ops@example.com, Night shift <night@example.com>\"",
    "Who gets them, with commas between. Each is a channel of its own, by the name of this one, a slash and the address.",
);
const USER: Key = key(
    "user",
    false,
    false,
    "\"monitor@example.com\"",
    "The user name of the login (PLAIN or LOGIN), which is sent over TLS alone.",
);
const PASSWORD: Key = key("password", false, true, "\"${env:SMTP_PASSWORD}\"", "The password of the login.");
const TLS: Key = key(
    "tls",
    false,
    false,
    "\"none\"",
    "required, or none: everything goes in the clear then. Without it none to this machine itself, and required to any other.",
);

/// When the connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encryption {
    AtOnce,
    Starttls,
    None,
}

/// One recipient, and the way there.
#[derive(Clone, Debug)]
pub(super) struct MailRoute {
    pub(super) place: Url,
    pub(super) encryption: Encryption,
    pub(super) from: Mailbox,
    pub(super) to: Mailbox,
    pub(super) login: Option<(Secret, Secret)>,
}

/// A channel for each recipient of `settings`, called `NAME/ADDRESS`: what one of them did not get is owed to that one alone, whoever is
/// added or goes.
///
/// # Errors
/// All that is wrong with the values of its keys.
pub fn for_each_recipient(settings: &ChannelSettings) -> Result<Vec<ChannelSettings>, Vec<KeyFault>> {
    let mut faults = Vec::new();
    let to = recipients(settings).map_err(|fault| faults.push((TO.name, fault))).unwrap_or_default();
    let one_each = to.into_iter().map(|to| {
        let name = format!("{}/{}", settings.name, to.email.to_string().to_lowercase());
        let mut one = ChannelSettings { name, ..settings.clone() };
        one.keys.insert(TO.name, Secret::new(to.to_string()));
        one
    });
    let one_each: Vec<_> = one_each.collect();
    if let Err(more) = MailRoute::read(one_each.first().unwrap_or(settings)) {
        faults.extend(more.into_iter().filter(|(key, _)| *key != TO.name));
    }
    if faults.is_empty() { Ok(one_each) } else { Err(faults) }
}

impl MailRoute {
    /// What the keys of a channel with one recipient say.
    pub(super) fn read(settings: &ChannelSettings) -> Result<Self, Vec<KeyFault>> {
        let mut faults = Vec::new();
        let mut note = |key: &'static str, fault| faults.push((key, fault));
        let way = way(settings).map_err(|fault| note(URL.name, fault)).ok();
        let from = settings.keys.get(FROM.name).ok_or_else(|| missing(&FROM));
        let from = from.and_then(|text| mailbox(text.reveal(), &FROM)).map_err(|fault| note(FROM.name, fault)).ok();
        let to = match recipients(settings) {
            Ok(to) if to.len() == 1 => to.into_iter().next(),
            Ok(to) => {
                let what = format!("a list of {}", to.len());
                note(TO.name, ValueFault::new(what, "is not one address", "a channel for each"));
                None
            }
            Err(fault) => {
                note(TO.name, fault);
                None
            }
        };
        let login = match (settings.keys.get(USER.name), settings.keys.get(PASSWORD.name)) {
            (Some(user), Some(password)) => Some((user.clone(), password.clone())),
            (None, None) => None,
            (user, _) => {
                let (key, other) = if user.is_some() { (&PASSWORD, USER.name) } else { (&USER, PASSWORD.name) };
                let why = format!("is missing beside {other}");
                let remedy = format!("{} = {}, or neither of them", key.name, key.example);
                note(key.name, ValueFault::new(format!("the key {}", key.name), why, remedy));
                None
            }
        };
        let has_login = login.is_some();
        let encryption = match &way {
            Some((place, at_once)) => {
                encryption(settings, place, *at_once, has_login).map_err(|fault| note(TLS.name, fault)).ok()
            }
            None => None,
        };
        match (way, encryption, from, to) {
            (Some((place, _)), Some(encryption), Some(from), Some(to)) if faults.is_empty() => {
                Ok(Self { place, encryption, from, to, login })
            }
            _ => Err(faults),
        }
    }

    /// The server, as it may be shown.
    pub(super) fn server(&self) -> String {
        place::shown(&self.place)
    }
}

fn missing(key: &Key) -> ValueFault {
    ValueFault::new(format!("the key {}", key.name), "is missing", format!("{} = {}", key.name, key.example))
}

/// The server, and whether it is spoken to by TLS from the first byte on.
fn way(settings: &ChannelSettings) -> Result<(Url, bool), ValueFault> {
    let text = settings.keys.get(URL.name).ok_or_else(|| missing(&URL))?.reveal().trim();
    let fault = |why: &str| ValueFault::new("the url", why, format!("one such as {}", URL.example));
    let (rest, port, at_once) = match (text.strip_prefix("smtp://"), text.strip_prefix("smtps://")) {
        (Some(rest), _) => (rest, STARTTLS_PORT, false),
        (_, Some(rest)) => (rest, TLS_PORT, true),
        _ => return Err(fault("begins with neither smtp:// nor smtps://")),
    };
    if rest.contains('@') {
        return Err(fault("holds a user name, which has a key of its own (user, password)"));
    }
    Ok((place::parse(rest, Some(port)).map_err(fault)?, at_once))
}

fn encryption(
    settings: &ChannelSettings,
    place: &Url,
    at_once: bool,
    has_login: bool,
) -> Result<Encryption, ValueFault> {
    let written = settings.keys.get(TLS.name).map(|text| text.reveal().trim());
    let encryption = match (written, at_once) {
        (Some("none"), true) => {
            return Err(ValueFault::new(
                "\"none\"",
                "is not what smtps:// means",
                "smtp:// into url, or leave tls out",
            ));
        }
        (Some("none"), false) => Encryption::None,
        (Some("required") | None, true) => Encryption::AtOnce,
        (None, false) if is_this_machine(place) && !has_login => Encryption::None,
        (Some("required") | None, false) => Encryption::Starttls,
        (Some(other), _) => {
            return Err(ValueFault::new(quote(other), "is not known", "one of required, none"));
        }
    };
    if has_login && encryption == Encryption::None {
        return Err(ValueFault::new("\"none\"", "would send user and password in the clear", "required"));
    }
    Ok(encryption)
}

fn is_this_machine(place: &Url) -> bool {
    match place.host() {
        Some(Host::Domain(name)) => name.trim_end_matches('.') == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

/// Each once.
fn recipients(settings: &ChannelSettings) -> Result<Vec<Mailbox>, ValueFault> {
    let text = settings.keys.get(TO.name).ok_or_else(|| missing(&TO))?.reveal();
    let fault = |why: String| ValueFault::new(quote(text), why, format!("addresses such as {}", TO.example));
    plain(text).map_err(|why| fault(why.into()))?;
    let all: Mailboxes = text.parse().map_err(|_| fault("is no list of addresses".into()))?;
    let mut recipients: Vec<Mailbox> = Vec::new();
    for one in all {
        let one = checked(one).map_err(|why| fault(why.into()))?;
        let is = |other: &Mailbox| AsRef::<str>::as_ref(&other.email).eq_ignore_ascii_case(one.email.as_ref());
        if recipients.iter().any(is) {
            return Err(fault(format!("names {} twice", one.email)));
        }
        recipients.push(one);
    }
    match recipients.len() {
        0 => Err(fault("names nobody".into())),
        1..=RECIPIENTS_MAX => Ok(recipients),
        more => Err(fault(format!("names {more}, more than {RECIPIENTS_MAX}"))),
    }
}

fn mailbox(text: &str, key: &Key) -> Result<Mailbox, ValueFault> {
    let fault = |why| ValueFault::new(quote(text), why, format!("one such as {}", key.example));
    plain(text).map_err(fault)?;
    text.parse().map_err(|_| "is no address").and_then(checked).map_err(fault)
}

/// Nothing that could begin another header.
fn plain(text: &str) -> Result<(), &'static str> {
    if text.chars().any(char::is_control) { Err("has a control character") } else { Ok(()) }
}

fn checked(mailbox: Mailbox) -> Result<Mailbox, &'static str> {
    let address: &Address = &mailbox.email;
    let text: &str = address.as_ref();
    if !text.is_ascii() {
        return Err("has an address with other letters than ASCII; a domain can be written in its form of xn--");
    }
    let name_chars = mailbox.name.as_ref().map_or(0, |name| name.chars().count());
    if text.len() > ADDRESS_CHARS_MAX || name_chars > NAME_CHARS_MAX {
        return Err("is too long");
    }
    Ok(mailbox)
}

#[cfg(test)]
#[path = "keys_tests.rs"]
mod tests;
