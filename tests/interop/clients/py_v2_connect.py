"""Python SDK, second generation, connecting to what is behind the gateway."""

from contextlib import asynccontextmanager

from mcp import Client, MCPError
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientMetadata
from mcp_types import ElicitResult

from connecting import main
from py_v2 import Session


@asynccontextmanager
async def connect(url, wallet, open_link):
    async def answer():
        return AuthorizationCodeResult.model_validate(await wallet.take_answer())

    async def elicited(_context, params):
        await open_link(params.url)
        return ElicitResult(action="accept")

    metadata = OAuthClientMetadata.model_validate(wallet.metadata())
    auth = OAuthClientProvider(url, metadata, wallet, wallet.open_browser, answer)
    callback = elicited if open_link else None
    async with (
        create_mcp_http_client(auth=auth) as http,
        Client(streamable_http_client(url, http_client=http), mode="auto", elicitation_callback=callback) as sdk,
    ):
        yield Session(sdk)


main(connect, MCPError)
