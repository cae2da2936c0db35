//! The style, the one script and the icons, which are built in.

use std::sync::OnceLock;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

use super::answer::Page;
use super::message;

const STYLE: &str = include_str!("../assets/style.css");
const SCRIPT: &str = include_str!("../assets/page.js");

/// Their shapes tell them apart, in one colour too.
const ICONS: [(&str, &str); 4] = [
    ("up", include_str!("../assets/icon-up.svg")),
    ("trouble", include_str!("../assets/icon-trouble.svg")),
    ("down", include_str!("../assets/icon-down.svg")),
    ("unknown", include_str!("../assets/icon-unknown.svg")),
];

pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config.route("/assets/{name}", web::get().to(asset));
}

/// Changes with what is built in, so that a browser may keep each for ever.
pub(crate) fn version() -> &'static str {
    static VERSION: OnceLock<String> = OnceLock::new();
    VERSION.get_or_init(|| {
        let all = ICONS.iter().map(|(_, icon)| *icon).chain([STYLE, SCRIPT]);
        let fnv = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        format!("{:016x}", all.flat_map(str::bytes).fold(0xcbf2_9ce4_8422_2325, fnv))
    })
}

async fn asset(request: HttpRequest, name: web::Path<String>) -> HttpResponse {
    let icon = || ICONS.iter().find(|(icon, _)| format!("icon-{icon}.svg") == *name).map(|(_, svg)| *svg);
    let (kind, text) = match name.as_str() {
        "style.css" => ("text/css; charset=utf-8", STYLE),
        "page.js" => ("text/javascript; charset=utf-8", SCRIPT),
        _ => match icon() {
            Some(svg) => ("image/svg+xml", svg),
            None => return message::no_page().answer(&request, None, "no-store"),
        },
    };
    Page::new(StatusCode::OK, kind, text).answer(
        &request,
        Some(&format!("\"{}\"", version())),
        "max-age=31536000, immutable",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_is_small_and_the_style_fetches_nothing() {
        assert!(SCRIPT.len() <= 4 * 1024, "{} bytes of script", SCRIPT.len());
        assert!(STYLE.len() <= 24 * 1024, "{} bytes of style", STYLE.len());
        for (name, text) in ICONS.into_iter().chain([("style", STYLE), ("script", SCRIPT)]) {
            let fetched = text.replace("http://www.w3.org/2000/svg", "");
            assert!(
                !fetched.contains("http:") && !fetched.contains("https:") && !fetched.contains("@import"),
                "{name}"
            );
        }
    }
}
