//! The far side: the machine behind the cable where the servers are, and a router to more addresses.

use std::future::Future;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};

use crate::play::{self, Play};
use crate::space::Net;

/// What a scenario turns on (true) to make its fault, and off (false) to end it.
pub type Switch = Arc<dyn Fn(bool) + Send + Sync>;

/// The first port of a target; nothing else listens on the far side.
const FIRST_PORT: u16 = 2_000;

/// A network with a thread for its servers, which end with it.
pub struct Far {
    pub net: Arc<Net>,
    handle: Handle,
    next_port: AtomicU16,
    /// So that a target lives as long as this.
    targets: Mutex<Vec<watch::Sender<Play>>>,
    _stop: oneshot::Sender<()>,
}

impl Far {
    pub fn start() -> Self {
        let net = Arc::new(Net::new());
        let (stop, stopped) = oneshot::channel::<()>();
        let (give, take) = mpsc::channel();
        net.within(|| {
            // Out of the scope of this call, in the same network.
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                give.send(runtime.handle().clone()).unwrap();
                let _ = runtime.block_on(stopped);
            });
        });
        Self {
            net,
            handle: take.recv().unwrap(),
            next_port: AtomicU16::new(FIRST_PORT),
            targets: Mutex::default(),
            _stop: stop,
        }
    }

    pub fn spawn(&self, what: impl Future<Output = ()> + Send + 'static) {
        self.handle.spawn(what);
    }

    /// A server of a scenario's own, on a port of all addresses here, that plays this.
    pub fn target(&self, play: Play) -> Target {
        self.target_at(Ipv6Addr::UNSPECIFIED.into(), play)
    }

    /// The same, on a port of one address.
    pub fn target_at(&self, address: IpAddr, play: Play) -> Target {
        self.target_on(SocketAddr::new(address, self.next_port.fetch_add(1, Ordering::Relaxed)), play)
    }

    /// The same, on this port.
    pub fn target_on(&self, address: SocketAddr, play: Play) -> Target {
        let (port, (change, watched)) = (address.port(), watch::channel(play));
        self.spawn(play::keep(address, watched));
        self.targets.lock().unwrap().push(change.clone());
        Target { port, change }
    }
}

/// A server of the far side.
#[derive(Clone)]
pub struct Target {
    pub port: u16,
    change: watch::Sender<Play>,
}

impl Target {
    pub fn set(&self, play: Play) {
        self.change.send_replace(play);
    }

    /// Plays `good`, and `bad` while the fault is on.
    pub fn switch(&self, good: Play, bad: Play) -> Switch {
        let target = self.clone();
        Arc::new(move |on| target.set(if on { bad.clone() } else { good.clone() }))
    }
}
