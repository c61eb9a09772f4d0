"""Python SDK, second generation, signing in."""

from contextlib import asynccontextmanager

from mcp import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata

from py_v2 import Session
from signed_in import main


@asynccontextmanager
async def connect(url, wallet):
    if wallet.client_id:
        wallet.client = OAuthClientInformationFull.model_validate(wallet.known_client())

    async def answer():
        return AuthorizationCodeResult.model_validate(await wallet.take_answer())

    metadata = OAuthClientMetadata.model_validate(wallet.metadata())
    auth = OAuthClientProvider(
        url, metadata, wallet, wallet.open_browser, answer, client_metadata_url=wallet.document
    )
    async with (
        create_mcp_http_client(auth=auth) as http,
        Client(streamable_http_client(url, http_client=http), mode="auto") as sdk,
    ):
        yield Session(sdk)


main(connect)
