"""Python SDK, first generation, connecting to what is behind the gateway."""

from contextlib import asynccontextmanager

from mcp import ClientSession, McpError
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client
from mcp.shared.auth import OAuthClientMetadata
from mcp.types import ElicitResult

from connecting import main
from py_v1 import Session


@asynccontextmanager
async def connect(url, wallet, open_link):
    async def answer():
        parameters = await wallet.take_answer()
        return parameters["code"], parameters.get("state")

    async def elicited(_context, params):
        await open_link(params.url)
        return ElicitResult(action="accept")

    metadata = OAuthClientMetadata.model_validate(wallet.metadata())
    auth = OAuthClientProvider(url, metadata, wallet, wallet.open_browser, answer)
    async with (
        create_mcp_http_client(auth=auth) as http,
        streamable_http_client(url, http_client=http) as (read, write, _session_id),
        # A callback is what makes this SDK say that it can open pages.
        ClientSession(read, write, elicitation_callback=elicited if open_link else None) as sdk,
    ):
        await sdk.initialize()
        yield Session(sdk)


main(connect, McpError)
