//! Who asks, and by which proxy: the credentials of a module.

use super::super::reading::Reading;
use super::super::report::{Field, Fields};

pub(super) fn login(reading: &mut Reading<'_>, http: &mut Fields, name: &str) {
    if let Some(field) = http.take("basic_auth") {
        let mut basic = reading.report.fields(field);
        let user = basic.text("username").to_owned();
        let mut password = String::new();
        if let Some(field) = basic.take("password") {
            password = reading.secret(&format!("{name}_password"), &field, &field.text());
            reading.report.taken(field);
        }
        if let Some(field) = basic.take("password_file") {
            password = format!("${{file:{}}}", field.text());
            reading.report.taken(field);
        }
        reading.report.all_taken(&mut basic, &["username"]);
        let user = reading.text(&user);
        reading.set("basic_auth", format!("{user}:{password}"));
        reading.report.rest(basic);
    }
    let token = |reading: &mut Reading<'_>, field: Field, is_file: bool| {
        let token = match is_file {
            true => format!("${{file:{}}}", field.text()),
            false => reading.secret(&format!("{name}_token"), &field, &field.text()),
        };
        reading.set("bearer_token", token);
        reading.report.taken(field);
    };
    for (field, is_file) in [("bearer_token", false), ("bearer_token_file", true)] {
        if let Some(field) = http.take(field) {
            token(reading, field, is_file);
        }
    }
    if let Some(field) = http.take("authorization") {
        let mut fields = reading.report.fields(field);
        let kind = fields.text("type");
        let is_bearer = kind.is_empty() || kind.eq_ignore_ascii_case("bearer");
        for (name, is_file) in [("credentials", false), ("credentials_file", true)] {
            if let Some(field) = fields.take(name) {
                match is_bearer {
                    true => token(reading, field, is_file),
                    false => reading.report.lost(field, "of `Authorization`, Bearer and Basic are written"),
                }
            }
        }
        reading.report.all_taken(&mut fields, &["type"]);
        reading.report.rest(fields);
    }
    if let Some(field) = http.take("proxy_url") {
        reading.proxy(name, field);
    }
    if let Some(field) = http.take("oauth2") {
        let mut fields = reading.report.fields(field);
        let names = [
            ("token_url", "token_url"),
            ("client_id", "client_id"),
            ("client_secret", "client_secret"),
            ("client_secret_file", "client_secret"),
            ("scopes", "scope"),
        ];
        reading.oauth(name, &mut fields, &names);
        reading.report.others_lost(fields, "a token is fetched by client credentials alone");
    }
}
