#![doc = include_str!("README.md")]

mod answer;
mod follow;
mod options;
mod row;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use self::options::{AuditLogOptions, Detail, Promise};
use self::row::Row;
use crate::kit::{
    audit::{Audit, Audited, Capture},
    chain::{Answer as Answered, Request, RouteLayer, RouteService, direct, then},
    host::Host,
    policy::{Policy, Problem},
    rehearsal::Rehearsal,
};

/// Writes down every request to the route.
#[derive(Debug)]
pub struct AuditLog;

impl Policy for AuditLog {
    const NAME: &'static str = "audit-log";
    const ALIASES: &'static [&'static str] = &["audit-log-inbound"];
    const SUMMARY: &'static str = "writes down every request, refused ones too, in a log that shows if it was changed";
    const OUTERMOST: bool = true;
    const NEEDS_STORE: bool = true;
    const REHEARSAL: Rehearsal<Self::Options> = Rehearsal::AsItIs;
    type Options = AuditLogOptions;

    fn layer(options: Self::Options, host: &Host) -> Result<RouteLayer, Vec<Problem>> {
        let Some(log) = host.audit.clone() else {
            return Err(vec![Problem::new("", "this program keeps no audit log")]);
        };
        let capture = |detail: Detail| Capture { detail: detail.into(), most: options.max_bytes };
        let (arguments, results) = (capture(options.arguments), capture(options.results));
        let clock = Arc::clone(&host.clock);
        let audit = Arc::new(Audit { log, clock, promise: options.promise.into(), arguments, results });
        Ok(direct(move |request, inner| write_down(&audit, request, inner)))
    }
}

fn write_down(audit: &Arc<Audit>, mut request: Request, inner: &RouteService) -> Answered {
    let audited = Audited::begin(audit, &request);
    let row = Row::new(audited.clone(), &request);
    request.extensions_mut().insert(audited);
    then(inner.run(request), |response| row.answered(response))
}
