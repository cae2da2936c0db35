//! Tokens by client credentials (RFC 6749, section 4.4): fetched when one is needed, kept until shortly before its end, and shared by
//! all APIs that fetch theirs in the same way.
//!
//! Where there is no token the API is not asked, and nothing is known of it: that is told as inconclusive, with the token server as its
//! reason, and after a while as `unclear`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use api_health_core::asking::Oauth;
use api_health_core::observation::LocalFault;
use api_health_core::{Failure, Method, Secret, text};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::Value;
use tokio::time::{Instant, timeout_at};
use url::Url;
use url::form_urlencoded::{Serializer, byte_serialize};

use super::client::Client;
use super::exchange::{Reply, Request};

/// A token of which the server does not say how long it is good.
const GOOD_FOR: Duration = Duration::from_secs(300);
/// A token is fetched anew so long before its end, or a tenth of its time before that.
const BEFORE_END: Duration = Duration::from_secs(60);
/// The longest that a token is kept.
const KEPT_MAX: Duration = Duration::from_secs(24 * 3_600);
/// How much of an answer of a token server is read.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Sources that nobody uses any more are dropped when there are more than so many.
const SWEEP_AT: usize = 16;

type Key = (Oauth, Option<Secret>);

/// Every source of tokens that some API uses.
#[derive(Default)]
pub(super) struct Sources(Mutex<HashMap<Key, Weak<Source>>>);

impl Sources {
    /// The one that fetches in this way. With authorities of its own an API trusts another token server.
    pub(super) fn of(
        &self,
        oauth: &Oauth,
        authorities: Option<&Secret>,
        client: &Client,
    ) -> Result<Arc<Source>, String> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (oauth.clone(), authorities.cloned());
        if let Some(source) = all.get(&key).and_then(Weak::upgrade) {
            return Ok(source);
        }
        let url = Url::parse(oauth.token_url.reveal())
            .map_err(|error| format!("the URL of tokens cannot be read: {error}"))?;
        let (oauth, client) = (oauth.clone(), client.clone());
        let source = Arc::new(Source { url, oauth, client, state: tokio::sync::Mutex::default() });
        if all.len() >= SWEEP_AT {
            all.retain(|_, source| source.strong_count() > 0);
        }
        all.insert(key, Arc::downgrade(&source));
        Ok(source)
    }
}

/// Where tokens of one sort come from. Whoever fetches one holds the lock: the others wait, and take what came of it.
pub(super) struct Source {
    url: Url,
    oauth: Oauth,
    client: Client,
    state: tokio::sync::Mutex<State>,
}

#[derive(Default)]
struct State {
    token: Option<(Secret, Instant)>,
    failed: Option<Failed>,
    /// The server wants the credentials in the body.
    in_body: bool,
}

/// The last attempt that failed.
struct Failed {
    /// When it ended.
    at: Instant,
    /// How much time it had.
    had: Duration,
    failure: Failure,
}

impl Source {
    /// A token that is good, and whether it has just been fetched; by the deadline. `refused` is one that an API did not take.
    pub(super) async fn token(&self, refused: Option<&Secret>, deadline: Instant) -> Result<(Secret, bool), Failure> {
        let began = Instant::now();
        let Ok(mut state) = timeout_at(deadline, self.state.lock()).await else {
            return Err(self.failure("it did not answer in time".into()));
        };
        match &state.token {
            Some((token, until)) if Instant::now() < *until && Some(token) != refused => {
                return Ok((token.clone(), false));
            }
            _ => {}
        }
        // Whoever had less time than is left here may have failed for that alone.
        let left = deadline.saturating_duration_since(Instant::now());
        if let Some(failed) = state.failed.as_ref().filter(|failed| failed.at >= began && failed.had >= left) {
            return Err(failed.failure.clone());
        }
        let fetched = self.fetch(&mut state, deadline).await;
        match &fetched {
            // The one before stays until then: that one API refuses it says nothing of the others.
            Ok((token, good_for)) => state.token = Some((token.clone(), Instant::now() + *good_for)),
            Err(failure) => {
                state.failed = Some(Failed { at: Instant::now(), had: left, failure: failure.clone() });
            }
        }
        fetched.map(|(token, _)| (token, true))
    }

    /// As RFC 6749 has it, with the credentials in a header; where a server does not take that, in the body.
    async fn fetch(&self, state: &mut State, deadline: Instant) -> Result<(Secret, Duration), Failure> {
        let mut reply = self.ask(state.in_body, deadline).await?;
        if matches!(reply.status, 400 | 401) {
            let other = self.ask(!state.in_body, deadline).await?;
            if other.status == 200 {
                state.in_body = !state.in_body;
                reply = other;
            }
        }
        let said: Option<Value> = serde_json::from_slice(&reply.body).ok();
        let field = |name: &str| said.as_ref().and_then(|said| said.get(name));
        if reply.status != 200 {
            let error = field("error").and_then(Value::as_str).map(|error| format!(" ({})", text::line(error, 100)));
            return Err(self.failure(format!("it answered with status {}{}", reply.status, error.unwrap_or_default())));
        }
        let Some(token) = field("access_token").and_then(Value::as_str) else {
            return Err(self.failure("its answer holds no access_token".into()));
        };
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(self.failure("its access_token cannot be sent in a header".into()));
        }
        let seconds =
            field("expires_in").and_then(|seconds| seconds.as_f64().or_else(|| seconds.as_str()?.parse().ok()));
        let whole = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).unwrap_or(GOOD_FOR);
        let whole = whole.min(KEPT_MAX);
        Ok((Secret::new(token), whole - BEFORE_END.min(whole / 10)))
    }

    async fn ask(&self, in_body: bool, deadline: Instant) -> Result<Reply, Failure> {
        let oauth = &self.oauth;
        let (id, secret) = (oauth.client_id.reveal(), oauth.client_secret.reveal());
        let mut form = Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        for (name, value) in [("scope", &oauth.scope), ("audience", &oauth.audience)] {
            if let Some(value) = value {
                form.append_pair(name, value.reveal());
            }
        }
        let mut headers = vec![
            ("Content-Type".to_owned(), Secret::new("application/x-www-form-urlencoded")),
            ("Accept".to_owned(), Secret::new("application/json")),
        ];
        if in_body {
            form.append_pair("client_id", id).append_pair("client_secret", secret);
        } else {
            let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
            let both = STANDARD.encode(format!("{}:{}", encoded(id), encoded(secret)));
            headers.push(("Authorization".to_owned(), Secret::new(format!("Basic {both}"))));
        }
        let request = Request {
            method: Method::Post,
            url: self.url.clone(),
            headers,
            body: Some(Bytes::from(form.finish())),
            timeout: deadline.saturating_duration_since(Instant::now()),
            body_bytes_max: ANSWER_BYTES_MAX,
            keep_body: true,
            accept_encoding: None,
            max_redirects: 0,
        };
        let exchange = Box::pin(self.client.exchange(&request)).await;
        exchange.result.map_err(|failure| match failure {
            // What this machine lacks is not the token server's fault.
            Failure::Local(fault @ (LocalFault::TooManyOpenFiles | LocalFault::NoMemory | LocalFault::NoLocalPort)) => {
                Failure::Local(fault)
            }
            Failure::TimedOut { .. } => self.failure("it did not answer in time".into()),
            other => self.failure(text::line(&other.to_string(), 300)),
        })
    }

    fn failure(&self, why: String) -> Failure {
        let host = self.url.host_str().unwrap_or_default();
        let server = self.url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        Failure::Local(LocalFault::NoToken { server, why })
    }
}
