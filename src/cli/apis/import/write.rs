//! The writing of a plan: each change under the condition that the row is still as the plan found it.

use std::cell::{Cell, RefCell};

use api_health_actors::ports::SourceError;
use futures_util::StreamExt;

use crate::app::AppError;
use crate::cli::out::{Out, note, progress_bar};
use crate::cli::text::{self, count};
use crate::configs::raw::{RowChange, RowTable};
use crate::exit::Exit;

/// Writes under way at once: what a small DynamoDB table takes.
const WRITES_IN_FLIGHT_MAX: usize = 8;
/// Rows that were changed by somebody else and are named one by one.
const NAMED: usize = 20;

/// What became of the changes so far.
#[derive(Default)]
struct Done {
    added: Cell<usize>,
    replaced: Cell<usize>,
    removed: Cell<usize>,
    left_alone: RefCell<Vec<String>>,
    failed: RefCell<Option<SourceError>>,
}

impl Done {
    fn total(&self) -> usize {
        self.added.get() + self.replaced.get() + self.removed.get()
    }

    async fn one(&self, table: &dyn RowTable, change: RowChange) {
        if self.failed.borrow().is_some() {
            return; // no more is begun; what is under way is waited for, so that it is counted
        }
        let counter = match &change {
            RowChange::Add(_) => &self.added,
            RowChange::Replace { .. } => &self.replaced,
            RowChange::Remove(_) => &self.removed,
        };
        let api_id = change.api_id().unwrap_or_default().to_owned();
        match table.apply(change).await {
            Ok(true) => counter.set(counter.get() + 1),
            Ok(false) => self.left_alone.borrow_mut().push(api_id),
            Err(error) => {
                self.failed.borrow_mut().get_or_insert(error);
            }
        }
    }
}

/// Makes the changes and says what came of them.
pub(super) async fn write(table: &dyn RowTable, changes: Vec<RowChange>, out: &Out) -> Result<Exit, AppError> {
    let total = changes.len();
    let is_last = |change: &RowChange| change.wanted().is_none();
    let (removals, puts): (Vec<_>, Vec<_>) = changes.into_iter().partition(is_last);
    let (done, bar) = (Done::default(), progress_bar("importing", total));
    for part in [puts, removals] {
        let each = futures_util::stream::iter(part).map(|change| async {
            done.one(table, change).await;
            bar.set_position(done.total() as u64);
        });
        each.buffer_unordered(WRITES_IN_FLIGHT_MAX).collect::<()>().await;
    }
    bar.finish_and_clear();
    if let Some(error) = done.failed.take() {
        let so_far = format!(
            "{} of {} were made, and the same import again goes on from there",
            done.total(),
            count(total, "change")
        );
        return Err(match AppError::from(error) {
            AppError::Configuration(faults) => {
                note(&so_far);
                AppError::Configuration(faults)
            }
            other => AppError::Unavailable(format!("{other}; {so_far}")),
        });
    }
    let (added, replaced, removed) = (done.added.get(), done.replaced.get(), done.removed.get());
    out.print(&format!("{}: {added} added, {replaced} changed, {removed} removed\n", table.name()))?;
    Ok(tell_left_alone(&done.left_alone.into_inner()))
}

fn tell_left_alone(left_alone: &[String]) -> Exit {
    if left_alone.is_empty() {
        return Exit::Ok;
    }
    for api_id in left_alone.iter().take(NAMED) {
        note(&format!("note: {} was changed by somebody else after the plan was made: left alone", text::line(api_id)));
    }
    let left = count(left_alone.len(), "row");
    note(&format!("note: {left} left alone; the same import again shows what would change now"));
    Exit::Unfinished
}
