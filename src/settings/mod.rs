//! Settings: file and environment, validated, every fault at once.
//!
//! The environment wins over the file, and the file over the defaults. [`load::load`] also tells where each value came
//! from; [`show`] prints that.

use std::sync::Arc;

pub mod channel_keys;
pub mod channels;
mod contact;
mod heartbeat_out;
pub mod in_files;
pub mod keys;
pub mod load;
mod notify;
mod parsers;
pub mod proxy;
mod raw;
pub mod reader;
pub mod show;
pub mod types;
mod web;

use crate::probe::proxies::Proxies;
pub use load::LoadedSettings;
pub use types::{
    ApisSettings, BeatForm, FleetSettings, HeartbeatOutSettings, HistorySettings, LogFormat, LogSettings,
    NetworkSettings, NotifySettings, ProbeSettings, ResolverKind, RunSettings, SnsSettings, StoreKind, StoreSettings,
    WebSettings,
};

/// Everything that is set for the program as a whole. `Settings::default()` is what is in force with no settings at all.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The name of this deployment; it stands in every alert.
    pub environment: String,
    /// The AWS region; `None` leaves it to the AWS chain.
    pub region: Option<String>,
    /// By way of which proxies probes, webhook and AWS are reached.
    pub proxies: Arc<Proxies>,
    /// `[store]`.
    pub store: StoreSettings,
    /// `[history]`.
    pub history: HistorySettings,
    /// `[apis]`.
    pub apis: ApisSettings,
    /// `[notify]`.
    pub notify: NotifySettings,
    /// `[heartbeat_out]`; `None`: nobody is told.
    pub heartbeat_out: Option<HeartbeatOutSettings>,
    /// `[probe]`.
    pub probe: ProbeSettings,
    /// `[network]`.
    pub network: NetworkSettings,
    /// `[run]`.
    pub run: RunSettings,
    /// `[fleet]`.
    pub fleet: FleetSettings,
    /// `[log]`.
    pub log: LogSettings,
    /// `[web]`.
    pub web: WebSettings,
}
