//! The book before it is open.

use std::{
    pin::Pin,
    sync::{Arc, OnceLock},
};

use portcullis_policies::kit::{
    credential::{Connections, CredentialRefused, NoCredential, Obtaining, Wanted},
    refusal::Reason,
};

use super::ConnectionBook;

/// Stands for the book where it is needed before the configuration is known: policies are built while it is read. Until the
/// book is open, there is no credential for anybody. Clones stand for the same one.
#[derive(Clone, Debug, Default)]
pub struct Handle(Arc<OnceLock<ConnectionBook>>);

impl Handle {
    /// From now on there are credentials.
    pub fn open(&self, book: ConnectionBook) {
        let _ = self.0.set(book);
    }

    /// The book, if it is open.
    pub fn book(&self) -> Option<&ConnectionBook> {
        self.0.get()
    }
}

const CLOSED: Reason = Reason::VaultClosed;

impl Connections for Handle {
    fn obtain<'a>(&'a self, wanted: Wanted<'a>, inbound: Option<&'a str>) -> Obtaining<'a> {
        match self.book() {
            Some(book) => book.obtain(wanted, inbound),
            None => Obtaining::Ready(Err(CLOSED.into())),
        }
    }

    fn renew<'a>(
        &'a self,
        wanted: Wanted<'a>,
        refused: &'a CredentialRefused,
        inbound: Option<&'a str>,
    ) -> Obtaining<'a> {
        match self.book() {
            Some(book) => book.renew(wanted, refused, inbound),
            None => Obtaining::Ready(Err(CLOSED.into())),
        }
    }

    fn give_up<'a>(
        &'a self,
        wanted: Wanted<'a>,
        refused: &'a CredentialRefused,
    ) -> Pin<Box<dyn Future<Output = NoCredential> + Send + 'a>> {
        match self.book() {
            Some(book) => book.give_up(wanted, refused),
            None => Box::pin(async { CLOSED.into() }),
        }
    }

    fn suspect(&self, refused: &CredentialRefused) {
        if let Some(book) = self.book() {
            book.suspect(refused);
        }
    }
}
