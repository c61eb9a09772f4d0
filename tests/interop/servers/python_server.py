"""A dual-era MCP server on the official Python SDK (2.x), on loopback: `python_server.py PORT`."""

import asyncio
import sys

from mcp.server.mcpserver import Context, MCPServer
from mcp_types import ListToolsResult

PAGE = 2


class PagedServer(MCPServer):
    """The SDK answers tools/list with everything at once; here cursors have to cross the gateway."""

    async def _handle_list_tools(self, ctx, params):
        tools = await self.list_tools()
        start = int(params.cursor) if params and params.cursor else 0
        end = start + PAGE
        return ListToolsResult(tools=tools[start:end], next_cursor=str(end) if end < len(tools) else None)


server = PagedServer("interop-python", log_level="WARNING")


@server.tool()
def echo(text: str) -> str:
    return text


@server.tool()
def add(a: int, b: int) -> int:
    return a + b


@server.tool()
async def count_slowly(to: int, delay_ms: int, ctx: Context) -> str:
    for step in range(1, to + 1):
        await asyncio.sleep(delay_ms / 1000)
        await ctx.report_progress(step, to)
    return f"Counted to {to}."


@server.resource("greeting://hello", mime_type="text/plain")
def greeting() -> str:
    return "Hello from Python."


@server.prompt()
def introduce(name: str) -> str:
    return f"Introduce yourself to {name}."


server.run(transport="streamable-http", host="127.0.0.1", port=int(sys.argv[1]))
