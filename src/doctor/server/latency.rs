//! Where the time goes.

use std::time::Duration;

use portcullis_policies::kit::words;

use super::{
    super::{
        check::Running,
        finding::{Finding, milliseconds},
    },
    answer::Timing,
    case::Server,
};
use crate::fault::Fault;

/// Clients wait longer, but people do not.
const SLOW: Duration = Duration::from_secs(5);

/// Of the last list of tools, or else of the first answer. What lies behind the server only the server can tell.
pub(super) fn latency(case: &mut Server) -> Running<'_> {
    Box::pin(async move {
        let Some(timing) = case.took.take() else { return vec![Finding::skipped("nothing was measured")] };
        let told = told(&timing);
        vec![if timing.took.answer > SLOW { Finding::of(Fault::SlowAnswer, &told) } else { Finding::ok(&told) }]
    })
}

fn told(timing: &Timing) -> String {
    let took = timing.took;
    let mut parts = vec![format!("connect {}", milliseconds(took.connect))];
    parts.extend(took.tls.map(|tls| format!("TLS {}", milliseconds(tls))));
    parts.push(format!("first byte {}", milliseconds(took.answer)));
    // The report cuts it, when nothing in it is a secret any more.
    parts.extend(timing.says.iter().map(|(name, value)| format!("{name}: {}", words::plain(value, usize::MAX))));
    parts.join(", ")
}
