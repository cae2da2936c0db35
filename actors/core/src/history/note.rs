//! A note that a person wrote on an incident: what is found out, what is done about it, and that it is over.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::json;

use super::bytes::{FormError, read_json};
use super::calendar::UtcMonth;
use super::item::{HistoryItem, HistorySlot, Series};
use crate::api::ApiId;
use crate::incident::Incident;
use crate::text;
use crate::time::Timestamp;

/// The form of a note that this program writes.
const FORM: u8 = 1;

/// Notes on one incident.
pub const NOTES_MAX: usize = 50;

/// Characters of a note.
pub const NOTE_CHARS_MAX: usize = 1_000;

/// Characters of the name of who wrote it.
pub const AUTHOR_CHARS_MAX: usize = 64;

/// A note is kept so long: as long as an incident.
const KEPT: Duration = Duration::from_secs(400 * 86_400);

/// What a note says of an incident, in the words that status pages use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoteKind {
    Investigating,
    Identified,
    Monitoring,
    Resolved,
}

impl NoteKind {
    pub const ALL: [Self; 4] = [Self::Investigating, Self::Identified, Self::Monitoring, Self::Resolved];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Investigating => "investigating",
            Self::Identified => "identified",
            Self::Monitoring => "monitoring",
            Self::Resolved => "resolved",
        }
    }

    /// Reads [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    pub incident_id: String,
    pub at: Timestamp,
    /// Who wrote it.
    pub by: String,
    /// `None`: it says nothing of how far things are.
    pub kind: Option<NoteKind>,
    pub text: String,
}

impl Note {
    /// Where the notes of an incident lie; `None`: that is no id of an incident of an API.
    pub fn slots(incident_id: &str) -> Option<(Series, RangeInclusive<HistorySlot>)> {
        let (api_id, started_at) = Incident::of_id(incident_id)?;
        Some((Series::Incidents(UtcMonth::of(started_at)), HistorySlot::notes_on(started_at, &api_id)))
    }

    /// The item to write, among all incidents of the month. `None`, as of [`Self::slots`].
    pub fn item(&self) -> Option<HistoryItem> {
        let (api_id, started_at) = Incident::of_id(&self.incident_id)?;
        Some(HistoryItem {
            series: Series::Incidents(UtcMonth::of(started_at)),
            slot: HistorySlot::Note { started_at, api_id, at: self.at },
            epoch: 0, // nobody writes it again
            kept_until: Some(self.at.plus(KEPT)),
            bytes: self.encode(),
        })
    }

    fn encode(&self) -> Vec<u8> {
        let note = json!({
            "form": FORM,
            "incident_id": self.incident_id,
            "at": self.at.as_millis(),
            "by": self.by,
            "kind": self.kind.map(NoteKind::as_str),
            "text": self.text,
        });
        note.to_string().into_bytes()
    }

    /// Reads the item of a note. A kind that a later version knows is none here.
    ///
    /// # Errors
    /// Says why it cannot be read.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormError> {
        let note = read_json(bytes, FORM)?;
        // Made safe once more, since it may have been written by hand.
        let words = |name: &str, chars_max| note[name].as_str().map(|words| text::line(words, chars_max));
        let read = || {
            Some(Self {
                incident_id: words("incident_id", ApiId::CHARS_MAX + 48)?,
                at: Timestamp::from_millis(note["at"].as_i64()?),
                by: words("by", AUTHOR_CHARS_MAX)?,
                kind: note["kind"].as_str().and_then(NoteKind::parse),
                text: words("text", NOTE_CHARS_MAX)?,
            })
        };
        read().ok_or(FormError::Damaged("a part of the note is missing"))
    }

    /// The notes among these items, the oldest first.
    pub fn all<'a>(items: impl IntoIterator<Item = &'a HistoryItem>) -> Vec<Self> {
        let is_note = |item: &&HistoryItem| matches!(item.slot, HistorySlot::Note { .. });
        let read = items.into_iter().filter(is_note).filter_map(|item| Self::decode(&item.bytes).ok());
        let mut notes: Vec<Self> = read.collect();
        notes.sort_by_key(|note| note.at);
        notes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(text: &str) -> Note {
        Note {
            incident_id: "shop.1795332600250.3".into(),
            at: Timestamp::from_millis(1_795_332_700_000),
            by: "ann".into(),
            kind: Some(NoteKind::Identified),
            text: text.into(),
        }
    }

    #[test]
    fn what_is_written_is_read_and_lies_where_it_is_looked_for() {
        for kind in NoteKind::ALL.map(Some).into_iter().chain([None]) {
            let note = Note { kind, ..note("the disk is full") };
            let item = note.item().unwrap();
            assert_eq!(Note::all([&item]), std::slice::from_ref(&note));
            let (series, slots) = Note::slots(&note.incident_id).unwrap();
            assert!(item.series == series && slots.contains(&item.slot));
            let text = |slot: &HistorySlot| slot.to_string();
            let within = text(slots.start())..=text(slots.end());
            assert!(within.contains(&text(&item.slot)), "stores compare texts");
        }
        for other in ["", "shop", "shop.1", "shop.x.1", "api-health:store.1795332600250.1"] {
            assert!(Note::slots(other).is_none(), "{other}");
        }
    }

    #[test]
    fn what_a_hand_wrote_is_made_safe_and_what_makes_no_sense_is_none() {
        let long = "x".repeat(NOTE_CHARS_MAX * 2);
        let read = Note::decode(&note(&format!("\u{1b}[31m{long}")).encode()).unwrap();
        assert!(read.text.starts_with('\u{fffd}') && read.text.chars().count() == NOTE_CHARS_MAX);
        let newer = br#"{"form":1,"incident_id":"a.1.1","at":1,"by":"b","kind":"escalated","text":"t"}"#;
        assert_eq!(Note::decode(newer).unwrap().kind, None);
        assert!(matches!(Note::decode(br#"{"form":2}"#), Err(FormError::Newer { .. })));
        for bad in [&b""[..], b"{}", br#"{"form":1}"#, br#"{"form":1,"at":1,"by":"b","text":"t"}"#] {
            assert!(matches!(Note::decode(bad), Err(FormError::Damaged(_))), "{bad:?}");
        }
    }
}
