//! The page of troubleshooting, from the two lists of what can go wrong: the reasons with which calls are refused, and the
//! faults behind them.

use std::fmt::Write;

use portcullis_policies::kit::refusal::Reason;

use super::{Class, Fault, symptoms::SYMPTOMS};

/// Codes of one kind.
#[derive(Debug)]
pub struct Chapter {
    /// What they have in common.
    pub title: &'static str,
    /// Where they are met, and which command looks at them.
    pub lead: &'static str,
    /// The codes.
    pub topics: Vec<Topic>,
}

/// One code.
#[derive(Debug)]
pub struct Topic {
    /// It is the anchor, too.
    pub code: &'static str,
    /// How programs meet it.
    pub seen_as: String,
    /// What happened.
    pub what: &'static str,
    /// What to do.
    pub remedy: &'static str,
    /// Commands that show whether it is mended.
    pub verify: &'static [&'static str],
}

/// What stands before the chapters.
pub const LEAD: &str = "Each error of the gateway has a code: `error.data.cause` or `error.data.reason` of an answer, `fault` or \
                        `reason` in the log, and the diagnosis of `portcullis doctor`. Here they are, with what to do. In commands, \
                        {url} is the server's URL, {host} and {port} are parts of it, and {at} is the address that the error \
                        is about.";

/// All codes.
pub fn chapters() -> Vec<Chapter> {
    FAULTS.iter().map(|(class, title)| of_class(*class, title)).chain(REASONS.iter().map(of_status)).collect()
}

const FAULTS: [(Class, &str); 6] = [
    (Class::Network, "The way to a server"),
    (Class::Tls, "Certificates and TLS"),
    (Class::Http, "What answers is no MCP server"),
    (Class::Authorization, "Signing in"),
    (Class::Mcp, "MCP itself"),
    (Class::Deployment, "The deployment"),
];

fn of_class(class: Class, title: &'static str) -> Chapter {
    let faults = Fault::ALL.iter().filter(|fault| fault.class() == class);
    let topic = |fault: &Fault| Topic {
        code: fault.code(),
        seen_as: format!("doctor: {}, exit code {}", fault.severity().word(), class.exit_code()),
        what: fault.cause(),
        remedy: fault.fix(),
        verify: fault.verify(),
    };
    let lead = match class {
        Class::Deployment => "`portcullis doctor` looks at these, with the configuration of the deployment.",
        _ => {
            "`portcullis doctor {url}` looks at these, for any server's URL; the gateway names them where it meets them."
        }
    };
    Chapter { title, lead, topics: faults.map(topic).collect() }
}

/// Title, what is said of all, and the hundreds of the status.
type Family = (&'static str, &'static str, u16);

const REASONS: [Family; 3] = [
    (
        "Requests that the gateway refuses",
        "Answers 4xx. `portcullis explain PATH` shows which policy of the route says no.",
        4,
    ),
    (
        "Calls that get nowhere behind the gateway",
        "Answers 5xx. `portcullis doctor {url}` with the upstream's URL looks at it from this machine.",
        5,
    ),
    (
        "Calls that are answered with an error",
        "The HTTP answer is 200, and the JSON-RPC answer is an error that people or agents can act on.",
        2,
    ),
];

fn of_status((title, lead, hundreds): &Family) -> Chapter {
    let reasons = Reason::ALL.iter().filter(|reason| reason.status().as_u16() / 100 == *hundreds);
    let topic = |reason: &Reason| Topic {
        code: reason.code(),
        seen_as: format!("HTTP {}, JSON-RPC {}", reason.status().as_u16(), reason.json_rpc_code()),
        what: reason.meaning(),
        remedy: reason.remedy(),
        verify: verify(*reason),
    };
    Chapter { title, lead, topics: reasons.map(topic).collect() }
}

/// Where looking helps: most of the other reasons are about the request itself.
fn verify(reason: Reason) -> &'static [&'static str] {
    match reason {
        Reason::SignInRequired => &["portcullis doctor '{url}'"],
        Reason::InvalidToken | Reason::InsufficientScope => &["portcullis doctor token -"],
        Reason::RouteNotFound | Reason::HostNotAllowed => &["portcullis check"],
        Reason::NotExposed | Reason::UnknownMethod | Reason::OriginNotAllowed => &["portcullis explain"],
        Reason::VaultClosed => &["portcullis vault status"],
        Reason::OperatorMustConnect | Reason::ConnectRequired | Reason::UpstreamSetup => {
            &["portcullis connections list", "portcullis doctor '{url}'"]
        }
        _ if reason.code().starts_with("upstream_") => &["portcullis doctor '{url}'"],
        _ => &[],
    }
}

/// The page as Markdown.
pub fn markdown() -> String {
    let mut page =
        format!("# Troubleshooting\n\n{LEAD}\n\nA running gateway serves this page at `/troubleshooting`.\n\n");
    page += "## What people see\n\n| symptom | look at |\n|---|---|\n";
    for symptom in SYMPTOMS {
        let codes: Vec<_> = symptom.codes.iter().map(|code| format!("[`{code}`](#{code})")).collect();
        let _ = writeln!(page, "| {} | {} |", symptom.words, codes.join(", "));
    }
    for chapter in chapters() {
        chapter.write(&mut page);
    }
    page
}

impl Chapter {
    fn write(&self, page: &mut String) {
        let _ = writeln!(page, "\n## {}\n\n{}", self.title, self.lead);
        for Topic { code, seen_as, what, remedy, verify } in &self.topics {
            let _ = writeln!(page, "\n### {code}\n\n{what} ({seen_as})\n\n**What to do:** {remedy}");
            if !verify.is_empty() {
                let _ = writeln!(page, "\n```sh\n{}\n```", verify.join("\n"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_of_both_lists_is_on_the_page_once_and_what_people_see_leads_to_codes_that_are_there() {
        let chapters = chapters();
        let codes: Vec<_> = chapters.iter().flat_map(|chapter| &chapter.topics).map(|topic| topic.code).collect();
        assert_eq!(codes.len(), Fault::ALL.len() + Reason::ALL.len());
        for (at, code) in codes.iter().enumerate() {
            assert!(!codes[..at].contains(code), "{code} is there twice");
        }
        for symptom in SYMPTOMS {
            assert!(!symptom.codes.is_empty(), "{}", symptom.words);
            for code in symptom.codes {
                assert!(codes.contains(code), "{}: there is no {code}", symptom.words);
            }
        }
    }
}
