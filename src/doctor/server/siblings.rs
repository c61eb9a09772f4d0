//! Other paths of the typed origin: an MCP server may be at one of them. They are asked without the token, which is for
//! the typed URL only, and each session that is opened ends at once.

use std::time::Duration;

use http::StatusCode;
use portcullis_policies::kit::words;
use tokio::time::Instant;
use url::Url;

use super::{
    super::finding::shown,
    case::Server,
    endpoint::{Asked, Endpoint, METHOD_NOT_FOUND, Session},
    peer::Answer,
    tools,
};

/// Paths that are looked at.
const MOST: usize = 6;
/// After this no further path is begun with.
const ENOUGH: Duration = Duration::from_secs(5);

/// An MCP server at another path.
pub(super) struct Sibling {
    url: Url,
    kind: &'static str,
    /// Its tools, if anybody may see them.
    pub(super) tools: Option<usize>,
}

/// What is at a URL.
pub(super) struct Counted {
    /// What it is, if it speaks MCP or asks for a token.
    kind: Option<&'static str>,
    /// The tools on its first page.
    pub(super) tools: Option<usize>,
}

impl Sibling {
    /// As evidence.
    pub(super) fn told(&self) -> String {
        let tools = self.tools.map(|tools| format!(" with {}", words::counted(tools, "tool"))).unwrap_or_default();
        format!("{}{tools} is at {}", self.kind, shown(&self.url))
    }

    /// What to do.
    pub(super) fn fix(&self) -> String {
        format!("Give clients {} as the URL.", shown(&self.url))
    }
}

/// What answers as MCP beside the typed path.
pub(super) async fn find(case: &Server) -> Vec<Sibling> {
    let began = Instant::now();
    let mut found = Vec::new();
    for url in places(&case.url) {
        if began.elapsed() > ENOUGH {
            break;
        }
        let here = Endpoint { peer: &case.peer, url: &url, credential: None };
        if url.path().ends_with("/sse") {
            if is_http_sse(here).await {
                found.push(Sibling { url, kind: "a server of the older HTTP+SSE transport", tools: None });
            }
        } else if let Counted { kind: Some(kind), tools } = count(here).await {
            found.push(Sibling { url, kind, tools });
        }
    }
    found
}

/// With and without a slash at the end, below the typed path, and where servers usually are.
fn places(typed: &Url) -> Vec<Url> {
    let path = typed.path();
    let bare = path.trim_end_matches('/');
    let turned = if path == bare { format!("{bare}/") } else { bare.to_owned() };
    let mut places = Vec::new();
    for path in [&*turned, &format!("{bare}/mcp"), "/mcp", "/mcp/v1", "/sse", "/"] {
        let mut url = typed.clone();
        url.set_path(path);
        if url != *typed && !places.contains(&url) {
            places.push(url);
        }
    }
    places.truncate(MOST);
    places
}

/// The tools of what is at a URL, as many as stand on the first page.
pub(super) async fn count(here: Endpoint<'_>) -> Counted {
    let opened = here.initialize().await;
    let session = Session::opened_by(&opened);
    let counted = counted(here, &session, &opened).await;
    here.end(&session).await;
    counted
}

async fn counted(here: Endpoint<'_>, session: &Session, opened: &Asked) -> Counted {
    let listed = match opened {
        Ok(opened) if opened.outcome().is_some_and(|outcome| outcome.is_ok()) => {
            // Some list nothing before they know that the session has begun.
            let _ = here.initialized(session).await;
            here.tools_in_session(session, None).await
        }
        // One without sessions.
        Ok(opened) if refuses_sessions(opened) => here.tools(None).await,
        _ => return Counted { kind: kind(opened), tools: None },
    };
    let tools = listed.as_ref().ok().and_then(|answer| answer.outcome()?.ok()).map(tools::listed);
    Counted { kind: kind(&listed).or_else(|| kind(opened)), tools }
}

fn refuses_sessions(opened: &Answer) -> bool {
    let error = opened.outcome().and_then(Result::err);
    error.is_some_and(|error| error["code"] == METHOD_NOT_FOUND || opened.status == StatusCode::BAD_REQUEST)
}

fn kind(asked: &Asked) -> Option<&'static str> {
    let answer = asked.as_ref().ok()?;
    if answer.status == StatusCode::UNAUTHORIZED {
        return Some("what asks for a token");
    }
    answer.outcome()?.is_ok().then_some("an MCP server")
}

/// Does GET open a stream that begins with where to post to (HTTP+SSE of 2024-11-05)?
pub(super) async fn is_http_sse(here: Endpoint<'_>) -> bool {
    let asked = here.peer.first_event(here.url, here.credential).await;
    asked.is_ok_and(|event| event.as_deref() == Some("endpoint"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_paths_are_few_none_is_the_typed_one_and_all_are_of_its_origin() {
        for (typed, looked_at) in [
            ("https://h/mcp", vec!["/mcp/", "/mcp/mcp", "/mcp/v1", "/sse", "/"]),
            ("https://h/", vec!["/mcp", "/mcp/v1", "/sse"]),
            ("https://h/api/", vec!["/api", "/api/mcp", "/mcp", "/mcp/v1", "/sse", "/"]),
        ] {
            let typed = Url::parse(typed).unwrap();
            let places = places(&typed);
            assert_eq!(places.iter().map(Url::path).collect::<Vec<_>>(), looked_at);
            assert!(places.iter().all(|place| place.origin() == typed.origin()));
        }
    }
}
