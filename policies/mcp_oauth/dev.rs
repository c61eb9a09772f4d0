//! `dev-login`: trying things out without a provider.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{BrowserTimes, Demands, SignInOptions};
use crate::kit::{policy::Problem, sign_in::Provider};

/// Options of `dev-login`. None is needed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DevLoginOptions {
    /// What a token must have been given for, and how long it lasts.
    #[serde(flatten)]
    pub demands: Demands,
}

impl SignInOptions for DevLoginOptions {
    const NAME: &'static str = "dev-login";
    const ALIASES: &'static [&'static str] = &[];
    const SUMMARY: &'static str = "signs people in by a name and no password, on loopback only, for trying things out";

    fn demands(&self) -> &Demands {
        &self.demands
    }

    fn provider(&self) -> Result<Provider, Vec<Problem>> {
        Ok(Provider::Dev)
    }

    fn browser(&self) -> BrowserTimes {
        BrowserTimes::default()
    }
}
