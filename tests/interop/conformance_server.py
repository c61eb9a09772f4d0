"""The server leg of the official conformance suite: servers behind the gateway score as well as they do without it.

The suite judges every server twice at each revision: directly, and through a route with sign-in, a filter that lists what
the server has, and a limit. A check that passes directly and does not pass through the gateway is lost; what may be lost
stands in conformance_baseline.txt with its reason. Servers of one era are judged at the other era's revision too, where the
gateway translates; they are compared with the same server when it speaks both.
"""

import collections
import contextlib
import dataclasses
import functools
import json
import re
import subprocess

from conformance import SUITE
from machine import (
    HERE,
    NODE_HOME,
    STOP_TIMEOUT,
    Check,
    Trouble,
    answers_readyz,
    background,
    free_ports,
    listens,
    start,
    stop,
)

LEGACY, MODERN = "2025-11-25", "2026-07-28"
FIXTURE = HERE / "servers" / "conformance" / "fixture.json"
BASELINE = HERE / "conformance_baseline.txt"
RUN_SECONDS = 120
AT_A_TIME = 2


@dataclasses.dataclass(frozen=True)
class Judged:
    """A server behind a route, at one revision."""

    server: str
    revision: str
    # The server that shows what can be had at this revision, where this one cannot be asked directly.
    model: str = ""

    @property
    def name(self):
        return f"conformance-server: {self.server} {self.revision}"


JUDGED = [
    Judged("ts", LEGACY),
    Judged("ts", MODERN),
    Judged("rmcp", LEGACY),
    Judged("rmcp", MODERN),
    Judged("rmcp-legacy", MODERN, model="rmcp"),
    Judged("rmcp-modern", LEGACY, model="rmcp"),
]
SERVERS = ["ts", "rmcp", "rmcp-legacy", "rmcp-modern"]


class World:
    """The servers, a gateway before them, and what adds a key to the suite's requests."""

    def __init__(self, binary, newer_node, work):
        self.binary, self.node, self.work = binary, newer_node, work
        self.gateway, self.front, *ports = free_ports(2 + len(SERVERS))
        self.ports = dict(zip(SERVERS, ports))

    def direct(self, server):
        return f"http://127.0.0.1:{self.ports[server]}/mcp"

    def through(self, server):
        return f"http://127.0.0.1:{self.front}{route(server)}"

    @contextlib.contextmanager
    def running(self):
        config = self.work / "judged.json"
        config.write_text(json.dumps(self.routes_file(), indent=2))
        front = [self.node, NODE_HOME / "servers" / "with_key.mjs", str(self.front), str(self.gateway)]
        with contextlib.ExitStack() as servers:
            for server, port in self.ports.items():
                command = self.command(server)
                servers.enter_context(background(f"judged-{server}", command, self.work, listens(port)))
            gateway = [self.binary, "serve", "--config", config]
            servers.enter_context(background("judged-gateway", gateway, self.work, answers_readyz(self.gateway)))
            key = self.key(config)
            servers.enter_context(background("judged-front", front, self.work, listens(self.front), KEY=key))
            yield

    def command(self, server):
        port = str(self.ports[server])
        if server == "ts":
            return [self.node, NODE_HOME / "servers" / "conformance.mjs", port]
        binary = self.binary.parent / "conformance-server"
        if not binary.is_file():
            raise Trouble(f"no server at {binary}: `cargo build -p conformance-server`")
        era = server.partition("-")[2] or "both"
        return [binary, port, "--era", era]

    def key(self, config):
        """A key for all routes, which the gateway shows once."""
        command = [self.binary, "keys", "create", "--config", config, "--name", "conformance"]
        command += [part for server in SERVERS for part in ("--route", route(server))]
        process = start(command, self.work, subprocess.PIPE, subprocess.PIPE)
        key, said = process.communicate(timeout=STOP_TIMEOUT)
        stop(process)
        if process.returncode != 0:
            raise Trouble(f"no key: {said}")
        return key.strip()

    def routes_file(self):
        origin = f"http://127.0.0.1:{self.front}"
        return {
            "compatibilityDate": "2026-11-20",
            "gateway": {
                "listen": f"127.0.0.1:{self.gateway}",
                "publicUrl": origin,
                "store": f"sqlite:{self.work / 'judged.db'}",
            },
            "routes": {
                route(server): {"upstream": {"url": self.direct(server)}, "policies": policies()} for server in SERVERS
            },
        }


def route(server):
    return f"/mcp/{server}"


def policies():
    fixture = json.loads(FIXTURE.read_text())
    listed = {
        "tools": [tool["name"] for tool in fixture["tools"]],
        "prompts": [prompt["name"] for prompt in fixture["prompts"]],
        "resources": [resource["uri"] for resource in fixture["resources"]],
        "resourceTemplates": [template["uriTemplate"] for template in fixture["resourceTemplates"]],
    }
    return [
        "api-key-inbound",
        {"policy": "mcp-capability-filter", "options": listed},
        {"policy": "rate-limit", "options": {"rateLimitBy": "user", "requestsAllowed": 1000, "timeWindowMinutes": 1}},
    ]


# Checks -------------------------------------------------------------------------------------------


def checks(world):
    return [Check(judged.name, functools.partial(compare, judged, world)) for judged in JUDGED]


def compare(judged, world):
    """None when through the gateway nothing is lost but what may be lost, else what is."""
    direct = score(world.direct(judged.model or judged.server), judged.revision, f"direct-{judged.server}", world)
    through = score(world.through(judged.server), judged.revision, f"through-{judged.server}", world)
    scored_only = bool(judged.model)
    lost = losses(direct, through, scored_only)
    allowed = {check for check in baseline(judged) if not (scored_only and check.partition(":")[0] in direct.unscored)}
    complaints = [f"lost: {check}: {lost[check]}" for check in sorted(lost.keys() - allowed)]
    complaints += [f"in the baseline, but not lost: {check}" for check in sorted(allowed - lost.keys())]
    summary = f"{direct.total(scored_only)} passed directly, {through.total(scored_only)} through the gateway"
    return "\n".join([summary, *complaints]) if complaints else None


@dataclasses.dataclass
class Score:
    """What the suite said of a server: (scenario, check) to the statuses it had."""

    statuses: dict
    said: dict
    unscored: set

    def passed(self, scored_only):
        return {
            check: statuses.count("SUCCESS")
            for check, statuses in self.statuses.items()
            if not (scored_only and check[0] in self.unscored)
        }

    def total(self, scored_only):
        return sum(self.passed(scored_only).values())


def losses(direct, through, scored_only):
    """`scenario:check` to what became of it, for all that passed more often directly, or failed less often."""
    lost = {}
    for check, passed in direct.passed(scored_only).items():
        before, after = (collections.Counter(score.statuses.get(check, [])) for score in (direct, through))
        bad = sum(after[status] - before[status] for status in ("FAILURE", "WARNING"))
        if after["SUCCESS"] < passed or bad > 0:
            lost[":".join(check)] = f"{dict(after) or 'not judged'} {through.said.get(check, '')}".strip()
    return lost


def baseline(judged):
    """What may be lost: lines of `server revision scenario:check`, with `*` for all servers."""
    allowed = set()
    for line in BASELINE.read_text().splitlines():
        entry, _, _reason = line.partition("#")
        if entry.strip():
            server, revision, check = entry.split()
            if server in ("*", judged.server) and revision == judged.revision:
                allowed.add(check)
    return allowed


# One run ------------------------------------------------------------------------------------------


def score(url, revision, name, world):
    results = world.work / f"{name}-{revision}"
    command = [world.node, SUITE, "server", "--url", url, "--requirements", revision, "-o", results]
    process = start(command, world.work, subprocess.PIPE, subprocess.STDOUT)
    try:
        said, _ = process.communicate(timeout=RUN_SECONDS)
    except subprocess.TimeoutExpired:
        raise Trouble(f"the suite had no end after {RUN_SECONDS} s with {url}") from None
    finally:
        stop(process)
    statuses, messages = read(results)
    if not statuses:
        raise Trouble(f"the suite judged nothing:\n{said}")
    return Score(statuses, messages, unscored(said))


def read(results):
    statuses, messages = collections.defaultdict(list), {}
    for file in results.glob("*/checks.json"):
        scenario = re.sub(r"^server-(.+)-\d{4}-\d\d-\d\dT[\d-]+Z$", r"\1", file.parent.name)
        for check in json.loads(file.read_text()):
            statuses[scenario, check["id"]].append(check["status"])
            if check["status"] in ("FAILURE", "WARNING"):
                messages[scenario, check["id"]] = check.get("errorMessage", "")
    return statuses, messages


def unscored(said):
    return set(re.findall(r"^\s+\S (\S+) \((?:added-after-release|pending|extension)\)$", said, re.MULTILINE))
