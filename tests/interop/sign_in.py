"""Clients that sign in: given a route's URL and nothing else, they end up calling a tool as a person.

A real OpenID provider stands behind the gateway, and the browser in between is clients/browser.py.
"""

import contextlib
import dataclasses
import json
import pathlib

from machine import HERE, NODE_HOME, PYTHON, Check, background, complaint_of, listens

BROWSER = HERE / "clients" / "browser.py"
SECRET = "a secret of the interop suite"
TOKEN_SECONDS = 2
# A token is believed for five seconds longer than it says, because clocks differ.
EXPIRY_SECONDS = TOKEN_SECONDS + 5 + 2
LOOPBACK = "http://127.0.0.1/callback"  # any port will do

TOOLS = ["echo", "list_notes", "count_slowly"]
STEP_UP_SCOPE = "notes:count"
KNOWN_CLIENTS = [
    {"clientId": "interop-public", "name": "interop, public", "redirectUris": [LOOPBACK]},
    {"clientId": "interop-secret", "clientSecret": SECRET, "redirectUris": [LOOPBACK]},
]


@dataclasses.dataclass
class Ports:
    gateway: int
    provider: int
    documents: int

    def url(self, path):
        return f"http://127.0.0.1:{self.gateway}{path}"

    @property
    def issuer(self):
        return f"http://127.0.0.1:{self.provider}"


@dataclasses.dataclass
class Way:
    """One way in which a client can be known to the gateway, and the route on which it is tried."""

    name: str
    path: str
    elsewhere: str  # a route for which its tokens are not
    expiry_seconds: int = EXPIRY_SECONDS

    def registration(self, ports):
        issuer = ports.url("")
        return {
            "registers": {},
            "document": {"clientMetadataUrl": f"https://127.0.0.1:{ports.documents}/client.json"},
            "configured": {"issuer": issuer, "clientId": "interop-public"},
            "secret": {"issuer": issuer, "clientId": "interop-secret", "clientSecret": SECRET},
        }[self.name]

    def story(self, ports):
        story = {
            "url": ports.url(self.path),
            "elsewhere": ports.url(self.elsewhere),
            "registration": self.registration(ports),
            "subject": f"{ports.issuer}|ada",
            "scopes": ["mcp:tools"],
            "tools": TOOLS,
            "call": {"name": "echo", "arguments": {"text": "hello"}, "text": "hello"},
            "expirySeconds": self.expiry_seconds,
            "stepUp": {
                "call": {"name": "count_slowly", "arguments": {"to": 1, "delay_ms": 10}, "text": "1"},
                "scope": STEP_UP_SCOPE,
            },
        }
        return json.dumps(story)


# Registrations of the gateway at the provider, one for each route. ID tokens are signed with different kinds of keys;
# on the last route nobody signs in twice, so that there the provider is asked again who somebody is.
RS256, EDDSA, ASKED_AGAIN = "/mcp/signed-rs256", "/mcp/signed-eddsa", "/mcp/signed-later"
PROVIDER_CLIENTS = {RS256: "gateway-rs256", EDDSA: "gateway-eddsa", ASKED_AGAIN: "gateway-later"}
WAYS = [
    Way("registers", RS256, elsewhere=EDDSA),
    Way("document", EDDSA, elsewhere=RS256),
    Way("configured", RS256, elsewhere=EDDSA),
    Way("secret", EDDSA, elsewhere=RS256),
]
# The provider is asked once a minute about a person.
LATER = Way("configured", ASKED_AGAIN, elsewhere=RS256, expiry_seconds=62)


# The gateway's configuration ----------------------------------------------------------------------


def gateway(ports, work, more_clients):
    return {
        "publicUrl": ports.url(""),
        "store": f"sqlite:{work / 'portcullis.db'}",
        "fetch": {"roots": [str(work / "ca.pem")]},
        "oauth": {"clients": [*KNOWN_CLIENTS, *more_clients]},
    }


def routes(ports):
    allow = {"policy": "mcp-capability-filter", "options": {"tools": TOOLS}}
    return {
        path: {"upstream": {"demo": True}, "policies": [sign_in(ports, client), allow]}
        for path, client in PROVIDER_CLIENTS.items()
    }


def sign_in(ports, client):
    options = {
        "oidc": {"issuer": ports.issuer},
        "browserLogin": {
            "clientId": client,
            "clientSecret": SECRET,
            "scope": "openid profile email groups offline_access",
        },
        "gateway": {"accessTokenTtlSeconds": TOKEN_SECONDS},
        "toolScopes": {"count_slowly": [STEP_UP_SCOPE]},
    }
    return {"policy": "mcp-oauth-inbound", "options": options}


# What runs ----------------------------------------------------------------------------------------


@contextlib.contextmanager
def provider_and_documents(ports, newer_node, work):
    provider = [newer_node, NODE_HOME / "servers" / "provider.mjs", str(ports.provider), ports.url("/oauth/callback")]
    documents = [PYTHON[2], HERE / "servers" / "documents.py", str(ports.documents), work]
    with (
        background("provider", provider, work, listens(ports.provider)),
        background("documents", documents, work, listens(ports.documents)),
    ):
        yield


def programs(node, newer_node):
    scripts, python_scripts = NODE_HOME / "clients", HERE / "clients"
    return {
        "ts_v1 oauth": [node, scripts / "ts_v1_oauth.mjs"],
        "ts_v2 oauth": [node, scripts / "ts_v2_oauth.mjs"],
        "py_v1 oauth": [PYTHON[1], python_scripts / "py_v1_oauth.py"],
        "py_v2 oauth": [PYTHON[2], python_scripts / "py_v2_oauth.py"],
        "inspector oauth": [newer_node, scripts / "inspector_oauth.mjs"],
    }


def checks(ports, node, newer_node, work):
    """Every program in every way, and mcp-remote in its own: it registers. The longest first."""
    every = programs(node, newer_node)
    mcp_remote = [node, NODE_HOME / "clients" / "mcp_remote.mjs"]
    in_every_way = [(name, way, signing_in(every[name], way, ports, work)) for name in every for way in WAYS]
    cases = [
        ("ts_v2 oauth", LATER, asked_again(every["ts_v2 oauth"], ports, work)),
        *in_every_way,
        ("mcp-remote", WAYS[0], signing_in(mcp_remote, WAYS[0], ports, work)),
    ]
    return [Check(f"{name:<18} {way.path:<18} {way.name}", run) for name, way, run in cases]


def signing_in(command, way, ports, work):
    def run():
        profile = browser_profile(work, f"{pathlib.Path(command[-1]).stem}-{pathlib.Path(way.path).name}-{way.name}")
        return complaint_of([*command, way.story(ports)], work, **browser(profile))

    return run


def asked_again(command, ports, work):
    def run():
        complaint = signing_in(command, LATER, ports, work)()
        said = (work / "provider.log").read_text().splitlines()
        if complaint is None and f"{PROVIDER_CLIENTS[ASKED_AGAIN]} refreshed" not in said:
            complaint = "the provider was not asked again who the person is"
        return complaint

    return run


def browser_profile(work, name):
    """A browser and a home of its own for every check, so that nobody is signed in already."""
    profile = work / f"browser-{name}"
    profile.mkdir()
    return profile


def browser(profile):
    return {"BROWSER": str(BROWSER), "BROWSER_PROFILE": str(profile), "HOME": str(profile)}
