//! The policies of Portcullis.

pub mod kit;

use kit::policy::PolicyKind;

/// Every policy that a gateway has without further ado.
pub const STANDARD: &[PolicyKind] = &[];
