//! Secrets that stand at rest for long: each record has a data key of its own.
//!
//! The data key is drawn anew for every write, and stands beside the secrets, sealed under the master key like any other
//! value. So rotating the master key touches data keys only, and with its data key a record is destroyed. Both carry the place
//! that they are for: tenant, row and column.

use aws_lc_rs::aead::{AES_256_GCM, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use portcullis_policies::kit::random;
use secrecy::{ExposeSecret, SecretSlice, zeroize::Zeroizing};

use super::{
    StoreError, Unsealable, seal,
    sql::{Owner, Row, column_of},
};

const KEY_LEN: usize = 32;

impl Owner {
    /// Seals secrets under a fresh data key, for one row. Returns the data key, itself sealed, and the secrets: for the columns
    /// `key_column` and `column`.
    ///
    /// # Panics
    /// If the operating system has no random bytes, or if the secrets are longer than AES-GCM allows (64 GB).
    pub(super) fn envelop(
        &self,
        key_column: &'static str,
        column: &'static str,
        row: &str,
        secrets: &SecretSlice<u8>,
    ) -> (Vec<u8>, Vec<u8>) {
        let mut data_key = Zeroizing::new([0; KEY_LEN]);
        random::fill(&mut *data_key);
        let sealed = self.encrypt(&*data_key, column, row, secrets.expose_secret());
        (self.seal(key_column, row, &*data_key), sealed.expect("AES-GCM seals anything that fits into memory"))
    }

    /// The nonce, and the ciphertext.
    fn encrypt(&self, data_key: &[u8], column: &str, row: &str, plain: &[u8]) -> Option<Vec<u8>> {
        let nonce = random::bytes::<NONCE_LEN>();
        let mut text = plain.to_vec();
        let place = seal::place(column, &self.context(row));
        let aead = cipher(data_key)?;
        aead.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), place, &mut text).ok()?;
        Some([nonce.as_slice(), &text].concat())
    }

    fn decrypt(&self, data_key: &[u8], column: &str, row: &str, sealed: &[u8]) -> Option<SecretSlice<u8>> {
        let (nonce, text) = sealed.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut text = Zeroizing::new(text.to_vec());
        let place = seal::place(column, &self.context(row));
        let plain = cipher(data_key)?.open_in_place(nonce, place, &mut text).ok()?;
        Some(plain.to_vec().into())
    }
}

fn cipher(data_key: &[u8]) -> Option<LessSafeKey> {
    Some(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, data_key).ok()?))
}

impl Row<'_> {
    /// Opens the secrets of a row that [`Owner::envelop`] was told, if there are any.
    pub(super) fn maybe_open_enveloped(
        &self,
        key_column: &'static str,
        column: &'static str,
        row: &str,
    ) -> Result<Option<SecretSlice<u8>>, StoreError> {
        let data_key = self.maybe_open(key_column, row)?.map(Zeroizing::new);
        let sealed = self.get::<Option<Vec<u8>>>(column_of(column))?;
        let (Some(data_key), Some(sealed)) = (data_key, sealed) else { return Ok(None) };
        let secrets = self.owner.decrypt(&data_key, column, row, &sealed);
        secrets.map(Some).ok_or(StoreError::Unsealable { column, why: Unsealable::Forged })
    }
}
