//! How an API is asked where a plain HTTP request is not enough: by another protocol, at another address, with a certificate or a
//! token, or for less than the whole answer.

use crate::secret::Secret;

/// By what an API is asked: `kind` in its row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// An HTTP request and its answer.
    #[default]
    Http,
    /// A TCP connection is opened, and closed again.
    Tcp,
    /// The same with a TLS handshake, whose certificate is checked.
    Tls,
    /// A question to a name server.
    Dns,
}

impl Protocol {
    /// Every protocol, in the order in which documentation lists them.
    pub const ALL: [Self; 4] = [Self::Http, Self::Tcp, Self::Tls, Self::Dns];

    /// As it stands in a row.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Dns => "dns",
        }
    }
}

/// What a row says of how it is asked. A plain request has none of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asking {
    pub protocol: Protocol,
    /// The URL with its secrets, where the one of the config, which is shown, has `***` in their place.
    pub secret_url: Option<Secret>,
    /// The secrets in that URL.
    pub url_secrets: Vec<Secret>,
    /// `host:port` that is connected to in place of what the URL names.
    pub connect_to: Option<String>,
    /// The name that TLS asks for and checks, in place of the URL's host.
    pub server_name: Option<String>,
    /// The authorities that its certificate may come from, in place of those that this machine trusts; PEM.
    pub ca_certificates: Option<Secret>,
    pub identity: Option<Identity>,
    pub oauth: Option<Oauth>,
    /// The answer is judged by its status and its headers; its body is left unread.
    pub head_only: bool,
    /// Records that the answer of a name server must hold.
    pub expected_answers: Vec<String>,
}

/// The certificate that a server is shown, and its key; PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub certificate: Secret,
    pub key: Secret,
}

/// Where a token is fetched, and as whom: the client credentials of OAuth 2.0 (RFC 6749, section 4.4).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Oauth {
    pub token_url: Secret,
    pub client_id: Secret,
    pub client_secret: Secret,
    pub scope: Option<Secret>,
    pub audience: Option<Secret>,
}

impl Asking {
    /// `text` with the secrets of the URL masked, which a server may echo.
    pub fn masked(&self, text: &str) -> String {
        let hide = |text: String, secret: &Secret| text.replace(secret.reveal(), "***");
        self.url_secrets.iter().fold(text.to_owned(), hide)
    }

    /// What the answer of a name server lacks, as a reason.
    pub fn lacks(&self, records: &[String]) -> Option<String> {
        let lacking = self.expected_answers.iter().filter(|expected| {
            let is_it =
                |found: &String| found.trim_end_matches('.').eq_ignore_ascii_case(expected.trim_end_matches('.'));
            !records.iter().any(is_it)
        });
        let lacking: Vec<&str> = lacking.map(String::as_str).collect();
        match (&lacking[..], records) {
            (_, []) => Some("the name exists and has no record of that type".into()),
            ([], _) => None,
            _ => Some(format!("the answer lacks {} (it is {})", lacking.join(", "), list(records))),
        }
    }

    /// All that another answer may follow from, for a fingerprint: the name of each part before it.
    pub(crate) fn parts(&self) -> Vec<&str> {
        let (identity, oauth) = (self.identity.as_ref(), self.oauth.as_ref());
        let named = [
            ("url", self.secret_url.as_ref()),
            ("ca", self.ca_certificates.as_ref()),
            ("certificate", identity.map(|identity| &identity.certificate)),
            ("key", identity.map(|identity| &identity.key)),
            ("token", oauth.map(|oauth| &oauth.token_url)),
            ("id", oauth.map(|oauth| &oauth.client_id)),
            ("secret", oauth.map(|oauth| &oauth.client_secret)),
            ("scope", oauth.and_then(|oauth| oauth.scope.as_ref())),
            ("audience", oauth.and_then(|oauth| oauth.audience.as_ref())),
        ];
        let named = named.into_iter().filter_map(|(name, part)| Some((name, part?.reveal())));
        let open = [("to", &self.connect_to), ("name", &self.server_name)];
        let open = open.into_iter().filter_map(|(name, part)| Some((name, part.as_deref()?)));
        let answers = self.expected_answers.iter().map(|answer| ("answer", answer.as_str()));
        let mut parts = vec![self.protocol.as_str(), if self.head_only { "head" } else { "whole" }];
        parts.extend(named.chain(open).chain(answers).flat_map(|(name, part)| [name, part]));
        parts
    }
}

/// Records that are told of an answer.
const LISTED_MAX: usize = 5;

fn list(records: &[String]) -> String {
    let more = records.len().saturating_sub(LISTED_MAX);
    let words = records.iter().take(LISTED_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
    if more > 0 { format!("{words} and {more} more") } else { words }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(list: &[&str]) -> Vec<String> {
        list.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_answer_of_dns_must_hold_what_is_expected_and_something_in_any_case() {
        let asking = |expected: &[&str]| Asking { expected_answers: texts(expected), ..Asking::default() };
        assert_eq!(asking(&[]).lacks(&texts(&["10.0.0.1"])), None);
        assert_eq!(asking(&["Mail.Test."]).lacks(&texts(&["other.test", "mail.test"])), None);
        assert!(asking(&[]).lacks(&[]).is_some_and(|why| why.contains("no record")));
        let many: Vec<String> = (1..8).map(|n| format!("10.0.0.{n}")).collect();
        assert_eq!(
            asking(&["10.0.0.1", "10.0.0.9"]).lacks(&many).as_deref(),
            Some("the answer lacks 10.0.0.9 (it is 10.0.0.1, 10.0.0.2, 10.0.0.3, 10.0.0.4, 10.0.0.5 and 2 more)")
        );
    }

    #[test]
    fn what_a_server_echoes_of_a_secret_is_masked() {
        let asking = Asking { url_secrets: vec![Secret::new("hunter2")], ..Asking::default() };
        assert_eq!(asking.masked("/hook/hunter2/x"), "/hook/***/x");
    }
}
