//! The guarded client against servers on loopback that behave as nobody should.

mod answers;
mod handle;
mod hosts;
mod judged;
mod names;
mod oauth;
mod seats;
mod server;
mod tls;

use std::{net::IpAddr, sync::Arc, time::Duration};

use portcullis_policies::kit::fetch::{Fetch, FetchError, Fetched, Wanted};
use url::Url;

use super::{Budget, Client, Guard, NoNames, Resolve, Resolving, Roots, Settings};

/// Every name has these addresses.
#[derive(Debug)]
struct Always(Vec<IpAddr>);

impl Resolve for Always {
    fn resolve<'a>(&'a self, _: &'a str) -> Resolving<'a> {
        Box::pin(async { Ok(self.0.clone()) })
    }
}

fn client(guard: Guard, resolver: impl Resolve + 'static) -> Client {
    Client::new(Settings { guard, roots: Roots::none() }, Arc::new(resolver))
}

/// A gateway that is itself on loopback, for development.
fn on_loopback() -> Client {
    client(Guard { loopback: true, ..Guard::default() }, NoNames)
}

const BUDGET: Budget = Budget { max_bytes: 5_000, patience: Duration::from_secs(3) };

async fn get(client: &impl Fetch, url: &str) -> Result<Fetched, FetchError> {
    let wanted = Wanted { url: Url::parse(url).unwrap(), max_bytes: BUDGET.max_bytes, patience: BUDGET.patience };
    client.fetch(wanted).await
}

fn is_forbidden<T>(outcome: &Result<T, FetchError>) -> bool {
    matches!(outcome, Err(FetchError::Forbidden(_)))
}

fn is_unreachable<T>(outcome: &Result<T, FetchError>) -> bool {
    matches!(outcome, Err(FetchError::Unreachable(_)))
}
