"""`portcullis doctor` examines real servers, and what people put in front of them: nginx in many shapes.

Each check is a URL and the codes that must be found there; a healthy one has none.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import subprocess
import urllib.parse

from machine import HERE, PYTHON, Check, Trouble, answers_readyz, background, complaint_of, environment
from machine import free_ports, listens, needed_tool

SECONDS = 60
DEMO, HOSTLESS, SITE = "/mcp/demo", "/mcp/hostless", "/mcp/site"
WAYS = ["GOOD", "OTHER", "INNER", "UNCHALLENGED", "ELSE", "TLS", "EXPIRED", "NAMED", "SELF"]


@dataclasses.dataclass
class Case:
    """A URL, and what is wrong there."""

    name: str
    url: str
    codes: list = dataclasses.field(default_factory=list)
    exit_code: int = 0

    def check(self, world):
        return Check(f"doctor: {self.name}", lambda: self.complaint(world))

    def complaint(self, world):
        command = [world.gateway, "doctor", self.url, "--json"]
        env = environment(world.work, SSL_CERT_FILE=str(world.work / "authority.pem"))
        ended = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, env=env, check=False)
        try:
            lines = json.loads(ended.stdout)["checks"]
            codes = list(dict.fromkeys(line["code"] for line in lines if line["code"]))
        except (ValueError, KeyError, TypeError):
            codes = None
        if (codes, ended.returncode) == (self.codes, self.exit_code):
            return None
        return f"{codes} and exit code {ended.returncode}, not {self.codes} and {self.exit_code}\n{ended.stdout}{ended.stderr}"


@dataclasses.dataclass
class World:
    """The servers, and nginx in front of some of them."""

    gateway: pathlib.Path
    work: pathlib.Path
    ports: dict

    @classmethod
    def new(cls, gateway, work, ports):
        names = [*WAYS, "BEHIND"]
        return cls(gateway, work, {**dict(zip(names, free_ports(len(names)))), **ports})

    @contextlib.contextmanager
    def running(self):
        nginx = needed_tool("nginx")
        complaint = complaint_of([PYTHON[2], HERE / "servers" / "certificates.py", self.work], self.work)
        if complaint is not None:
            raise Trouble(f"no certificates: {complaint}")
        (self.work / "nginx").mkdir()
        (self.work / "nobody").write_text("")
        (self.work / "file").write_text("A file.")
        (self.work / "nginx.conf").write_text(self.filled((HERE / "servers" / "nginx.conf").read_text()))
        (self.work / "behind.json").write_text(json.dumps(self.behind(), indent=2))
        command = [self.gateway, "serve", "--config", self.work / "behind.json"]
        front = [nginx, "-p", self.work, "-e", "stderr", "-c", self.work / "nginx.conf"]
        with background("behind", command, self.work, answers_readyz(self.ports["BEHIND"])):
            with background("nginx", front, self.work, listens(self.ports["SELF"])):
                yield

    def filled(self, text):
        words = {**self.ports, "WORK": self.work, "USER": "user root;" if os.geteuid() == 0 else ""}
        for word, value in sorted(words.items(), key=lambda item: -len(item[0])):
            text = text.replace(word, str(value))
        return text

    def behind(self):
        """A gateway whose people come by nginx."""
        gateway = {"listen": f"127.0.0.1:{self.ports['BEHIND']}", "publicUrl": self.url("GOOD", "")}
        return {
            "compatibilityDate": "2026-11-20",
            "gateway": {**gateway, "store": f"sqlite:{self.work / 'behind.db'}"},
            "routes": {path: {"upstream": {"demo": True}, "policies": ["dev-login"]} for path in (DEMO, HOSTLESS, SITE)},
        }

    def url(self, way, path):
        scheme = "https" if way in ("TLS", "EXPIRED", "NAMED", "SELF") else "http"
        return f"{scheme}://127.0.0.1:{self.ports[way]}{path}"


# Clients look for metadata at the root, too, where nginx asks for nothing and has nothing.
PASSWORD = ["challenge_not_bearer", "no_protected_resource_metadata"]


def cases(world, healthy):
    """`healthy`: URLs of servers in which nothing must be found, by name."""
    url = world.url
    return [
        *(Case(f"healthy, {name}", at) for name, at in healthy.items()),
        Case("healthy, nginx before a gateway", url("GOOD", DEMO)),
        Case("healthy, nginx without the Host before a gateway, which knows its own", url("GOOD", HOSTLESS)),
        Case("healthy, TLS by nginx before server-everything", url("TLS", "/mcp")),
        Case("another address than the gateway's public one", url("OTHER", DEMO), ["resource_mismatch"], 6),
        Case("nginx before a server that knows its inner address", url("INNER", "/mcp"), ["resource_mismatch"], 6),
        Case("nginx takes the challenge away", url("UNCHALLENGED", DEMO), ["challenge_missing", "resource_mismatch"], 6),
        Case("nginx passes on the path of MCP only", url("GOOD", SITE), ["protected_resource_metadata_unreadable"], 6),
        Case("a page", url("ELSE", "/page"), ["answers_html"], 5),
        Case("nothing there", url("ELSE", "/gone"), ["not_found"], 5),
        Case("a redirect", url("ELSE", "/moved"), ["redirects"], 5),
        Case("a file", url("ELSE", "/file"), ["post_not_allowed"], 5),
        Case("nothing behind nginx", url("ELSE", "/dead"), ["bad_gateway"], 5),
        Case("refused", url("ELSE", "/refused"), ["forbidden"], 5),
        Case("a challenge page", url("ELSE", "/challenge"), ["challenge_page"], 5),
        Case("a password of nginx", url("ELSE", "/password"), PASSWORD, 6),
        Case("a certificate that has expired", url("EXPIRED", "/mcp"), ["certificate_expired"], 4),
        Case("a certificate for another name", url("NAMED", "/mcp"), ["certificate_wrong_name"], 4),
        Case("a certificate signed by itself", url("SELF", "/mcp"), ["certificate_self_signed"], 4),
        Case("no TLS on the port", url("GOOD", DEMO).replace("http:", "https:"), ["not_tls"], 4),
        Case("TLS on a plain port", url("TLS", "/mcp").replace("https:", "http:"), ["speaks_tls"], 4),
    ]


def port_of(url):
    return urllib.parse.urlsplit(url).port
