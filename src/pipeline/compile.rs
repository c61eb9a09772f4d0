//! Names become layers, layers become chains.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use http::Uri;
use portcullis_policies::{
    audit_log::AuditLog,
    kit::{
        audit::before_upstream,
        chain::{ForeignOrigin, RouteLayer, RouteService, ServedEras, gate, stack},
        credential::UpstreamTarget,
        edge::{self, Edge, EdgeLimits},
        json::Limits,
        permit::use_permits,
        policy::{PolicyKind, Problem},
        refusal::Reason,
        reply::EventLimits,
        unjudged::turn_away,
    },
};
use tower::Layer;

use super::{
    Toolbox,
    generation::{Generation, Route},
    trust,
};
use crate::{
    config::{
        Batches, ChainLink, Checked, Era, Link, PlannedRoute, Pointer, RouteClocks, RouteLimits, Surroundings, Upstream,
    },
    proxy::{AnswerLimits, Clocks, Connector, Destination, Endpoint, Forward, Local, Serves},
};

/// Compiles everything that was checked; all problems, or a generation.
pub(super) fn compile(
    checked: &Checked,
    surroundings: &Surroundings<'_>,
    tools: &Toolbox,
) -> Result<Generation, Vec<Problem>> {
    let mut compiler =
        Compiler { surroundings, tools, connectors: BTreeMap::new(), endpoints: HashMap::new(), problems: Vec::new() };
    let shared: Vec<_> = checked.policies.iter().map(|link| compiler.layer(link)).collect();
    let routes: Vec<_> = checked.routes.iter().filter_map(|route| compiler.route(checked, route, &shared)).collect();
    compiler.problems.extend(trust::fetch_problems(&checked.gateway.fetch, surroundings));
    if compiler.problems.is_empty() {
        let endpoints = compiler.endpoints.into_values().collect();
        Ok(Generation::new(routes, endpoints, checked.gateway.clone()))
    } else {
        Err(compiler.problems)
    }
}

struct Compiler<'a> {
    surroundings: &'a Surroundings<'a>,
    tools: &'a Toolbox,
    /// By the roots that they trust and the clocks that they keep. Reading the system's roots takes milliseconds, so it
    /// is done once, and only where an upstream has TLS.
    connectors: BTreeMap<(Vec<String>, bool, Duration), Connector>,
    /// Routes to the same upstream share its connections.
    endpoints: HashMap<(Upstream, Duration), Arc<Endpoint>>,
    problems: Vec<Problem>,
}

impl Compiler<'_> {
    fn layer(&mut self, link: &Link) -> Option<RouteLayer> {
        let layer = link.kind.layer(link.options.as_ref()?, &self.tools.host);
        layer
            .map_err(|problems| {
                self.problems.extend(problems.into_iter().map(|problem| problem.within(link.at.as_str())));
            })
            .ok()
    }

    fn route(&mut self, checked: &Checked, route: &PlannedRoute, shared: &[Option<RouteLayer>]) -> Option<Route> {
        let layers: Vec<_> = route
            .chain
            .iter()
            .map(|(_, link)| match link {
                ChainLink::Shared(index) => shared.get(*index).cloned().flatten(),
                ChainLink::Own(link) => self.layer(link),
            })
            .collect();
        let clocks = clocks(&route.clocks);
        let endpoint = self.endpoint(route, &clocks)?;
        let layers = layers.into_iter().collect::<Option<Vec<_>>>()?;
        let forward = Forward::new(
            Destination {
                route: route.path.as_str().into(),
                upstream: route.upstream.to_string().into(),
                endpoint,
                clocks,
                limits: answer_limits(&route.limits),
                serves: serves(route.era),
            },
            &self.tools.shared,
        );
        Some(assemble(checked, route, layers, last(checked, route), forward.into_service()))
    }

    fn endpoint(&mut self, route: &PlannedRoute, clocks: &Clocks) -> Option<Arc<Endpoint>> {
        let upstream = &route.upstream;
        let key = (upstream.clone(), clocks.connect);
        if let Some(endpoint) = self.endpoints.get(&key) {
            return Some(Arc::clone(endpoint));
        }
        let endpoint = Arc::new(match &upstream.url {
            None => Endpoint::Local(Local(self.demo(&route.at)?)),
            Some(url) => {
                let uri: Uri = url.parse().ok()?;
                let connector =
                    self.connector(upstream, &uri, clocks, &route.at.join("upstream").join("tls").join("roots"))?;
                if upstream.http2 { Endpoint::http2(connector, uri) } else { Endpoint::http1(connector, uri) }
            }
        });
        self.endpoints.insert(key, Arc::clone(&endpoint));
        Some(endpoint)
    }

    fn demo(&mut self, at: &Pointer) -> Option<crate::proxy::LocalServer> {
        if self.tools.demo.is_none() {
            let problem = Problem::new(at.join("upstream").join("demo"), "this build has no demo server");
            self.problems.push(problem.hint("build it with the feature `demo`, or give a `url`"));
        }
        self.tools.demo.clone()
    }

    fn connector(&mut self, upstream: &Upstream, uri: &Uri, clocks: &Clocks, at: &Pointer) -> Option<Connector> {
        let tls = uri.scheme_str() == Some("https");
        let key = (upstream.tls.roots.clone(), tls, clocks.connect);
        if let Some(connector) = self.connectors.get(&key) {
            return Some(connector.clone());
        }
        let trust = if tls { trust::trust(&upstream.tls.roots, self.surroundings, at) } else { Ok(trust::no_trust()) };
        match trust {
            Ok(trust) => {
                let connector = Connector::new(&trust, clocks.connect, self.tools.shared.meter().clone());
                self.connectors.insert(key, connector.clone());
                Some(connector)
            }
            Err(problems) => {
                self.problems.extend(problems);
                None
            }
        }
    }
}

/// A route of these layers, outermost first, with the `last` one before its `end`.
pub(super) fn assemble(
    checked: &Checked,
    route: &PlannedRoute,
    layers: Vec<RouteLayer>,
    last: RouteLayer,
    end: RouteService,
) -> Route {
    let links = || checked.links(route).map(|(_, link)| link);
    let layers = layers.into_iter().chain([last]).collect();
    Route {
        path: route.path.as_str().into(),
        upstream: route.upstream.name().into(),
        upstream_key: route.upstream.key().into(),
        edge: Edge::new(stack(layers).layer(end), edge_limits(route)),
        sign_in: links().find_map(Link::sign_in).map(Arc::new),
        outside: links().find_map(Link::outside).map(Arc::new),
        upstream_auth: links()
            .find_map(Link::upstream_auth)
            .map(|auth| (Arc::new(auth), UpstreamTarget(route.upstream.to_string().into()))),
        served: served_eras(route.era),
        needs_store: links().any(Link::needs_store),
        audits: audits(checked, route),
    }
}

/// What stands at the end of a chain, next to the upstream.
pub(super) fn last(checked: &Checked, route: &PlannedRoute) -> RouteLayer {
    // An approval is used up when nothing else can come between: also the row must be there, where the route fails closed.
    let audit = audits(checked, route).then(before_upstream);
    stack([last_gate()].into_iter().chain(audit).chain([use_permits()]).collect())
}

fn audits(checked: &Checked, route: &PlannedRoute) -> bool {
    checked.links(route).any(|(_, link)| link.kind == PolicyKind::of::<AuditLog>())
}

/// What no policy has let through goes no further. A web page of another origin may call a route only if a policy, such as
/// `cors`, has said so.
fn last_gate() -> RouteLayer {
    gate(|request| match request.extensions().get::<ForeignOrigin>() {
        None => turn_away(request),
        Some(ForeignOrigin) => Err(Reason::OriginNotAllowed.into()),
    })
}

fn clocks(clocks: &RouteClocks) -> Clocks {
    // What is no duration has been reported by the check of its shape.
    let seconds = |seconds| Duration::try_from_secs_f64(seconds).unwrap_or_default();
    Clocks {
        connect: seconds(clocks.connect),
        tls: seconds(clocks.tls),
        // The head of an answer is a part of the whole exchange.
        first_byte: seconds(clocks.first_byte.min(clocks.total)),
        idle_json: seconds(clocks.idle_json),
        idle_events: seconds(clocks.idle_events),
        total: seconds(clocks.total),
        keep_alive: seconds(clocks.keep_alive),
        listen: seconds(clocks.listen),
        idle_session: seconds(clocks.idle_session),
        input: seconds(clocks.input),
    }
}

fn serves(era: Era) -> Serves {
    match era {
        Era::Both => Serves::Both,
        Era::Upstream => Serves::Upstream,
        Era::Legacy => Serves::Legacy,
        Era::Modern => Serves::Modern,
    }
}

/// Which clients are served, as policies are told.
fn served_eras(era: Era) -> Option<ServedEras> {
    match era {
        Era::Both => Some(ServedEras { legacy: true, modern: true }),
        Era::Upstream => None,
        Era::Legacy => Some(ServedEras { legacy: true, modern: false }),
        Era::Modern => Some(ServedEras { legacy: false, modern: true }),
    }
}

fn answer_limits(limits: &RouteLimits) -> AnswerLimits {
    AnswerLimits {
        json_bytes: size(limits.response_bytes),
        events: EventLimits { event: size(limits.event_bytes), line: size(limits.event_line_bytes) },
    }
}

fn edge_limits(route: &PlannedRoute) -> EdgeLimits {
    let limits = &route.limits;
    EdgeLimits {
        request_bytes: size(limits.request_bytes),
        message: Limits {
            depth: limits.depth,
            nodes: limits.nodes.get(),
            keys: limits.keys.get(),
            string: limits.string_bytes.get(),
        },
        body_rate: limits.request_bytes_per_second.get(),
        allow_methods: route.allow_methods.iter().map(|method| method.as_str().into()).collect(),
        unusual_tool_names: limits.unusual_tool_names,
        batches: match route.batches {
            Batches::Refuse => edge::Batches::Refuse,
            Batches::Split => edge::Batches::Split,
        },
        ..EdgeLimits::default()
    }
}

fn size(bytes: std::num::NonZeroU32) -> usize {
    bytes.get() as usize
}
