mod forge;
mod hostile;
mod keys;
pub(crate) mod provider;
mod remote;
mod rules;
mod signing;

use serde_json::json;

use super::*;
