//! What is remembered of an upstream's tools: which parameters must stand in headers.

use std::{sync::Arc, time::Duration};

use http::HeaderMap;
use moka::sync::Cache;
use portcullis_policies::kit::{
    chain::{Request, RequestId},
    credential::UpstreamCredential,
    message::Method,
    refusal::{Addressee, Refusal},
};

use super::{
    client::Client,
    incoming::{Asked, Said},
    mirrored::Mirrored,
    outgoing,
};
use crate::proxy::{
    Forward,
    answer::answer_to,
    bridge::object::{Object, quoted},
    session::Owner,
    upstream::{Behalf, Sending},
};

/// How many bytes of tools are remembered; one that is forgotten is learnt once more.
const MOST: u64 = 16 << 20;
const IDLE: Duration = Duration::from_hours(1);
/// How many pages a list may have.
const PAGES: usize = 20;
/// The id of the gateway's own `tools/list`, as JSON text.
const LIST: &str = r#""portcullis-list""#;

/// A route, a connection to its upstream, and a tool: what a tool takes may depend on who asks.
type Key = (Arc<str>, Arc<str>, Box<str>);

/// The tools of all upstreams.
#[derive(Clone, Debug)]
pub(super) struct Known(Cache<Key, Arc<[Mirrored]>>);

impl Default for Known {
    fn default() -> Self {
        let weigh = |(route, connection, tool): &Key, parameters: &Arc<[Mirrored]>| {
            let key = route.len() + connection.len() + tool.len();
            let all = parameters.iter().map(Mirrored::size).sum::<usize>() + key + size_of::<Key>();
            u32::try_from(all).unwrap_or(u32::MAX)
        };
        Self(Cache::builder().max_capacity(MOST).weigher(weigh).time_to_idle(IDLE).build())
    }
}

/// The tools of one upstream, as one connection sees them.
pub(super) struct Tools {
    forward: Forward,
    connection: Arc<str>,
    credential: Option<UpstreamCredential>,
    /// Those of the gateway's own `tools/list`.
    headers: HeaderMap,
}

impl Tools {
    pub(super) fn of(forward: &Forward, request: &Request) -> Self {
        Self {
            forward: forward.clone(),
            connection: Owner::of(request).connection().into(),
            credential: request.extensions().get().cloned(),
            headers: outgoing::headers(forward, request, &Method::ListTools, None),
        }
    }

    /// The parameters of a tool that must stand in headers, if it is known to have any.
    pub(super) fn parameters(&self, tool: &str) -> Option<Arc<[Mirrored]>> {
        self.known().0.get(&self.key(tool))
    }

    /// A tool was listed.
    pub(super) fn learn(&self, tool: &str, parameters: Vec<Mirrored>) {
        let key = self.key(tool);
        if parameters.is_empty() {
            self.known().0.invalidate(&key);
        } else {
            self.known().0.insert(key, parameters.into());
        }
    }

    /// Asks the upstream for its list, to learn from it.
    pub(super) async fn ask(&self, client: &Client, request_id: Option<RequestId>) -> Result<(), Refusal> {
        let mut cursor = None;
        for _ in 0..PAGES {
            let Some(page) = self.page(client, request_id, cursor.take()).await? else { return Ok(()) };
            cursor = Some(page);
        }
        Ok(())
    }

    /// Learns one page, and gives the cursor of the next.
    async fn page(
        &self,
        client: &Client,
        request_id: Option<RequestId>,
        cursor: Option<String>,
    ) -> Result<Option<String>, Refusal> {
        let params = cursor.map_or_else(|| "{}".to_owned(), |cursor| format!(r#"{{"cursor":{}}}"#, quoted(&cursor)));
        let sending = Sending {
            headers: self.headers.clone(),
            message: outgoing::own(&Method::ListTools, LIST, &params, client)?,
            awaiting: Some(LIST),
            behalf: Behalf { credential: self.credential.as_ref(), request_id },
        };
        let received = self.forward.upstream().post(sending).await.map_err(|failure| failure.refusal)?;
        let Some(answer) = answer_to(LIST, received.reply).await else { return Ok(None) };
        let asked = Asked { method: &Method::ListTools, to: Addressee { id: Some(LIST), request_id: None } };
        let said = asked.read(&answer, |tool, parameters| self.learn(tool, parameters))?;
        let Said::Answer(answer) = said else { return Ok(None) };
        let answer = Object::read(std::str::from_utf8(&answer).unwrap_or_default()).unwrap_or_default();
        let result = Object::read(answer.get("result").unwrap_or_default()).unwrap_or_default();
        Ok(result.parse("nextCursor"))
    }

    fn known(&self) -> &Known {
        &self.forward.shared().legacy_clients().tools
    }

    fn key(&self, tool: &str) -> Key {
        (Arc::clone(self.forward.route()), Arc::clone(&self.connection), tool.into())
    }
}
