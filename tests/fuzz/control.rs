//! What comes over the control socket: requests and answers of any kind.

use api_health::control::protocol::{self, Alerts, Answer, Request};
use proptest::prelude::*;

use crate::bytes::{bytes, json};
use crate::{config, is_clear, soon};

const WORDS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"v\":1",
    "\"v\":2",
    "\"ask\":",
    "\"who\"",
    "\"settings\"",
    "\"report\"",
    "\"reload\"",
    "\"retry\"",
    "\"alerts\":",
    "\"all\"",
    "{\"these\":[\"x\"]}",
    "\"answer\":",
    "\"refused\"",
    "\"why\":",
    "\"pid\":-1",
    "\n",
];

fn seeds() -> Vec<Vec<u8>> {
    let these = Alerts::These(vec!["a-1".into()]);
    let requests =
        [Request::Who, Request::Reload, Request::Retry { alerts: these }].map(|r| protocol::write_request(&r));
    let answers =
        [Answer::Retry { alerts: 7 }, Answer::Refused { why: "no".into() }].map(|a| protocol::write_answer(&a));
    requests.into_iter().chain(answers).collect()
}

/// What is refused is told in a sentence, and what is read can be written.
fn read(line: &[u8]) -> Result<(), String> {
    match soon(|| protocol::read_request(line)) {
        Ok(request) => assert_eq!(protocol::read_request(&protocol::write_request(&request)), Ok(request)),
        Err(why) => is_clear(&why, 400)?,
    }
    match soon(|| protocol::read_answer(line)) {
        Ok(answer) => assert_eq!(protocol::read_answer(&protocol::write_answer(&answer)), Ok(answer)),
        Err(why) => is_clear(&why, 400)?,
    }
    Ok(())
}

proptest! {
    #![proptest_config(config(1_000))]

    #[test]
    fn any_request_is_read_or_refused(line in bytes(seeds(), WORDS)) {
        prop_assert_eq!(read(&line), Ok(()));
    }

    #[test]
    fn any_object_is_read_or_refused(mut value in json(), ask in json(), version in 0..3_u8) {
        if let Some(fields) = value.as_object_mut() {
            fields.insert("v".into(), version.into());
            fields.insert("ask".into(), ask);
        }
        prop_assert_eq!(read(value.to_string().as_bytes()), Ok(()));
    }
}
