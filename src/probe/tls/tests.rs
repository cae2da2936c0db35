//! Faults of certificates, names and handshakes, told as they are.

use super::*;

#[test]
fn every_form_of_a_certificate_error_has_its_fault() {
    let name = ServerName::try_from("a.test").unwrap();
    let at = UnixTime::since_unix_epoch(std::time::Duration::from_secs(5));
    let fault = |error| certificate_fault(&error, &name);
    assert_eq!(fault(CertificateError::Expired), CertificateFault::Expired { not_after: None });
    assert_eq!(
        fault(CertificateError::ExpiredContext { time: at, not_after: at }),
        CertificateFault::Expired { not_after: Some(Timestamp::from_millis(5_000)) }
    );
    assert_eq!(fault(CertificateError::NotValidYet), CertificateFault::NotYetValid { not_before: None });
    assert_eq!(
        fault(CertificateError::NotValidYetContext { time: at, not_before: at }),
        CertificateFault::NotYetValid { not_before: Some(Timestamp::from_millis(5_000)) }
    );
    let wrong = |presented| CertificateFault::WrongName { expected: "a.test".into(), presented };
    assert_eq!(fault(CertificateError::NotValidForName), wrong(Vec::new()));
    assert_eq!(fault(CertificateError::Revoked), CertificateFault::Revoked);
    let words = |error| match fault(error) {
        CertificateFault::Other(words) => words,
        other => panic!("{other:?}"),
    };
    assert_eq!(words(CertificateError::BadEncoding), "it is damaged");
    let signed = |id: &[u8]| {
        let (signature_algorithm_id, supported_algorithms) = (id.to_vec(), Vec::new());
        words(CertificateError::UnsupportedSignatureAlgorithmContext { signature_algorithm_id, supported_algorithms })
    };
    let sha1 = signed(&[6, 9, 42, 134, 72, 134, 247, 13, 1, 1, 5, 5, 0]);
    assert_eq!(sha1, "it is signed with SHA-1 (RSA), which is no longer trusted");
    assert_eq!(signed(&[6, 3, 1]), "it is signed by an algorithm that is not supported");
}

#[test]
fn what_of_a_chain_was_over_before_its_own_certificate_began_does_not_end_it() {
    let at = |day: i64| Timestamp::from_millis(day * 86_400_000);
    let own = Validity { not_before: at(100), not_after: at(190) };
    let of = |others: &[i64]| ends(own, others.iter().map(|day| at(*day)));
    assert_eq!(of(&[]), CertificateEnds { earliest: at(190), of_chain: at(190) });
    assert_eq!(of(&[500, 150]), CertificateEnds { earliest: at(150), of_chain: at(150) });
    assert_eq!(of(&[500, 90]), CertificateEnds { earliest: at(90), of_chain: at(190) });
}

#[test]
fn the_versions_and_suites_that_are_named_are_all_that_there_are() {
    for suite in provider().cipher_suites.iter().map(|suite| format!("{:?}", suite.suite())) {
        let rest = suite.strip_prefix("TLS13_").or_else(|| {
            suite.strip_prefix("TLS_ECDHE_ECDSA_WITH_").or_else(|| suite.strip_prefix("TLS_ECDHE_RSA_WITH_"))
        });
        let cipher = rest.unwrap_or_else(|| panic!("{suite} is not named"));
        assert!(cipher.contains("_GCM_") || cipher.starts_with("CHACHA20_POLY1305_"), "{suite} is not named");
    }
}

#[test]
fn each_alert_is_a_sentence_without_a_dump() {
    for code in 0..=255_u8 {
        for (wanted, there) in [(false, false), (true, false), (false, true)] {
            let words = of_alert(AlertDescription::from(code), wanted, there);
            assert!(words.contains(' ') && !words.contains(['{', '[']), "{code}: {words}");
            assert!(there || !words.contains("refused the client certificate"), "{code}: there is none: {words}");
        }
    }
    assert!(of_alert(AlertDescription::HandshakeFailure, true, false).starts_with(CLIENT_CERTIFICATE));
    assert!(of_alert(AlertDescription::HandshakeFailure, false, true).contains("cipher suites of ECDHE"));
    assert!(of_alert(AlertDescription::UnknownCA, false, true).contains("refused the client certificate"));
}

#[test]
fn the_names_of_a_wrong_certificate_are_bounded_and_bare() {
    let presented: Vec<String> = (0..9).map(|i| format!("DnsName(\"{i}.test\")")).collect();
    let names = presented_names(&presented);
    assert_eq!(names, ["0.test", "1.test", "2.test", "3.test", "4.test", "4 more"]);
}
