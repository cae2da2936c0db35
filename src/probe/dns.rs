//! A name server that is watched: a question, and the records that it answers with.

use std::fmt;
use std::net::SocketAddr;

use api_health_core::{Failure, Phase};
use percent_encoding::percent_decode_str;
use tokio::time::Instant;
use url::{Host, Url};

use super::client::Client;
use super::place;
use super::resolve::RecordType;
use super::trace::Trace;

/// The port of name servers.
const PORT: u16 = 53;

/// What is asked of whom: `dns://SERVER/NAME?type=TYPE` (RFC 4501). Without a server it is those of this machine, and without a type
/// it is A.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    pub server: Option<Url>,
    name: String,
    of: RecordType,
}

impl Query {
    /// Reads what stands behind `dns://`.
    ///
    /// # Errors
    /// Why it is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (server, question) = text.split_once('/').ok_or("names nothing to ask for behind its server")?;
        let server = match server {
            "" => None,
            server => Some(place::parse(server, Some(PORT)).map_err(str::to_owned)?),
        };
        let (name, parameters) = question.split_once('?').unwrap_or((question, ""));
        let name = percent_decode_str(name).decode_utf8().map_err(|_| "has a name that is not UTF-8")?;
        let name = name.trim_end_matches('.');
        // An underscore, as in the names of services, is no part of a host.
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let name = match name.chars().all(is_plain) {
            true => name.to_ascii_lowercase(),
            false => Host::parse(name).map_err(|_| "has a name that there cannot be")?.to_string(),
        };
        let is_name = name.len() <= 253 && name.split('.').all(|label| (1..=63).contains(&label.len()));
        if !is_name {
            return Err("has a name that there cannot be".into());
        }
        let mut of = RecordType::A;
        for parameter in parameters.split(['&', ';']).filter(|parameter| !parameter.is_empty()) {
            match parameter.split_once('=') {
                Some((key, value)) if key.eq_ignore_ascii_case("type") => {
                    of = RecordType::parse(value)
                        .ok_or_else(|| format!("has a type that is none of {}", RecordType::names()))?;
                }
                Some((key, value)) if key.eq_ignore_ascii_case("class") && value.eq_ignore_ascii_case("IN") => {}
                _ => return Err("has something behind its ? that is neither type= nor class=IN".into()),
            }
        }
        Ok(Self { server, name, of })
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let server = self.server.as_ref().map(place::shown).unwrap_or_default();
        let server = server.strip_suffix(":53").unwrap_or(&server);
        write!(f, "dns://{server}/{}?type={}", self.name, self.of)
    }
}

impl Client {
    /// Asks. The trace must be new.
    pub(super) async fn ask_name_server(&self, query: &Query, trace: &Trace) -> Result<Vec<String>, Failure> {
        let server = match &query.server {
            None => None,
            Some(server) => {
                let address = self.name_server(server, trace.deadline()).await?;
                if place::literal(server).is_none() {
                    trace.end();
                }
                trace.connected_to(address);
                Some(address)
            }
        };
        trace.begin(Phase::FirstByte);
        let found = self.resolver().records(server, &query.name, query.of, trace.deadline()).await;
        if found.is_ok() {
            trace.end();
        }
        found
    }

    async fn name_server(&self, server: &Url, deadline: Instant) -> Result<SocketAddr, Failure> {
        let port = server.port_or_known_default().unwrap_or(PORT);
        let address = match place::literal(server) {
            Some(ip) => SocketAddr::new(ip, port),
            None => {
                let name = server.host_str().unwrap_or_default();
                let found = self.resolver().lookup(name, port, deadline).await?;
                *found.first().ok_or_else(|| Failure::NameNotFound { host: name.to_owned() })?
            }
        };
        self.guarded(address.ip())?;
        Ok(address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_read_and_written_in_its_plain_form() {
        for (written, read) in [
            ("10.0.0.2/Shop.Test.", "dns://10.0.0.2/shop.test?type=A"),
            ("10.0.0.2:53/shop.test?type=mx", "dns://10.0.0.2/shop.test?type=MX"),
            ("ns.test:5353/_sip._tcp.shop.test?class=in;type=SRV", "dns://ns.test:5353/_sip._tcp.shop.test?type=SRV"),
            ("/b%C3%BCcher.example?type=AAAA", "dns:///xn--bcher-kva.example?type=AAAA"),
            ("[::1]/shop.test", "dns://[::1]/shop.test?type=A"),
        ] {
            let query = Query::parse(written).unwrap();
            assert_eq!(query.to_string(), read);
            assert_eq!(Query::parse(read.strip_prefix("dns://").unwrap()), Ok(query));
        }
    }

    #[test]
    fn what_cannot_be_asked_is_refused_with_a_reason() {
        for (written, why) in [
            ("10.0.0.2", "nothing to ask"),
            ("10.0.0.2/", "cannot be"),
            ("10.0.0.2/a..test", "cannot be"),
            ("10.0.0.2/a b", "cannot be"),
            ("10.0.0.2/shop.test?type=ANY", "none of A, AAAA"),
            ("10.0.0.2/shop.test?tape=A", "neither"),
            ("me@10.0.0.2/shop.test", "more in it"),
        ] {
            let said = Query::parse(written).unwrap_err();
            assert!(said.contains(why), "{written}: {said}");
        }
    }
}
