"""Clients that need not sign in: what stands behind each route, and what a client must see of it."""

import dataclasses
import json
import pathlib
import re

from machine import HERE, NODE_HOME, NODE_MODULES, PYTHON, Check, complaint_of


@dataclasses.dataclass
class Route:
    """One route: what is behind it, what the gateway adds, and what a client must see on it."""

    path: str
    eras: list  # spoken by the server behind the route
    server: str | None  # None: the demo server inside the gateway
    policies: list
    tools: list  # offered to clients
    hidden: dict | None  # a call that the allow-list of `tools` must refuse
    first: dict | None  # a call whose result has an `id`: NEW_ID in the rest of the story
    calls: list
    progress: dict
    resource: dict
    prompt: dict

    def story(self, client, direct):
        story = {
            "era": client.era_on(self, direct),
            "tools": self.tools,
            "toolsExactly": not (direct and self.hidden),
            "first": self.first,
            "calls": self.calls,
            "progress": self.progress,
            "refused": None if direct else self.hidden,
            "resource": self.resource,
            "prompt": self.prompt,
        }
        # Every case writes a note of its own, so that no case can live on another's work.
        return json.dumps(story).replace("CASE", re.sub(r"\W+", "-", client.name))


def allow_only(tools):
    return {"policy": "mcp-capability-filter", "options": {"tools": tools}}


def call(name, arguments, text, **more):
    return {"name": name, "arguments": arguments, "text": text, **more}


DEMO_TOOLS = ["list_notes", "read_note", "write_note", "count_slowly", "echo"]
EVERYTHING_TOOLS = ["echo", "get-sum", "get-structured-content", "trigger-long-running-operation"]

ROUTES = [
    Route(
        path="/mcp/demo",
        eras=["modern", "legacy"],
        server=None,
        policies=[allow_only(DEMO_TOOLS)],
        tools=DEMO_TOOLS,
        hidden={"name": "delete_note", "arguments": {"id": "NEW_ID"}},
        first=call("write_note", {"title": "Kept by CASE", "text": "Text of CASE"}, "created"),
        calls=[
            call("echo", {"text": "héllo ✓"}, "ll"),
            call("list_notes", {}, "Kept by CASE"),
            # Last, and repeated after the refused deletion: the note is still there.
            call("read_note", {"id": "NEW_ID"}, "Text of CASE"),
        ],
        progress=call("count_slowly", {"to": 5, "delay_ms": 200}, "5", steps=5, stepMs=200),
        resource={"uri": "note://NEW_ID", "text": "Text of CASE"},
        prompt=call("write_a_note", {"topic": "gateways"}, "gateways"),
    ),
    Route(
        path="/mcp/everything",
        eras=["legacy"],
        server="everything",
        policies=[
            {"policy": "rate-limit", "options": {"rateLimitBy": "ip", "requestsAllowed": 600, "timeWindowMinutes": 1}},
            allow_only(EVERYTHING_TOOLS),
        ],
        tools=EVERYTHING_TOOLS,
        hidden={"name": "get-env", "arguments": {}},
        first=None,
        calls=[
            call(
                "get-structured-content",
                {"location": "New York"},
                "Cloudy",
                structured={"temperature": 33, "conditions": "Cloudy", "humidity": 82},
            ),
            call("get-sum", {"a": 2, "b": 40}, "The sum of 2 and 40 is 42."),
            call("echo", {"message": "hello CASE"}, "Echo: hello CASE"),
        ],
        progress=call(
            "trigger-long-running-operation",
            {"duration": 1, "steps": 5},
            "Long running operation completed.",
            steps=5,
            stepMs=200,
        ),
        resource={"uri": "demo://resource/static/document/architecture.md", "text": "# Everything Server"},
        prompt=call("args-prompt", {"city": "Paris"}, "What's weather in Paris?"),
    ),
    Route(
        path="/mcp/python",
        eras=["modern", "legacy"],
        server="python",
        policies=[],
        tools=["echo", "add", "count_slowly"],
        hidden=None,
        first=None,
        calls=[
            call("add", {"a": 2, "b": 40}, "42", structured={"result": 42}),
            call("echo", {"text": "hello CASE"}, "hello CASE"),
        ],
        progress=call("count_slowly", {"to": 5, "delay_ms": 200}, "Counted to 5.", steps=5, stepMs=200),
        resource={"uri": "greeting://hello", "text": "Hello from Python."},
        prompt=call("introduce", {"name": "Ada"}, "Introduce yourself to Ada."),
    ),
    # A tool that closes its caller's stream in the middle of the call. Clients that only post see nothing of it.
    Route(
        path="/mcp/polling",
        eras=["legacy"],
        server="polling",
        policies=[],
        tools=["echo", "wait", "count_slowly"],
        hidden=None,
        first=None,
        calls=[
            call("wait", {"rounds": 1}, "Waited 1 rounds."),
            call("echo", {"text": "hello CASE"}, "hello CASE"),
        ],
        progress=call("count_slowly", {"to": 5, "delay_ms": 200}, "Counted to 5.", steps=5, stepMs=200),
        resource={"uri": "greeting://hello", "text": "Hello from a server that is polled."},
        prompt=call("introduce", {"name": "Ada"}, "Introduce yourself to Ada."),
    ),
]


@dataclasses.dataclass
class Client:
    """One client program in one mode: `legacy`, `auto` (probe, fall back) or `modern` (no fallback)."""

    program: str
    interpreter: pathlib.Path
    folder: pathlib.Path
    mode: str = "legacy"
    takes_mode: bool = True

    @property
    def name(self):
        return f"{pathlib.Path(self.program).stem} {self.mode}"

    def speaks(self, route, direct):
        return self.mode != "modern" or self.era_on(route, direct) == "modern"

    def era_on(self, route, direct):
        """Behind the gateway, every server can be spoken to in every era."""
        return "legacy" if self.mode == "legacy" or direct and "modern" not in route.eras else "modern"

    def check(self, route, url, direct, work):
        mode = [self.mode] if self.takes_mode else []
        command = [self.interpreter, self.folder / self.program, url, route.story(self, direct), *mode]
        return Check(f"{self.name:<18} {route.path:<18}", lambda: complaint_of(command, work))


def all_clients(node, newer):
    scripts, python_scripts = NODE_HOME / "clients", HERE / "clients"
    modes = ["legacy", "auto", "modern"]
    return [
        Client("ts_v1.mjs", node, scripts, takes_mode=False),
        *(Client("ts_v2.mjs", node, scripts, mode) for mode in modes),
        Client("py_v1.py", PYTHON[1], python_scripts, takes_mode=False),
        *(Client("py_v2.py", PYTHON[2], python_scripts, mode) for mode in modes),
        *(Client("inspector.mjs", newer, scripts, mode) for mode in modes),
    ]


def server_command(name, port, node):
    if name == "python":
        return [PYTHON[2], HERE / "servers" / "python_server.py", str(port)]
    if name == "polling":
        return [node, NODE_HOME / "servers" / "polling.mjs", str(port)]
    package = NODE_MODULES / "@modelcontextprotocol" / "server-everything"
    loopback = (NODE_HOME / "servers" / "loopback.mjs").as_uri()
    return [node, "--import", loopback, package / "dist" / "index.js", "streamableHttp"]


def routes(servers):
    """The routes as they stand in routes.json."""

    def upstream(route):
        return {"demo": True} if route.server is None else {"url": servers[route.server]}

    return {route.path: {"upstream": upstream(route), "policies": route.policies} for route in ROUTES}


def checks(urls, clients, direct, work):
    """Every client on every route that has a URL and speaks its era."""
    routes_here = [route for route in ROUTES if route.path in urls]
    pairs = [(client, route) for route in routes_here for client in clients if client.speaks(route, direct)]
    return [client.check(route, urls[route.path], direct, work) for client, route in pairs]
