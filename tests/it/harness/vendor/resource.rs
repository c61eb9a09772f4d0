//! The vendor's MCP server: it says whose token each call carried.

use serde_json::{Value, json};

use super::{
    super::{Answer, Received},
    MCP, RESOURCE_METADATA, State, VendorCall,
};

/// The tools that it has. Each says the same.
const TOOLS: [&str; 3] = ["whoami", "read", "write"];

impl State {
    pub(super) fn resource(&mut self, request: &Received) -> Answer {
        match request.path() {
            RESOURCE_METADATA => {
                let document = json!({ "resource": self.url, "authorization_servers": [self.issuer] });
                self.document(RESOURCE_METADATA, document)
            }
            MCP => self.mcp(request),
            _ => Answer::status(404),
        }
    }

    fn mcp(&mut self, request: &Received) -> Answer {
        let shown = request.header("authorization").and_then(|header| header.strip_prefix("Bearer "));
        let Some((token, person, scope)) = shown.and_then(|token| self.holder(token)) else {
            self.counts.turned_away += 1;
            return self.unauthorized();
        };
        if !request.head.starts_with("POST ") {
            return Answer::status(405).header("Allow", "POST");
        }
        let message = request.message();
        let demanded = message["params"]["name"].as_str().and_then(|tool| self.demands.get(tool)).cloned();
        if let Some(missing) = demanded.filter(|demanded| !scope.split(' ').any(|name| name == demanded)) {
            return Self::insufficient(&missing);
        }
        let received = request.clone();
        self.calls.push(VendorCall { person: person.clone(), token, message, received });
        self.in_session(request, &person)
    }

    /// Token, person and scope, if the token is good.
    fn holder(&self, token: &str) -> Option<(String, String, String)> {
        let access = self.access.get(token).filter(|access| self.clock.now() < access.expires_at)?;
        let connection = self.connections.get(&access.connection)?;
        Some((token.to_owned(), connection.person.clone(), connection.scope.clone()))
    }

    fn unauthorized(&self) -> Answer {
        let origin = self.url.trim_end_matches(MCP);
        let scope = if self.asks.is_empty() { String::new() } else { format!(", scope=\"{}\"", self.asks) };
        let own = format!("Bearer resource_metadata=\"{origin}{RESOURCE_METADATA}\"{scope}");
        match self.challenge.as_ref().unwrap_or(&own).as_str() {
            "" => Answer::status(401),
            challenge => Answer::status(401).header("WWW-Authenticate", challenge),
        }
    }

    fn insufficient(scope: &str) -> Answer {
        let challenge = format!("Bearer error=\"insufficient_scope\", scope=\"{scope}\"");
        Answer::status(403).header("WWW-Authenticate", &challenge)
    }

    /// Sessions belong to people: the session of another one does not exist.
    fn in_session(&mut self, request: &Received, person: &str) -> Answer {
        let answer = answer(request, person);
        if !self.keeps_sessions {
            return answer;
        }
        if request.message()["method"] == "initialize" {
            let session = format!("session-{}", self.number());
            self.sessions.insert(session.clone(), person.to_owned());
            return answer.header("Mcp-Session-Id", &session);
        }
        let session = request.header("mcp-session-id").and_then(|session| self.sessions.get(session));
        if session.is_some_and(|owner| owner == person) { answer } else { Answer::status(404) }
    }
}

fn answer(request: &Received, person: &str) -> Answer {
    let message = request.message();
    if message.get("id").is_none() {
        return Answer::status(202);
    }
    Answer::json(&request.result(&result(&message, person)))
}

fn result(message: &Value, person: &str) -> Value {
    let info = json!({ "name": "vendor", "version": "1" });
    match message["method"].as_str().unwrap_or_default() {
        "initialize" => json!({
            "protocolVersion": message["params"]["protocolVersion"],
            "capabilities": { "tools": {} },
            "serverInfo": info,
        }),
        "tools/list" => {
            let tools = TOOLS.map(|name| json!({ "name": name, "inputSchema": { "type": "object" } }));
            json!({ "tools": tools, "resultType": "complete", "ttlMs": 0, "cacheScope": "private" })
        }
        "server/discover" => json!({
            "supportedVersions": ["2026-07-28", "2025-11-25"],
            "capabilities": { "tools": {} },
            "resultType": "complete",
            "ttlMs": 0,
            "cacheScope": "private",
            "_meta": { "io.modelcontextprotocol/serverInfo": info },
        }),
        // What the caller sent comes back too, so that an answer can be told from any other.
        _ => json!({
            "content": [{ "type": "text", "text": person }],
            "structuredContent": { "person": person, "arguments": message["params"]["arguments"] },
            "resultType": "complete",
        }),
    }
}
