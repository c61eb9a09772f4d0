//! Client assertions that were shown (RFC 7523 §3): each is good once.

use portcullis_policies::kit::clock::Timestamp;

use super::{Digest, StoreError, Work, sql::values};

impl Work {
    /// Remembers an assertion until it has expired; `false` if it was shown before. `jti` is the digest of its `jti`, which
    /// only says something together with who issued it.
    pub async fn remember_assertion(
        &mut self,
        issuer: &str,
        jti: &Digest,
        expires_at: Timestamp,
    ) -> Result<bool, StoreError> {
        const INSERT: &str = "INSERT INTO assertions (tenant, jti_digest, expires_at) VALUES ($1, $2, $3) \
                              ON CONFLICT (tenant, jti_digest) DO NOTHING";
        let both = Digest::of(&[jti.as_bytes(), issuer.as_bytes()].concat());
        Ok(self.run(INSERT, values![both, expires_at]).await? > 0)
    }
}
