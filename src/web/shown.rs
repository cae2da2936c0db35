//! What may be shown of an API, to whom: no secret to anybody, and to strangers only what is public.

use actix_web::{HttpMessage as _, HttpRequest};
use api_health_core::ApiConfig;
use api_health_core::masking::Masking;
use api_health_core::view::ApiView;

use crate::access::Looker;

/// Stands in the place of a secret.
const MASK: &str = "***";

/// Whether this API is shown to strangers.
pub(crate) fn is_public(view: &ApiView) -> bool {
    view.config.as_ref().is_some_and(|config| config.public && config.enabled)
}

/// Whether whoever asks may see this API.
pub(crate) fn may_see(request: &HttpRequest, view: &ApiView) -> bool {
    is_public(view) || is_let_in(request)
}

/// Whether whoever asks may see what is not public.
pub(crate) fn is_let_in(request: &HttpRequest) -> bool {
    request.extensions().get() == Some(&Looker::Known)
}

/// The URL of an API without what may be a secret: each value of its query, for many a token stands there.
pub(crate) fn url(config: &ApiConfig) -> String {
    let Some((place, query)) = config.url.split_once('?') else { return config.url.clone() };
    let masked = |pair: &str| match pair.split_once('=') {
        Some((name, value)) if !value.is_empty() => format!("{name}={MASK}"),
        Some(_) => pair.to_owned(),
        None if pair.is_empty() => String::new(),
        None => MASK.to_owned(),
    };
    format!("{place}?{}", query.split('&').map(masked).collect::<Vec<_>>().join("&"))
}

/// The same of an API of the past, which may be there no longer.
pub(crate) fn said_once(view: Option<&ApiView>, text: &str) -> String {
    view.map_or_else(|| text.to_owned(), |view| said(view, text))
}

/// What a server or a probe said of an API, without the secrets of its row.
pub(crate) fn said(view: &ApiView, text: &str) -> String {
    match &view.config {
        Some(config) => {
            let hidden = Masking::of(config).hide_in(text);
            config.asking.as_ref().map_or(hidden.clone(), |asking| asking.masked(&hidden))
        }
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;
    use api_health_core::Secret;

    use super::*;
    use crate::testing::up_with;

    #[test]
    fn secrets_of_a_row_are_not_shown() {
        let view = up_with("a", |config| {
            config.url = "https://a.test/x/***?token=hunter22&page=2&flag&empty=&".into();
            config.headers = vec![("Authorization".into(), Secret::new("Bearer abcdef99"))];
        });
        let config = view.config.as_ref().unwrap();
        assert_eq!(url(config), "https://a.test/x/***?token=***&page=***&***&empty=&");
        assert_eq!(said(&view, "no hunter22, no abcdef99"), "no ***, no ***");
        let plain = up_with("a", |config| config.url = "https://a.test/x".into());
        assert_eq!(url(plain.config.as_ref().unwrap()), "https://a.test/x");
    }

    #[test]
    fn strangers_see_nothing_that_is_not_public() {
        let view = up_with("a", |_| ());
        let request = TestRequest::default().to_http_request();
        assert!(!may_see(&request, &view), "nobody said who asks");
        request.extensions_mut().insert(Looker::Known);
        assert!(may_see(&request, &view));
        request.extensions_mut().insert(Looker::Stranger);
        assert!(!may_see(&request, &view));
        assert!(may_see(&request, &up_with("b", |config| config.public = true)));
    }
}
