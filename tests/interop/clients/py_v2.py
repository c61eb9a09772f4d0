"""Python SDK, second generation: MODE is legacy, auto (probe, then fall back) or modern (no fallback)."""

from contextlib import asynccontextmanager

from mcp import Client, MCPError
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from story import main, wire

MODES = {"legacy": "legacy", "auto": "auto", "modern": "2026-07-28"}


class Session:
    protocol_error = MCPError

    def __init__(self, sdk):
        self.sdk = sdk
        self.era = "modern" if sdk.protocol_version in MODERN_PROTOCOL_VERSIONS else "legacy"

    async def list_tools(self, cursor):
        return wire(await self.sdk.list_tools(cursor=cursor))

    async def call_tool(self, name, arguments, on_progress=None):
        return wire(await self.sdk.call_tool(name, arguments, progress_callback=on_progress))

    async def list_resources(self, cursor):
        return wire(await self.sdk.list_resources(cursor=cursor))

    async def read_resource(self, uri):
        return wire(await self.sdk.read_resource(uri))

    async def get_prompt(self, name, arguments):
        return wire(await self.sdk.get_prompt(name, arguments))


@asynccontextmanager
async def connect(url, mode):
    async with Client(url, mode=MODES[mode]) as sdk:
        yield Session(sdk)


if __name__ == "__main__":
    main(connect)
