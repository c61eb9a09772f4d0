#!/usr/bin/env python3
"""Real MCP clients drive real MCP servers through the gateway.

    tests/interop/run.py --install --gateway target/debug/portcullis
    tests/interop/run.py --direct        # the same clients without the gateway: whose fault is a failure?

Every client tells the same story (clients/story.mjs, clients/story.py) on every route. Python's
standard library only; clients and servers are pinned in package-lock.json and requirements-*.txt and
live in a cache folder ($PORTCULLIS_INTEROP_CACHE, else .cache beside this file).
"""

import argparse
import contextlib
import dataclasses
import hashlib
import json
import os
import pathlib
import platform
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CACHE = pathlib.Path(os.environ.get("PORTCULLIS_INTEROP_CACHE", HERE / ".cache")).resolve()
NODE_HOME = CACHE / "node"
PYTHON = {generation: CACHE / f"python-{generation}" / "bin" / "python" for generation in (1, 2)}
NPM_FILES = ["package.json", "package-lock.json", ".npmrc"]

CASE_TIMEOUT = 120
START_TIMEOUT = 60
STOP_TIMEOUT = 5
INSPECTOR_NODE = (22, 19)


class Trouble(Exception):
    """Something the suite needs is missing or did not start: the run has failed, with this reason."""


# What runs: servers, routes, clients --------------------------------------------------------------


@dataclasses.dataclass
class Route:
    """One route: what is behind it, what the gateway adds, and what a client must see on it."""

    path: str
    eras: list  # spoken by the server behind the route, best first
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
            "era": client.era_on(self),
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

    def speaks(self, route):
        return self.mode != "modern" or "modern" in route.eras

    def era_on(self, route):
        return "legacy" if self.mode == "legacy" else route.eras[0]

    def command(self, url, story):
        mode = [self.mode] if self.takes_mode else []
        return [self.interpreter, self.folder / self.program, url, story, *mode]


def all_clients(node, newer_node):
    scripts, python_scripts = NODE_HOME / "clients", HERE / "clients"
    modes = ["legacy", "auto", "modern"]
    return [
        Client("ts_v1.mjs", node, scripts, takes_mode=False),
        *(Client("ts_v2.mjs", node, scripts, mode) for mode in modes),
        Client("py_v1.py", PYTHON[1], python_scripts, takes_mode=False),
        *(Client("py_v2.py", PYTHON[2], python_scripts, mode) for mode in modes),
        *(Client("inspector.mjs", newer_node, scripts, mode) for mode in modes),
    ]


def server_command(name, port, node):
    if name == "python":
        return [PYTHON[2], HERE / "servers" / "python_server.py", str(port)]
    package = NODE_HOME / "node_modules" / "@modelcontextprotocol" / "server-everything"
    loopback = (NODE_HOME / "servers" / "loopback.mjs").as_uri()
    return [node, "--import", loopback, package / "dist" / "index.js", "streamableHttp"]


def routes_file(gateway_port, servers):
    def upstream(route):
        return {"demo": True} if route.server is None else {"url": servers[route.server]}

    return {
        "compatibilityDate": "2026-11-20",
        "gateway": {"listen": f"127.0.0.1:{gateway_port}"},
        "routes": {route.path: {"upstream": upstream(route), "policies": route.policies} for route in ROUTES},
    }


# Installing ---------------------------------------------------------------------------------------


def install():
    npm = needed_tool("npm")
    NODE_HOME.mkdir(parents=True, exist_ok=True)
    with only_if_changed(NODE_HOME, [HERE / name for name in NPM_FILES]) as changed:
        if changed:
            for name in NPM_FILES:
                shutil.copy(HERE / name, NODE_HOME / name)
            run_install([npm, "ci"], cwd=NODE_HOME)
    for generation, python in PYTHON.items():
        requirements = HERE / f"requirements-{generation}.txt"
        with only_if_changed(python.parents[1], [requirements]) as changed:
            if changed:
                run_install([sys.executable, "-m", "venv", "--clear", python.parents[1]])
                # --no-deps: nothing comes in that the file does not pin; `pip check` says if it forgot one.
                run_install([python, "-m", "pip", "install", "--quiet", "--no-deps", "-r", requirements])
                run_install([python, "-m", "pip", "check"])


@contextlib.contextmanager
def only_if_changed(folder, sources):
    """Yields whether `sources` changed since the last install into `folder`; success is noted in a stamp."""
    stamp = folder / "installed"
    parts = [sys.version.encode(), *(source.read_bytes() for source in sources)]
    wanted = hashlib.sha256(b"\0".join(parts)).hexdigest()
    changed = not stamp.is_file() or stamp.read_text() != wanted
    if changed:
        stamp.unlink(missing_ok=True)
    yield changed
    stamp.write_text(wanted)


def run_install(command, **options):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    if done.returncode != 0:
        raise Trouble(f"`{printable(command)}` failed:\n{done.stdout}")


def place_scripts():
    """Node looks for packages from a script's own folder upward, so the scripts stand beside node_modules."""
    for folder in ("clients", "servers"):
        shutil.copytree(HERE / folder, NODE_HOME / folder, dirs_exist_ok=True)


def needed_tool(name):
    found = shutil.which(name)
    if found is None:
        raise Trouble(f"{name} is not on this machine")
    return found


def needed_install():
    for place in (NODE_HOME, *(python.parents[1] for python in PYTHON.values())):
        if not (place / "installed").is_file():
            raise Trouble(f"{place} is not installed: run with --install")


def inspector_node(node):
    """The Inspector wants a newer Node than long-term distributions have; npm carries one for Linux."""
    arch = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine(), "")
    packaged = NODE_HOME / "node_modules" / f"node-linux-{arch}" / "bin" / "node"
    if packaged.is_file():
        return packaged
    answer = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    version = tuple(int(part) for part in re.findall(r"\d+", answer)[:2])
    if version < INSPECTOR_NODE:
        raise Trouble(f"the Inspector needs Node {INSPECTOR_NODE} or newer; this is {answer.strip()}")
    return node


# Processes ----------------------------------------------------------------------------------------


def free_ports(count):
    """Held open together, so that no port is given out twice."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def environment(home, **more):
    """Nothing of the caller's home is read or written, and no proxy stands between us and loopback."""
    return {**os.environ, "HOME": str(home), "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", **more}


def stop(process):
    """Ends a process of ours and what it started: each leads its own group, named by its own id."""
    for signal_number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal_number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_TIMEOUT)
            return


@contextlib.contextmanager
def background(name, command, work, is_ready, **env):
    """Runs a server until the block ends; its output is in `work`/NAME.log."""
    log = work / f"{name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=work,
            env=environment(work, **env),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        wait_until_ready(name, process, is_ready, log)
        yield
    finally:
        stop(process)


def wait_until_ready(name, process, is_ready, log):
    deadline = time.monotonic() + START_TIMEOUT
    while not is_ready():
        if process.poll() is not None:
            raise Trouble(f"{name} ended with code {process.returncode}:\n{tail(log)}")
        if time.monotonic() > deadline:
            raise Trouble(f"{name} was not ready after {START_TIMEOUT} s:\n{tail(log)}")
        time.sleep(0.1)


def listens(port):
    def is_ready():
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
        return False

    return is_ready


def answers_readyz(port):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def is_ready():
        with contextlib.suppress(OSError), opener.open(f"http://127.0.0.1:{port}/readyz", timeout=1) as answer:
            return answer.status == 200
        return False  # refused, or an HTTP error: not ready yet

    return is_ready


def tail(log, lines=40):
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def printable(command):
    return " ".join(str(part) for part in command)


# Running ------------------------------------------------------------------------------------------


def run_case(client, route, url, direct, work):
    """None when all is well, else what the client said. An SDK that mutters on stderr has failed too."""
    process = subprocess.Popen(
        client.command(url, route.story(client, direct)),
        cwd=work,
        env=environment(work),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        stdout, stderr = process.communicate(timeout=CASE_TIMEOUT)
    except subprocess.TimeoutExpired:
        stop(process)
        stdout, stderr = process.communicate()
        return f"no end after {CASE_TIMEOUT} s\n{stdout}{stderr}"
    finally:
        stop(process)
    if process.returncode == 0 and not stderr.strip():
        return None
    return f"exit code {process.returncode}\n{stdout}{stderr}"


def run_cases(cases, direct, work):
    failed = 0
    for client, route, url in cases:
        started = time.monotonic()
        complaint = run_case(client, route, url, direct, work)
        took = f"{time.monotonic() - started:.1f} s"
        print(f"{case_name(client, route)} {'ok' if complaint is None else 'FAILED'} ({took})", flush=True)
        if complaint is not None:
            failed += 1
            print("    " + complaint.strip().replace("\n", "\n    "), flush=True)
    return failed


def case_name(client, route):
    return f"{client.name:<18} {route.path:<16}"


def chosen_cases(options, urls, clients):
    cases = [(client, route, urls[route.path]) for route in ROUTES if route.path in urls for client in clients]
    cases = [case for case in cases if case[0].speaks(case[1])]
    cases = [case for case in cases if options.only in case_name(*case[:2])]
    if not cases:
        raise Trouble(f"no case has {options.only!r} in its name")
    return cases


def run_all(options, work):
    node = needed_tool("node")
    needed_install()
    place_scripts()
    clients = all_clients(node, inspector_node(node))
    everything_port, python_port, gateway_port = free_ports(3)
    servers = {
        "everything": f"http://127.0.0.1:{everything_port}/mcp",
        "python": f"http://127.0.0.1:{python_port}/mcp",
    }
    with contextlib.ExitStack() as running:
        for name, port in (("everything", everything_port), ("python", python_port)):
            command = server_command(name, port, node)
            running.enter_context(background(name, command, work, listens(port), PORT=str(port)))
        if options.direct:
            print("direct: no gateway, so no demo server, no allow-lists and no hidden tools", flush=True)
            urls = {route.path: servers[route.server] for route in ROUTES if route.server}
        else:
            running.enter_context(gateway(options.gateway, gateway_port, servers, work))
            urls = {route.path: f"http://127.0.0.1:{gateway_port}{route.path}" for route in ROUTES}
        cases = chosen_cases(options, urls, clients)
        failed = run_cases(cases, options.direct, work)
    return len(cases) - failed, failed


def gateway(binary, port, servers, work):
    if not binary.is_file():
        raise Trouble(f"no gateway at {binary}: `cargo build`, or name it with --gateway")
    config = work / "routes.json"
    config.write_text(json.dumps(routes_file(port, servers), indent=2))
    return background("gateway", [binary, "serve", "--config", config], work, answers_readyz(port))


def print_logs(work):
    for log in sorted(work.glob("*.log")):
        print(f"--- the end of {log.name}\n{tail(log)}", flush=True)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--install", action="store_true", help="first install the pinned clients and servers")
    parser.add_argument("--direct", action="store_true", help="run the clients against the servers, without the gateway")
    parser.add_argument("--gateway", type=pathlib.Path, default=ROOT / "target/debug/portcullis", metavar="PATH")
    parser.add_argument("--only", default="", metavar="TEXT", help="only the cases whose printed name has TEXT in it")
    options = parser.parse_args()
    options.gateway = options.gateway.resolve()
    return options


def main():
    # A polite kill of the runner, too, must end what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    options = arguments()
    with tempfile.TemporaryDirectory(prefix="portcullis-interop-") as folder:
        work = pathlib.Path(folder)
        try:
            if options.install:
                install()
            passed, failed = run_all(options, work)
        except Trouble as trouble:
            print(f"FAILED {trouble}", flush=True)
            passed, failed = 0, 1
        if failed:
            print_logs(work)
    print(f"{passed} passed, {failed} failed")
    return 0 if passed and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
