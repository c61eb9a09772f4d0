//! Where the store is.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use sqlx::postgres::PgConnectOptions;
use url::Url;

/// Where the store is: `gateway.store`. Printing it shows no password.
#[derive(Clone)]
pub enum Location {
    /// A file, made at the first start.
    Sqlite(PathBuf),
    /// A PostgreSQL server, for many nodes.
    Postgres {
        /// How to reach it.
        options: Box<PgConnectOptions>,
        /// The same for people.
        shown: String,
    },
}

impl Location {
    /// Reads `sqlite:PATH` or `postgres://…`. A relative path starts from `folder`. The error is for people, and repeats no
    /// password.
    pub fn parse(text: &str, folder: &Path) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("sqlite", path)) => sqlite(path, folder),
            Some(("postgres" | "postgresql", _)) => postgres(text),
            _ => Err("a store is `sqlite:portcullis.db` or `postgres://user:password@host/database`".to_owned()),
        }
    }
}

fn sqlite(path: &str, folder: &Path) -> Result<Location, String> {
    let path = path.strip_prefix("//").unwrap_or(path);
    if path.is_empty() || path.starts_with(':') {
        return Err("the store must outlive the process: name a file, as in `sqlite:portcullis.db`".to_owned());
    }
    if path.contains('?') {
        return Err("a store's file takes no parameters: write `sqlite:portcullis.db`".to_owned());
    }
    Ok(Location::Sqlite(folder.join(path)))
}

fn postgres(text: &str) -> Result<Location, String> {
    let mut url = Url::parse(text).map_err(|error| format!("the store's URL cannot be read: {error}"))?;
    let options = PgConnectOptions::from_str(text).map_err(|error| match error {
        sqlx::Error::Configuration(why) => format!("the store's URL cannot be used: {why}"),
        _ => "the store's URL cannot be used; it is like `postgres://user:password@host/database`".to_owned(),
    })?;
    if url.path().len() < 2 {
        return Err("the store's URL names no database; it is like `postgres://user:password@host/database`".to_owned());
    }
    if url.password().is_some() {
        let _ = url.set_password(Some("***")); // fails only for URLs without a host, which have no password
    }
    url.set_query(None); // it can hold a password too
    Ok(Location::Postgres { options: Box::new(options), shown: url.to_string() })
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres { shown, .. } => f.write_str(shown),
        }
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Location({self})")
    }
}
