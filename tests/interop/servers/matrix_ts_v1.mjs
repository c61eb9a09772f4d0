// An upstream of the bridge matrix, on the TypeScript SDK v1: `matrix_ts_v1.mjs PORT stateful|stateless`. With sessions,
// or with none: then every message meets a server of its own, which has seen no `initialize`.

import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import { z } from "zod";
import { GREETING, QUESTION, WIPED, cancelledSoon, count, hold, liking, said } from "./matrix_tools.mjs";

const [port, kind] = process.argv.slice(2);
const handle = { stateful, stateless }[kind];
const sessions = new Map();

function tools() {
  const server = new McpServer({ name: "matrix-ts-v1", version: "1.0.0" });
  const tool = (name, inputSchema, run) => server.registerTool(name, { description: name, inputSchema }, run);
  tool("greet", { name: z.string() }, ({ name }) => said(GREETING(name)));
  tool("count", { to: z.number(), everyMs: z.number() }, (wanted, { _meta, sendNotification }) =>
    count(wanted, _meta?.progressToken, sendNotification),
  );
  tool("ask", {}, async (_, { requestId }) => {
    const answer = await server.server.elicitInput(QUESTION, { relatedRequestId: requestId });
    return said(liking(answer.action, answer.content));
  });
  tool("hold", { key: z.string() }, ({ key }, { signal }) => hold(key, signal));
  tool("was_cancelled", { key: z.string() }, ({ key }) => cancelledSoon(key));
  tool("wipe", {}, () => said(WIPED));
  return server;
}

async function stateful(request, response) {
  const id = request.headers["mcp-session-id"];
  if (id && !sessions.has(id)) return response.writeHead(404).end();
  return (sessions.get(id) ?? (await newSession())).handleRequest(request, response);
}

async function newSession() {
  const transport = new StreamableHTTPServerTransport({
    sessionIdGenerator: randomUUID,
    onsessioninitialized: (id) => sessions.set(id, transport),
    onsessionclosed: (id) => sessions.delete(id),
  });
  await tools().connect(transport);
  return transport;
}

async function stateless(request, response) {
  if (request.method !== "POST") return response.writeHead(405, { Allow: "POST" }).end();
  const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined });
  await tools().connect(transport);
  return transport.handleRequest(request, response);
}

createServer((request, response) => {
  handle(request, response).catch((error) => response.writeHead(500).end(String(error)));
}).listen(Number(port), "127.0.0.1");
