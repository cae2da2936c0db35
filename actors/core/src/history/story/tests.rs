//! What is written of an incident is what is read, and anything else is a reason.

use proptest::prelude::*;

use super::*;
use crate::history::item::ITEM_BYTES_MAX;

pub(crate) fn story(began_at: Timestamp, ended_at: Timestamp) -> Story {
    Story {
        incident: Incident {
            incident_id: "shop.1.2".into(),
            started_at: began_at,
            reason: "status 503 is not in 2xx".into(),
            name: "Shop".into(),
            url: String::new(),
            owed_to: Vec::new(),
            evidence: None,
            reminders: 1,
            confirmed_at: Some(began_at.plus(Duration::from_secs(5))),
            delivered: vec![DeliveredAlert { channel: "sns".into(), kind: AlertKind::Down, at: began_at }],
        },
        began_at,
        ended_at,
        end_confirmed_at: ended_at.plus(Duration::from_secs(5)),
        is_closed: false,
        excluded_ms: 120_000,
        end_evidence: None,
    }
}

fn evidence(words: &str) -> Evidence {
    Evidence {
        seen_at: Timestamp::from_millis(7),
        addresses: vec![[10, 0, 0, 1].into(), [0; 16].into()],
        more_addresses: 3,
        address: Some(([10, 0, 0, 1], 443).into()),
        phases: PhaseTimes { tls: Some(Duration::from_micros(1_234)), ..PhaseTimes::default() },
        status_line: Some(words.into()),
        certificate: Some(Certificate {
            subject: words.into(),
            issuer: words.into(),
            not_before: Timestamp::from_millis(1),
            not_after: Timestamp::from_millis(2),
        }),
        body_start: None,
        well: vec![words.into()],
        ill: vec![],
    }
}

proptest! {
    #[test]
    fn a_story_is_read_as_it_was_written(words in "[a-zé\"\\\\🦀]{1,80}", began in 0..2_000_000_000_000_i64, len in 0..86_400_000_i64, at in 0_usize..600, byte: u8) {
        let mut story = story(Timestamp::from_millis(began), Timestamp::from_millis(began + len));
        story.incident.reason = words.clone();
        story.incident.evidence = Some(Arc::new(evidence(&words)));
        story.end_evidence = (began % 2 == 0).then(|| Arc::new(evidence("HTTP/1.1 200 OK")));
        let mut bytes = story.encode();
        prop_assert_eq!(Story::decode(&bytes), Ok(story));
        let len = bytes.len();
        bytes[at % len] = byte;
        let _ = (Story::decode(&bytes), Story::decode(&bytes[..at % len]));
    }
}

#[test]
fn a_newer_one_is_refused_kindly_and_the_longest_is_an_item() {
    let decode = |text: &str| Story::decode(text.as_bytes()).unwrap_err().to_string();
    assert_eq!(decode(r#"{"form":2}"#), "it was written by a newer version of this program (form 2, this one reads 1)");
    assert_eq!(
        [decode("{"), decode("{}"), decode(r#"{"form":1}"#)],
        ["it is no JSON", "it has no form", "a part of the story is missing",]
    );
    let mut longest = story(Timestamp::default(), Timestamp::default());
    let dear = |bytes: usize| "\\".repeat(bytes);
    longest.incident.reason = "🦀".repeat(crate::Outcome::REASON_CHARS_MAX);
    longest.incident.delivered =
        vec![
            DeliveredAlert { channel: dear(80), kind: AlertKind::Up, at: Timestamp::default() };
            Incident::DELIVERED_MAX
        ];
    let seen = Evidence {
        addresses: vec![[0xff; 16].into(); crate::evidence::ADDRESSES_MAX],
        body_start: Some(dear(crate::evidence::BODY_SHOWN_BYTES_MAX)),
        well: vec![dear(crate::evidence::WITNESS_BYTES_MAX); crate::evidence::WITNESSES_MAX + 1],
        ill: vec![dear(crate::evidence::WITNESS_BYTES_MAX); crate::evidence::WITNESSES_MAX + 1],
        ..evidence(&dear(crate::evidence::STATUS_LINE_BYTES_MAX))
    };
    longest.incident.evidence = Some(Arc::new(seen));
    let bytes = longest.encode().len();
    assert!((5_000..ITEM_BYTES_MAX).contains(&bytes), "{bytes}");
}
