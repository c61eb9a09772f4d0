"""Clients that call as a person who must first connect to what is behind the gateway.

Two servers stand there: the demo server with a sign-in of its own, and one on an official SDK that takes the tokens of a
certified authorization server. Every check has two people of its own, each with a browser.
"""

import contextlib
import dataclasses
import json
import re

import sign_in
from clients import by_hand
from clients.browser import Browser
from clients.signed_in import Callback
from machine import HERE, NODE_HOME, PYTHON, Check, background, complaint_of, free_ports, listens


@dataclasses.dataclass
class Upstream:
    """One server that wants each person's own credential."""

    id: str
    url: str
    end: str  # takes back what a `person` allowed

    @property
    def path(self):
        return f"/mcp/connect-{self.id}"

    def route(self):
        exchange = {"id": self.id, "displayName": self.id.capitalize()}
        policies = ["connect-sign-in", "upstream-auth-retry"]
        policies.append({"policy": "mcp-token-exchange", "options": exchange})
        return {"upstream": {"url": self.url}, "policies": policies}


@dataclasses.dataclass
class Ports:
    demo: int
    protected: int
    issuer: int

    @classmethod
    def free(cls):
        return cls(*free_ports(3))

    def upstreams(self):
        demo, protected = f"http://127.0.0.1:{self.demo}", f"http://127.0.0.1:{self.protected}"
        return [
            Upstream("notebook", f"{demo}/mcp", f"{demo}/"),
            Upstream("protected", f"{protected}/mcp", f"{protected}/end"),
        ]


@dataclasses.dataclass
class Program:
    """A client in one way of being asked; None: which way it is depends on the era that both sides find."""

    name: str
    command: list
    asks: dict  # by upstream


def programs(node):
    scripts, python_scripts = NODE_HOME / "clients", HERE / "clients"
    ts_v1, ts_v2 = [node, scripts / "ts_v1_connect.mjs"], [node, scripts / "ts_v2_connect.mjs"]
    py_v1, py_v2 = [PYTHON[1], python_scripts / "py_v1_connect.py"], [PYTHON[2], python_scripts / "py_v2_connect.py"]
    error, text = always("-32042"), always("text")
    # Only the demo server speaks 2026-07-28.
    modern = {"notebook": "input_required", "protected": None}
    return [
        Program("ts_v1", ts_v1, error),
        Program("ts_v1 plain", ts_v1, text),
        Program("ts_v2", ts_v2, modern),
        Program("ts_v2 plain", ts_v2, text),
        Program("py_v1", py_v1, error),
        Program("py_v1 plain", py_v1, text),
        Program("py_v2", py_v2, modern),
        Program("py_v2 plain", py_v2, text),
    ]


def always(way):
    return {"notebook": way, "protected": way}


def policies():
    return {"connect-sign-in": {"policy": "dev-login"}}


def routes(ports):
    return {upstream.path: upstream.route() for upstream in ports.upstreams()}


@contextlib.contextmanager
def servers(ports, binary, newer_node, work):
    demo = [binary, "demo-server", "--oauth", "--listen", f"127.0.0.1:{ports.demo}"]
    protected = [newer_node, NODE_HOME / "servers" / "protected.mjs", str(ports.protected), str(ports.issuer)]
    with (
        background("connect-demo", demo, work, listens(ports.demo)),
        background("connect-protected", protected, work, listens(ports.protected)),
    ):
        yield


def first_check(gateway_ports, ports, client, work):
    """To be made before the others: by then nobody has seen what the upstream speaks."""
    upstream = ports.upstreams()[0]
    return Check(f"connect: by hand      {upstream.path}", lambda: visit(upstream, gateway_ports, client, work))


def visit(upstream, gateway_ports, client, work):
    """A client that speaks 2026-07-28 is served from the beginning, and finds the upstream's own tools when connected."""
    browser = Browser(sign_in.browser_profile(work, "first"))
    with Callback() as callback:
        token = by_hand.sign_in(gateway_ports.url(""), upstream.path, client["clientId"], browser, callback)
    session = by_hand.Session(gateway_ports.url(upstream.path), token, by_hand.MODERN)
    if by_hand.MODERN not in session.open()["supportedVersions"]:
        return "a client was not served whose person is not connected yet"
    try:
        session.call_tool("whoami", {}, {})
        return "nobody was asked to connect"
    except by_hand.ConnectFirst as first:
        browser.open(first.url)
        session.call_tool("whoami", {}, first.retry)
    return None if by_hand.MODERN in session.open()["supportedVersions"] else "the upstream is not what it was"


def checks(gateway_ports, ports, node, work):
    pairs = [(program, upstream) for upstream in ports.upstreams() for program in programs(node)]
    return [check(program, upstream, gateway_ports, work) for program, upstream in pairs]


def check(program, upstream, gateway_ports, work):
    def run():
        story = {
            "url": gateway_ports.url(upstream.path),
            "registration": {},
            "asks": program.asks[upstream.id],
            "end": upstream.end,
            "people": [person(name, program, upstream, work) for name in ("ada", "bob")],
        }
        return complaint_of([*program.command, json.dumps(story)], work, BROWSER=str(sign_in.BROWSER))

    return Check(f"connect: {program.name:<12} {upstream.path}", run)


def person(name, program, upstream, work):
    """Somebody with a browser of their own, who has one name at the gateway and another one upstream."""
    here = re.sub(r"\W+", "-", f"{name}-{program.name}-{upstream.id}")
    there = f"{here}@{upstream.id}"
    profile = sign_in.browser_profile(work, here)
    fields = json.dumps({"name": here, "person": there})
    return {"upstream": there, "browser": {"BROWSER_PROFILE": str(profile), "BROWSER_FIELDS": fields}}
