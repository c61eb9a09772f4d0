//! What upstreams say about their tools, remembered for those to whom they said it.

use std::{fmt, sync::Arc, time::Duration};

use serde_json::Value;

use crate::kit::{
    asking,
    chain::{Arrival, Request, RouteService},
    flights::Flights,
    host::Caller,
    memory::{Equivalent, Memory},
};

/// Tools that are remembered, and for how long.
const REMEMBERED: usize = 100_000;
const MEMORY: Duration = Duration::from_mins(10);
/// An upstream that answered is not asked again sooner by the same caller: names that it does not have would each cost it a
/// list.
const PAUSE: Duration = Duration::from_secs(5);

/// Who asks, and where.
#[derive(Clone, Debug)]
pub struct Asker {
    /// The route.
    pub route: Arc<str>,
    /// What is behind it.
    pub upstream: Arc<str>,
    /// Who; none on routes without a sign-in.
    pub caller: Option<Caller>,
}

impl Asker {
    /// Whoever sent this request.
    pub fn of(request: &Request) -> Self {
        let arrival = request.extensions().get::<Arrival>();
        let text = |of: fn(&Arrival) -> &Arc<str>| arrival.map_or_else(|| "".into(), |arrival| Arc::clone(of(arrival)));
        Self {
            route: text(|arrival| &arrival.route),
            upstream: text(|arrival| &arrival.upstream),
            caller: request.extensions().get::<Caller>().cloned(),
        }
    }

    fn about<'a>(&'a self, tool: &'a str) -> About<'a> {
        About { route: &self.route, subject: self.caller.as_ref().map(|caller| &*caller.subject), tool }
    }

    fn key(&self, tool: &str) -> Key {
        let subject = self.caller.as_ref().map(|caller| Arc::clone(&caller.subject));
        Key { route: Arc::clone(&self.route), subject, tool: tool.into() }
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    route: Arc<str>,
    subject: Option<Arc<str>>,
    tool: Box<str>,
}

/// A key that owns nothing.
#[derive(Hash)]
struct About<'a> {
    route: &'a str,
    subject: Option<&'a str>,
    tool: &'a str,
}

impl<'a> About<'a> {
    fn of(request: &'a Request, tool: &'a str) -> Self {
        let (arrival, caller) = (request.extensions().get::<Arrival>(), request.extensions().get::<Caller>());
        let route = arrival.map_or("", |arrival| &*arrival.route);
        About { route, subject: caller.map(|caller| &*caller.subject), tool }
    }
}

impl Equivalent<Key> for About<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        (self.route, self.subject, self.tool) == (&*key.route, key.subject.as_deref(), &*key.tool)
    }
}

/// What a policy makes of each definition. Upstreams may tell people different things, so what one was told is nobody else's.
pub struct Definitions<T: Clone + Send + Sync + 'static> {
    known: Memory<Key, T>,
    asked: Memory<Key, ()>,
    /// Route and caller of lists that are being asked for.
    flights: Flights<(Arc<str>, Option<Arc<str>>)>,
    read: Box<dyn Fn(&Value) -> T + Send + Sync>,
}

impl<T: Clone + Send + Sync + 'static> Definitions<T> {
    /// `read` makes what is remembered of a definition.
    pub fn new(read: impl Fn(&Value) -> T + Send + Sync + 'static) -> Self {
        let (known, asked) = (Memory::new(REMEMBERED, MEMORY), Memory::new(REMEMBERED, PAUSE));
        Self { known, asked, flights: Flights::new(), read: Box::new(read) }
    }

    /// What is remembered of a tool, for whoever sent this request.
    pub fn of(&self, request: &Request, tool: &str) -> Option<T> {
        self.known.get(&About::of(request, tool))
    }

    /// What is remembered of a tool.
    pub fn get(&self, asker: &Asker, tool: &str) -> Option<T> {
        self.known.get(&asker.about(tool))
    }

    /// Remembers a definition that passes.
    pub fn learn(&self, asker: &Asker, definition: &Value) -> T {
        let read = (self.read)(definition);
        if let Some(name) = definition["name"].as_str() {
            self.known.insert(asker.key(name), read.clone());
        }
        read
    }

    /// Remembers what has been made of a definition already.
    pub fn note(&self, asker: &Asker, tool: &str, read: T) {
        self.known.insert(asker.key(tool), read);
    }

    /// Asks the upstream, as the sender of `request` would, what it says about a tool. None where it says nothing.
    pub async fn ask(&self, request: &Request, inner: &RouteService, tool: &str) -> Option<T> {
        if self.asked.contains(&About::of(request, "")) {
            return self.of(request, tool);
        }
        self.alone(request, self.learn_all(request, inner, tool)).await;
        self.of(request, tool)
    }

    /// Does `work`, which asks the upstream and remembers what it says; but if others do so for the same caller at this moment, waits
    /// for them instead. None where they did, or nothing was said.
    pub async fn alone<R>(&self, request: &Request, work: impl Future<Output = Option<R>>) -> Option<R> {
        let Asker { route, caller, .. } = Asker::of(request);
        self.flights.alone((route, caller.map(|caller| Arc::clone(&caller.subject))), work).await
    }

    /// Asks although the upstream may have been asked just now. None where it says nothing, also if it once did.
    pub async fn ask_anew(&self, request: &Request, inner: &RouteService, tool: &str) -> Option<T> {
        self.learn_all(request, inner, tool).await.flatten()
    }

    /// What is said of `tool`, if it is; none where nothing is said at all.
    async fn learn_all(&self, request: &Request, inner: &RouteService, tool: &str) -> Option<Option<T>> {
        let asker = Asker::of(request);
        let (said, mut found) = (self.list_now(request, inner).await, None);
        // What is remembered stays until something else was said: others may ask at the same time.
        for definition in said.iter().flatten() {
            let read = self.learn(&asker, definition);
            if definition["name"] == tool {
                found = Some(read);
            }
        }
        if said.is_some() && found.is_none() {
            self.known.remove(&asker.about(tool));
        }
        said.map(|_| found)
    }

    /// All that the upstream says, as the sender of `request` would be told. None where it says nothing, or was asked just now.
    pub async fn list(&self, request: &Request, inner: &RouteService) -> Option<Vec<Value>> {
        if self.asked.contains(&About::of(request, "")) {
            return None;
        }
        self.list_now(request, inner).await
    }

    /// The same, also if the upstream was asked just now.
    pub async fn list_now(&self, request: &Request, inner: &RouteService) -> Option<Vec<Value>> {
        let said = asking::tools(request, inner).await;
        // Whoever was told nothing, because they must connect first, say, may be told the next moment.
        match said {
            Some(_) => self.asked.insert(Asker::of(request).key(""), ()),
            None => self.asked.remove(&About::of(request, "")),
        }
        said
    }
}

impl<T: Clone + Send + Sync + 'static> fmt::Debug for Definitions<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Definitions")
    }
}
