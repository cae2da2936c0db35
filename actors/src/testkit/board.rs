//! A board with what a test wants to be shown.

use std::sync::Arc;

use api_health_core::keep::Shown;
use api_health_core::view::{ApiView, Beside, Trouble};
use api_health_core::{ApiConfig, ApiId, ApiState, Status, Timestamp};

use crate::board::Board;

/// An API that is up, as the keeper would show it.
pub fn view(config: ApiConfig, at: Timestamp) -> ApiView {
    let config = Arc::new(config);
    let state = ApiState { status: Status::Up, since: Some(at), ..ApiState::unknown(config.api_id.clone()) };
    ApiView::of(&state, Some(&config), Beside::default(), at)
}

/// Puts all of this on the board, as of that moment.
pub fn show(board: &Board, views: Vec<ApiView>, own: Vec<(ApiId, Trouble)>, at: Timestamp) {
    let shown = Shown { at, is_all: true, views, gone: Vec::new(), own: Some(own), owed: Vec::new() };
    assert!(board.put(shown), "nobody else holds the board of a test");
}
