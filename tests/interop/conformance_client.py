"""The client leg of the official conformance suite judges the gateway as a client of upstreams.

conformance_driver.py is what the suite takes for an MCP client. Every scenario that a requirement set scores is here, and
a check of its own compares this list with the suite's; what is not run says why.
"""

import dataclasses
import re
import subprocess
import sys

from conformance import SUITE
from machine import HERE, STOP_TIMEOUT, Check, start, stop

LEGACY, MODERN = "2025-11-25", "2026-07-28"
# A scenario is a small world: two or three servers, a gateway and a person.
SCENARIO_SECONDS = 60
AT_A_TIME = 4

CALLED = "called"


@dataclasses.dataclass
class Scenario:
    """How a scenario ends for the person: a tool was called, or a refusal has this code."""

    name: str
    revisions: tuple = (MODERN,)
    ends: str = CALLED
    # What cannot be judged, because no client of the revision does it.
    skips: int = 0


BOTH = (LEGACY, MODERN)
SCORED = [
    Scenario("initialize", (LEGACY,)),
    Scenario("tools_call", BOTH),
    Scenario("elicitation-sep1034-client-defaults", (LEGACY,)),
    Scenario("sse-retry", (LEGACY,)),
    Scenario("request-metadata"),
    Scenario("sep-2322-client-request-state"),
    Scenario("http-standard-headers", skips=2),
    Scenario("http-custom-headers"),
    Scenario("http-invalid-tool-headers"),
    Scenario("json-schema-ref-no-deref"),
    Scenario("auth/metadata-default", BOTH),
    Scenario("auth/metadata-var1", BOTH),
    Scenario("auth/metadata-var2", BOTH),
    Scenario("auth/metadata-var3", BOTH),
    Scenario("auth/basic-cimd", BOTH),
    Scenario("auth/scope-from-www-authenticate", BOTH),
    Scenario("auth/scope-from-scopes-supported", BOTH),
    Scenario("auth/scope-omitted-when-undefined", BOTH),
    Scenario("auth/scope-step-up", BOTH),
    Scenario("auth/scope-retry-limit", BOTH, ends="upstream_unauthorized"),
    Scenario("auth/token-endpoint-auth-basic", BOTH),
    Scenario("auth/token-endpoint-auth-post", BOTH),
    Scenario("auth/token-endpoint-auth-none", BOTH),
    Scenario("auth/pre-registration", BOTH),
    Scenario("auth/resource-mismatch", ends="resource_mismatch"),
    Scenario("auth/offline-access-scope"),
    Scenario("auth/offline-access-not-supported"),
    Scenario("auth/authorization-server-migration"),
    Scenario("auth/iss-supported"),
    Scenario("auth/iss-not-advertised"),
    Scenario("auth/iss-supported-missing", ends="mixup"),
    Scenario("auth/iss-wrong-issuer", ends="mixup"),
    Scenario("auth/iss-unexpected", ends="mixup"),
    Scenario("auth/iss-normalized", ends="mixup"),
    Scenario("auth/metadata-issuer-mismatch", ends="issuer_mismatch"),
]
# Run and reported by the suite, but scored by no requirement set.
NOT_SCORED = [
    Scenario("json-schema-2020-12-preservation", BOTH),
    Scenario("auth/client-credentials-jwt", BOTH),
    Scenario("auth/client-credentials-basic", BOTH),
]
# For servers of the first revision with authorization, of which no requirement set speaks.
FIRST = "2025-03-26"
OF_OLD = [
    Scenario("auth/2025-03-26-oauth-metadata-backcompat", (FIRST,)),
    Scenario("auth/2025-03-26-oauth-endpoint-fallback", (FIRST,)),
]
NOT_RUN = {
    "auth/dpop": "the gateway shows bearer tokens only",
    "auth/dpop-nonce": "the gateway shows bearer tokens only",
    "auth/wif-jwt-bearer": "the gateway holds no workload identity of its own that it could show",
    "auth/enterprise-managed-authorization": "its identity provider has no sign-in, so nobody can bring an ID token",
}


def checks(gateway, newer_node, work):
    listed = [Check(f"conformance-client: list {at}", listing(at, newer_node, work)) for at in BOTH]
    return listed + [
        Check(f"conformance-client: {scenario.name} {at}", judged(scenario, at, gateway, newer_node, work))
        for scenario in SCORED + NOT_SCORED + OF_OLD
        for at in scenario.revisions
    ]


# The list -----------------------------------------------------------------------------------------


def listing(revision, newer_node, work):
    """Is every scenario here that the suite has for this revision?"""

    def run():
        said = finished([newer_node, SUITE, "list", "--requirements", revision], work)[1]
        required, _, others = said.partition("Client scenarios")[2].partition("Run and reported")
        scored = {scenario.name for scenario in SCORED if revision in scenario.revisions}
        known = {scenario.name for scenario in NOT_SCORED} | NOT_RUN.keys()
        listed, others = set(re.findall(r"- (\S+)", required)), set(re.findall(r"- (\S+) \[client\]", others))
        if listed == scored and others == known:
            return None
        return f"scored, but not both here and there: {sorted(listed ^ scored)}\n" + (
            f"not scored, but not both here and there: {sorted(others ^ known)}\n{said}"
        )

    return run


# One scenario -------------------------------------------------------------------------------------


def judged(scenario, revision, gateway, newer_node, work):
    def run():
        results = work / f"judged-{scenario.name.replace('/', '-')}-{revision}"
        code, said = finished(command(scenario, revision, newer_node, results), work, GATEWAY=str(gateway), NODE=str(newer_node))
        printed = [file.read_text().strip() for file in results.rglob("stdout.txt")]
        if code == 0 and passed_all(said, scenario.skips) and len(printed) == 1 and as_expected(scenario, printed[0]):
            return None
        logs = "\n".join(file.read_text() for file in results.rglob("stderr.txt"))
        return f"exit code {code}; the person was to end with `{scenario.ends}`, and saw: {printed}\n{said}\n{logs}"

    return run


def command(scenario, revision, newer_node, results):
    suite = [newer_node, "--import", HERE / "servers" / "loopback.mjs", SUITE, "client"]
    driver = f"{sys.executable} {HERE / 'conformance_driver.py'}"
    # Extensions belong to no revision, so the suite must be told to run them at one.
    suite += ["--command", driver, "--scenario", scenario.name, "--spec-version", revision, "--force"]
    return [*suite, "--timeout", str(SCENARIO_SECONDS * 1000), "-o", results]


def passed_all(said, skips):
    """A warning is not a failure to the suite; it is one here."""
    counted = re.search(r"^Passed: (\d+)/(\d+), 0 failed, 0 warnings$", said, re.MULTILINE)
    return counted and counted[1] == counted[2] != "0" and said.count("SKIPPED") == skips


def as_expected(scenario, printed):
    if scenario.ends == CALLED:
        return printed == CALLED
    return printed.startswith("refused: ") and scenario.ends in printed


def finished(command, work, **env):
    """Exit code and output of the suite, ended when it takes too long."""
    process = start(command, work, subprocess.PIPE, subprocess.STDOUT, **env)
    try:
        said, _ = process.communicate(timeout=SCENARIO_SECONDS + 2 * STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        stop(process)
        said, _ = process.communicate()
    finally:
        stop(process)
    return process.returncode, said
