"""Python SDK, first generation, signing in."""

from contextlib import asynccontextmanager

from mcp import ClientSession
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata

from py_v1 import Session
from signed_in import main


@asynccontextmanager
async def connect(url, wallet):
    if wallet.client_id:
        wallet.client = OAuthClientInformationFull.model_validate(wallet.known_client())

    async def answer():
        parameters = await wallet.take_answer()
        return parameters["code"], parameters.get("state")

    metadata = OAuthClientMetadata.model_validate(wallet.metadata())
    auth = OAuthClientProvider(
        url, metadata, wallet, wallet.open_browser, answer, client_metadata_url=wallet.document
    )
    async with (
        create_mcp_http_client(auth=auth) as http,
        streamable_http_client(url, http_client=http) as (read, write, _session_id),
        ClientSession(read, write) as sdk,
    ):
        await sdk.initialize()
        yield Session(sdk)


main(connect)
