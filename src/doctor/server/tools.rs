//! The tools that a server lists, and where there are none, why.

use std::time::Duration;

use portcullis_policies::kit::words::counted;
use serde_json::Value;
use tokio::time::Instant;

use super::{
    super::{check::Running, finding::Finding},
    case::Server,
    endpoint::{Asked, METHOD_NOT_FOUND},
    mcp::refused,
    siblings,
};
use crate::fault::Fault;

/// Pages of tools that are read.
const PAGES: usize = 50;
/// After this no further page is asked for.
const ENOUGH: Duration = Duration::from_secs(20);

/// Counts the tools, page by page, in the newest era that the server speaks.
pub(super) fn tools(case: &mut Server) -> Running<'_> {
    Box::pin(async move {
        let finding = match count(case).await {
            Ok((0, _)) => none(case).await,
            Ok((tools, IsAll(true))) => Finding::ok(&counted(tools, "tool")),
            Ok((tools, IsAll(false))) => Finding::ok(&format!("at least {}", counted(tools, "tool"))),
            Err(finding) => finding,
        };
        vec![finding]
    })
}

/// Was each page read?
struct IsAll(bool);

async fn count(case: &mut Server) -> Result<(usize, IsAll), Finding> {
    let began = Instant::now();
    let (mut tools, mut cursor) = (0, None::<String>);
    for _ in 0..PAGES {
        if began.elapsed() > ENOUGH {
            break;
        }
        let answer = page(case, cursor.as_deref()).await?;
        if let Some(refused) = refused(case, &answer) {
            return Err(refused);
        }
        case.took = Some(answer.timing());
        let result = match answer.outcome() {
            Some(Ok(result)) => result,
            Some(Err(error)) if error["code"] == METHOD_NOT_FOUND => return Ok((tools, IsAll(true))),
            _ => return Err(Finding::of(Fault::ToolsRefused, &answer.told())),
        };
        tools += listed(result);
        cursor = result["nextCursor"].as_str().map(ToOwned::to_owned);
        if cursor.is_none() {
            return Ok((tools, IsAll(true)));
        }
    }
    Ok((tools, IsAll(false)))
}

/// The tools on one page.
pub(super) fn listed(result: &Value) -> usize {
    result["tools"].as_array().map_or(0, Vec::len)
}

async fn page(case: &Server, cursor: Option<&str>) -> Asked {
    let (endpoint, spoken) = (case.endpoint(), &case.spoken);
    match &spoken.legacy {
        Some(session) if !spoken.modern => endpoint.tools_in_session(session, cursor).await,
        _ => endpoint.tools(cursor).await,
    }
}

/// Why there are none: another path has them, the token hides them, or the server has no tools and says so.
async fn none(case: &Server) -> Finding {
    let told = format!("tools/list is empty; the server names {}", capabilities(case));
    if let Some(found) = siblings::find(case).await.into_iter().find(|found| found.tools > Some(0)) {
        return Finding::of(Fault::ToolsElsewhere, &format!("{told}; {}", found.told())).with_fix(found.fix());
    }
    if let Some(tools) = without_token(case).await.filter(|tools| *tools > 0) {
        return Finding::of(Fault::TokenHidesTools, &format!("{told}; without the token: {}", counted(tools, "tool")));
    }
    let has_tools = case.spoken.capabilities.as_ref().is_none_or(|named| named.contains_key("tools"));
    Finding::of(if has_tools { Fault::NoTools } else { Fault::NoToolsCapability }, &told)
}

fn capabilities(case: &Server) -> String {
    let names: Vec<_> = case.spoken.capabilities.iter().flat_map(|named| named.keys()).cloned().collect();
    if names.is_empty() { "no capabilities".to_owned() } else { format!("the capabilities {}", names.join(", ")) }
}

/// How many whoever shows no token sees, if one was shown.
async fn without_token(case: &Server) -> Option<usize> {
    case.credential.as_ref()?;
    siblings::count(case.without_token()).await.tools
}
