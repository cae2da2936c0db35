//! Certificates and keys are read as PEM; a file in DER is named as such, with what makes PEM of it.

use std::path::Path;

/// That a file begins as certificates, keys and stores of both do in DER, and what makes PEM of it.
pub(crate) fn of_der(path: &Path, bytes: &[u8]) -> Option<String> {
    let ([0x30, 0x82, _, _, inside @ ..] | [0x30, 0x81, _, inside @ ..] | [0x30, 0..=0x7f, inside @ ..]) = bytes else {
        return None;
    };
    let command = match inside {
        [0x30, ..] => "x509 -inform der",
        [0x02, 0x01, 0x03, ..] => "pkcs12 -nodes", // no key has this version
        [0x02, ..] => "pkey -inform der",
        _ => return None,
    };
    let file = path.display();
    Some(format!("is DER and not PEM (openssl {command} -in {file} -out {file}.pem)"))
}
