// An upstream of the bridge matrix, on the TypeScript SDK v2, which serves 2026-07-28 only: `matrix_ts_v2.mjs PORT`.

import { createServer } from "node:http";
import { Readable } from "node:stream";
import { McpServer, createMcpHandler, inputRequired } from "@modelcontextprotocol/server";
import { z } from "zod";
import { GREETING, QUESTION, WIPED, cancelledSoon, count, hold, liking, said } from "./matrix_tools.mjs";

const [port] = process.argv.slice(2);

function tools() {
  const server = new McpServer({ name: "matrix-ts-v2", version: "1.0.0" });
  const tool = (name, shape, run) =>
    server.registerTool(name, { description: name, inputSchema: z.object(shape) }, run);
  tool("greet", { name: z.string() }, ({ name }) => said(GREETING(name)));
  tool("count", { to: z.number(), everyMs: z.number() }, (wanted, { mcpReq }) =>
    count(wanted, mcpReq._meta?.progressToken, mcpReq.notify),
  );
  tool("ask", {}, (_, { mcpReq }) => {
    const answer = mcpReq.inputResponses?.colour;
    if (answer) return said(liking(answer.action, answer.content));
    return inputRequired({ inputRequests: { colour: inputRequired.elicit(QUESTION) } });
  });
  tool("hold", { key: z.string() }, ({ key }, { mcpReq }) => hold(key, mcpReq.signal));
  tool("was_cancelled", { key: z.string() }, ({ key }) => cancelledSoon(key));
  tool("wipe", {}, () => said(WIPED));
  return server;
}

const { fetch: answer } = createMcpHandler(tools, { legacy: "reject" });

/** The SDK's handler speaks the web's Request and Response; its adapter for Node is a package of its own. */
async function handle(request, response) {
  const gone = new AbortController();
  response.on("close", () => gone.abort());
  const { method, headers } = request;
  const body = method === "POST" ? Readable.toWeb(request) : undefined;
  const url = `http://127.0.0.1:${port}${request.url}`;
  const reply = await answer(new Request(url, { method, headers, body, duplex: "half", signal: gone.signal }));
  response.writeHead(reply.status, Object.fromEntries(reply.headers)).flushHeaders();
  for await (const part of reply.body ?? []) response.write(part);
  response.end();
}

createServer((request, response) => {
  handle(request, response).catch((error) => response.destroy(error));
}).listen(Number(port), "127.0.0.1");
