"""Python SDK 1.x in the bridge matrix: speaks the legacy era only, so it has no modes."""

import asyncio
from contextlib import asynccontextmanager, suppress

import httpx
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CancelledNotification, CancelledNotificationParams, ClientNotification, ElicitResult

from matrix_story import ANSWER, main


class Session:
    def __init__(self, sdk, version):
        self.sdk = sdk
        self.version = version

    async def tool_names(self):
        return [tool.name for tool in (await self.sdk.list_tools()).tools]

    async def call(self, name, arguments, on_progress=None):
        result = await self.sdk.call_tool(name, arguments, progress_callback=on_progress)
        return result.isError, "".join(part.text for part in result.content)

    async def call_and_cancel(self, name, arguments, after):
        """This SDK leaves it to its user to tell the server."""
        request_id = self.sdk._request_id
        calling = asyncio.create_task(self.sdk.call_tool(name, arguments))
        await asyncio.sleep(after)
        params = CancelledNotificationParams(requestId=request_id)
        await self.sdk.send_notification(ClientNotification(CancelledNotification(params=params)))
        calling.cancel()
        with suppress(asyncio.CancelledError):
            await calling


async def answer(_context, _params):
    return ElicitResult(action="accept", content=ANSWER)


@asynccontextmanager
async def connect(url, headers, _mode):
    async with (
        httpx.AsyncClient(headers=headers, timeout=httpx.Timeout(30, read=60)) as http,
        streamable_http_client(url, http_client=http) as (read, write, _session_id),
        ClientSession(read, write, elicitation_callback=answer) as sdk,
    ):
        hello = await sdk.initialize()
        yield Session(sdk, hello.protocolVersion)


if __name__ == "__main__":
    main(connect)
