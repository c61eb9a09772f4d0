//! Clients of MCP by name: what each needs of a server, what it remembers of one, and how to make it forget.
//!
//! Only what a client's own pages say or what was seen of it stands here. What nobody has written down is left out: a wrong path
//! to delete is worse than none.

use serde_json::{Value, json};

/// A client that people can name when theirs does not work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Client {
    /// MCP Inspector.
    Inspector,
    /// The bridge for clients that start a program.
    McpRemote,
    /// Visual Studio Code.
    #[value(name = "vscode")]
    VsCode,
    /// Claude Desktop, and every other surface with its connectors.
    ClaudeDesktop,
    /// Claude Code.
    ClaudeCode,
    /// Cursor.
    Cursor,
}

/// A way to a client id that a client goes by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// It registers (RFC 7591).
    Dynamic,
    /// Its id is the address of a document about it.
    Document,
}

/// From where a client asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// From the machine on which it runs.
    Machine,
    /// From its maker's machines: only what is public, and only port 443.
    Maker,
}

/// What is known of a client.
pub(super) struct Profile {
    /// What people call it.
    pub(super) name: &'static str,
    /// How it comes to a client id by itself.
    pub(super) ways: &'static [Way],
    /// How it is given one that somebody registered for it.
    pub(super) by_hand: &'static str,
    /// Where it wants people to come back to.
    pub(super) redirects: &'static [&'static str],
    /// From where it asks.
    pub(super) origin: Origin,
    /// How to make it forget what it knows of a server, and what else is worth a try.
    steps: &'static [Step],
}

/// Something to do. In a command, `{url}` is what was typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) says: &'static str,
    pub(super) command: Option<&'static str>,
}

impl Step {
    /// For programs; `fill` writes the URL into a command.
    pub(super) fn to_json(self, fill: impl Fn(&str) -> String) -> Value {
        json!({ "says": self.says, "command": self.command.map(fill) })
    }
}

const fn step(says: &'static str) -> Step {
    Step { says, command: None }
}

const fn run(says: &'static str, command: &'static str) -> Step {
    Step { says, command: Some(command) }
}

impl Client {
    /// Each of them.
    pub(super) const ALL: &'static [Self] =
        &[Self::Inspector, Self::McpRemote, Self::VsCode, Self::ClaudeDesktop, Self::ClaudeCode, Self::Cursor];

    /// As it is typed.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Inspector => "inspector",
            Self::McpRemote => "mcp-remote",
            Self::VsCode => "vscode",
            Self::ClaudeDesktop => "claude-desktop",
            Self::ClaudeCode => "claude-code",
            Self::Cursor => "cursor",
        }
    }

    /// What is known of it.
    pub(super) const fn profile(self) -> &'static Profile {
        match self {
            Self::Inspector => &INSPECTOR,
            Self::McpRemote => &MCP_REMOTE,
            Self::VsCode => &VSCODE,
            Self::ClaudeDesktop => &CLAUDE_DESKTOP,
            Self::ClaudeCode => &CLAUDE_CODE,
            Self::Cursor => &CURSOR,
        }
    }

    /// What to do at the client. All of them but the Inspector open a browser by themselves.
    pub(super) fn steps(self) -> impl Iterator<Item = &'static Step> {
        let browser: &[Step] = if self == Self::Inspector { &[] } else { NO_BROWSER };
        self.profile().steps.iter().chain(browser)
    }
}

/// Where a browser does not open, and signing in ends by itself after a while.
const NO_BROWSER: &[Step] = &[
    step(
        "No browser opens, on macOS: allow the client in System Settings, Privacy & Security, App Management; start it again.",
    ),
    step("No browser opens, on Windows: allow it in Settings, Privacy, App permissions; start it again."),
    run("No browser opens, on Linux: xdg-open has to be there, on the PATH of the client.", "command -v xdg-open"),
];

const INSPECTOR: Profile = Profile {
    name: "MCP Inspector",
    ways: &[Way::Dynamic],
    by_hand: "with --client-id and --client-secret, or in its OAuth settings",
    redirects: &["http://localhost:6274/oauth/callback"],
    origin: Origin::Machine,
    steps: &[
        step("Versions 0.x remember the sign-in in the browser's tab: close the tab and open a new one."),
        step("Connect by its proxy instead of directly: then the server need not let web pages of other origins in."),
        run(
            "Without a browser it says more (2.x; it ends with 3 where a sign-in is needed):",
            "npx -y -p node@22 -p @modelcontextprotocol/inspector mcp-inspector --cli '{url}' --transport http --method tools/list",
        ),
    ],
};

const MCP_REMOTE: Profile = Profile {
    name: "mcp-remote",
    ways: &[Way::Dynamic],
    by_hand: "with --static-oauth-client-info '{\"client_id\": \"…\"}', which also pins the port of the redirect URI",
    redirects: &["http://localhost:PORT/oauth/callback, with a port of 3335 to 49150 that follows from the URL"],
    origin: Origin::Machine,
    steps: &[
        run(
            "It remembers registrations and tokens of every server, each version in mcp-remote-<version>. Delete them, then start \
             the client again:",
            "rm -rf \"${MCP_REMOTE_CONFIG_DIR:-$HOME/.mcp-auth}\"",
        ),
        step(
            "Several pages to sign in: a connector for the same server is on in the client besides. Take one of the two out.",
        ),
        run("By itself, without the client:", "npx -p mcp-remote@latest mcp-remote-client '{url}'"),
        step(
            "An http URL that is not on this machine needs --allow-http; --debug writes a log into the folder that is deleted above.",
        ),
    ],
};

const VSCODE: Profile = Profile {
    name: "VS Code",
    ways: &[Way::Dynamic, Way::Document],
    by_hand: "in the dialog that opens where it cannot register",
    redirects: &["http://127.0.0.1:33418/ (any other port if that one is taken)", "https://vscode.dev/redirect"],
    origin: Origin::Machine,
    steps: &[
        step(
            "It remembers the registration: run \"Authentication: Remove Dynamic Authentication Provider\" from the command \
             palette, take the entry of this server out, and connect again.",
        ),
        step(
            "\"Invalid redirect URI\": it took another port than 33418, which it had registered. Close its other windows, or let \
             the authorization server take every port of 127.0.0.1 (RFC 8252, section 7.3).",
        ),
    ],
};

const CLAUDE_DESKTOP: Profile = Profile {
    name: "Claude Desktop",
    ways: &[Way::Dynamic, Way::Document],
    by_hand: "as client id and client secret in the connector's advanced settings",
    redirects: &["https://claude.ai/api/mcp/auth_callback", "https://claude.com/api/mcp/auth_callback"],
    origin: Origin::Maker,
    steps: &[
        step(
            "A remote server is added under Connectors, and not in claude_desktop_config.json, which is for programs to start.",
        ),
        step(
            "What it remembers of a host cannot be deleted. Where it still uses an older sign-in, serve under a new host name.",
        ),
    ],
};

const CLAUDE_CODE: Profile = Profile {
    name: "Claude Code",
    ways: &[Way::Dynamic, Way::Document],
    by_hand: "with `claude mcp add --transport http --client-id ID --callback-port PORT NAME URL` (2.1.30 and later)",
    redirects: &["http://localhost:PORT/callback, with any port, or that of --callback-port"],
    origin: Origin::Machine,
    steps: &[
        step(
            "It remembers the sign-in: type /mcp, choose the server, then \"Clear authentication\", and sign in again.",
        ),
        run("Where it comes back with the old one all the same, add the server under another name:", "claude mcp list"),
        step(
            "\"Incompatible auth server: does not support dynamic client registration\": the authorization server lets no client \
             register, and Claude Code was given no client id.",
        ),
    ],
};

const CURSOR: Profile = Profile {
    name: "Cursor",
    ways: &[Way::Dynamic],
    by_hand: "as \"auth\": { \"CLIENT_ID\": \"…\" } of the server in ~/.cursor/mcp.json",
    redirects: &["http://localhost:8787/callback", "cursor://anysphere.cursor-mcp/oauth/callback (older versions)"],
    origin: Origin::Machine,
    steps: &[step(
        "It remembers the sign-in: run \"Cursor: Clear All MCP Tokens\" from the command palette, which signs out of all servers, \
         and connect again.",
    )],
};

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn each_client_is_typed_as_it_is_called_and_has_something_to_do() {
        assert_eq!(Client::value_variants(), Client::ALL);
        for client in Client::ALL {
            assert_eq!(client.to_possible_value().unwrap().get_name(), client.word());
            assert!(client.steps().count() > 0 && !client.profile().redirects.is_empty(), "{}", client.word());
        }
    }
}
