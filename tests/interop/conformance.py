"""The authorization-server leg of the official conformance suite, with clients/browser.py in the place of a person."""

import re
import subprocess
import threading

import sign_in
from machine import CASE_TIMEOUT, NODE_MODULES, STOP_TIMEOUT, Check, complaint_of, start, stop

CLIENT = {"clientId": "conformance", "redirectUris": [sign_in.LOOPBACK]}
SUITE = NODE_MODULES / "@modelcontextprotocol" / "conformance" / "dist" / "index.js"


def check(ports, callback_port, newer_node, work):
    issuer, resource = ports.url(""), ports.url(sign_in.RS256)
    command = [newer_node, SUITE, "authorization", "--url", issuer, "--client-id", CLIENT["clientId"]]
    command += ["--resource", resource, "--port", str(callback_port)]
    return Check("conformance: authorization", lambda: run(command, issuer, work))


def run(command, issuer, work):
    """None when every scenario ran and passed, else what the suite said."""
    process = start(command, work, subprocess.PIPE, subprocess.STDOUT)
    deadline = threading.Timer(CASE_TIMEOUT, stop, [process])
    deadline.start()
    said = []
    try:
        for line in process.stdout:
            said.append(line)
            if line.startswith(f"{issuer}/oauth/authorize?"):
                complaint = browse(line.strip(), work)
                if complaint is not None:
                    said.append(complaint)
                    break  # nobody will come to the suite's callback
        else:
            process.wait(STOP_TIMEOUT)
    finally:
        deadline.cancel()
        stop(process)
    passed = process.returncode == 0 and passed_all("".join(said))
    return None if passed else f"exit code {process.returncode}\n{''.join(said)}"


def passed_all(said):
    """The whole last line, so that a warning, which is not a failure to the suite, is one here."""
    return re.search(r"^Total: [1-9]\d* passed, 0 failed$", said, re.MULTILINE) and "skipped" not in said.lower()


def browse(url, work):
    profile = sign_in.browser_profile(work, "conformance")
    return complaint_of([sign_in.BROWSER, url], work, **sign_in.browser(profile))
