"""The story of a person who gives a client nothing but a route's URL; `signed_in.mjs` is the same for TypeScript.

An SDK's program hands over `connect`; the checks are written once. The expectations come from run.py.
"""

import asyncio
import base64
import http.server
import json
import logging
import os
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request

BROWSER_TIMEOUT = 60


def main(connect):
    """Reads the STORY from the command line and tells it; `connect(url, wallet)` yields a signed-in session.

    Warnings of the SDK go to stderr, where run.py counts them as a failure: quiet means quiet.
    """
    logging.basicConfig(level=logging.WARNING)
    story = json.loads(sys.argv[1])

    async def run():
        with Callback() as callback:
            wallet = Wallet(story["registration"], callback)
            async with connect(story["url"], wallet) as session:
                await tell(session, wallet, story)

    asyncio.run(run())


async def tell(session, wallet, story):
    tools = [tool["name"] for tool in (await session.list_tools(None))["tools"]]
    assert sorted(tools) == sorted(story["tools"]), f"tools listed: {tools}"
    await check_call(session, **story["call"])
    check_token(wallet, story)
    await asyncio.to_thread(check_elsewhere, wallet, story["elsewhere"])
    await check_refresh(session, wallet, story)
    await check_step_up(session, wallet, story["stepUp"])


async def check_call(session, name, arguments, text):
    result = await session.call_tool(name, arguments)
    assert not result.get("isError") and text in json.dumps(result["content"]), f"{name}: {result}"


def check_token(wallet, story):
    """Is the token about the provider's user, for this route and this client?"""
    claims, registration = wallet.claims(), story["registration"]
    assert claims["sub"] == story["subject"], claims
    assert claims["aud"] == story["url"], claims
    assert claims["iss"] == story["url"].rpartition("/mcp/")[0], claims
    assert sorted(claims["scope"].split()) == story["scopes"], claims
    named = registration.get("clientMetadataUrl") or registration.get("clientId") or wallet.client.client_id
    assert claims["client_id"] == named == wallet.client.client_id, claims
    assert wallet.opened == 1


def check_elsewhere(wallet, url):
    """A token for one route is worth nothing at another."""
    headers = {
        "Authorization": f"Bearer {wallet.kept.access_token}",
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
    }
    message = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).encode()
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        opener.open(urllib.request.Request(url, message, headers), timeout=10)
    except urllib.error.HTTPError as answer:
        assert answer.code == 401, answer.code
        assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"], answer.headers
    else:
        raise AssertionError("a token for another route was accepted")


async def check_refresh(session, wallet, story):
    """A token that has expired is renewed, and nobody is asked."""
    before = wallet.kept
    await asyncio.sleep(story["expirySeconds"])
    await check_call(session, **story["call"])
    assert wallet.kept.access_token != before.access_token, "the access token is the same"
    assert wallet.kept.refresh_token != before.refresh_token, "the refresh token is the same"
    assert wallet.opened == 1, "the person was asked again"


async def check_step_up(session, wallet, step_up):
    """A tool that asks for more: the person is asked once, and the call goes through."""
    await check_call(session, **step_up["call"])
    assert wallet.opened == 2, wallet.opened
    assert step_up["scope"] in wallet.claims()["scope"].split(), wallet.claims()


class Wallet:
    """What an MCP client keeps for one person: the SDKs' `TokenStorage`, and the way to $BROWSER and back."""

    def __init__(self, registration, callback, environment=None):
        self.environment = {**os.environ, **(environment or {})}
        self.document = registration.get("clientMetadataUrl")
        self.client_id, self.client_secret = registration.get("clientId"), registration.get("clientSecret")
        self.issuer = registration.get("issuer")
        self.callback = callback
        self.client, self.kept, self.opened = None, None, 0

    def claims(self):
        header, claims = map(decoded, self.kept.access_token.split(".")[:2])
        assert header["typ"] == "at+jwt", header
        return claims

    def metadata(self):
        return {
            "client_name": "interop wallet",
            "redirect_uris": [self.callback.url],
            "token_endpoint_auth_method": "none",
        }

    def known_client(self):
        """The registration that the gateway has of us, as it stands in the gateway's configuration."""
        method = "client_secret_basic" if self.client_secret else "none"
        return {
            **self.metadata(),
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "token_endpoint_auth_method": method,
            "issuer": self.issuer,
        }

    async def get_tokens(self):
        return self.kept

    async def set_tokens(self, tokens):
        self.kept = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client):
        self.client = client

    async def open_browser(self, url):
        self.opened += 1
        browser = await asyncio.create_subprocess_exec(os.environ["BROWSER"], url, env=self.environment)
        code = await asyncio.wait_for(browser.wait(), BROWSER_TIMEOUT)
        assert code == 0, f"the browser ended with code {code}"

    async def take_answer(self):
        """The parameters that the browser brought, once."""
        answer, self.callback.answer = self.callback.answer, None
        assert answer and "code" in answer, f"the browser brought no code but {answer}"
        return answer


class Callback:
    """The address on this machine that a browser is sent back to, on a port that happened to be free."""

    def __init__(self):
        callback = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                callback.answer = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"You can close this page.")

            def log_message(self, *_):
                pass

        self.answer = None
        self.server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/callback"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def decoded(part):
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
