"""Python SDK, first generation: speaks the legacy era only."""

from contextlib import asynccontextmanager

from mcp import ClientSession, McpError
from mcp.client.streamable_http import streamable_http_client
from mcp.types import PaginatedRequestParams
from pydantic import AnyUrl

from story import main, wire


class Session:
    era = "legacy"
    protocol_error = McpError

    def __init__(self, sdk):
        self.sdk = sdk

    async def list_tools(self, cursor):
        return wire(await self.sdk.list_tools(params=PaginatedRequestParams(cursor=cursor)))

    async def call_tool(self, name, arguments, on_progress=None):
        return wire(await self.sdk.call_tool(name, arguments, progress_callback=on_progress))

    async def list_resources(self, cursor):
        return wire(await self.sdk.list_resources(params=PaginatedRequestParams(cursor=cursor)))

    async def read_resource(self, uri):
        return wire(await self.sdk.read_resource(AnyUrl(uri)))

    async def get_prompt(self, name, arguments):
        return wire(await self.sdk.get_prompt(name, arguments))


@asynccontextmanager
async def connect(url):
    async with streamable_http_client(url) as (read, write, _session_id), ClientSession(read, write) as sdk:
        await sdk.initialize()
        yield Session(sdk)


if __name__ == "__main__":
    main(connect)
