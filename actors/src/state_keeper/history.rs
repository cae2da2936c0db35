//! Executes what the keeper asks of where history is kept, and waits for none of it longer than for a heartbeat.

use std::ops::RangeInclusive;

use actix::Context;
use api_health_core::history::{HistoryItem, HistorySlot, Series};
use api_health_core::keep::HEARTBEAT_MAX;

use super::StateKeeper;
use crate::ports::StoreError;

fn no_answer() -> StoreError {
    StoreError::Unavailable(format!("history gave no answer within {} s", HEARTBEAT_MAX.as_secs()))
}

impl StateKeeper {
    pub(super) fn write_history(&mut self, call: u64, items: Vec<HistoryItem>, ctx: &mut Context<Self>) {
        let Some(history) = self.deps.history.clone() else { return };
        let writing = async move {
            let count = items.len();
            let written = tokio::time::timeout(HEARTBEAT_MAX, history.write(items)).await;
            written.unwrap_or_else(|_| vec![Err(no_answer()); count])
        };
        self.feed(writing, ctx, move |core, results, now| core.on_history_written(call, results, now));
    }

    pub(super) fn read_history(
        &mut self,
        call: u64,
        series: Series,
        slots: RangeInclusive<HistorySlot>,
        limit: usize,
        ctx: &mut Context<Self>,
    ) {
        let Some(history) = self.deps.history.clone() else { return };
        let reading = async move {
            let read = tokio::time::timeout(HEARTBEAT_MAX, history.read(series, slots, limit)).await;
            read.unwrap_or_else(|_| Err(no_answer()))
        };
        self.feed(reading, ctx, move |core, read, now| core.on_history_read(call, read, now));
    }
}
