//! What SQLite's error codes mean for a person.

use std::io;

use rusqlite::ErrorCode;

use crate::fault::{Fault, one_line};

use super::SqliteFile;

/// What an error of SQLite means, by who must act.
pub(crate) fn classify(file: &SqliteFile, error: &rusqlite::Error) -> Fault {
    let person =
        |what: &str, remedy: &str| Fault::Person { place: file.name(), what: what.into(), remedy: remedy.into() };
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            let path = std::path::absolute(file.path()).unwrap_or_else(|_| file.path().to_owned());
            let who = format!("`fuser '{}'` lists who has it open, this program too", path.display());
            Fault::Wait { place: file.name(), what: format!("is locked by another program; {who}") }
        }
        Some(ErrorCode::SystemIoFailure) => {
            Fault::Wait { place: file.name(), what: format!("could not be read or written: {}", message(error)) }
        }
        Some(ErrorCode::DiskFull) => {
            person("cannot grow: the disk is full", "a path on another disk, or free space on this one")
        }
        Some(ErrorCode::CannotOpen) => why_not(file),
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::AuthorizationForStatementDenied) => {
            read_only(file)
        }
        Some(ErrorCode::NotADatabase) => person("is not an SQLite file", "another path, or move that file away"),
        Some(ErrorCode::DatabaseCorrupt) => {
            person("is damaged", "another path, or put a copy from before in its place")
        }
        _ => person(
            &format!("does not work: {}", message(error)),
            "another path, or put a copy from before in its place",
        ),
    }
}

/// SQLite says only that it could not; the system knows why. The file is looked at and not opened: closing it again
/// would take away the locks that SQLite holds on it for other connections of this process.
fn why_not(file: &SqliteFile) -> Fault {
    match std::fs::metadata(file.path()) {
        Ok(found) if found.is_dir() => cannot_open(file, &io::ErrorKind::IsADirectory.into()),
        Ok(_) => read_only(file),
        Err(error) => cannot_open(file, &error),
    }
}

fn read_only(file: &SqliteFile) -> Fault {
    Fault::Person {
        place: file.name(),
        what: "may not be written to: it or its folder belongs to another user, or is read-only".into(),
        remedy: "a path in a folder that this user may write to".into(),
    }
}

/// Why the system does not open the file.
pub(super) fn cannot_open(file: &SqliteFile, error: &io::Error) -> Fault {
    let folder = file.path().parent().filter(|parent| !parent.as_os_str().is_empty());
    match (error.kind(), folder) {
        (io::ErrorKind::NotFound, Some(folder)) if !folder.exists() => Fault::Person {
            place: file.name(),
            what: format!("cannot be created: there is no folder {}", folder.display()),
            remedy: "a path in a folder that exists".into(),
        },
        (io::ErrorKind::NotFound, _) if file.path().is_symlink() => Fault::Person {
            place: file.name(),
            what: "is a link to nowhere".into(),
            remedy: "the path of a file, or remove the link".into(),
        },
        (io::ErrorKind::IsADirectory, _) => {
            Fault::Person { place: file.name(), what: "is a folder".into(), remedy: "the path of a file".into() }
        }
        (io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem, _) => read_only(file),
        (io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded, _) => Fault::Person {
            place: file.name(),
            what: "cannot be created: the disk is full".into(),
            remedy: "a path on another disk, or free space on this one".into(),
        },
        _ => Fault::Person {
            place: file.name(),
            what: format!("cannot be opened: {}", one_line(&error.to_string())),
            remedy: "another path".into(),
        },
    }
}

fn message(error: &rusqlite::Error) -> String {
    one_line(&error.to_string())
}
