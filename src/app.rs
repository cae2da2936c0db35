//! The composition root: the only place where ports meet adapters.
//!
//! [`App`] holds the settings and what is shared by all commands. Each command opens no more than it needs.

mod channels;
#[cfg(feature = "aws")]
mod cloud;
#[cfg(not(feature = "aws"))]
#[path = "app/no_cloud.rs"]
mod cloud;
mod elsewhere;
mod error;
pub(crate) mod start;
pub(crate) mod web;

use std::fs::Metadata;
use std::io::IsTerminal;
use std::sync::{Arc, OnceLock};

use api_health_actors::leases::Leases;
use api_health_actors::ports::{Clock, ConfigSource, HistoryStore, Notifier, StateStore, StoreError};
use api_health_actors::supervisor::LeaseParts;
use api_health_actors::system::{Options, World};
use api_health_core::ConfigFault;
use api_health_core::own::member::Member;
use api_health_core::own::records::WorkerRecord;
use api_health_core::own::shards::SHARDS;
use api_health_core::own::terms::Terms;

use crate::clock::{SystemClock, since_boot};
use crate::configs::raw::RowTable;
use crate::configs::source::{FileSource, TableSource, UrlSource};
use crate::configs::sqlite_table::SqliteConfigTable;
use crate::configs::validate::RowRules;
use crate::environment;
use crate::probe::{Client, HttpProbe, Limits, Resolver, ResolverFiles};
use crate::settings::{ResolverKind, Settings, StoreKind};
use crate::sqlite::{Holder, InstanceLock, SqliteFile};
use crate::store::history::SqliteHistoryStore;
use crate::store::record::{SCHEMA, SCHEMA_OF_HOLDS};
use crate::store::sqlite::SqliteStateStore;
use crate::witnesses::SystemWitnesses;
use crate::worker::Identity;
pub use channels::Screen;
pub use error::AppError;
use start::{retry_until_available, wait_for_store};

/// The settings, and what every command shares.
pub struct App {
    /// What is in force.
    pub settings: Settings,
    pub clock: Arc<dyn Clock>,
    /// By what rules rows are read.
    pub rules: Arc<RowRules>,
    /// Nothing is written to an SQLite file through it.
    is_read_only: bool,
    /// Held from [`Self::world`] to the end of the process.
    instance_lock: OnceLock<InstanceLock>,
    /// Likewise: the name of this worker.
    identity: OnceLock<Identity>,
    /// Likewise: the region that clients of AWS are made for.
    region: cloud::Region,
}

impl App {
    /// An app over validated settings.
    pub fn new(settings: Settings) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let rules = RowRules::new(settings.probe.defaults.clone(), Arc::clone(&clock));
        let rules = Arc::new(rules.with_allowed(settings.probe.allowed.clone()));
        Self {
            settings,
            clock,
            rules,
            is_read_only: false,
            instance_lock: OnceLock::new(),
            identity: OnceLock::new(),
            region: cloud::Region::default(),
        }
    }

    /// The same for a command that writes nothing: an SQLite file is opened to be read.
    #[must_use]
    pub fn read_only(self) -> Self {
        Self { is_read_only: true, ..self }
    }

    fn sqlite_file(&self) -> Result<SqliteFile, StoreError> {
        let path = &self.settings.store.path;
        if self.is_read_only { SqliteFile::open_to_read(path) } else { SqliteFile::open(path) }
    }

    /// The store of states. With DynamoDB, region and credentials are looked for first.
    ///
    /// # Errors
    /// What is not there, and what to do.
    pub async fn open_store(&self) -> Result<Arc<dyn StateStore>, AppError> {
        Ok(match self.settings.store.kind {
            StoreKind::Sqlite => Arc::new(SqliteStateStore::open(&self.sqlite_file()?)?),
            StoreKind::Dynamodb => cloud::states(&self.settings, &self.region).await?,
        })
    }

    /// The history; `None` where it is turned off, and where its table in DynamoDB is not there or may not be read, which is said: a
    /// deployment of an earlier release has none, and nobody is watched less for it.
    ///
    /// # Errors
    /// The SQLite file cannot be used, or there is no region or are no credentials.
    pub async fn open_history(&self) -> Result<Option<Arc<dyn HistoryStore>>, AppError> {
        if !self.settings.history.enabled {
            return Ok(None);
        }
        Ok(match self.settings.store.kind {
            StoreKind::Sqlite => {
                Some(Arc::new(SqliteHistoryStore::open(&self.sqlite_file()?, Arc::clone(&self.clock))?))
            }
            StoreKind::Dynamodb => cloud::history(&self.settings, &self.region).await?,
        })
    }

    /// The same for whoever watches: nobody is watched less because history cannot be opened.
    async fn history_if_any(&self, waits: bool) -> Option<Arc<dyn HistoryStore>> {
        match retry_until_available(waits, async || self.open_history().await).await {
            Ok(history) => history,
            Err(error) => {
                tracing::warn!(%error, "no history is kept: it cannot be opened");
                None
            }
        }
    }

    /// The table of API configs that `apis …` edits.
    ///
    /// # Errors
    /// What is not there, and what to do.
    pub async fn open_table(&self) -> Result<Arc<dyn RowTable>, AppError> {
        Ok(match self.settings.store.kind {
            StoreKind::Sqlite => Arc::new(SqliteConfigTable::open(&self.sqlite_file()?)?),
            StoreKind::Dynamodb => cloud::configs(&self.settings, &self.region).await?,
        })
    }

    /// The records of the workers that share the DynamoDB table of states.
    ///
    /// # Errors
    /// No region, or no credentials.
    pub async fn open_leases(&self) -> Result<Arc<dyn Leases>, AppError> {
        cloud::leases(&self.settings, &self.region).await
    }

    /// Whether the store is there to be read. Opening an SQLite file creates it, which a command that only looks must not.
    pub fn store_exists(&self) -> bool {
        let path = &self.settings.store.path;
        // A file without a byte is what SQLite takes for a new one.
        let is_more = |found: Metadata| found.len() > 0 || !found.is_file();
        self.settings.store.kind != StoreKind::Sqlite || std::fs::metadata(path).is_ok_and(is_more)
    }

    /// What people call the store: `SQLite file api-health.db`.
    pub fn store_name(&self) -> String {
        let store = &self.settings.store;
        match store.kind {
            StoreKind::Sqlite => format!("SQLite file {}", store.path.display()),
            StoreKind::Dynamodb => format!("DynamoDB table {}", store.state_table),
        }
    }

    /// What people call the table of API configs: the SQLite file, or the DynamoDB table.
    pub fn table_name(&self) -> String {
        match self.settings.store.kind {
            StoreKind::Sqlite => self.store_name(),
            StoreKind::Dynamodb => format!("DynamoDB table {}", self.settings.store.config_table),
        }
    }

    /// Where configs come from, the first winning: the command line, the file, the store's table.
    ///
    /// # Errors
    /// What is not there, and what to do.
    pub async fn sources(&self, urls: &[String]) -> Result<Vec<Arc<dyn ConfigSource>>, AppError> {
        let mut sources: Vec<Arc<dyn ConfigSource>> = Vec::new();
        if !urls.is_empty() {
            sources.push(Arc::new(UrlSource::new(urls.to_vec(), Arc::clone(&self.rules))));
        }
        let files = &self.settings.apis.files;
        if !files.is_empty() {
            sources.push(Arc::new(FileSource::of(files.clone(), Arc::clone(&self.rules))));
        }
        if self.settings.apis.from_store {
            sources.push(Arc::new(TableSource::new(self.open_table().await?, Arc::clone(&self.rules))));
        }
        Ok(sources)
    }

    /// The client behind probes and webhooks.
    ///
    /// # Errors
    /// When the extra roots cannot be read.
    pub fn client(&self) -> Result<Client, AppError> {
        let Some(path) = &self.settings.probe.extra_roots else {
            let client = Client::new(None).map_err(AppError::Internal)?;
            return Ok(self.by_settings(client));
        };
        let fault = |why: String| {
            AppError::Configuration(vec![ConfigFault {
                location: "[probe] extra_roots".into(),
                what: path.display().to_string(),
                why,
                remedy: "the path of a PEM file with at least one certificate".into(),
            }])
        };
        Ok(self.by_settings(Client::with_roots_of(path).map_err(fault)?))
    }

    fn by_settings(&self, client: Client) -> Client {
        let client = client.with_resolver(self.resolver()).with_proxies(Arc::clone(&self.settings.proxies));
        let client = client.with_allowed(self.settings.probe.allowed.clone());
        client.with_contact(self.settings.probe.contact.as_deref())
    }

    /// Who looks names up.
    pub fn resolver(&self) -> Resolver {
        match self.settings.probe.resolver {
            ResolverKind::Own => Resolver::own(ResolverFiles::default()),
            ResolverKind::System => Resolver::system(),
        }
    }

    /// The probe of all APIs.
    pub fn probe(&self, client: Client) -> HttpProbe {
        let limits = Limits {
            max_in_flight: self.settings.probe.max_in_flight,
            max_in_flight_per_host: self.settings.probe.max_in_flight_per_host,
            body_bytes_max: self.settings.probe.body_bytes_max,
        };
        HttpProbe::new(client, Arc::clone(&self.clock), limits)
    }

    /// Everything that the actors need. A store that does not answer is waited for a minute, and where nobody sits at a
    /// terminal, region and credentials of AWS that may come by themselves are waited for without end. From here to the end of
    /// this process, no other can own the same SQLite file.
    ///
    /// # Errors
    /// What is not there, and what to do.
    pub async fn world(&self, urls: &[String], once: bool, colour: bool) -> Result<World, AppError> {
        self.take_instance_lock(if once { "api-health run --once" } else { "api-health run" }).await?;
        let client = self.client()?;
        if !self.settings.proxies.ways.is_empty() {
            tracing::info!("APIs, channels and AWS are reached by way of the proxy {}", self.settings.proxies.ways);
        }
        for unusable in &self.settings.proxies.unusable {
            tracing::warn!("{unusable}");
        }
        let notifiers = self.notifiers(&client, Screen::Stdout { colour }, !once).await?;
        // A person at a terminal is told at once what is missing. A daemon that starts with its machine waits: it would only be
        // started again and again.
        let waits = !once && !std::io::stderr().is_terminal();
        let store = retry_until_available(waits, async || self.open_store().await).await?;
        let sources = retry_until_available(waits, async || self.sources(urls).await).await?;
        // With a client of its own: the connections of the keeper's are made on the keeper's thread.
        wait_for_store(&*retry_until_available(waits, async || self.open_store().await).await?).await?;
        let leases = retry_until_available(waits, async || self.leases(once).await).await?;
        let history = self.history_if_any(waits).await;
        Ok(World { history, ..self.world_of(client, store, notifiers, sources, leases) })
    }

    /// The same for a command that only hands over what is owed: nothing is watched.
    ///
    /// # Errors
    /// What is not there, and what to do.
    pub async fn world_to_tell(&self, notifiers: Vec<Arc<dyn Notifier>>) -> Result<World, AppError> {
        self.take_instance_lock("api-health alerts").await?;
        let store = self.open_store().await?;
        let leases = self.leases(true).await?;
        let history = self.history_if_any(false).await;
        Ok(World { history, ..self.world_of(self.client()?, store, notifiers, Vec::new(), leases) })
    }

    /// How the tables are shared; `None` with an SQLite file, which is owned whole. `alone`: where another process shares them, this
    /// one does nothing.
    async fn leases(&self, alone: bool) -> Result<Option<LeaseParts>, AppError> {
        let Settings { store, fleet, notify: _, .. } = &self.settings;
        if store.kind == StoreKind::Sqlite {
            return Ok(None);
        }
        let leases = self.open_leases().await?;
        let identity = self.identity.get_or_init(|| Identity::find(&store.state_table, &environment::get));
        let terms = Terms { lease: fleet.lease, renew: fleet.renew, ..Terms::DEFAULT };
        let record = WorkerRecord {
            role: fleet.role,
            channels: self.channels().into_iter().map(str::to_owned).collect(),
            host: host(),
            boot_id: identity.boot_id.clone(),
            started_at: self.clock.now(),
            program: env!("CARGO_PKG_VERSION").to_owned(),
            ..WorkerRecord::new(identity.id.clone(), &terms, SCHEMA_OF_HOLDS)
        };
        Ok(Some(LeaseParts {
            member: Member::new(record, identity.former_life_is_dead, terms, SHARDS, SCHEMA),
            leases,
            now: Arc::new(since_boot),
            expected: fleet.expected.filter(|_| !alone),
            alone,
        }))
    }

    fn world_of(
        &self,
        client: Client,
        store: Arc<dyn StateStore>,
        notifiers: Vec<Arc<dyn Notifier>>,
        sources: Vec<Arc<dyn ConfigSource>>,
        leases: Option<LeaseParts>,
    ) -> World {
        World {
            witnesses: Arc::new(SystemWitnesses::new(client.clone(), &self.settings, &environment::get)),
            probe: Arc::new(self.probe(client)),
            store,
            history: None,
            store_name: self.store_name(),
            instance: self.instance(),
            notifiers,
            sources,
            clock: Arc::clone(&self.clock),
            leases,
        }
    }

    /// How the actors run, by the settings.
    pub fn options(&self, once: bool) -> Options {
        Options {
            reload_every: self.settings.apis.reload,
            checkpoint: self.settings.store.checkpoint,
            heartbeat: self.settings.store.heartbeat,
            spread: self.settings.probe.spread,
            once,
            digest_above: self.settings.notify.digest_above,
            tags_of_channels: self.tags_of_channels(),
            fail_open: self.settings.fleet.fail_open,
            history_flush: self.settings.history.flush,
            ..Options::default()
        }
    }

    /// Keeps every other process from owning the same SQLite file. A DynamoDB table is shared by leases.
    async fn take_instance_lock(&self, command: &'static str) -> Result<(), AppError> {
        if self.settings.store.kind == StoreKind::Sqlite {
            let holder = Holder { command, host: &host(), since: self.clock.now() };
            if let Some(lock) = InstanceLock::take(&self.settings.store.path, &holder).await? {
                let _ = self.instance_lock.set(lock); // a process has one world
            }
        }
        Ok(())
    }

    /// A name for this process that no other has, for people.
    pub fn instance(&self) -> String {
        let host = host();
        format!("{host}:{}:{}", std::process::id(), self.clock.now().as_millis())
    }
}

fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
