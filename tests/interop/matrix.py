"""The bridge matrix: clients of both eras on servers of both eras, six things each.

Through the gateway every client speaks the newest revision it knows, whatever stands behind, and shows what MATRIX.md
says (matrix_page.py). Without it (`--direct`) only pairs that have an era in common run: whose fault is a failure?
"""

import contextlib
import dataclasses
import json
import re
import subprocess

from machine import HERE, NODE_HOME, PYTHON, Check, Trouble, background, environment, free_ports, listens, outcome_of

AT_A_TIME = 8  # they wait, mostly: for one of the six things, ten seconds
THINGS = ["list", "call", "progress", "elicitation", "cancellation", "stream"]
TOOLS = ["greet", "count", "ask", "hold", "was_cancelled"]  # the servers have one more, `wipe`
OLD, LEGACY, MODERN = "2025-06-18", "2025-11-25", "2026-07-28"


# Who takes part -----------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Client:
    """One client program in one mode. `newest`: the newest revision that it speaks; `falls_back`: then, to older ones."""

    name: str
    title: str
    command: tuple
    mode: str
    newest: str
    falls_back: bool = True

    def speaks_direct(self, upstream):
        """The revision that both know; None: they have none in common."""
        if upstream.kind == "modern":
            return self.newest if self.newest == MODERN else None
        return min(self.newest, LEGACY) if self.falls_back else None


def all_clients(node, rmcp):
    scripts, python_scripts = NODE_HOME / "clients", HERE / "clients"
    ts_v1, py_v1 = (node, scripts / "matrix_ts_v1.mjs"), (PYTHON[1], python_scripts / "matrix_py_v1.py")
    ts_v2, py_v2 = (node, scripts / "matrix_ts_v2.mjs"), (PYTHON[2], python_scripts / "matrix_py_v2.py")
    return [
        Client("ts_v1 old", "TypeScript SDK v1, pinned", ts_v1, OLD, OLD),
        Client("ts_v1", "TypeScript SDK v1", ts_v1, LEGACY, LEGACY),
        *in_modes("ts_v2", "TypeScript SDK v2", ts_v2),
        Client("py_v1", "Python SDK 1.x", py_v1, "legacy", LEGACY),
        *in_modes("py_v2", "Python SDK 2.x", py_v2),
        *in_modes("rmcp", "Rust SDK (rmcp)", (rmcp,)),
    ]


def in_modes(name, title, command):
    return [
        Client(f"{name} legacy", f"{title}, legacy", command, "legacy", LEGACY),
        Client(f"{name} auto", f"{title}, auto", command, "auto", MODERN),
        Client(f"{name} modern", f"{title}, modern", command, "modern", MODERN, falls_back=False),
    ]


@dataclasses.dataclass(frozen=True)
class Upstream:
    """One server: `kind` is stateful, stateless (both legacy) or modern; `unasked` is what comes of asking there."""

    id: str
    kind: str
    command: tuple
    unasked: str = ""

    @property
    def path(self):
        return f"/mcp/matrix-{self.id}"

    def impossible(self, thing):
        """What is said of a thing that cannot work by nature; None where it must work."""
        if self.kind != "stateless":
            return None
        return {"elicitation": self.unasked, "cancellation": "not cancelled"}.get(thing)


def all_upstreams(node):
    scripts, python_scripts = NODE_HOME / "servers", HERE / "servers"
    ts_v1, ts_v2 = (node, scripts / "matrix_ts_v1.mjs"), (node, scripts / "matrix_ts_v2.mjs")
    py_v1, py_v2 = (PYTHON[1], python_scripts / "matrix_py_v1.py"), (PYTHON[2], python_scripts / "matrix_py_v2.py")
    return [
        Upstream("ts-stateful", "stateful", (*ts_v1, "stateful")),
        Upstream("py-stateful", "stateful", (*py_v1, "stateful")),
        Upstream("ts-stateless", "stateless", (*ts_v1, "stateless"), "does not support form elicitation"),
        Upstream("py-stateless", "stateless", (*py_v1, "stateless"), "Nobody answered|session"),
        Upstream("ts-modern", "modern", ts_v2),
        Upstream("py-modern", "modern", py_v2),
    ]


@contextlib.contextmanager
def servers(node, work):
    """Runs the upstreams; answers their URLs by id."""
    upstreams = all_upstreams(node)
    ports = dict(zip([upstream.id for upstream in upstreams], free_ports(len(upstreams))))
    with contextlib.ExitStack() as running:
        for upstream in upstreams:
            command = [*upstream.command[:2], str(ports[upstream.id]), *upstream.command[2:]]
            running.enter_context(background(f"matrix-{upstream.id}", command, work, listens(ports[upstream.id])))
        yield {id: f"http://127.0.0.1:{port}/mcp" for id, port in ports.items()}


# The gateway --------------------------------------------------------------------------------------


def routes(urls, node):
    allow = {"policy": "mcp-capability-filter", "options": {"tools": TOOLS}}
    policies = [{"policy": "api-key-inbound"}, allow]
    return {one.path: {"upstream": {"url": urls[one.id]}, "policies": policies} for one in all_upstreams(node)}


def made_key(binary, config, work):
    command = [binary, "keys", "create", "--config", config, "--name", "matrix", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(work))
    if done.returncode != 0:
        raise Trouble(f"no API key can be made: {done.stderr}")
    return json.loads(done.stdout)["key"]


# The pairs ----------------------------------------------------------------------------------------


@dataclasses.dataclass
class Pair:
    """A client on an upstream: what it should show, and `seen`, what it did: why each thing failed, or None."""

    client: Client
    upstream: Upstream
    url: str
    key: str
    version: str
    tools: str  # filtered, or whole where no gateway stands between
    seen: dict = dataclasses.field(default_factory=dict)

    def check(self, work):
        return Check(f"matrix: {self.client.name:<16} {self.upstream.id}", lambda: self.complaint(work))

    def complaint(self, work):
        if not self.client.command[-1].is_file():
            return f"there is no {self.client.command[-1]}: `cargo build --example matrix_rmcp`"
        complaint, said = outcome_of([*self.client.command, self.url, self.key, self.client.mode, self.tools], work)
        if complaint is not None:
            return complaint
        hello, *shown = map(json.loads, said.splitlines())
        self.seen = {line["thing"]: line["why"] for line in shown}
        complaints = [self.wrong(thing) for thing in THINGS]
        if hello["version"] != self.version:
            complaints.append(f"speaks {hello['version']}, not {self.version}")
        return "\n".join(filter(None, complaints)) or None

    def wrong(self, thing):
        why, impossible = self.seen[thing], self.upstream.impossible(thing)
        if why is None or (impossible and re.search(impossible, why)):
            return None
        return f"{thing}: {why}"


def direct_pairs(urls, node, rmcp):
    pairs = [(client, upstream) for upstream in all_upstreams(node) for client in all_clients(node, rmcp)]
    found = [(client, upstream, client.speaks_direct(upstream)) for client, upstream in pairs]
    return [
        Pair(client, upstream, urls[upstream.id], "none", version, "whole")
        for client, upstream, version in found
        if version
    ]


def pairs(gateway_ports, key, node, rmcp):
    return [
        Pair(client, upstream, gateway_ports.url(upstream.path), key, client.newest, "filtered")
        for upstream in all_upstreams(node)
        for client in all_clients(node, rmcp)
    ]
