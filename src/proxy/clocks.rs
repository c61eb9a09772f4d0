//! How long each part of an exchange with an upstream may take.

use std::time::Duration;

/// The clocks of one route. Each names itself in the error when it expires.
#[derive(Clone, Copy, Debug)]
pub struct Clocks {
    /// From the first packet to an open TCP connection.
    pub connect: Duration,
    /// The TLS handshake.
    pub tls: Duration,
    /// From the request to the head of the answer.
    pub first_byte: Duration,
    /// Between two pieces of a JSON answer.
    pub idle_json: Duration,
    /// Between two pieces of an event stream; comments count.
    pub idle_events: Duration,
    /// The whole exchange.
    pub total: Duration,
    /// Silence after which a client's event stream gets a comment, so that nothing on the way gives it up.
    pub keep_alive: Duration,
    /// A subscription (`subscriptions/listen`), which no other clock ends.
    pub listen: Duration,
    /// A session that the gateway itself holds at the upstream, after its last use.
    pub idle_session: Duration,
    /// For which a person may think before they answer what an upstream asks in the middle of a call.
    pub input: Duration,
}

impl Default for Clocks {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(2),
            tls: Duration::from_secs(5),
            first_byte: Duration::from_secs(30),
            idle_json: Duration::from_mins(1),
            idle_events: Duration::from_mins(5),
            total: Duration::from_mins(10),
            keep_alive: Duration::from_secs(15),
            listen: Duration::from_hours(1),
            idle_session: Duration::from_mins(5),
            input: Duration::from_mins(10),
        }
    }
}
