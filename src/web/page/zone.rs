//! Who looks sees times in a zone: that of the query (`?tz=Europe/Berlin`), else that of the settings.

use std::ops::Deref;
use std::sync::Arc;

use api_health_core::{Timestamp, words};
use jiff::tz::TimeZone;

use crate::model::Everything;

/// Everything, as it is shown to somebody.
#[derive(Clone)]
pub(crate) struct Look {
    everything: Arc<Everything>,
    zone: TimeZone,
}

impl Look {
    /// In the zone of that name; UTC where it is empty.
    ///
    /// # Errors
    /// There is no such zone; the text says so.
    pub(crate) fn new(everything: Arc<Everything>, zone: &str) -> Result<Self, String> {
        let zone = match zone {
            "" => TimeZone::UTC,
            name => TimeZone::get(name).map_err(|_| {
                format!(
                    "tz={} is no time zone; write a name such as Europe/Berlin.",
                    api_health_core::text::line(name, 40)
                )
            })?,
        };
        Ok(Self { everything, zone })
    }

    /// `2026-11-22 08:30:00 CET`.
    pub(crate) fn moment(&self, at: Timestamp) -> String {
        match jiff::Timestamp::from_millisecond(at.as_millis()) {
            Ok(time) if self.zone != TimeZone::UTC => {
                time.to_zoned(self.zone.clone()).strftime("%Y-%m-%d %H:%M:%S %Z").to_string()
            }
            _ => words::moment(at),
        }
    }
}

impl Deref for Look {
    type Target = Everything;

    fn deref(&self) -> &Everything {
        &self.everything
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_in_the_zone_that_is_asked_for() {
        let everything = Arc::new(Everything::default());
        let at = Timestamp::from_millis(1_795_332_600_250);
        let shown = |zone: &str| Look::new(Arc::clone(&everything), zone).map(|look| look.moment(at));
        assert_eq!(shown("").unwrap(), "2026-11-22 07:30:00 UTC");
        assert_eq!(shown("Europe/Berlin").unwrap(), "2026-11-22 08:30:00 CET");
        assert_eq!(shown("Asia/Kolkata").unwrap(), "2026-11-22 13:00:00 IST");
        assert!(shown("Mars").unwrap_err().contains("tz=Mars"));
        for end in [i64::MIN, i64::MAX] {
            assert!(
                !Look::new(Arc::clone(&everything), "Europe/Berlin")
                    .unwrap()
                    .moment(Timestamp::from_millis(end))
                    .is_empty()
            );
        }
    }
}
