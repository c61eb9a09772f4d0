//! What a report is about, and the commands with which people look at it themselves.

use std::path::Path;

use url::{Position, Url};

use super::{
    clients::Client,
    finding::{Finding, shown},
};
use crate::{config::Secrets, fault::AGAIN};

/// The variable for the token of a server.
pub const TOKEN_VARIABLE: &str = "PORTCULLIS_DOCTOR_TOKEN";

/// What a report is about.
pub(super) struct Subject {
    title: String,
    /// The server, if it is one.
    server: Option<Url>,
    /// The client that does not work with it, if one was named.
    client: Option<Client>,
    /// The option or the variable that its token came by, if there is one.
    token_from: Option<&'static str>,
    /// The command that looks once more.
    again: String,
    /// What is not to be shown, wherever it turns up: a server may repeat what it was sent.
    secrets: Vec<String>,
    /// The configuration, and what came into it from `$env` and `$file`, if it is one.
    config: String,
    hidden: Secrets,
}

impl Subject {
    /// A server.
    pub(super) fn of_server(url: &Url, secrets: Vec<String>) -> Self {
        let again = without_empty_quotes(&format!("portcullis doctor '{}'", written(url)));
        Self { server: Some(url.clone()), secrets, ..Self::new(shown(url), again) }
    }

    /// The deployment of a configuration.
    pub(super) fn of_deployment(file: &Path, hidden: Secrets) -> Self {
        let title = file.display().to_string();
        let config = within_quotes(&title);
        let again = format!("portcullis doctor --config '{config}'");
        Self { config, hidden, ..Self::new(title, again) }
    }

    /// An access token, examined with these options. Of it only what it says is ever shown.
    pub(super) fn of_token(token: &str, options: &str) -> Self {
        let signature = token.rsplit('.').next().filter(|signature| signature.len() > 8);
        let secrets = [token].into_iter().chain(signature).filter(|secret| !secret.is_empty());
        let again = format!("portcullis doctor token -{options} <token.txt");
        Self { secrets: secrets.map(str::to_owned).collect(), ..Self::new("an access token".to_owned(), again) }
    }

    fn new(title: String, again: String) -> Self {
        let (config, hidden) = (String::new(), Secrets::default());
        Self { title, server: None, client: None, token_from: None, again, secrets: Vec::new(), config, hidden }
    }

    /// The same, for somebody whose client does not work with it.
    pub(super) fn for_client(self, client: Option<Client>) -> Self {
        let named = client.map(|client| format!(" --client {}", client.word())).unwrap_or_default();
        Self { again: self.again + &named, client, ..self }
    }

    /// The same, with a token that was given by this option or variable. The command has only a variable's name for it.
    pub(super) fn with_token_from(self, from: Option<&'static str>) -> Self {
        let variable = from.map(|_| format!("{TOKEN_VARIABLE}=\"$TOKEN\" ")).unwrap_or_default();
        Self { again: variable + &self.again, token_from: from, ..self }
    }

    /// The client, if one was named.
    pub(super) fn client(&self) -> Option<Client> {
        self.client
    }

    /// The option or the variable that the token came by, if there is one.
    pub(super) fn token_from(&self) -> Option<&'static str> {
        self.token_from
    }

    /// A step's command with the URL in it.
    pub(super) fn filled(&self, command: &str) -> String {
        without_empty_quotes(&command.replace("{url}", &self.server.as_ref().map(written).unwrap_or_default()))
    }

    /// What it is called.
    pub(super) fn title(&self) -> &str {
        &self.title
    }

    /// The same text without what is not to be shown.
    pub(super) fn masked(&self, text: &str) -> String {
        let text = self.hidden.mask(text);
        self.secrets.iter().fold(text, |text, secret| text.replace(secret.as_str(), "…"))
    }

    /// The command that looks once more.
    pub(super) fn again(&self) -> &str {
        &self.again
    }

    /// The commands that show whether what was found is mended, without those about an address that is not known.
    pub(super) fn verification(&self, finding: &Finding) -> Vec<String> {
        let server = finding.server.as_ref().or(self.server.as_ref());
        let text = |url: Option<&Url>| url.map(written).unwrap_or_default();
        let port = server.and_then(Url::port_or_known_default).map(|port| port.to_string());
        let parts = [
            ("{url}", text(server)),
            ("{origin}", server.map(|url| quotable(&url.origin().ascii_serialization())).unwrap_or_default()),
            ("{host}", quotable(server.and_then(Url::host_str).unwrap_or_default())),
            ("{port}", port.unwrap_or_default()),
            ("{at}", text(finding.at.as_ref().or(server))),
            ("{config}", self.config.clone()),
        ];
        let fill = |command: &&str| {
            if AGAIN.contains(command) && finding.server.is_none() {
                return Some(self.again.clone());
            }
            let is_known = parts.iter().all(|(name, value)| !value.is_empty() || !command.contains(name));
            let filled =
                || parts.iter().fold((*command).to_owned(), |command, (name, value)| command.replace(name, value));
            is_known.then(|| self.masked(&without_empty_quotes(&filled())))
        };
        finding.fault.iter().flat_map(|fault| fault.verify()).filter_map(fill).collect()
    }
}

/// An address between the quotes of a command. Its query may hold a key: there is only the name of a variable for it.
fn written(url: &Url) -> String {
    // curl takes brackets in a path for a list of addresses, and those of a host for what they are.
    let path = quotable(url.path()).replace('[', "%5B").replace(']', "%5D");
    let query = if url.query().is_some() { r#"?'"$QUERY"'"# } else { "" };
    format!("{}{path}{query}", quotable(&url[..Position::BeforePath]))
}

/// The same command without quotes in which nothing stands.
fn without_empty_quotes(command: &str) -> String {
    command.replace(r#""$QUERY"''"#, r#""$QUERY""#)
}

/// Any text between the quotes of a command.
pub(super) fn within_quotes(text: &str) -> String {
    text.replace('\'', r"'\''")
}

/// Somebody else may have written the address, and people paste commands: it must not end the quotes that it stands in, nor
/// say what another part of the command says.
fn quotable(address: &str) -> String {
    address.replace('\'', "%27").replace('{', "%7B").replace('}', "%7D")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Fault;

    #[test]
    fn an_address_that_somebody_else_chose_does_not_end_the_quotes_of_a_command() {
        let typed = Subject::of_server(&Url::parse("https://mcp.example/mcp").unwrap(), Vec::new());
        let hostile = Url::parse("https://idp.example/';rm${IFS}-rf${IFS}x;'").unwrap();
        let commands = typed.verification(&Finding::of(Fault::IssuerMismatch, "").at(&hostile));
        assert_eq!(commands.concat().matches('\'').count(), 2, "{commands:?}");
        let commands = typed.verification(&Finding::of(Fault::NotTls, ""));
        assert_eq!(commands, ["openssl s_client -connect 'mcp.example:443' -servername 'mcp.example' </dev/null"]);
    }

    #[test]
    fn a_command_names_a_variable_for_a_query_and_does_not_let_curl_count_through_brackets() {
        let url = Url::parse("http://[::1]:8080/a[1-3]?key=canary").unwrap();
        let typed =
            Subject::of_server(&url, Vec::new()).for_client(Some(Client::Cursor)).with_token_from(Some("--token"));
        let commands = typed.verification(&Finding::of(Fault::TokenRefused, ""));
        let again = r#"PORTCULLIS_DOCTOR_TOKEN="$TOKEN" portcullis doctor 'http://[::1]:8080/a%5B1-3%5D?'"$QUERY" --client cursor"#;
        assert_eq!((&*commands, typed.again()), (&[again.to_owned()][..], again));
        let commands = typed.verification(&Finding::of(Fault::IssuerMismatch, ""));
        assert_eq!(commands, [r#"curl -sS -i 'http://[::1]:8080/a%5B1-3%5D?'"$QUERY""#]);
    }

    #[test]
    fn a_command_about_an_address_that_is_not_known_is_left_out() {
        let deployment = Subject::of_deployment(Path::new("a'b.json"), Secrets::default());
        for fault in Fault::ALL {
            for command in deployment.verification(&Finding::of(*fault, "")) {
                assert!(!command.contains("''") || command.contains(r"'a'\''b.json'"), "{command}");
            }
        }
        let commands = deployment.verification(&Finding::of(Fault::ClockSkewed, ""));
        assert_eq!(commands, ["date -u"]);
    }
}
