"""An MCP client by hand, in both generations of the protocol, for whoever must see what an SDK would hide: a link to
connect, wherever a gateway puts one, and whose fault a refusal is.
"""

import base64
import hashlib
import json
import secrets
import urllib.error
import urllib.parse
import urllib.request

MODERN = "2026-07-28"
PATIENCE = 30
INFO = {"name": "interop-by-hand", "version": "1.0.0"}
CAPABILITIES = {"elicitation": {"form": {}, "url": {}}}
META = "io.modelcontextprotocol/"


class Refused(Exception):
    """The gateway said no, with these words."""


class ConnectFirst(Exception):
    """The person must connect on this page; `retry` goes into the call's parameters when it is repeated."""

    def __init__(self, url, retry=None):
        super().__init__(url)
        self.url, self.retry = url, retry or {}


class Session:
    def __init__(self, url, token, version):
        self.url, self.token, self.version = url, token, version
        self.session_id, self.sent = None, 0

    @property
    def is_modern(self):
        return self.version >= MODERN

    def open(self):
        if self.is_modern:
            return self.ask("server/discover")
        hello = {"protocolVersion": self.version, "capabilities": CAPABILITIES, "clientInfo": INFO}
        answer = self.ask("initialize", hello)
        self.post({"method": "notifications/initialized"})
        return answer

    def list_tools(self):
        return self.ask("tools/list")["tools"]

    def call_tool(self, name, arguments, more):
        result = self.ask("tools/call", {"name": name, "arguments": arguments, **more})
        if result.get("isError"):
            raise refusal(result, "_meta", "portcullis/connectRequired")
        return result

    def ask(self, method, params=None):
        """The result; raises `ConnectFirst` or `Refused` in its place."""
        self.sent += 1
        params = dict(params or {})
        if self.is_modern:
            params["_meta"] = {
                f"{META}protocolVersion": self.version,
                f"{META}clientInfo": INFO,
                f"{META}clientCapabilities": CAPABILITIES,
            }
        answer = self.post({"id": self.sent, "method": method, "params": params})
        if "error" in answer:
            raise refusal(answer["error"], "data", "connectRequired")
        if asked := link_in(answer["result"]):
            raise asked
        return answer["result"]

    def post(self, message):
        """The answer to a request, `{}` to a notification."""
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        request = urllib.request.Request(self.url, body, self.headers(message))
        try:
            with opener().open(request, timeout=PATIENCE) as answer:
                self.session_id = answer.headers.get("Mcp-Session-Id", self.session_id)
                return read(answer, message.get("id"))
        except urllib.error.HTTPError as error:
            return read_error(error)

    def headers(self, message):
        headers = {
            "Authorization": f"Bearer {self.token}",
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
        }
        if self.is_modern:
            headers |= {"MCP-Protocol-Version": self.version, "Mcp-Method": message["method"]}
            if name := message.get("params", {}).get("name"):
                headers["Mcp-Name"] = name
        elif message["method"] != "initialize":
            headers["MCP-Protocol-Version"] = self.version
        if self.session_id:
            headers["Mcp-Session-Id"] = self.session_id
        return headers


def opener():
    return urllib.request.build_opener(urllib.request.ProxyHandler({}))


def read(answer, wanted):
    """The one message that answers `wanted`, from JSON or from a stream of events."""
    text = answer.read().decode()
    if wanted is None:
        return {}
    if answer.headers.get_content_type() != "text/event-stream":
        return json.loads(text)
    data = (line.removeprefix("data:") for line in text.splitlines() if line.startswith("data:"))
    messages = [json.loads(one) for one in data if one.strip()]
    return next(message for message in messages if message.get("id") == wanted)


def read_error(error):
    text = error.read().decode(errors="replace")
    try:
        answer = json.loads(text)
    except ValueError:
        answer = {}
    if "error" not in answer or not isinstance(answer["error"], dict):
        raise Refused(f"HTTP {error.code}: {text}")
    return answer


def refusal(answer, member, name):
    """`ConnectFirst`, if under this name there is a link to connect."""
    if asked := (answer.get(member) or {}).get(name):
        return ConnectFirst(asked["authUrl"])
    return Refused(json.dumps(answer))


def link_in(result):
    """`ConnectFirst` for a result that asks a person to open a page (2026-07-28, multi-round-trip requests)."""
    for key, asked in (result.get("inputRequests") or {}).items():
        if asked.get("method") == "elicitation/create" and asked["params"].get("mode") == "url":
            retry = {"inputResponses": {key: {"action": "accept"}}}
            if "requestState" in result:
                retry["requestState"] = result["requestState"]
            return ConnectFirst(asked["params"]["url"], retry)
    return None


def sign_in(base, route, client_id, browser, callback):
    """An access token for `route` by the authorization-code grant with PKCE, as a client that the gateway knows."""
    verifier, state = secrets.token_urlsafe(32), secrets.token_urlsafe(16)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    request = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": callback.url,
        "state": state,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        "resource": base + route,
        "scope": "mcp:tools",
    }
    browser.open(f"{base}/oauth/authorize?{urllib.parse.urlencode(request)}")
    if not callback.answer or callback.answer.get("state") != state:
        raise Refused(f"the browser brought {callback.answer}")
    grant = {
        "grant_type": "authorization_code",
        "code": callback.answer["code"],
        "code_verifier": verifier,
        "client_id": client_id,
        "redirect_uri": callback.url,
        "resource": base + route,
    }
    with opener().open(f"{base}/oauth/token", urllib.parse.urlencode(grant).encode(), timeout=PATIENCE) as answer:
        return json.load(answer)["access_token"]
