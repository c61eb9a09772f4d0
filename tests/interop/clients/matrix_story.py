"""What every Python client of the bridge matrix does; `matrix_story.mjs` is the same for TypeScript. One line of JSON for
each thing: a thing that fails does not hide the next.
"""

import asyncio
import json
import logging
import sys
import time
import uuid

LIMIT_SECONDS = 20
HEAD_START_SECONDS = 1  # until a call that is to be cancelled has surely arrived

ANSWER = {"colour": "green"}
TOOLS = ["ask", "count", "greet", "hold", "was_cancelled"]
HIDDEN = "wipe"  # the gateway's filter leaves it out


async def show_list(session, filtered):
    names = sorted(await session.tool_names())
    assert names == (TOOLS if filtered else [*TOOLS, HIDDEN]), names
    if filtered:
        await expect_refusal(session, HIDDEN)
    else:
        await expect("Everything is wiped.", session, HIDDEN, {})


async def show_call(session, _filtered):
    await expect("Hello, Ada.", session, "greet", {"name": "Ada"})


async def show_progress(session, _filtered):
    await show_counting(session, 3, 200)


async def show_elicitation(session, _filtered):
    await expect("You like green.", session, "ask", {})


async def show_cancellation(session, _filtered):
    key = str(uuid.uuid4())
    held = asyncio.create_task(session.call_and_cancel("hold", {"key": key}, HEAD_START_SECONDS))
    await held
    await expect("cancelled", session, "was_cancelled", {"key": key})


async def show_stream(session, _filtered):
    await show_counting(session, 20, 500)


THINGS = {
    "list": show_list,
    "call": show_call,
    "progress": show_progress,
    "elicitation": show_elicitation,
    "cancellation": show_cancellation,
    "stream": show_stream,
}


def main(connect):
    """Reads `URL KEY MODE filtered|whole` from the command line, connects, shows everything, closes."""
    logging.basicConfig(level=logging.ERROR)
    url, key, mode, tools = sys.argv[1:]

    async def run():
        async with connect(url, {"Authorization": f"Bearer {key}"}, mode) as session:
            report(version=session.version)
            for thing, show in THINGS.items():
                report(thing=thing, why=await complaint(show(session, tools == "filtered")))

    asyncio.run(run())


def report(**line):
    print(json.dumps(line), flush=True)


async def complaint(showing):
    try:
        await asyncio.wait_for(showing, LIMIT_SECONDS)
    except TimeoutError:
        return f"no end after {LIMIT_SECONDS} s"
    except Exception as error:
        return f"{type(error).__name__}: {error}"


async def expect(text, session, name, arguments, on_progress=None):
    failed, said = await session.call(name, arguments, on_progress)
    assert not failed and said == text, f"{name} answered {said!r}"


async def expect_refusal(session, name):
    try:
        outcome = await session.call(name, {})
    except Exception as error:
        assert "exposes no tool" in str(error), error
    else:
        raise AssertionError(f"{name} answered {outcome}")


async def show_counting(session, to, every_ms):
    """Progress must come in order, whole, and while the tool works: a buffering gateway delivers it all at the end."""
    seen = []

    async def on_progress(progress, total, message):
        seen.append((progress, time.monotonic()))

    await expect(f"Counted to {to}.", session, "count", {"to": to, "everyMs": every_ms}, on_progress)
    values, times = [value for value, _ in seen], [at for _, at in seen]
    assert values == list(range(1, to + 1)), f"progress {values}"
    spread = times[-1] - times[0]
    assert spread > (to - 1) * every_ms / 2000, f"all came within {spread:.2f} s: buffered"
