#!/usr/bin/env python3
"""What the official conformance suite runs as its MCP client: `conformance_driver.py URL`.

It starts a gateway whose one route leads to URL, signs a person in at it, and calls the tools of URL through it; when the
gateway asks the person to connect, the person does. So what the suite judges is the gateway as a client of URL. Where
sign-in at URL is not what is judged, the person's client is an SDK (clients/judged.mjs).

It prints `called`, and ends with 0; or `refused: …` with what the gateway or its pages said, and ends with 3. Whatever
else goes wrong ends with 1.
"""

import contextlib
import json
import os
import pathlib
import signal
import sys
import tempfile

from clients.browser import Browser
from clients.by_hand import ConnectFirst, Refused, Session, sign_in
from clients.signed_in import Callback
from machine import NODE_HOME, Trouble, answers_readyz, background, complaint_of, free_ports, stop_everything, tail

ROUTE = "/mcp/judged"
CLIENT = {"clientId": "driver", "redirectUris": ["http://127.0.0.1/callback"]}
CALLED, FAILED, REFUSED = 0, 1, 3
# A gateway that asks for more than this asks without end.
MOST_CONNECTS = 6
# Less than the suite has patience for, so that there is something to read in the end.
MOST_SECONDS = 45


# The route ----------------------------------------------------------------------------------------


def routes_file(port, work, url, scenario, context):
    return {
        "compatibilityDate": "2026-11-20",
        "gateway": {
            "listen": f"127.0.0.1:{port}",
            "publicUrl": f"http://127.0.0.1:{port}",
            "store": f"sqlite:{work / 'portcullis.db'}",
            "oauth": {"clients": [CLIENT]},
        },
        "routes": {ROUTE: {"upstream": {"url": url}, "policies": ["dev-login", *credential(scenario, context)]}},
    }


def credential(scenario, context):
    """The two policies for an upstream that asks for a credential; none for one that does not."""
    if not scenario.startswith("auth/"):
        return []
    options = {"id": "judged", "displayName": "The judged server", **registration(scenario, context)}
    return ["upstream-auth-retry", {"policy": "mcp-token-exchange", "options": options}]


def registration(scenario, context):
    """What the suite says that an operator knows."""
    if scenario == "auth/basic-cimd":
        document = "https://conformance-test.local/client-metadata.json"
        return {"clientRegistration": {"clientMetadataUrl": document}}
    if "client_id" not in context:
        return {}
    manual = {"mode": "manual", "clientId": context["client_id"]}
    if "client_secret" in context:
        manual["clientSecret"] = context["client_secret"]
    if "private_key_pem" in context:
        manual |= {"privateKeyPem": context["private_key_pem"], "algorithm": context["signing_algorithm"]}
    mode = "client-credentials" if scenario.startswith("auth/client-credentials") else "user-oauth"
    return {"authMode": mode, "clientRegistration": manual}


# The story ----------------------------------------------------------------------------------------


class Person:
    """Somebody with a browser and an MCP client."""

    def __init__(self, base, work, version):
        profile = work / "browser"
        profile.mkdir()
        self.browser, self.base, self.work, self.version = Browser(profile), base, work, version
        self.connects = 0

    def sign_in(self):
        with Callback() as callback:
            self.token = sign_in(self.base, ROUTE, CLIENT["clientId"], self, callback)
        self.session = Session(self.base + ROUTE, self.token, self.version)

    def open(self, url):
        try:
            self.browser.open(url)
        except SystemExit as said:
            raise Refused(str(said)) from None

    def insist(self, verb):
        """Does it again whenever the gateway asks to connect first."""
        retry = {}
        while True:
            try:
                return verb(retry)
            except ConnectFirst as first:
                self.connects += 1
                if self.connects > MOST_CONNECTS:
                    raise Refused(f"asked to connect more than {MOST_CONNECTS} times") from None
                self.open(first.url)
                retry = first.retry

    def introduce(self):
        """Before somebody has connected, the gateway may not know yet that the server speaks 2026-07-28, where a client
        need not ask for more than it wants."""
        with contextlib.suppress(*[Refused] if self.session.is_modern else []):
            self.session.open()

    def use_sdk(self):
        """Everything that the server lists, by an SDK."""
        command = [os.environ["NODE"], NODE_HOME / "clients" / "judged.mjs", self.base + ROUTE]
        if complaint := complaint_of(command, self.work, TOKEN=self.token):
            raise Trouble(complaint)

    def tell(self):
        """Twice, because some upstreams change their mind after the first call."""
        self.introduce()
        for _ in range(2):
            self.insist(lambda retry: self.session.call_tool("test-tool", {}, retry))
            tools = self.insist(lambda _: self.session.list_tools())
            if "test-tool" not in [tool["name"] for tool in tools]:
                self.insist(lambda retry: self.session.call_tool("test-tool", {}, retry))


def play(url, work):
    """The story of one scenario. Raises `Refused` where the gateway does not let it go on."""
    scenario = os.environ["MCP_CONFORMANCE_SCENARIO"]
    context = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT", "{}"))
    (port,) = free_ports(1)
    config = work / "routes.json"
    config.write_text(json.dumps(routes_file(port, work, url, scenario, context)))
    with background("gateway", [os.environ["GATEWAY"], "serve", "--config", config], work, answers_readyz(port)):
        person = Person(f"http://127.0.0.1:{port}", work, os.environ["MCP_CONFORMANCE_PROTOCOL_VERSION"])
        person.sign_in()
        if scenario.startswith("auth/"):
            person.tell()
        else:
            person.use_sdk()


def end(signal_number, _frame):
    """When the suite loses patience, the gateway ends too."""
    stop_everything()
    sys.exit(128 + signal_number)


def give_up(_number, _frame):
    raise Trouble(f"no end after {MOST_SECONDS} s")


def main():
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signal_number, end)
    signal.signal(signal.SIGALRM, give_up)
    signal.alarm(MOST_SECONDS)
    with tempfile.TemporaryDirectory(prefix="portcullis-conformance-") as folder:
        work = pathlib.Path(folder)
        try:
            play(sys.argv[1], work)
        except Refused as refused:
            print(f"refused: {refused}")
            return REFUSED
        except Trouble as trouble:
            print(trouble, file=sys.stderr)
            return FAILED
        finally:
            with contextlib.suppress(FileNotFoundError):
                print(tail(work / "gateway.log"), file=sys.stderr)
    print("called")
    return CALLED


if __name__ == "__main__":
    sys.exit(main())
