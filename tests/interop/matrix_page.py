"""MATRIX.md: what each client showed on each kind of upstream, as the last run saw it."""

import json
import os
import re

from machine import HERE, ROOT, Check

PAGE = HERE / "MATRIX.md"
KINDS = {
    "stateful": ("Upstreams with sessions", "sdk", "1"),
    "stateless": ("Upstreams of the older revisions without sessions", "sdk", "1"),
    "modern": ("Upstreams of 2026-07-28 only", "server", "2"),
}
COLUMNS = {
    "list": "list",
    "call": "call",
    "progress": "progress",
    "elicitation": "elicitation",
    "cancellation": "cancellation",
    "stream": "long stream",
}
INTRODUCTION = """\
# Which clients were tried with which servers

Official SDKs of three languages, through a route with an API key and a capability filter, on servers that are none of
ours. Every line is a client program as it runs in `tests/interop/run.py --only matrix`; nothing here is written by hand.

| column | ✓ means that the client |
|---|---|
| list, call | lists the tools that the filter leaves and no other, is refused the one that it hides, and calls one |
| progress | sees each notification before the result, in order |
| elicitation | is asked by the tool in the middle of a call, and the tool gets the answer |
| cancellation | cancels a call, and the server knows within 5 seconds |
| long stream | sees a notification each half second for 10 seconds, all of them, as they come |

"""
NOTE = """\
–: a server without sessions does not hear the answer to what it asks in the middle of a call, nor that a call has been
cancelled, unless it takes the end of the connection for it (the second of two signs is the Python server's). It is the same
without the gateway.
"""


def check(pairs):
    return Check("matrix: MATRIX.md", lambda: complaint(pairs))


def complaint(pairs):
    """None when the page says what the run has seen, or has been written by it."""
    if not all(pair.seen for pair in pairs):
        return "only a run of all pairs can tell: `--only matrix`"
    wrong = [pair for pair in pairs if any(pair.wrong(thing) for thing in COLUMNS)]
    if wrong:
        return f"{len(wrong)} pairs failed"
    wanted = page(pairs)
    if os.environ.get("UPDATE"):
        PAGE.write_text(wanted)
    fresh = PAGE.is_file() and PAGE.read_text() == wanted
    return None if fresh else f"{PAGE} is not what was seen: UPDATE=1 writes it again. It would be:\n{wanted}"


def page(pairs):
    parts = [INTRODUCTION + clients()]
    for kind, (title, package, python) in KINDS.items():
        of_kind = [pair for pair in pairs if pair.upstream.kind == kind]
        servers = f"Servers: TypeScript SDK {npm_version(package)} and Python SDK {python_version(python)}.\n"
        parts += [f"## {title}\n", servers, table(of_kind)]
        if kind == "stateless":
            parts.append(NOTE)
    return "\n".join(parts)


def clients():
    typescript, python = (npm_version("sdk"), npm_version("client")), (python_version("1"), python_version("2"))
    rmcp = re.search(r'^name = "rmcp"\nversion = "(.+)"$', (ROOT / "Cargo.lock").read_text(), re.MULTILINE)[1]
    all_of_them = f"TypeScript SDK {' and '.join(typescript)}, Python SDK {' and '.join(python)}, rmcp {rmcp}"
    return f"Clients: {all_of_them}. Those with two eras run in each mode: the older one, the newer one, and what they find.\n"


def table(pairs):
    lines = ["| client | speaks | " + " | ".join(COLUMNS.values()) + " |", "|---" * (len(COLUMNS) + 2) + "|"]
    for client in dict.fromkeys(pair.client for pair in pairs):
        cells = [cell([pair for pair in pairs if pair.client == client], thing) for thing in COLUMNS]
        lines.append(f"| {client.title} | {client.newest} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def cell(pairs, thing):
    """One sign if the servers of a kind agree, else one for each."""
    signs = ["✓" if pair.seen[thing] is None else "–" for pair in pairs]
    return signs[0] if len(set(signs)) == 1 else " / ".join(signs)


def npm_version(package):
    lock = json.loads((HERE / "package-lock.json").read_text())
    return lock["packages"][f"node_modules/@modelcontextprotocol/{package}"]["version"]


def python_version(generation):
    text = (HERE / f"requirements-{generation}.txt").read_text()
    return re.search(r"^mcp==(.+)$", text, re.MULTILINE)[1]
