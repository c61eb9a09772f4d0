// What fixture.json says, on the TypeScript SDK v2: `conformance.mjs PORT`. Both protocol eras, clients of earlier revisions
// with sessions. The SDK has no tasks extension, so tools that are tasks are left out.

import { randomBytes, randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import {
  MissingRequiredClientCapabilityError,
  ProtocolError,
  ResourceNotFoundError,
  Server,
  WebStandardStreamableHTTPServerTransport,
  createMcpHandler,
  createRequestStateCodec,
  hostHeaderValidationResponse,
  inputRequired,
  isLegacyRequest,
  localhostAllowedHostnames,
} from "@modelcontextprotocol/server";

const [port] = process.argv.slice(2).map(Number);
const META = "io.modelcontextprotocol/";
const STEP = 50;
const INVALID_PARAMS = -32602;

const fixture = JSON.parse(readFileSync(new URL("./conformance/fixture.json", import.meta.url), "utf8"));
const tools = fixture.tools.filter((tool) => !tool.task);
const templates = fixture.resourceTemplates;

/** `template` with every `{/pointer}` in its texts replaced by what `known` has there: a text as it is, else its JSON. */
function fill(template, known) {
  if (typeof template === "string") return template.replace(/\{\/([^}]*)\}/g, (_, pointer) => shown(at(known, pointer)));
  if (Array.isArray(template)) return template.map((item) => fill(item, known));
  if (template === null || typeof template !== "object") return template;
  return Object.fromEntries(Object.entries(template).map(([name, value]) => [name, fill(value, known)]));
}

const at = (value, pointer) => pointer.split("/").reduce((within, name) => within?.[name], value);
const shown = (value) => (typeof value === "string" ? value : (JSON.stringify(value) ?? "nothing"));

// Asking ---------------------------------------------------------------------------------------------

// For the tool that asked: the state of one is nothing to another.
const codec = createRequestStateCodec({ key: randomBytes(32), bind: (ctx) => ctx.mcpReq.method });

/** All that is known in the end, or `missing`: what to ask the client. The SDK asks clients with sessions by requests. */
async function ask(server, item, args, ctx) {
  const { name, asks = [], remembers, only_declared: onlyDeclared } = item;
  const declared = ctx.mcpReq.envelope?.[`${META}clientCapabilities`] ?? server.getClientCapabilities() ?? {};
  const kept = remembers ? ctx.mcpReq.requestState() : undefined;
  if (kept && kept.name !== name) throw new ProtocolError(INVALID_PARAMS, "requestState is of another tool");
  const known = { ...kept?.answers };
  const brought = ctx.mcpReq.inputResponses ?? {};
  for (const round of asks) {
    const inputRequests = {};
    for (const [key, request] of Object.entries(round)) {
      const [capability] = request.method.split("/");
      if (!declared[capability]) {
        if (onlyDeclared) continue;
        throw new MissingRequiredClientCapabilityError({ requiredCapabilities: { [capability]: {} } });
      }
      if (answers(capability, brought[key])) known[key] = brought[key];
      else if (!known[key]) inputRequests[key] = fill(request, { arguments: args, fixture });
    }
    if (Object.keys(inputRequests).length === 0) continue;
    const requestState = remembers ? await codec.mint({ name, answers: known }, ctx) : undefined;
    return { missing: inputRequired({ inputRequests, ...(requestState && { requestState }) }) };
  }
  return { known: { arguments: args, fixture, ...known } };
}

/** Is it what a client may answer to a request of this kind? */
function answers(capability, response) {
  if (capability === "elicitation") {
    return response?.action === "accept" ? typeof response.content === "object" : Boolean(response?.action);
  }
  return capability === "sampling" ? Boolean(response?.content) : Array.isArray(response?.roots);
}

// Tools ----------------------------------------------------------------------------------------------

async function callTool(server, { name, arguments: args = {} }, ctx) {
  const tool = tools.find((tool) => tool.name === name);
  if (!tool) throw new ProtocolError(INVALID_PARAMS, `no tool ${name}`);
  await perform(server, tool, ctx);
  const { missing, known } = await ask(server, tool, args, ctx);
  return missing ?? { content: fill(tool.says, known), ...(tool.fails && { isError: true }) };
}

/** What can be seen of the tool before it answers. */
async function perform(server, tool, ctx) {
  const { envelope, _meta: meta } = ctx.mcpReq;
  for (const line of tool.logs ?? []) {
    if (!envelope || envelope[`${META}logLevel`]) await ctx.mcpReq.log("info", line);
    await sleep(STEP);
  }
  for (const progress of tool.progress ?? []) {
    const params = { progressToken: meta?.progressToken, progress, total: 100 };
    if (meta?.progressToken !== undefined) await ctx.mcpReq.notify({ method: "notifications/progress", params });
    await sleep(STEP);
  }
  if (tool.changes) {
    modern.notify[`${tool.changes}Changed`]();
    if (!envelope) await server.notification({ method: `notifications/${tool.changes}/list_changed` });
  }
  if (tool.hangs_up) {
    ctx.http?.closeSSE?.();
    await sleep(4 * STEP);
  }
}

// The server -----------------------------------------------------------------------------------------

const listed = (items, ...hidden) =>
  items.map((item) => Object.fromEntries(Object.entries(item).filter(([name]) => !hidden.includes(name))));
const schema = { type: "object", properties: {} };
const listedTools = tools.map(({ name, description, inputSchema = schema }) => ({ name, description, inputSchema }));

function readResource(uri) {
  const id = /^test:\/\/template\/([^/]+)\/data$/.exec(uri)?.[1];
  const found = fixture.resources.find((resource) => resource.uri === uri) ?? (id && templates[0]);
  if (!found) throw new ResourceNotFoundError(uri);
  const { mimeType, text, blob } = fill(found, { fixture, id });
  return { contents: [{ uri, mimeType, ...(text === undefined ? { blob } : { text }) }] };
}

async function getPrompt(server, { name, arguments: args = {} }, ctx) {
  const prompt = fixture.prompts.find((prompt) => prompt.name === name);
  if (!prompt) throw new ProtocolError(INVALID_PARAMS, `no prompt ${name}`);
  const { missing, known } = await ask(server, prompt, args, ctx);
  return missing ?? { messages: fill(prompt.messages, known) };
}

function newServer() {
  const { capabilities } = fixture;
  const options = { capabilities, requestState: { verify: codec.verify } };
  const server = new Server({ name: "conformance-server", version: "0.1.0" }, options);
  const answer = (method, handler) => server.setRequestHandler(method, handler);
  answer("tools/list", () => ({ tools: listedTools }));
  answer("tools/call", ({ params }, ctx) => callTool(server, params, ctx));
  answer("prompts/list", () => ({ prompts: listed(fixture.prompts, "messages", "asks") }));
  answer("prompts/get", ({ params }, ctx) => getPrompt(server, params, ctx));
  answer("resources/list", () => ({ resources: listed(fixture.resources, "text", "blob") }));
  answer("resources/templates/list", () => ({ resourceTemplates: listed(templates, "text") }));
  answer("resources/read", ({ params }) => readResource(params.uri));
  answer("resources/subscribe", () => ({}));
  answer("resources/unsubscribe", () => ({}));
  answer("completion/complete", ({ params }) => {
    const values = ["paris", "park", "party"].filter((word) => word.startsWith(params.argument.value));
    return { completion: { values, total: values.length, hasMore: false } };
  });
  return server;
}

// HTTP -----------------------------------------------------------------------------------------------

const modern = createMcpHandler(newServer, { legacy: "reject" });
const sessions = new Map();

/** Every event of a session, for clients that come back with `Last-Event-ID`. */
class Events {
  #events = [];

  async storeEvent(stream, message) {
    return `${stream}/${this.#events.push({ stream, message }) - 1}`;
  }

  async replayEventsAfter(lastId, { send }) {
    const [stream, last] = lastId.split("/");
    for (const [id, event] of this.#events.entries()) {
      if (id > Number(last) && event.stream === stream) await send(`${stream}/${id}`, event.message);
    }
    return stream;
  }
}

async function inSession(request) {
  const id = request.headers.get("mcp-session-id");
  if (id) return sessions.get(id)?.handleRequest(request) ?? Response.json(lost, { status: 404 });
  const transport = new WebStandardStreamableHTTPServerTransport({
    sessionIdGenerator: randomUUID,
    onsessioninitialized: (id) => void sessions.set(id, transport),
    onsessionclosed: (id) => void sessions.delete(id),
    eventStore: new Events(),
    retryInterval: 100,
  });
  await newServer().connect(transport);
  return transport.handleRequest(request);
}

const lost = { jsonrpc: "2.0", id: null, error: { code: -32001, message: "Session not found" } };

async function serve(incoming) {
  const { method, headers } = incoming;
  const hasBody = method !== "GET" && method !== "DELETE";
  const body = hasBody ? { body: Readable.toWeb(incoming), duplex: "half" } : {};
  const request = new Request(`http://${headers.host}${incoming.url}`, { method, headers, ...body });
  const rejected = hostHeaderValidationResponse(request, localhostAllowedHostnames());
  if (rejected) return rejected;
  return (await isLegacyRequest(request)) ? inSession(request) : modern.fetch(request);
}

createServer(async (incoming, outgoing) => {
  try {
    const response = await serve(incoming);
    outgoing.writeHead(response.status, Object.fromEntries(response.headers));
    outgoing.flushHeaders();
    if (!response.body) return void outgoing.end();
    const body = Readable.fromWeb(response.body);
    outgoing.on("close", () => body.destroy());
    body.on("error", () => outgoing.destroy()).pipe(outgoing);
  } catch (error) {
    console.error(error);
    outgoing.writeHead(500).end(String(error));
  }
}).listen(port, "127.0.0.1");
