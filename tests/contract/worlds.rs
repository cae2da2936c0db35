//! Where promises are tried: each world is a store of its own, empty, that can be opened more than once.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use api_health::sqlite::SqliteFile;
use aws_sdk_dynamodb::Client;
use tempfile::TempDir;

use crate::support::dynamodb::client;
use crate::support::dynamodb_local;
use crate::support::moto::Moto;

/// A world of one port.
pub(crate) trait World: Sized {
    /// The one that needs no server.
    fn here() -> Self;

    /// One with a table of its own there.
    async fn on_dynamodb(client: Client) -> Self;
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

pub(crate) fn here<W: World, F: Future<Output = ()>>(promise: fn(W) -> F) {
    block_on(promise(W::here()));
}

pub(crate) fn on_moto<W: World, F: Future<Output = ()>>(promise: fn(W) -> F) {
    on_dynamodb(&Moto::shared().endpoint, promise);
}

pub(crate) fn on_local<W: World, F: Future<Output = ()>>(promise: fn(W) -> F) {
    if let Some(server) = dynamodb_local::shared() {
        on_dynamodb(&server.endpoint, promise);
    }
}

fn on_dynamodb<W: World, F: Future<Output = ()>>(endpoint: &str, promise: fn(W) -> F) {
    block_on(async { promise(W::on_dynamodb(client(endpoint)).await).await });
}

/// A file of which no other test knows.
pub(crate) fn sqlite_file() -> (SqliteFile, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (SqliteFile::open(folder.path().join("api-health.db")).unwrap(), folder)
}

/// Has a child, which is the test `name` in another process, write to the file that `variable` names to it until it acknowledged
/// `least`, and kills it. Returns what it acknowledged last.
pub(crate) fn kill_after(name: &str, variable: &str, path: &Path, least: u64) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact"])
        .env(variable, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut last = 0;
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut read = |until: u64| {
        for line in lines.by_ref() {
            if let Some(text) = line.unwrap().strip_prefix("acknowledged ") {
                last = text.parse().unwrap();
                if last >= until {
                    break;
                }
            }
        }
        last
    };
    assert!(read(least) >= least, "the child ended by itself");
    child.kill().unwrap(); // SIGKILL
    child.wait().unwrap();
    read(u64::MAX) // what it said before it was killed
}

/// In the child: says that all up to this one was acknowledged.
pub(crate) fn say_acknowledged(last: u64) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "acknowledged {last}").unwrap();
    out.flush().unwrap();
}
