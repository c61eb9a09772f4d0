"""Python SDK 2.x in the bridge matrix: MODE is legacy, auto (probe, then fall back) or modern (no fallback)."""

import asyncio
from contextlib import asynccontextmanager, suppress

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import ElicitResult

from matrix_story import ANSWER, main

MODES = {"legacy": "legacy", "auto": "auto", "modern": "2026-07-28"}


class Session:
    def __init__(self, sdk):
        self.sdk = sdk
        self.version = sdk.protocol_version

    async def tool_names(self):
        return [tool.name for tool in (await self.sdk.list_tools()).tools]

    async def call(self, name, arguments, on_progress=None):
        result = await self.sdk.call_tool(name, arguments, progress_callback=on_progress)
        return result.is_error, "".join(part.text for part in result.content)

    async def call_and_cancel(self, name, arguments, after):
        calling = asyncio.create_task(self.sdk.call_tool(name, arguments))
        await asyncio.sleep(after)
        calling.cancel()
        with suppress(asyncio.CancelledError):
            await calling


async def answer(_context, _params):
    return ElicitResult(action="accept", content=ANSWER)


@asynccontextmanager
async def connect(url, headers, mode):
    async with httpx2.AsyncClient(headers=headers, timeout=httpx2.Timeout(30, read=60)) as http:
        transport = streamable_http_client(url, http_client=http)
        async with Client(transport, mode=MODES[mode], elicitation_callback=answer) as sdk:
            yield Session(sdk)


if __name__ == "__main__":
    main(connect)
