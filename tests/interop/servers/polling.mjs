// A server with sessions whose tool closes its caller's stream in the middle of the call, as servers of 2025-11-25 may: the
// rest is there for whoever asks with `Last-Event-ID`. `node polling.mjs PORT`.

import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

import { InMemoryEventStore } from "@modelcontextprotocol/sdk/examples/shared/inMemoryEventStore.js";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import { z } from "zod";

const RETRY_MS = 300;
const sessions = new Map();

function text(said) {
  return { content: [{ type: "text", text: said }] };
}

function newServer() {
  const server = new McpServer({ name: "interop-polling", version: "1.0.0" }, { capabilities: { logging: {} } });
  server.registerTool("echo", { inputSchema: { text: z.string() } }, ({ text: said }) => text(said));
  server.registerTool("wait", { inputSchema: { rounds: z.number() } }, async ({ rounds }, extra) => {
    for (let round = 0; round < rounds; round += 1) {
      extra.closeSSEStream?.();
      await sleep(2 * RETRY_MS); // long enough for whoever polls to be there again
    }
    return text(`Waited ${rounds} rounds.`);
  });
  server.registerTool("count_slowly", { inputSchema: { to: z.number(), delay_ms: z.number() } }, count);
  server.registerResource("hello", "greeting://hello", {}, (uri) => ({
    contents: [{ uri: uri.href, text: "Hello from a server that is polled." }],
  }));
  server.registerPrompt("introduce", { argsSchema: { name: z.string() } }, ({ name }) => ({
    messages: [{ role: "user", content: { type: "text", text: `Introduce yourself to ${name}.` } }],
  }));
  return server;
}

async function count({ to, delay_ms: delay }, extra) {
  const progressToken = extra._meta?.progressToken;
  for (let progress = 1; progress <= to; progress += 1) {
    if (progressToken !== undefined) {
      const params = { progressToken, progress, total: to };
      await extra.sendNotification({ method: "notifications/progress", params });
    }
    await sleep(delay);
  }
  return text(`Counted to ${to}.`);
}

async function newSession() {
  const transport = new StreamableHTTPServerTransport({
    sessionIdGenerator: randomUUID,
    eventStore: new InMemoryEventStore(),
    retryInterval: RETRY_MS,
    onsessioninitialized: (id) => sessions.set(id, transport),
    onsessionclosed: (id) => sessions.delete(id),
  });
  await newServer().connect(transport);
  return transport;
}

const listener = createServer(async (request, response) => {
  const id = request.headers["mcp-session-id"];
  const transport = id === undefined ? await newSession() : sessions.get(id);
  if (transport === undefined) {
    response.writeHead(404).end();
    return;
  }
  await transport.handleRequest(request, response);
});

listener.listen(Number(process.argv[2]), "127.0.0.1");
