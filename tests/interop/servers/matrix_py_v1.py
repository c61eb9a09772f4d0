"""An upstream of the bridge matrix, on the Python SDK 1.x: `matrix_py_v1.py PORT stateful|stateless`."""

import sys

import anyio
from mcp.server.fastmcp import Context, FastMCP
from pydantic import BaseModel

import matrix_tools as tools

ANSWER_SECONDS = 2  # without sessions this SDK asks, and never hears the answer

port, kind = sys.argv[1:]
server = FastMCP(
    "matrix-py-v1", host="127.0.0.1", port=int(port), stateless_http=kind == "stateless", log_level="WARNING"
)


class Liking(BaseModel):
    colour: str


@server.tool()
def greet(name: str) -> str:
    return tools.greeting(name)


@server.tool()
async def count(to: int, everyMs: int, ctx: Context) -> str:  # noqa: N803: one name for all upstreams
    return await tools.counted(to, everyMs, ctx.report_progress)


@server.tool()
async def ask(ctx: Context) -> str:
    try:
        with anyio.fail_after(ANSWER_SECONDS):
            answer = await ctx.elicit(tools.QUESTION, Liking)
    except TimeoutError:
        return "Nobody answered."
    return tools.liking(answer.action, answer.data.colour if answer.action == "accept" else None)


@server.tool()
async def hold(key: str) -> str:
    return await tools.held(key)


@server.tool()
async def was_cancelled(key: str) -> str:
    return await tools.cancelled_soon(key)


@server.tool()
def wipe() -> str:
    return tools.WIPED


server.run(transport="streamable-http")
