//! Files that may be pipes: to open one waits until somebody writes into it, which may be never.

use std::fs::File;
use std::io::{Error, ErrorKind};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use api_health_core::ConfigFault;

use super::values::ValueFault;

/// How long is waited for somebody who writes.
const WRITTEN_WITHIN: Duration = Duration::from_secs(5);

/// Opens a file that is read once, such as the pipe of `<(command)`.
///
/// # Errors
/// Those of [`File::open`]; of kind `WouldBlock` for a pipe into which nobody writes, and `Unsupported` for a socket.
pub fn open_to_read(path: &Path) -> std::io::Result<File> {
    let kind = std::fs::metadata(path)?.file_type();
    if kind.is_socket() {
        return Err(Error::new(ErrorKind::Unsupported, "it is a socket"));
    } else if !kind.is_fifo() {
        return File::open(path);
    }
    let (path, (sender, opened)) = (path.to_owned(), mpsc::channel());
    thread::Builder::new().spawn(move || sender.send(File::open(path)))?;
    let nobody = |_| Err(Error::new(ErrorKind::WouldBlock, "it is a pipe into which nobody writes"));
    opened.recv_timeout(WRITTEN_WITHIN).unwrap_or_else(nobody)
}

/// Whether a file can be read again and again, and none of the tries holds a thread.
///
/// # Errors
/// It is a pipe or a device.
pub fn regular(path: &Path) -> Result<(), ConfigFault> {
    match std::fs::metadata(path) {
        Ok(found) if !found.is_file() && !found.is_dir() => {
            let fault = ValueFault::new("the file", "is a pipe or a device", "the path of a regular file");
            Err(fault.at(path.display().to_string()))
        }
        _ => Ok(()),
    }
}
