//! What can go wrong with the store.

use std::{fmt, path::PathBuf};

use super::{master_key::KeyError, seal::Unsealable};

/// Why the store did not do what it was asked. To callers it is a 503; the words are for operators.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database is down, out of connections, read-only or too slow. It may be tried again.
    #[error("the store does not do its work: {0}; see to the database, the gateway comes back with it")]
    Unavailable(String),
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
            // 11 and 26 are SQLite's words for a damaged file; a broken constraint is a row that cannot be.
            sqlx::Error::Database(error) => {
                error.code().is_some_and(|code| code == "11" || code == "26")
                    || !matches!(error.kind(), sqlx::error::ErrorKind::Other)
            }
            _ => false,
        };
        if corrupt { Self::Corrupt(error.to_string()) } else { Self::Unavailable(error.to_string()) }
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
