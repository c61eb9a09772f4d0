"""What every part of the suite stands on: places, ports, processes, and what a check is."""

import contextlib
import dataclasses
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CACHE = pathlib.Path(os.environ.get("PORTCULLIS_INTEROP_CACHE", HERE / ".cache")).resolve()
NODE_HOME = CACHE / "node"
NODE_MODULES = NODE_HOME / "node_modules"
PYTHON = {generation: CACHE / f"python-{generation}" / "bin" / "python" for generation in (1, 2)}

CASE_TIMEOUT = 120
START_TIMEOUT = 60
STOP_TIMEOUT = 5


class Trouble(Exception):
    """Something the suite needs is missing or did not start: the run has failed, with this reason."""


@dataclasses.dataclass
class Check:
    """One printed line: `run` answers None when all is well, else what was said about it."""

    name: str
    run: Callable[[], str | None]


def needed_tool(name):
    # Servers are where only root looks.
    found = shutil.which(name, path=os.environ.get("PATH", os.defpath) + ":/usr/sbin")
    if found is None:
        raise Trouble(f"{name} is not on this machine")
    return found


# Ports --------------------------------------------------------------------------------------------


def free_ports(count):
    """Held open together, so that no port is given out twice."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


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


# Processes ----------------------------------------------------------------------------------------

running = set()
ending = threading.Event()


def environment(home, **more):
    """Nothing of the caller's home is read or written, and no proxy stands between us and loopback."""
    return {**os.environ, "HOME": str(home), "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", **more}


def start(command, work, output, error, **env):
    """Starts a process that leads a group of its own, so that `stop` ends what it started too."""
    if ending.is_set():
        raise Trouble("the run was told to end")
    process = subprocess.Popen(
        command,
        cwd=work,
        env=environment(work, **env),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=error,
        text=True,
        start_new_session=True,
    )
    running.add(process)
    return process


def stop(process):
    """Ends a process of ours and what it started: each leads its own group, named by its own id."""
    for signal_number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal_number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_TIMEOUT)
            break
    running.discard(process)


def stop_everything():
    """Ends all that runs, whichever thread waits for it, and lets nothing more start."""
    ending.set()
    for process in list(running):
        stop(process)


@contextlib.contextmanager
def background(name, command, work, is_ready, **env):
    """Runs a server until the block ends; its output is in `work`/NAME.log."""
    log = work / f"{name}.log"
    with log.open("wb") as output:
        process = start(command, work, output, subprocess.STDOUT, **env)
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


def complaint_of(command, work, **env):
    """Runs a client to its end. None when all is well, else what it said: one that mutters on stderr has failed too."""
    return outcome_of(command, work, **env)[0]


def outcome_of(command, work, **env):
    """The same, and what it said on stdout."""
    process = start(command, work, subprocess.PIPE, subprocess.PIPE, **env)
    try:
        stdout, stderr = process.communicate(timeout=CASE_TIMEOUT)
    except subprocess.TimeoutExpired:
        stop(process)
        stdout, stderr = process.communicate()
        return f"no end after {CASE_TIMEOUT} s\n{stdout}{stderr}", stdout
    finally:
        stop(process)
    if process.returncode == 0 and not stderr.strip():
        return None, stdout
    return f"exit code {process.returncode}\n{stdout}{stderr}", stdout


def tail(log, lines=40):
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def printable(command):
    return " ".join(str(part) for part in command)
