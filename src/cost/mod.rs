//! What it costs per month: what the daemon asks of AWS, by formula, times a table of prices.
//!
//! | file | what it is about |
//! |---|---|
//! | `prices` | the prices, where each is from, and whether it was confirmed |
//! | `formula` | how many writes and reads there are; tests count the real ones and compare |
//! | `history` | the same, of history |
//! | `bill` | both together, line by line, and what others charge for the same |

pub mod bill;
pub mod formula;
pub mod history;
pub mod prices;
