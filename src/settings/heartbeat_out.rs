//! `[heartbeat_out]`: who is told outside that this monitor works.

use super::keys;
use super::notify::require;
use super::reader::SettingsReader;
use super::{BeatForm, HeartbeatOutSettings};
use crate::configs::kinds::Choice;
use crate::configs::values::ValueFault;

pub(super) fn read(reader: &mut SettingsReader<'_>) -> Option<HeartbeatOutSettings> {
    require(reader, "heartbeat_out", &keys::HEARTBEAT_OUT_URL);
    let url = reader.optional(&keys::HEARTBEAT_OUT_URL);
    let (every, form) = (reader.get(&keys::HEARTBEAT_OUT_EVERY), reader.get(&keys::HEARTBEAT_OUT_FORM));
    let token = reader.optional(&keys::HEARTBEAT_OUT_TOKEN);
    let about_token = &*keys::HEARTBEAT_OUT_TOKEN;
    match (form, reader.written(about_token)) {
        (BeatForm::Gatus, None) => {
            let remedy = format!("token = {} below [heartbeat_out] as well", about_token.example);
            let fault = ValueFault::new("\"gatus\"", "needs a token", remedy);
            reader.fault(keys::HEARTBEAT_OUT_FORM.name, &reader.origin(&keys::HEARTBEAT_OUT_FORM), fault);
        }
        (BeatForm::Healthchecks | BeatForm::Kuma, Some((_, origin))) => {
            let why = format!("is not sent in the form {}, which has it in the URL", form.as_str());
            reader.fault(about_token.name, &origin, ValueFault::new("the token", why, "no token"));
        }
        _ => {}
    }
    Some(HeartbeatOutSettings { url: url?, every, form, token })
}
