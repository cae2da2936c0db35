//! Items of history: any bytes are read whole, or refused in one clear line; and whatever was read can be shown and written again.

use api_health_core::history::{
    Day, HistoryItem, HistorySlot, Month, Past, Series, Story, UtcDay, UtcMonth, series::Step,
};
use api_health_core::{ApiId, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::{NOW, config};

fn shown(slot: HistorySlot, bytes: Vec<u8>) {
    let item = HistoryItem { series: Series::Api(ApiId::parse("a").unwrap()), slot, epoch: 0, kept_until: None, bytes };
    let until = NOW.plus(std::time::Duration::from_secs(2 * 86_400));
    let past = Past::of([&item]).with_present(Some(NOW), Some(until));
    let from = Timestamp::from_millis(NOW.as_millis() - 40 * 86_400_000);
    for step in [Step::Hour, Step::Day, Step::Month] {
        for point in past.points(&(from..until), step) {
            let times = point.times;
            assert!(times.down_ms <= times.watched_ms && times.watched_ms <= times.window_ms, "{point:?}");
            let _ = (times.uptime(), times.coverage().to_string(), times.state());
        }
    }
}

proptest! {
    #![proptest_config(config(250))]

    #[test]
    fn any_item_is_shown_or_refused(form in 0_u8..3, mut bytes in vec(any::<u8>(), 0..400), text in ".{0,200}") {
        if let Some(first) = bytes.first_mut() {
            *first = form;
        }
        let day = UtcDay::of(NOW);
        if let Ok(read) = Day::decode(day, &bytes) {
            prop_assert_eq!(Day::decode(day, &read.encode()).map(|again| again.day), Ok(day));
        }
        if let Ok(read) = Month::decode(UtcMonth::of(NOW), &bytes) {
            prop_assert!(Month::decode(read.month, &read.encode()).is_ok());
        }
        let story = HistorySlot::Incident { started_at: NOW, api_id: ApiId::parse("a").unwrap() };
        prop_assert!(Story::decode(text.as_bytes()).is_err_and(|why| !why.to_string().contains('\n')));
        for slot in [HistorySlot::Day(day), HistorySlot::Month(UtcMonth::of(NOW)), story] {
            shown(slot, bytes.clone());
        }
    }
}
