#!/usr/bin/env python3
"""Real MCP clients drive real MCP servers through the gateway.

    cargo build --workspace --bins && cargo build --example matrix_rmcp
    tests/interop/run.py --install --gateway target/debug/portcullis
    tests/interop/run.py --direct        # the same clients without the gateway: whose fault is a failure?

Nine parts: clients that need not sign in tell one story on every route (stories.py); OAuth clients sign in, in every
way in which a client can be known (sign_in.py); signed-in clients connect their people to servers that want each
one's own credential (connect.py); clients ask for calls that somebody else approves (decide.py); the official
conformance suite judges the authorization server (conformance.py), the gateway as a client of upstreams
(conformance_client.py), and servers behind it (conformance_server.py); clients of both eras meet servers of both
(matrix.py, which keeps MATRIX.md); `portcullis doctor` examines all of these servers, and others behind nginx
(doctor.py). Python's standard library only; clients and servers are pinned in package-lock.json and
requirements-*.txt and live in a cache folder ($PORTCULLIS_INTEROP_CACHE, else .cache beside this file).
"""

import argparse
import concurrent.futures
import contextlib
import dataclasses
import json
import pathlib
import signal
import sys
import tempfile
import time

import conformance
import conformance_client
import conformance_server
import connect
import decide
import doctor
import matrix
import matrix_page
import sign_in
import stories
from installing import install, needed_install, newer_node, place_scripts
from machine import ROOT, Trouble, answers_readyz, background, free_ports, listens, needed_tool, stop_everything, tail

# Clients that sign in mostly wait for a token to expire.
AT_A_TIME = 8


# What runs ----------------------------------------------------------------------------------------


def run_all(options, work):
    node = needed_tool("node")
    needed_install()
    place_scripts()
    newer = newer_node(node)
    with contextlib.ExitStack() as running:
        servers = start_servers(running, node, work)
        upstreams = running.enter_context(matrix.servers(node, work))
        rmcp = options.gateway.parent / "examples" / "matrix_rmcp"
        clients = stories.all_clients(node, newer)
        if options.direct:
            print("direct: no gateway, so no demo server, no allow-lists, no hidden tools and no sign-in", flush=True)
            urls = {route.path: servers[route.server] for route in stories.ROUTES if route.server}
            pairs = [pair.check(work) for pair in matrix.direct_pairs(upstreams, node, rmcp)]
            one_by_one = stories.checks(urls, clients, True, work)
            return run_checks(options.only, Group(one_by_one, 1), Group(pairs, matrix.AT_A_TIME))
        if not options.gateway.is_file():
            raise Trouble(f"no gateway at {options.gateway}: `cargo build`, or name it with --gateway")
        ports = sign_in.Ports(*free_ports(3))
        urls = {route.path: ports.url(route.path) for route in stories.ROUTES}
        one_by_one = stories.checks(urls, clients, False, work)
        one_by_one.append(conformance.check(ports, *free_ports(1), newer, work))
        connected = connect.Ports.free()
        one_by_one.append(connect.first_check(ports, connected, conformance.CLIENT, work))
        together = sign_in.checks(ports, node, newer, work) + connect.checks(ports, connected, node, work)
        together += decide.checks(options.gateway, node, work)
        judged = Group(conformance_client.checks(options.gateway, newer, work), conformance_client.AT_A_TIME)
        world = conformance_server.World(options.gateway, newer, work)
        scored = Group(conformance_server.checks(world), conformance_server.AT_A_TIME)
        if any(options.only in check.name for check in scored.checks):
            running.enter_context(world.running())
        running.enter_context(sign_in.provider_and_documents(ports, newer, work))
        running.enter_context(connect.servers(connected, options.gateway, newer, work))
        bridged = matrix.routes(upstreams, node)
        running.enter_context(gateway(options.gateway, ports, connected, servers, bridged, work))
        examined = examinations(options, ports, connected, servers, upstreams, running, work)
        pairs = matrix.pairs(ports, matrix.made_key(options.gateway, work / "routes.json", work), node, rmcp)
        bridge = Group([pair.check(work) for pair in pairs], matrix.AT_A_TIME)
        page = Group([matrix_page.check(pairs)], 1)
        return run_checks(options.only, Group(one_by_one, 1), judged, scored, Group(together, AT_A_TIME), bridge, examined, page)


def examinations(options, ports, connected, servers, upstreams, running, work):
    """`portcullis doctor` on what runs here, and on what nginx puts in front of it."""
    protected = next(upstream for upstream in connected.upstreams() if upstream.id == "protected")
    behind = {"PROTECTED": connected.protected, "EVERYTHING": doctor.port_of(servers["everything"])}
    world = doctor.World.new(options.gateway, work, behind)
    healthy = {"the demo server": ports.url("/mcp/demo"), "a gateway's own sign-in": ports.url(sign_in.RS256)}
    healthy |= {"npm oidc-provider before an SDK server": protected.url, "server-everything": servers["everything"]}
    healthy |= {"the Python SDK": servers["python"]}
    group = Group([case.check(world) for case in doctor.cases(world, healthy)], 2)
    if any(options.only in check.name for check in group.checks):
        running.enter_context(world.running())
    return group


def start_servers(running, node, work):
    """Starts the MCP servers behind the gateway; answers their URLs by name."""
    names = ["everything", "python", "polling"]
    ports = dict(zip(names, free_ports(len(names))))
    for name, port in ports.items():
        command = stories.server_command(name, port, node)
        running.enter_context(background(name, command, work, listens(port), PORT=str(port)))
    return {name: f"http://127.0.0.1:{port}/mcp" for name, port in ports.items()}


def gateway(binary, ports, connected, servers, bridged, work):
    config = work / "routes.json"
    config.write_text(json.dumps(routes_file(ports, connected, servers, bridged, work), indent=2))
    return background("gateway", [binary, "serve", "--config", config], work, answers_readyz(ports.gateway))


def routes_file(ports, connected, servers, bridged, work):
    more = sign_in.gateway(ports, work, [conformance.CLIENT])
    return {
        "compatibilityDate": "2026-11-20",
        "gateway": {"listen": f"127.0.0.1:{ports.gateway}", **more},
        "policies": connect.policies(),
        "routes": {**stories.routes(servers), **sign_in.routes(ports), **connect.routes(connected), **bridged},
    }


# Running ------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Group:
    """Checks that may run together, so many at a time."""

    checks: list
    at_a_time: int


def run_checks(text, *groups):
    """Those whose name has `text` in it, one group after the other."""
    passed, failed = 0, 0
    for group in groups:
        chosen = [check for check in group.checks if text in check.name]
        with concurrent.futures.ThreadPoolExecutor(group.at_a_time) as pool:
            results = list(pool.map(run_check, chosen))
        passed, failed = passed + sum(results), failed + len(results) - sum(results)
    if not passed + failed:
        raise Trouble("no check has the text of --only in its name")
    return passed, failed


def run_check(check):
    started = time.monotonic()
    complaint = check.run()
    took = f"{time.monotonic() - started:.1f} s"
    report = f"{check.name} {'ok' if complaint is None else 'FAILED'} ({took})\n"
    if complaint is not None:
        report += "    " + complaint.strip().replace("\n", "\n    ") + "\n"
    print(report, end="", flush=True)
    return complaint is None


def print_logs(work):
    for log in sorted(work.glob("*.log")):
        print(f"--- the end of {log.name}\n{tail(log)}", flush=True)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--install", action="store_true", help="first install the pinned clients and servers")
    parser.add_argument("--direct", action="store_true", help="run clients against servers, without the gateway")
    parser.add_argument("--gateway", type=pathlib.Path, default=ROOT / "target/debug/portcullis", metavar="PATH")
    parser.add_argument("--only", default="", metavar="TEXT", help="only the checks whose printed name has TEXT in it")
    options = parser.parse_args()
    options.gateway = options.gateway.resolve()
    return options


def end(signal_number, _frame):
    """A polite kill of the runner, too, ends what it started."""
    stop_everything()
    sys.exit(128 + signal_number)


def main():
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signal_number, end)
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
