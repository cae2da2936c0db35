//! By way of which proxy everything goes: the setting, else the variables that curl reads as well.

use std::sync::Arc;

use serde_json::{Value, json};

use api_health_core::Secret;

use super::keys;
use super::reader::{Effective, Origin, SettingsReader};
use crate::probe::proxies::{NONE, Proxies, Proxy, ProxyChoice};

/// For each scheme, the variables that are asked in turn. `HTTP_PROXY` is none of them: whoever asks a CGI program for a page sets it.
const HTTP: [&str; 3] = ["http_proxy", "all_proxy", "ALL_PROXY"];
const HTTPS: [&str; 4] = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
const EXCEPT: [&str; 2] = ["no_proxy", "NO_PROXY"];

/// All of them, as `settings show` lists those that are set.
pub const VARIABLES: [&str; 7] =
    ["http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"];

pub(super) fn read(reader: &mut SettingsReader<'_>) -> Proxies {
    let (except, except_name) = first(reader, &EXCEPT).unwrap_or_default();
    let mut proxies = Proxies { except, ..Proxies::default() };
    let (set, origin) = reader.read(&keys::PROXY).unzip();
    let origin = origin.unwrap_or(Origin::Default);
    let mut ways = Vec::new();
    match set.as_ref().map(route) {
        Some(ProxyChoice::By(proxy)) => {
            ways.push(format!("{} ({origin})", proxy.shown()));
            (proxies.http, proxies.https) = (Some(Arc::clone(&proxy)), Some(proxy));
        }
        Some(_) => {}
        None => {
            for (scheme, names, slot) in
                [("http", &HTTP[..], &mut proxies.http), ("https", &HTTPS[..], &mut proxies.https)]
            {
                let Some((value, name)) = first(reader, names) else { continue };
                match Proxy::parse(&value) {
                    Ok(proxy) => {
                        ways.push(format!("{} for {scheme} (environment variable {name})", proxy.shown()));
                        *slot = Some(Arc::new(proxy));
                    }
                    Err(why) => {
                        proxies
                            .unusable
                            .push(format!("environment variable {name} {why}: {scheme} goes without a proxy"));
                    }
                }
            }
        }
    }
    proxies.by_setting = set.is_some();
    reader.note(&keys::PROXY, set.as_ref(), origin);
    if !ways.is_empty() && !proxies.except.trim().is_empty() {
        ways.push(format!("but not for what {except_name} names"));
    }
    proxies.ways = ways.join(", ");
    proxies
}

/// Lists the variables that are set, without their passwords.
pub(super) fn note_variables(reader: &mut SettingsReader<'_>) {
    for name in VARIABLES {
        let Some(value) = reader.env(name) else { continue };
        let value = match Proxy::parse(&value) {
            _ if EXCEPT.contains(&name) => json!(value),
            Ok(proxy) => json!(shown(&proxy)),
            Err(_) => json!("***"), // where a password would stand in it cannot be told
        };
        reader.effective.push(Effective { key: name.into(), value, origin: Origin::Env(name) });
    }
}

fn first(reader: &SettingsReader<'_>, names: &[&'static str]) -> Option<(String, &'static str)> {
    names.iter().find_map(|name| Some((reader.env(name)?, *name)))
}

/// What was checked when it was read.
fn route(set: &Secret) -> ProxyChoice {
    ProxyChoice::parse(set.reveal()).unwrap_or_default()
}

/// How a proxy that is set is shown.
pub(super) fn show(set: &Secret) -> Value {
    match route(set) {
        ProxyChoice::By(proxy) => json!(shown(&proxy)),
        _ => json!(NONE),
    }
}

/// `http://10.0.0.1:3128`, where there is a password `http://***@10.0.0.1:3128`.
fn shown(proxy: &Proxy) -> String {
    format!("http://{}{}", proxy.user().map_or("", |_| "***@"), proxy.shown())
}
