//! `client` of an endpoint: how it is asked.

use super::super::asking::ALWAYS_CHECKED;
use super::super::reading::Reading;
use super::super::report::Field;
use super::super::words::milliseconds;
use super::conditions::EndpointKind;

/// Takes over what a row can say.
pub(super) fn read(reading: &mut Reading<'_>, field: Field, kind: EndpointKind, api_id: &str) {
    let mut client = reading.report.fields(field);
    if let Some(field) = client.take("timeout") {
        let timeout = field.scalar().and_then(milliseconds);
        reading.timeout(field, timeout);
    }
    if let Some(field) = client.take("ignore-redirect") {
        if field.flag() == Some(true) && kind == EndpointKind::Http {
            reading.set("max_redirects", 0);
        }
        reading.report.taken(field);
    }
    for (name, why) in
        [("insecure", ALWAYS_CHECKED), ("store-cookies", "cookies are kept within one probe, and not between two")]
    {
        if let Some(field) = client.take(name) {
            reading.lost_if_on(field, why);
        }
    }
    if let Some(field) = client.take("proxy-url") {
        match kind {
            EndpointKind::Http => reading.proxy(api_id, field),
            _ => reading.report.lost(field, "a proxy is for rows of HTTP"),
        }
    }
    if let Some(field) = client.take("oauth2") {
        oauth2(reading, field, kind, api_id);
    }
    if let Some(field) = client.take("tls") {
        let mut tls = reading.report.fields(field);
        let paths = [("certificate-file", "client_certificate"), ("private-key-file", "client_key")];
        for (theirs, ours) in paths {
            if let Some(field) = tls.take(theirs) {
                let path = field.scalar().map(|text| reading.text(text));
                match path {
                    Some(path) if path.starts_with('/') => {
                        reading.set(ours, path);
                        reading.report.taken(field);
                    }
                    _ => reading.report.lost(field, format!("it is no absolute path; write it as {ours}")),
                }
            }
        }
        if reading.get("client_certificate").is_some() != reading.get("client_key").is_some()
            && let Some(row) = reading.rows.last_mut()
        {
            row.fields.remove("client_certificate");
            row.fields.remove("client_key");
        }
        reading.report.others_lost(tls, "nothing is renegotiated");
    }
    let others = [
        ("dns-resolver", "names are looked up as `probe.resolver` in the settings says"),
        ("identity-aware-proxy", "no token is fetched from Google; `oauth2` and `bearer_token` are there"),
        ("network", "it is about pings, which are not sent"),
    ];
    reading.report.all_lost(&mut client, &others);
    reading.report.rest(client);
}

fn oauth2(reading: &mut Reading<'_>, field: Field, kind: EndpointKind, api_id: &str) {
    if kind != EndpointKind::Http {
        return reading.report.lost(field, "a token needs a row of HTTP");
    }
    let mut fields = reading.report.fields(field);
    let names = [
        ("token-url", "token_url"),
        ("client-id", "client_id"),
        ("client-secret", "client_secret"),
        ("scopes", "scope"),
    ];
    reading.oauth(api_id, &mut fields, &names);
    reading.report.rest(fields);
}
