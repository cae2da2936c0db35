//! Whom we trust: judged as curl judges it, said in words, and read again when it changes; and servers that want to know us.

use std::sync::Arc;
use std::time::Duration;

use api_health::probe::{Client, Reply};
use api_health_core::Failure;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

use crate::server::{CLIENT, End, Script, Server, authority, get, good_config, run, server_config};

const ANSWER: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";

type Issuer = CertifiedIssuer<'static, KeyPair>;

fn params(name: &str, names: &[&str], is_ca: bool) -> CertificateParams {
    let mut params = CertificateParams::new(names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    if is_ca {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    params
}

fn showing(chain: Vec<CertificateDer<'static>>, key: &KeyPair) -> Arc<ServerConfig> {
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, PrivatePkcs8KeyDer::from(key.serialize_der()).into());
    Arc::new(config.unwrap())
}

fn ask(client: &Client, config: Arc<ServerConfig>, answer: &str) -> Result<Reply, Failure> {
    run(async {
        let server = Server::start(Some(config), Script::new(answer, End::Fin)).await;
        client.exchange(&get(&server.url("https"))).await.result
    })
}

fn words(client: &Client, config: Arc<ServerConfig>) -> String {
    ask(client, config, ANSWER).unwrap_err().to_string()
}

fn passes(client: &Client, config: Arc<ServerConfig>) -> bool {
    ask(client, config, ANSWER).is_ok_and(|reply| reply.status == 200)
}

fn trusting(roots: &[&str]) -> Client {
    Client::new(Some(roots.concat().as_bytes())).unwrap()
}

fn expired(name: &str) -> Issuer {
    let mut params = params(name, &[], true);
    params.not_before = rcgen::date_time_ymd(2010, 1, 1);
    params.not_after = rcgen::date_time_ymd(2021, 9, 30);
    Issuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

#[test]
fn an_authority_that_is_over_is_trusted_no_more_and_spoils_no_other() {
    let (good, over) = (authority("a good authority"), expired("an old authority"));
    let client = trusting(&[&over.pem(), &good.pem()]);
    assert!(passes(&client, server_config(&good, &["localhost"], |_| {})));
    let said = "certificate of the trusted authority \"an old authority\", which signed it, expired at 2021-09-30T00:00:00.000Z";
    assert_eq!(words(&client, server_config(&over, &["localhost"], |_| {})), said);
    assert_eq!(words(&trusting(&[&over.pem()]), server_config(&over, &["localhost"], |_| {})), said);
    assert!(words(&client, server_config(&authority("nobody"), &["localhost"], |_| {})).contains("\"nobody\""));
}

#[test]
fn a_chain_with_an_old_and_a_new_root_of_one_key_is_good_by_the_new_one() {
    let key = KeyPair::generate().unwrap();
    let mut old = params("an authority", &[], true);
    old.not_before = rcgen::date_time_ymd(2010, 1, 1);
    old.not_after = rcgen::date_time_ymd(2021, 9, 30);
    let old = old.self_signed(&key).unwrap().pem();
    let new = Issuer::self_signed(params("an authority", &[], true), key).unwrap();
    for roots in [[&old, &new.pem()], [&new.pem(), &old]] {
        assert!(passes(&trusting(&[roots[0], roots[1]]), server_config(&new, &["localhost"], |_| {})));
    }
}

#[test]
fn a_servers_own_certificate_may_be_the_one_that_is_trusted() {
    for is_ca in [false, true] {
        let key = KeyPair::generate().unwrap();
        let leaf = params("a device", &["localhost"], is_ca).self_signed(&key).unwrap();
        let config = showing(vec![leaf.der().clone()], &key);
        assert!(passes(&trusting(&[&leaf.pem()]), Arc::clone(&config)), "is_ca: {is_ca}");
        let said = words(&CLIENT, config);
        assert!(said.ends_with("it is signed by itself, and is not trusted here") || is_ca, "{said}");

        let leaf = params("a device", &["other.test"], is_ca).self_signed(&key).unwrap();
        let said = words(&trusting(&[&leaf.pem()]), showing(vec![leaf.der().clone()], &key));
        assert!(said.starts_with("certificate is not for localhost"), "{said}");

        let mut old = params("a device", &["localhost"], is_ca);
        (old.not_before, old.not_after) = (rcgen::date_time_ymd(2010, 1, 1), rcgen::date_time_ymd(2021, 1, 1));
        let leaf = old.self_signed(&key).unwrap();
        let said = words(&trusting(&[&leaf.pem()]), showing(vec![leaf.der().clone()], &key));
        assert!(said.contains("expired"), "{said}");
    }
    // One that its authority signed, while the authority itself is not trusted.
    let (issuer, key) = (authority("an authority of its own"), KeyPair::generate().unwrap());
    let leaf = params("a device", &["localhost"], false).signed_by(&key, &issuer).unwrap();
    assert!(passes(&trusting(&[&leaf.pem()]), showing(vec![leaf.der().clone()], &key)));
}

#[test]
fn a_missing_piece_of_the_chain_is_told_from_an_authority_that_is_not_trusted() {
    let root = authority("the root");
    let between = Issuer::signed_by(params("the one between", &[], true), KeyPair::generate().unwrap(), &root).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = params("a server", &["localhost"], false).signed_by(&key, &between).unwrap();
    let chain = |more: &[&CertificateDer<'static>]| {
        showing([vec![leaf.der().clone()], more.iter().map(|der| (*der).clone()).collect()].concat(), &key)
    };
    let client = trusting(&[&root.pem()]);
    assert!(passes(&client, chain(&[between.der()])));
    let said = words(&client, chain(&[]));
    assert!(
        said.contains("no certificate of \"the one between\"") && said.contains("a piece of its chain is missing"),
        "{said}"
    );
    let said = words(&trusting(&[&authority("another").pem()]), chain(&[between.der()]));
    assert!(
        said.ends_with("the chain that the server sent leads to \"the root\", which this machine does not trust"),
        "{said}"
    );
    let said = words(&trusting(&[&authority("another").pem()]), chain(&[between.der(), root.der()]));
    assert!(said.contains("leads to \"the root\""), "{said}");
    assert!(passes(&trusting(&[&between.pem()]), chain(&[])), "an authority in the middle may be the trusted one");
}

#[test]
fn a_file_of_roots_is_read_again_when_it_changes_and_a_bad_one_is_passed_over() {
    let (old, new) = (authority("before"), authority("afterwards"));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("roots.pem");
    std::fs::write(&path, old.pem()).unwrap();
    let client = Client::with_roots_of(&path).unwrap();
    run(async {
        let [by_old, by_new] = [&old, &new].map(|issuer| server_config(issuer, &["localhost"], |_| {}));
        let by_old = Server::start(Some(by_old), Script::new(ANSWER, End::Fin)).await;
        let by_new = Server::start(Some(by_new), Script::new(ANSWER, End::Fin)).await;
        let are_good = async || {
            let mut are_good = [false; 2];
            for (is_good, server) in are_good.iter_mut().zip([&by_old, &by_new]) {
                *is_good = client.exchange(&get(&server.url("https"))).await.result.is_ok();
            }
            are_good
        };
        assert_eq!(are_good().await, [true, false]);
        std::fs::write(&path, new.pem()).unwrap();
        assert_eq!(are_good().await, [true, false], "it is not looked at for each probe");
        later().await;
        assert_eq!(are_good().await, [false, true]);
        std::fs::write(&path, &new.pem()[..200]).unwrap();
        later().await;
        assert_eq!(are_good().await, [false, true], "half a file takes no trust away");
        std::fs::write(&path, [old.pem(), new.pem()].concat()).unwrap();
        later().await;
        assert_eq!(are_good().await, [true, true]);
        std::fs::remove_file(&path).unwrap();
        later().await;
        assert_eq!(are_good().await, [true, true], "nor does a file that is gone");
    });
}

/// Ten seconds on, after which the files are looked at again.
async fn later() {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(11)).await;
    tokio::time::resume();
}

/// A server of these versions that wants a certificate of its client, or else asks for one and goes on without.
fn wanting(version: &'static rustls::SupportedProtocolVersion, must: bool) -> Arc<ServerConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(authority("the people").der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let verifier = if must { verifier } else { verifier.allow_unauthenticated() };
    let key = KeyPair::generate().unwrap();
    let leaf = params("a server", &["localhost"], false).signed_by(&key, &*crate::server::AUTHORITY).unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(vec![leaf.der().clone()], PrivatePkcs8KeyDer::from(key.serialize_der()).into());
    Arc::new(config.unwrap())
}

#[test]
fn a_server_that_wants_a_client_certificate_is_told_as_one() {
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let said = words(&CLIENT, wanting(version, true));
        assert!(said.contains("the server wants a client certificate, and this API has none to show"), "{said}");
        let refusal = "HTTP/1.1 400 No required SSL certificate was sent\r\ncontent-length: 0\r\n\r\n";
        assert!(ask(&CLIENT, wanting(version, false), refusal).unwrap().client_certificate_wanted);
        assert!(passes(&CLIENT, wanting(version, false)));
    }
    assert!(!ask(&CLIENT, good_config(), ANSWER).unwrap().client_certificate_wanted);
}
