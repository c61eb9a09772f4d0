//! What can go wrong with the store.

use std::{fmt, path::PathBuf};

use sqlx::{error::ErrorKind, sqlite::SqliteError};

use super::{master_key::KeyError, seal::Unsealable};

/// Why the store did not do what it was asked. To callers it is a 503; the words are for operators.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database is down, out of connections, locked, read-only or too slow. It may be tried again.
    #[error("the store does not do its work: {0}; see to the database, the gateway comes back with it")]
    Unavailable(Trouble),
    /// A row is not what the gateway writes.
    #[error("the store holds something that the gateway did not write: {0}; restore a backup, or delete the row")]
    Corrupt(String),
    /// A sealed value does not open.
    #[error("the store holds a value that does not open in {column}: {why}")]
    Unsealable {
        /// Table and column.
        column: &'static str,
        /// What that can mean.
        why: Unsealable,
    },
}

/// What keeps a database from its work, in its own words.
#[derive(Debug, thiserror::Error)]
#[error("{words}")]
pub struct Trouble {
    /// What it is, where the database says so.
    pub kind: TroubleKind,
    words: String,
}

/// What keeps a database from its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TroubleKind {
    /// Somebody else holds what is to be written.
    Locked,
    /// It takes no writes.
    ReadOnly,
    /// Anything else.
    Other,
}

impl Trouble {
    /// Trouble of this kind.
    pub fn new(kind: TroubleKind, words: impl fmt::Display) -> Self {
        Self { kind, words: words.to_string() }
    }

    /// Trouble that is of no kind by itself.
    pub fn other(words: impl fmt::Display) -> Self {
        Self::new(TroubleKind::Other, words)
    }
}

impl TroubleKind {
    /// What a database said.
    pub(super) fn of(error: &sqlx::Error) -> Self {
        match Code::of(error) {
            // `SQLITE_BUSY`, `SQLITE_LOCKED`; `lock_not_available`.
            Some(Code::Sqlite(5 | 6)) => Self::Locked,
            Some(Code::Postgres(state)) if state == "55P03" => Self::Locked,
            // `SQLITE_READONLY`; `read_only_sql_transaction`.
            Some(Code::Sqlite(8)) => Self::ReadOnly,
            Some(Code::Postgres(state)) if state == "25006" => Self::ReadOnly,
            _ => Self::Other,
        }
    }
}

/// What a database calls an error.
enum Code {
    /// A primary result code (<https://sqlite.org/rescode.html>).
    Sqlite(i32),
    /// An SQLSTATE.
    Postgres(String),
}

impl Code {
    fn of(error: &sqlx::Error) -> Option<Self> {
        let error = error.as_database_error()?;
        let code = error.code()?;
        if error.try_downcast_ref::<SqliteError>().is_some() {
            // An extended code has the primary one in its lowest byte.
            return code.parse::<i32>().ok().map(|code| Self::Sqlite(code & 0xff));
        }
        Some(Self::Postgres(code.into_owned()))
    }
}

/// Is the database itself damaged, or none at all? `SQLITE_CORRUPT`, `SQLITE_NOTADB`.
pub(super) fn is_damage(error: &sqlx::Error) -> bool {
    matches!(Code::of(error), Some(Code::Sqlite(11 | 26)))
}

impl StoreError {
    /// A row could be read, but what it holds makes no sense to its reader.
    pub fn corrupt(why: impl fmt::Display) -> Self {
        Self::Corrupt(why.to_string())
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let corrupt = match &error {
            sqlx::Error::ColumnNotFound(_) | sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => true,
            // A broken constraint is a row that cannot be.
            sqlx::Error::Database(said) => is_damage(&error) || !matches!(said.kind(), ErrorKind::Other),
            _ => false,
        };
        if corrupt {
            return Self::Corrupt(error.to_string());
        }
        Self::Unavailable(Trouble::new(TroubleKind::of(&error), &error))
    }
}

/// Why the store cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is no database, or it cannot be used.
    #[error("the store {location} cannot be opened: {why}; see that it is there and that the gateway may write to it")]
    Unreachable {
        /// Where, without a password.
        location: String,
        /// What the database said.
        why: String,
    },
    /// There is a file, and it is no database, or no longer one.
    #[error("the store {location} cannot be opened: {why}; restore a backup, or give `gateway.store` another file")]
    Damaged {
        /// Where.
        location: String,
        /// What the database said.
        why: String,
    },
    /// The file cannot be made.
    #[error(
        "the store's file {path} cannot be made: {why}; give `gateway.store` a path in a folder that exists and is writable"
    )]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        why: std::io::Error,
    },
    /// The tables cannot be made or brought up to date.
    #[error("the store's tables cannot be brought up to date: {0}; nothing was changed by the step that failed")]
    Migration(sqlx::migrate::MigrateError),
    /// The store was sealed with another key.
    #[error(
        "the store was sealed with another master key; start with the key that it was made with, \
         or with the new key followed by that one"
    )]
    WrongKey,
    /// The key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The store could be opened, but not read.
    #[error(transparent)]
    Store(#[from] StoreError),
}
