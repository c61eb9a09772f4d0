"""What the tools of the Python upstreams of the bridge matrix do, whatever SDK is around them."""

import time

import anyio

HOLD_SECONDS = 60
CANCEL_SECONDS = 5
POLL_SECONDS = 0.05

QUESTION = "Which colour do you like?"

# What `wipe` says, which no route of the matrix exposes.
WIPED = "Everything is wiped."

# The calls of `hold` that have been cancelled, by the key that their client chose.
cancelled = set()


def greeting(name):
    return f"Hello, {name}."


def liking(action, colour):
    return f"You like {colour}." if action == "accept" else f"You said {action}."


async def counted(to, every_ms, report_progress):
    for progress in range(1, to + 1):
        await anyio.sleep(every_ms / 1000)
        await report_progress(progress, to)
    return f"Counted to {to}."


async def held(key):
    try:
        await anyio.sleep(HOLD_SECONDS)
    except anyio.get_cancelled_exc_class():
        cancelled.add(key)
        raise
    return "Held to the end."


async def cancelled_soon(key):
    """Says whether `hold` has been told of its cancellation, and waits for that as long as a client may expect."""
    end = time.monotonic() + CANCEL_SECONDS
    while key not in cancelled and time.monotonic() < end:
        await anyio.sleep(POLL_SECONDS)
    return "cancelled" if key in cancelled else "not cancelled"
