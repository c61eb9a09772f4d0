"""Installing the pinned clients and servers into the cache folder, and finding them there."""

import contextlib
import hashlib
import platform
import re
import shutil
import subprocess
import sys

from machine import HERE, NODE_HOME, NODE_MODULES, PYTHON, Trouble, needed_tool, printable

NPM_FILES = ["package.json", "package-lock.json", ".npmrc"]
NEWER_NODE = (22, 19)


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


def needed_install():
    for place in (NODE_HOME, *(python.parents[1] for python in PYTHON.values())):
        if not (place / "installed").is_file():
            raise Trouble(f"{place} is not installed: run with --install")


def newer_node(node):
    """Some programs want a newer Node than long-term distributions have; npm carries one for Linux."""
    arch = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine(), "")
    packaged = NODE_MODULES / f"node-linux-{arch}" / "bin" / "node"
    if packaged.is_file():
        return packaged
    answer = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    version = tuple(int(part) for part in re.findall(r"\d+", answer)[:2])
    if version < NEWER_NODE:
        raise Trouble(f"Node {NEWER_NODE} or newer is needed; this is {answer.strip()}")
    return node
