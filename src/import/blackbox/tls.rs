//! `tls_config` of a module.

use super::super::asking::ALWAYS_CHECKED;
use super::super::reading::Reading;
use super::super::report::Field;

/// Takes over what a row can say.
pub(super) fn read(reading: &mut Reading<'_>, field: Field) {
    let mut tls = reading.report.fields(field);
    if let Some(field) = tls.take("insecure_skip_verify") {
        reading.lost_if_on(field, ALWAYS_CHECKED);
    }
    if let Some(field) = tls.take("server_name") {
        reading.set("server_name", field.text());
        reading.report.taken(field);
    }
    let has_both = ["cert_file", "key_file"]
        .iter()
        .all(|name| tls.peek(name).and_then(|node| node.scalar()).is_some_and(|path| path.starts_with('/')));
    for (theirs, ours) in
        [("ca_file", "ca_certificates"), ("cert_file", "client_certificate"), ("key_file", "client_key")]
    {
        let Some(field) = tls.take(theirs) else { continue };
        let path = field.text();
        let is_file = path.starts_with('/') && (has_both || ours == "ca_certificates");
        if is_file {
            reading.set(ours, path);
        }
        let why = format!("it is no absolute path, or stands alone; write it as {ours}");
        reading.report.lost_unless(is_file, field, why);
    }
    reading.report.others_lost(tls, "TLS 1.2 and 1.3 are spoken; PEM stands in files");
}
