"""An upstream of the bridge matrix, on the Python SDK 2.x, which serves 2026-07-28 only: `matrix_py_v2.py PORT`.

The SDK serves both eras and has no setting for one of them; what it asks first is whether the header names an older
revision. Here each request takes the way of the new ones, where the SDK itself refuses the others.
"""

import sys

import uvicorn
from mcp.server.mcpserver import Context, MCPServer
from mcp_types import ElicitRequest, ElicitRequestFormParams, InputRequiredResult

import matrix_tools as tools

VERSION = b"mcp-protocol-version"
SCHEMA = {"type": "object", "properties": {"colour": {"type": "string"}}, "required": ["colour"]}

server = MCPServer("matrix-py-v2", log_level="WARNING")


@server.tool()
def greet(name: str) -> str:
    return tools.greeting(name)


@server.tool()
async def count(to: int, everyMs: int, ctx: Context) -> str:  # noqa: N803: one name for all upstreams
    return await tools.counted(to, everyMs, ctx.report_progress)


@server.tool()
async def ask(ctx: Context) -> str | InputRequiredResult:
    answer = (ctx.input_responses or {}).get("colour")
    if answer is None:
        params = ElicitRequestFormParams(message=tools.QUESTION, requested_schema=SCHEMA)
        return InputRequiredResult(input_requests={"colour": ElicitRequest(params=params)})
    return tools.liking(answer.action, (answer.content or {}).get("colour"))


@server.tool()
async def hold(key: str) -> str:
    return await tools.held(key)


@server.tool()
async def was_cancelled(key: str) -> str:
    return await tools.cancelled_soon(key)


@server.tool()
def wipe() -> str:
    return tools.WIPED


def modern_only(app):
    async def take(scope, receive, send):
        if scope["type"] == "http" and not any(is_modern(*header) for header in scope["headers"]):
            others = [header for header in scope["headers"] if header[0] != VERSION]
            scope = {**scope, "headers": [*others, (VERSION, b"none")]}
        await app(scope, receive, send)

    return take


def is_modern(name, value):
    return name == VERSION and value >= b"2026"


port = int(sys.argv[1])
uvicorn.run(modern_only(server.streamable_http_app()), host="127.0.0.1", port=port, log_level="warning")
