"""A chain that decides, holds and records, and clients whose call somebody else must approve.

Each client has a gateway of its own before the demo server with its sign-in, so that its audit log tells one story. The
log is read by the number of the approval, exported, and verified without the gateway.
"""

import contextlib
import json

import sign_in
from machine import NODE_HOME, Check, answers_readyz, background, complaint_of, free_ports, listens, outcome_of

PATH = "/mcp/notes"
# What the audit says of the approved call, by kind and decision, the newest first.
STORY = [("call", "allowed"), ("decision", "approved"), ("call", "held")]
CLIENTS = {"ts_v1": "ts_v1_held.mjs", "ts_v2": "ts_v2_held.mjs"}


def checks(binary, node, work):
    return [check(binary, node, name, script, work / f"held-{name}") for name, script in CLIENTS.items()]


def check(binary, node, name, script, work):
    def run():
        work.mkdir()
        gateway_port, demo_port = free_ports(2)
        config = work / "routes.json"
        config.write_text(json.dumps(routes_file(gateway_port, demo_port), indent=2))
        story = {
            "url": f"http://127.0.0.1:{gateway_port}{PATH}",
            "note": 1,
            "asks": person("ada", work),
            "decides": person("grace", work),
        }
        client = [node, NODE_HOME / "clients" / script, json.dumps(story)]
        with servers(binary, gateway_port, demo_port, config, work):
            complaint, said = outcome_of(client, work, BROWSER=str(sign_in.BROWSER))
        return complaint or proven(binary, config, said.strip(), work)

    return Check(f"decide: {name:<12} {PATH}", run)


def routes_file(gateway_port, demo_port):
    rules = [
        {
            "name": "deletions",
            "match": {"tools": [{"glob": "delete_*"}]},
            "action": "require_approval",
            "approvers": [{"users": ["dev|grace"]}],
            "waitSeconds": 0,
        },
        {"name": "the rest", "action": "allow"},
    ]
    chain = [
        {"policy": "audit-log", "options": {"promise": "fail-closed", "arguments": "full"}},
        {"policy": "dev-login"},
        {"policy": "rate-limit", "options": {"rateLimitBy": "user", "requestsAllowed": 1000, "timeWindowMinutes": 1}},
        {"policy": "mcp-rules", "options": {"rules": rules}},
        "tool-pinning",
        {"policy": "mcp-capability-filter", "options": {"tools": ["read_note", "delete_note"]}},
        "upstream-auth-retry",
        {"policy": "mcp-token-exchange", "options": {"id": "notebook", "displayName": "Notebook"}},
    ]
    return {
        "compatibilityDate": "2026-11-20",
        "gateway": {"listen": f"127.0.0.1:{gateway_port}"},
        "routes": {PATH: {"upstream": {"url": f"http://127.0.0.1:{demo_port}/mcp"}, "policies": chain}},
    }


@contextlib.contextmanager
def servers(binary, gateway_port, demo_port, config, work):
    demo = [binary, "demo-server", "--oauth", "--listen", f"127.0.0.1:{demo_port}"]
    gateway = [binary, "serve", "--config", config]
    with (
        background("demo", demo, work, listens(demo_port)),
        background("gateway", gateway, work, answers_readyz(gateway_port)),
    ):
        yield


def person(name, work):
    """Somebody with a browser of their own."""
    profile = sign_in.browser_profile(work, name)
    return {"BROWSER_PROFILE": str(profile), "BROWSER_FIELDS": json.dumps({"name": name, "person": name})}


def proven(binary, config, approval, work):
    """What the log tells of the approval once the gateway has ended; None if it is all that happened, and proven."""
    portcullis = [binary, "--config", config]
    complaint, rows = outcome_of([*portcullis, "--json", "audit", "query", "--approval", approval], work)
    if complaint:
        return complaint
    rows = [json.loads(row) for row in rows.splitlines()]
    if [(row["kind"], row["decision"]) for row in rows] != STORY:
        return f"not the story of approval {approval}: {rows}"
    returned, decided, held = rows
    if decided["person"]["subject"] != "dev|grace" or held["caller"]["subject"] != "dev|ada":
        return f"not by these people: {rows}"
    if (held["sent"], returned["sent"], returned["status"]) != (0, 1, 200):
        return f"not made once: {rows}"
    exported = work / "audit.ndjson"
    said = complaint_of([*portcullis, "audit", "export", "--output", exported], work)  # on stderr, how many rows
    if not exported.is_file() or f'"approval":{approval}' not in exported.read_text():
        return f"not exported: {said}"
    return complaint_of([binary, "audit", "verify", exported], work)
