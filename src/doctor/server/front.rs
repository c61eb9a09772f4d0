//! What stands between clients and the server: whether the answer depends on who asks, and on the way by which they ask.

use http::{HeaderValue, StatusCode};
use portcullis_policies::kit::words;

use super::{
    super::{
        check::{Case, Running},
        finding::Finding,
    },
    case::{Fact, Server},
    door::ask_without_token,
    endpoint::{Asked, Endpoint},
    guards::{fronts, guard},
    peer::Answer,
    proxy::{Environment, Proxy},
};
use crate::fault::Fault;

/// As many clients call themselves: those of Node.js, and Anthropic's cloud, which custom connectors are asked from.
const CLIENTS: [HeaderValue; 2] = [HeaderValue::from_static("node"), HeaderValue::from_static("Claude-User")];
/// Letters of what a header says.
const LONGEST: usize = 160;

/// Is it the answer of somebody who lets this client not through, or programs at all?
pub(super) fn is_turned_away(answer: &Answer) -> bool {
    matches!(answer.status, StatusCode::FORBIDDEN | StatusCode::NOT_ACCEPTABLE)
        || (answer.outcome().is_none() && guard(answer).is_some_and(|guard| guard.fault == Fault::ChallengePage))
}

/// Somebody who turned us away may let others through: then we go on under their name, and say so.
pub(super) async fn under_another_name(case: &mut Server, refused: &Answer) -> Option<(Answer, Finding)> {
    let own = case.peer.user_agent.clone();
    for name in CLIENTS.into_iter().map(Some).chain([None]) {
        case.peer.user_agent.clone_from(&name);
        if let Ok(answer) = ask_without_token(case).await
            && !is_turned_away(&answer)
        {
            let (ours, theirs) = (words_of(own.as_ref()), words_of(name.as_ref()));
            let told = format!("{ours}: {}; {theirs}: {}", refused.head(), answer.head());
            return Some((answer, Finding::of(Fault::UserAgentRefused, &told)));
        }
    }
    case.peer.user_agent = own;
    None
}

fn words_of(name: Option<&HeaderValue>) -> String {
    let name = name.map(|name| String::from_utf8_lossy(name.as_bytes()).into_owned());
    name.map_or_else(|| "without User-Agent".to_owned(), |name| format!("with User-Agent: {name}"))
}

/// What is in front of it, and whether clients are let through.
pub(super) fn front(case: &mut Server) -> Running<'_> {
    Box::pin(async move {
        let Some(answer) = &case.answered else { return vec![Finding::skipped("there was no answer")] };
        let mut findings = vec![in_front(answer)];
        // Whoever turned us away was asked under other names before.
        if case.has(Fact::Clients) && !is_turned_away(answer) {
            findings.extend(clients_refused(case).await);
        }
        findings
    })
}

fn in_front(answer: &Answer) -> Finding {
    let seen = fronts(answer);
    if seen.is_empty() {
        return Finding::ok("no proxy tells of itself in the headers");
    }
    let seen: Vec<_> = seen.iter().map(|one| words::plain(one, LONGEST)).collect();
    Finding::ok(&seen.join(", "))
}

/// Bot protections judge by the name. The requests stand for themselves, so no session is opened.
async fn clients_refused(case: &Server) -> Option<Finding> {
    let ask = async |name: HeaderValue| {
        let peer = case.peer.called(name);
        Endpoint { peer: &peer, ..case.without_token() }.tools(None).await
    };
    let [node, claude] = CLIENTS;
    let (as_node, as_claude) = tokio::join!(ask(node.clone()), ask(claude.clone()));
    let answers = [(node, as_node), (claude, as_claude)];
    let refused: Vec<_> = answers
        .into_iter()
        .filter_map(|(name, asked)| asked.ok().filter(is_turned_away).map(|answer| (name, answer)))
        .collect();
    if refused.is_empty() || case.without_token().tools(None).await.is_ok_and(|own| is_turned_away(&own)) {
        return None;
    }
    let told: Vec<_> =
        refused.iter().map(|(name, answer)| format!("{}: {}", words_of(Some(name)), answer.head())).collect();
    let finding = Finding::of(Fault::UserAgentRefused, &told.join("; "));
    Some(match refused.iter().find_map(|(_, answer)| guard(answer)) {
        Some(guard) => finding.with_fix(guard.fix),
        None => finding,
    })
}

/// Some clients go through the proxy that the environment names, and others go directly like this command. It is asked also
/// where there is no way to the server: that may be the only one.
pub(super) fn proxy(case: &mut Server) -> Running<'_> {
    Box::pin(async move {
        vec![match &case.environment {
            Environment::Silent => Finding::skipped("the environment names no proxy"),
            Environment::Exempt(proxy) => Finding::ok(&format!("{}, and NO_PROXY exempts this host", proxy.name())),
            Environment::Named(proxy) if !proxy.is_http() => {
                Finding::skipped(&format!("{}: such a proxy is not asked here", proxy.name()))
            }
            Environment::Named(proxy) => compared(case, proxy.clone()).await,
        }]
    })
}

async fn compared(case: &Server, proxy: Proxy) -> Finding {
    let name = proxy.name();
    let through = case.peer.through(proxy);
    let (direct, proxied) =
        tokio::join!(case.without_token().tools(None), Endpoint { peer: &through, ..case.without_token() }.tools(None));
    let told = format!("directly: {}; by {name}: {}", told(&direct), told(&proxied));
    match (direct.ok(), proxied.ok()) {
        (None, Some(_)) => Finding::of(Fault::OnlyByProxy, &told),
        (direct, proxied) if direct.as_ref().map(status) == proxied.as_ref().map(status) => Finding::ok(&told),
        _ => Finding::of(Fault::ProxyInTheWay, &told),
    }
}

fn status(answer: &Answer) -> StatusCode {
    answer.status
}

fn told(asked: &Asked) -> String {
    asked.as_ref().map_or_else(|none| none.words.clone(), Answer::head)
}
