"""The story that every Python client tells; `story.mjs` is the same for TypeScript.

A client hands over a `session`: the same few verbs whatever SDK is below, each answering with the
wire's own JSON, so that the checks are written once. The expectations come from run.py.
"""

import asyncio
import json
import logging
import sys
import time


def main(connect):
    """Reads `URL EXPECTED [MODE]` from the command line, connects, tells the story, closes.

    Warnings of the SDK go to stderr, where run.py counts them as a failure: quiet means quiet.
    """
    logging.basicConfig(level=logging.WARNING)
    url, expected, *mode = sys.argv[1:]

    async def run():
        async with connect(url, *mode) as session:
            await tell(session, json.loads(expected))

    asyncio.run(run())


async def tell(session, expected):
    assert session.era == expected["era"], f"protocol era: {session.era}, not {expected['era']}"
    await check_tools(session, expected["tools"], expected["toolsExactly"])
    if expected["first"]:
        expected = with_new_id(expected, await check_call(session, **expected["first"]))
    for call in expected["calls"]:
        await check_call(session, **call)
    await check_progress(session, expected["progress"])
    if expected["refused"]:
        await check_refused(session, **expected["refused"])
    await check_resource(session, **expected["resource"])
    await check_prompt(session, **expected["prompt"])
    await check_call(session, **expected["calls"][-1])  # a refusal must not have hurt the connection


async def check_tools(session, tools, exactly):
    names = [tool["name"] for tool in await all_pages(session.list_tools, "tools")]
    seen = names if exactly else [name for name in names if name in tools]
    assert sorted(seen) == sorted(tools), f"tools listed: {names}"


async def check_call(session, name, arguments, text, structured=None):
    result = await session.call_tool(name, arguments)
    assert not result.get("isError"), f"{name} failed: {result}"
    assert_contains(json.dumps(result["content"]), text, name)
    if structured:
        assert result["structuredContent"] == structured, result
    return result


def with_new_id(story, result):
    """The rest of the story, in which NEW_ID is the number that the first call was given."""
    new_id = str(result["structuredContent"]["id"])
    return json.loads(json.dumps(story).replace('"NEW_ID"', new_id).replace("NEW_ID", new_id))


async def check_progress(session, expected):
    """Progress must arrive while the tool works: a buffering gateway delivers it all at the end."""
    seen = []

    async def on_progress(progress, total, message):
        seen.append((progress, time.monotonic()))

    result = await session.call_tool(expected["name"], expected["arguments"], on_progress)
    end = time.monotonic()
    values, times = [value for value, _ in seen], [at for _, at in seen]
    assert values == list(range(1, expected["steps"] + 1)), f"progress values: {values}"
    assert_contains(json.dumps(result["content"]), expected["text"], expected["name"])
    due = (expected["steps"] - 1) * expected["stepMs"] / 1000
    spread = times[-1] - times[0]
    assert spread > due / 2, f"progress came within {spread:.2f} s, sent over {due:.2f} s: buffered"
    assert times[0] < end - due / 2, "the first progress came with the result: buffered"


async def check_refused(session, name, arguments):
    try:
        result = await session.call_tool(name, arguments)
    except session.protocol_error:
        return
    raise AssertionError(f"{name} is hidden, yet it answered {result}")


async def check_resource(session, uri, text):
    uris = [found["uri"] for found in await all_pages(session.list_resources, "resources")]
    assert uri in uris, f"{uri} is not among {uris}"
    result = await session.read_resource(uri)
    assert_contains(result["contents"][0]["text"], text, uri)


async def check_prompt(session, name, arguments, text):
    result = await session.get_prompt(name, arguments)
    assert_contains(json.dumps(result["messages"]), text, name)


async def all_pages(fetch_page, key):
    items, cursor = [], None
    while True:
        page = await fetch_page(cursor)
        items += page[key]
        cursor = page.get("nextCursor")
        if cursor is None:
            return items


def assert_contains(haystack, needle, where):
    assert needle in haystack, f"{where}: {needle!r} is not in {haystack}"


def wire(result):
    """An SDK's result as the JSON that was on the wire."""
    return result.model_dump(mode="json", by_alias=True, exclude_none=True)
