"""The story of two people whose client calls a tool of a server that wants each one's own credential.

`connecting.mjs` is the same for TypeScript. An SDK's program hands over `connect` and how it shows errors; the
expectations come from run.py.
"""

import asyncio
import contextlib
import json
import logging
import os
import re
import sys
import urllib.parse
import urllib.request

from signed_in import BROWSER_TIMEOUT, Callback, Wallet

URL_ELICITATION_REQUIRED = -32042


def main(connect, error_type):
    """Reads the STORY from the command line and tells it; `connect(url, wallet, open)` yields a signed-in session.

    `open(link)` is for SDKs that ask in the middle of a call. Warnings of the SDK go to stderr, where run.py counts them
    as a failure.
    """
    logging.basicConfig(level=logging.WARNING)
    story = json.loads(sys.argv[1])

    async def run():
        async with contextlib.AsyncExitStack() as stack:
            people = [Person(story, person, error_type) for person in story["people"]]
            for person in people:
                await person.arrive(stack, connect, story)
            await tell(story, *people)

    asyncio.run(run())


async def tell(story, ada, bob):
    await ada.is_asked_once(bob)
    await bob.is_asked_once(ada)
    # Each call carries the token of its own person, whoever called before.
    for person in (ada, bob, ada):
        assert await person.whoami() == person.upstream
    assert "whoami" in await ada.tools(), "the upstream's tools are listed"

    await asyncio.to_thread(take_back, story["end"], ada.upstream)
    assert await bob.whoami() == bob.upstream, "what was taken back from Ada is not Bob's"
    await ada.is_asked_once(bob)
    assert await ada.whoami() == ada.upstream


def take_back(url, person):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    opener.open(url, urllib.parse.urlencode({"person": person}).encode(), timeout=10).close()


class Person:
    def __init__(self, story, person, error_type):
        self.upstream, self.browser = person["upstream"], person["browser"]
        self.asks, self.origin = story["asks"], story["url"].rpartition("/mcp/")[0]
        self.error_type = error_type
        self.asked, self.other = [], None  # in which ways the person was asked to connect

    async def arrive(self, stack, connect, story):
        """The handshake and the list work before anybody is connected."""
        wallet = Wallet(story["registration"], stack.enter_context(Callback()), self.browser)
        elicited = None if self.asks == "text" else self.elicited
        self.session = await stack.enter_async_context(connect(story["url"], wallet, elicited))
        assert await self.tools(), "no tools"

    async def tools(self):
        return [tool["name"] for tool in (await self.session.list_tools(None))["tools"]]

    async def is_asked_once(self, other):
        """The next call asks, once; whoever else opens the link gets nowhere; then it works."""
        self.asked, self.other = [], other
        assert await self.whoami() == self.upstream
        assert len(self.asked) == 1, f"asked: {self.asked}"
        assert self.asks in (None, self.asked[0]), f"asked: {self.asked}"

    async def whoami(self):
        before = len(self.asked)
        answer, way = await self.call()
        if way is None:
            return answer
        assert len(self.asked) == before, "asked in two ways at once"
        await self.connect(answer, way)
        answer, way = await self.call()
        assert way is None, f"asked again: {answer}"
        return answer

    async def call(self):
        """What the tool said, or the link in the place of it and how it came."""
        try:
            result = await self.session.call_tool("whoami", {})
        except self.error_type as error:
            if error.error.code != URL_ELICITATION_REQUIRED:
                raise
            [elicitation] = error.error.data["elicitations"]
            return elicitation["url"], "-32042"
        text = "\n".join(part["text"] for part in result["content"])
        if result.get("isError"):
            return link_in(text), "text"
        return (result.get("structuredContent") or {}).get("name", text), None

    async def elicited(self, link):
        """The SDK asks in the middle of a call, which it then repeats by itself."""
        await self.connect(link, "input_required")

    async def connect(self, link, way):
        self.asked.append(way)
        assert link.startswith(f"{self.origin}/"), f"the link is not the gateway's own page: {link}"
        assert await browse(link, self.other.browser) != 0, "somebody else connected by this link"
        assert await browse(link, self.browser) == 0, "the browser did not get to the end"


def link_in(text):
    links = set(re.findall(r"https?://[^\s<>\")\]]+", text))
    assert len(links) == 1, f"not one link: {text}"
    return links.pop()


async def browse(url, environment):
    """Opens an address as the person of this browser. What it says is shown only where it matters, by its code."""
    browser = await asyncio.create_subprocess_exec(
        os.environ["BROWSER"],
        url,
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await asyncio.wait_for(browser.communicate(), BROWSER_TIMEOUT)
    print(said.decode(), end="")
    return browser.returncode
