//! Whether the body of a 2xx says that the alert was refused anyway, as many chats do. Pure.
//!
//! Only what is known to be a refusal is one. To take a success for a refusal would tell the same alert again and again; so
//! whatever says nothing, is no JSON object, or says that all is well, is a success.

use serde_json::{Map, Value};

/// How a connector of Microsoft Teams begins, with a 200, when Teams did not take the message.
const TEAMS_REFUSES: &str = "Webhook message delivery failed with error";

/// The codes by which chats say that they are busy or that too much came at once: WeCom and DingTalk (-1), Feishu, WeCom,
/// DingTalk, Feishu.
const BUSY_CODES: [i64; 5] = [-1, 11_232, 45_009, 130_101, 230_020];

/// Parts of words that say the same, without the signs between the letters.
const BUSY_WORDS: [&str; 6] = ["ratelimit", "toomany", "toofast", "frequen", "throttl", "busy"];

/// Who must act on a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Nobody: the receiver is busy, or too much came at once.
    Transient,
    /// A person: another URL, key or form of the message is wanted.
    Permanent,
}

/// What `body` refuses, if it does.
pub(super) fn refusal(body: &[u8]) -> Option<Refusal> {
    let text = std::str::from_utf8(body).ok()?.trim_start_matches('\u{feff}').trim();
    if let Some(error) = text.trim_start_matches('"').strip_prefix(TEAMS_REFUSES) {
        // The status that Teams itself gave is the first number. Without one, Teams was not reached.
        let mut numbers = error.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok());
        let lasts = numbers.next().is_some_and(|status| (400..=499).contains(&status) && !is_busy(status));
        return Some(if lasts { Refusal::Permanent } else { Refusal::Transient });
    }
    match serde_json::from_str(text) {
        Ok(Value::Object(fields)) => of_fields(&fields),
        _ => None,
    }
}

fn of_fields(fields: &Map<String, Value>) -> Option<Refusal> {
    let (mut denied, mut affirmed, mut passing) = (false, false, false);
    let mut failed = false;
    for (name, value) in fields {
        match (squeezed(name).as_str(), value) {
            ("ok" | "success", Value::Bool(taken)) => {
                denied |= !taken;
                affirmed |= taken;
            }
            ("code" | "errcode" | "errorcode" | "statuscode", value) => {
                let code = number(value).filter(|code| !matches!(code, 0 | 200..=299));
                failed |= code.is_some();
                passing |= code.is_some_and(is_busy);
            }
            ("msg" | "message" | "errmsg" | "statusmessage", Value::String(words)) => {
                affirmed |= matches!(squeezed(words).as_str(), "ok" | "success");
            }
            _ => {}
        }
        passing |= value.as_str().is_some_and(|words| BUSY_WORDS.iter().any(|busy| squeezed(words).contains(busy)));
    }
    // A code that stands beside words that all is well is some other service's way to count its successes.
    (denied || (failed && !affirmed)).then_some(if passing { Refusal::Transient } else { Refusal::Permanent })
}

/// The codes of a chat, or a status of HTTP, that ask for patience alone.
fn is_busy(code: i64) -> bool {
    BUSY_CODES.contains(&code) || matches!(code, 408 | 425 | 429 | 500..=599)
}

/// A code as the number that it is; a text that is no number is none.
fn number(value: &Value) -> Option<i64> {
    match value {
        // A fraction or more than a number holds is not zero either way.
        Value::Number(number) => number.as_i64().or_else(|| number.as_f64().map(|code| code.ceil() as i64)),
        Value::String(digits) => digits.trim().parse().ok(),
        _ => None,
    }
}

/// `Error_Code`, `error-code` and `errorCode` are one name.
fn squeezed(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::Refusal::{Permanent, Transient};
    use super::*;

    #[test]
    fn what_refuses() {
        for (body, expected) in [
            (r#"{"ok":false,"error":"channel_not_found"}"#, Permanent), // Slack
            (r#"{"ok":false,"error":"ratelimited"}"#, Transient),
            (r#"{"ok":false,"error_code":400,"description":"Bad Request: chat not found"}"#, Permanent), // Telegram
            (r#"{"ok":false,"error_code":429,"description":"Too Many Requests: retry after 5"}"#, Transient),
            (r#"{"success":false}"#, Permanent), // Rocket.Chat
            (r#"{"success":false,"message":"ok"}"#, Permanent),
            (r#"{"Success":false,"code":0}"#, Permanent),
            (r#"{"errcode":310000,"errmsg":"not in whitelist"}"#, Permanent), // DingTalk
            (r#"{"errcode":130101,"errmsg":"send too fast, exceed 20 times per minute"}"#, Transient),
            (r#"{"errcode":93000,"errmsg":"invalid webhook url"}"#, Permanent), // WeCom
            (r#"{"errcode":45009,"errmsg":"api freq out of limit"}"#, Transient),
            (r#"{"errcode":-1,"errmsg":"system error"}"#, Transient),
            (r#"{"errcode":"40058"}"#, Permanent),
            (r#"{"code":19001,"msg":"param invalid: incoming webhook access token invalid"}"#, Permanent), // Feishu
            (r#"{"code":19001}"#, Permanent),
            (r#"{"code":11232,"data":{},"msg":"frequency limited psm"}"#, Transient),
            (r#"{"StatusCode":19024,"StatusMessage":"Key Words Not Found"}"#, Permanent),
            (r#"{"statusCode":503,"body":""}"#, Transient),
            (r#"{"code":500,"message":"no such robot"}"#, Transient),
            (r#"{"code":99999999999999999999}"#, Permanent),
            (r#"{"code":0.5}"#, Permanent),
            (" \r\n{\"ok\" : false}\n", Permanent),
            ("\u{feff}{\"ok\":false}", Permanent), // as .NET writes it
        ] {
            assert_eq!(refusal(body.as_bytes()), Some(expected), "{body}");
        }
    }

    #[test]
    fn teams_refuses_in_a_sentence() {
        let refused = |rest: &str| refusal(format!("{TEAMS_REFUSES}{rest}").as_bytes());
        let endpoint =
            |status| format!(": Microsoft Teams endpoint returned HTTP error {status} with ContextId tcid=503");
        for (status, expected) in
            [(400, Permanent), (404, Permanent), (413, Permanent), (429, Transient), (502, Transient)]
        {
            assert_eq!(refused(&endpoint(status)), Some(expected), "{status}");
        }
        assert_eq!(refused(": Error contacting Microsoft Teams endpoint"), Some(Transient));
        assert_eq!(refused(""), Some(Transient));
        assert_eq!(refusal(format!("\"{TEAMS_REFUSES}: 403\"").as_bytes()), Some(Permanent), "as a JSON text");
        assert_eq!(refusal(format!("No sentence such as: {TEAMS_REFUSES}").as_bytes()), None);
    }

    #[test]
    fn what_does_not() {
        for body in [
            "",
            "ok",
            "1",
            "null",
            "false",
            "[]",
            "[{\"ok\":false}]",
            "<html>error</html>",
            "error",
            r#"{}"#,
            r#"{"ok":true}"#,
            r#"{"ok":true,"error_code":7}"#,
            r#"{"ok":"false","success":0}"#,
            r#"{"errcode":0,"errmsg":"ok"}"#,
            r#"{"errcode":"0"}"#,
            r#"{"StatusCode":0,"StatusMessage":"success"}"#,
            r#"{"code":0,"data":{"ok":false},"msg":"success"}"#,
            r#"{"code":200,"message":"accepted"}"#,
            r#"{"code":"202"}"#,
            r#"{"code":0.0}"#,
            r#"{"code":"00000","msg":"done"}"#,
            r#"{"code":1,"msg":"Success"}"#,
            r#"{"code":"INC-17","id":3}"#,
            r#"{"code":null}"#,
            r#"{"status":"success","message":"Event processed"}"#,
            r#"{"schema":1,"kind":"down","status":"down","reason":"too many redirects"}"#,
            r#"{"ok":false"#,
            r#"{"ok":false} and more"#,
        ] {
            assert_eq!(refusal(body.as_bytes()), None, "{body}");
        }
        assert_eq!(refusal(b"{\"ok\":false,\"a\":\"\xff\"}"), None, "no text");
        assert_eq!(refusal("[".repeat(4_000).as_bytes()), None);
    }
}
