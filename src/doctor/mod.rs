//! What is wrong, and what to do about it: `portcullis doctor`.
//!
//! An examination is a list of checks. Each asks one question, may need what an earlier one found, and says
//! what it saw; a fault is one of the table in [`fault`](crate::fault), which has its cause and its remedy. It only looks.

mod certificate;
mod check;
mod clients;
mod deployment;
mod finding;
mod report;
mod server;
mod subject;
mod token;

use std::path::Path;

use http::HeaderValue;
use portcullis_policies::kit::clock::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use self::{
    check::{Case, Check},
    deployment::Deployment,
    server::Server,
    subject::Subject,
    token::Token,
};
pub use self::{clients::Client, report::Report, subject::TOKEN_VARIABLE, token::Expectations};
use crate::{fetch::Roots, pipeline::Toolbox};

/// A token to look behind a sign-in with.
pub struct GivenToken {
    /// All of it. An empty one is none.
    pub text: SecretString,
    /// The option or the variable that it came by.
    pub from: &'static str,
}

/// Examines the MCP server at a URL, written as `typed`, for any client or for one. `say` gets the text for people, as soon as
/// it is there.
pub async fn of_server(
    typed: &str,
    url: &Url,
    client: Option<Client>,
    token: Option<GivenToken>,
    say: impl FnMut(&str),
) -> anyhow::Result<Report> {
    let token = token.filter(|token| !token.text.expose_secret().trim().is_empty());
    let credential = token.as_ref().map(|token| bearer(&token.text)).transpose()?;
    let own = token.iter().map(|token| token.text.expose_secret().trim().to_owned());
    let secrets = own.chain(in_query(url)).collect();
    let subject = Subject::of_server(url, secrets).for_client(client).with_token_from(token.map(|token| token.from));
    let mut case = Server::new(typed, url.clone(), credential, Roots::of_system());
    case.client = client;
    case.give_to_clients();
    Ok(examine(server::ALL, &mut case, subject, say).await)
}

/// Examines what a configuration, with this text, makes of this machine and of the servers that it names. `say` gets the text
/// for people, as soon as it is there.
pub async fn of_deployment(file: &Path, text: &str, tools: Toolbox, say: impl FnMut(&str)) -> Report {
    let mut case = Deployment::new(file, text, tools);
    let subject = Subject::of_deployment(file, case.secrets());
    let report = examine(deployment::ALL, &mut case, subject, say).await;
    case.close().await;
    report
}

/// Examines an access token, against what a configuration expects if there is one.
pub async fn of_token(
    token: &SecretString,
    now: Timestamp,
    expectations: Option<Expectations>,
    say: impl FnMut(&str),
) -> Report {
    let token = token.expose_secret().trim();
    let token = token.strip_prefix("Bearer ").unwrap_or(token).trim().to_owned();
    let options = expectations.as_ref().map(Expectations::options).unwrap_or_default();
    let subject = Subject::of_token(&token, &options);
    examine(token::ALL, &mut Token::new(token, now, expectations), subject, say).await
}

/// Asks every question in turn, and says each answer as soon as it is there. Before that it says what is under way, in a text
/// that ends with a return: the next one is to be written over it.
async fn examine<C: Case>(
    checks: &'static [Check<C>],
    case: &mut C,
    subject: Subject,
    mut say: impl FnMut(&str),
) -> Report {
    let mut report = Report::new(subject);
    say(&report.head());
    for check in checks {
        say(&report::under_way(check.name));
        let findings = check.look(case).await;
        say(&report.add(check.name, check.question, findings));
    }
    say(&report.conclusion());
    report
}

/// What the query of a URL may hold that nobody should see: all of it, and each value of it, as written and as read. Shorter
/// ones are words that turn up anywhere.
fn in_query(url: &Url) -> Vec<String> {
    let query = url.query().unwrap_or_default();
    let written = query.split('&').filter_map(|pair| Some(pair.split_once('=')?.1.to_owned()));
    let read = url.query_pairs().map(|(_, value)| value.into_owned());
    let mut all: Vec<_> = written.chain(read).chain([query.to_owned()]).filter(|secret| secret.len() > 5).collect();
    // One may be a part of another, which would not be found any more.
    all.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    all
}

fn bearer(token: &SecretString) -> anyhow::Result<HeaderValue> {
    let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose_secret().trim()))
        .map_err(|_| anyhow::anyhow!("the token holds characters that cannot stand in a header"))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nothing;

    impl Case for Nothing {
        type Fact = ();

        fn has(&self, (): ()) -> bool {
            false
        }

        fn missing((): ()) -> &'static str {
            "nothing is there"
        }
    }

    const ONE: &[Check<Nothing>] =
        &[Check { name: "one", question: "Is it there?", needs: &[()], run: |_| Box::pin(async { Vec::new() }) }];

    #[tokio::test]
    async fn the_check_under_way_is_said_before_its_answer_and_only_in_passing() {
        let mut said = Vec::new();
        let subject = Subject::of_server(&Url::parse("https://mcp.example/").unwrap(), Vec::new());
        examine(ONE, &mut Nothing, subject, |text| said.push(text.to_owned())).await;
        let ends: Vec<_> = said.iter().map(|text| text.chars().last().unwrap()).collect();
        assert_eq!(ends, ['\n', '\r', '\n', '\n'], "{said:?}");
        assert!(said[1].contains("one") && said[2].contains("skipped  one"), "{said:?}");
    }

    #[test]
    fn the_values_of_a_query_are_secrets_as_written_and_as_read() {
        let secrets = |url: &str| in_query(&Url::parse(url).unwrap());
        let long = "key=S3CR%45T-abc&v=1";
        assert_eq!(secrets(&format!("https://h/mcp?{long}")), [long, "S3CR%45T-abc", "S3CRET-abc"]);
        assert_eq!(secrets("https://h/mcp?S3CRET-abc"), ["S3CRET-abc"]);
        assert_eq!(secrets("https://h/mcp?v=1"), [""; 0]);
        assert_eq!(secrets("https://h/mcp"), [""; 0]);
    }

    #[test]
    fn a_token_is_marked_so_that_nobody_prints_it() {
        let value = bearer(&SecretString::from(" abc\n")).unwrap();
        assert!(value.is_sensitive() && value == "Bearer abc");
        assert!(bearer(&SecretString::from("a\nb")).is_err());
    }
}
