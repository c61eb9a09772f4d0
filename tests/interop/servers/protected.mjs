// An MCP server that lets in who shows a token of a certified authorization server: `protected.mjs PORT ISSUER_PORT`.
// Tokens are JWTs; people say who they are on a page, and need no password.
// POST /end with `person=NAME` is what a vendor does who takes access back.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { text } from "node:stream/consumers";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import { createLocalJWKSet, exportJWK, generateKeyPair, jwtVerify } from "jose";
import { Provider } from "oidc-provider";

const [port, issuerPort] = process.argv.slice(2).map(Number);
const [origin, issuer] = [`http://127.0.0.1:${port}`, `http://127.0.0.1:${issuerPort}`];
const resource = `${origin}/mcp`;

const { privateKey } = await generateKeyPair("ES256", { extractable: true });
const key = { ...(await exportJWK(privateKey)), kid: "interop", alg: "ES256", use: "sig" };
const { d: _, ...publicKey } = key;
const keys = createLocalJWKSet({ keys: [publicKey] });

// The authorization server ---------------------------------------------------------------------------

const provider = new Provider(issuer, {
  jwks: { keys: [key] },
  scopes: ["notes"],
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  pkce: { required: () => true },
  rotateRefreshToken: true,
  issueRefreshToken: (_, client) => client.grantTypeAllowed("refresh_token"),
  features: {
    devInteractions: { enabled: false },
    registration: { enabled: true },
    revocation: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => resource,
      useGrantedResource: () => true,
      getResourceServerInfo: (_, indicator) => {
        assert.equal(indicator, resource);
        const life = { accessTokenTTL: 600, accessTokenFormat: "jwt" };
        return { scope: "notes", audience: resource, ...life, jwt: { sign: { alg: "ES256" } } };
      },
    },
  },
  clientDefaults: { id_token_signed_response_alg: "ES256" },
  interactions: { url: (_, { uid }) => `/interaction/${uid}` },
  cookies: { keys: ["a key of the interop suite"] },
  ttl: { AccessToken: 600, Interaction: 600, Session: 3600, Grant: 3600, RefreshToken: 3600 },
});

/** The grants of each person, so that they can be taken back. */
const grants = new Map();

const question = `<!doctype html><title>Who?</title><form method="post">
<input name="person" value="ada"><button>Allow</button></form>`;

/** What a person does on the pages: say who they are, and agree. */
async function interact(request, response) {
  const { prompt, params, session, grantId } = await provider.interactionDetails(request, response);
  if (prompt.name === "login") {
    if (request.method === "GET") return response.writeHead(200, { "Content-Type": "text/html" }).end(question);
    const person = new URLSearchParams(await text(request)).get("person");
    return provider.interactionFinished(request, response, { login: { accountId: person } });
  }
  const person = session.accountId;
  const known = grantId && (await provider.Grant.find(grantId));
  const grant = known || new provider.Grant({ accountId: person, clientId: params.client_id });
  const { missingOIDCScope, missingResourceScopes } = prompt.details;
  if (missingOIDCScope) grant.addOIDCScope(missingOIDCScope.join(" "));
  for (const [indicator, scopes] of Object.entries(missingResourceScopes ?? {})) {
    grant.addResourceScope(indicator, scopes.join(" "));
  }
  const saved = await grant.save();
  grants.set(person, [...(grants.get(person) ?? []), saved]);
  return provider.interactionFinished(request, response, { consent: { grantId: saved } }, { mergeWithLastSubmission: true });
}

for (const event of ["grant.error", "authorization.error", "registration_create.error", "server_error"]) {
  provider.on(event, (_, error) => console.log("refused", event, error.error_detail ?? error.message));
}

const authorize = provider.callback();
createServer((request, response) => {
  if (!request.url.startsWith("/interaction/")) return authorize(request, response);
  return interact(request, response).catch((error) => response.writeHead(500).end(String(error)));
}).listen(issuerPort, "127.0.0.1");

// The MCP server -------------------------------------------------------------------------------------

/** Tokens of whom: by their ids, since a JWT cannot be taken back otherwise. */
const shown = new Map();
const ended = new Set();

async function visitor(request) {
  const [scheme, token] = (request.headers.authorization ?? "").split(" ");
  if (scheme !== "Bearer" || !token) return undefined;
  const { payload } = await jwtVerify(token, keys, { issuer, audience: resource, typ: "at+jwt" });
  shown.set(payload.sub, [...(shown.get(payload.sub) ?? []), payload.jti]);
  if (ended.has(payload.jti)) return undefined;
  return { token, clientId: payload.client_id, scopes: payload.scope.split(" "), extra: { person: payload.sub } };
}

function notes() {
  const server = new McpServer({ name: "interop-protected", version: "1.0.0" });
  const said = (words) => ({ content: [{ type: "text", text: words }] });
  server.registerTool("whoami", { description: "Whose token is it?" }, ({ authInfo }) => said(authInfo.extra.person));
  return server;
}

async function mcp(request, response) {
  request.auth = await visitor(request).catch((error) => console.log("refused", error.message));
  if (!request.auth) {
    const challenge = `Bearer resource_metadata="${origin}/.well-known/oauth-protected-resource/mcp"`;
    return response.writeHead(401, { "WWW-Authenticate": challenge }).end();
  }
  if (request.method !== "POST") return response.writeHead(405, { Allow: "POST" }).end();
  const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined });
  await notes().connect(transport);
  return transport.handleRequest(request, response);
}

/** Takes everything back that a person allowed. */
async function end(request, response) {
  const person = new URLSearchParams(await text(request)).get("person");
  for (const id of grants.get(person) ?? []) await (await provider.Grant.find(id))?.destroy();
  for (const id of shown.get(person) ?? []) ended.add(id);
  return response.writeHead(204).end();
}

const metadata = JSON.stringify({ resource, authorization_servers: [issuer], scopes_supported: ["notes"] });
const pages = {
  "/mcp": mcp,
  "/end": end,
  "/.well-known/oauth-protected-resource/mcp": (_, response) =>
    response.writeHead(200, { "Content-Type": "application/json" }).end(metadata),
};
createServer((request, response) => {
  const page = pages[request.url] ?? ((_, response) => response.writeHead(404).end());
  Promise.resolve(page(request, response)).catch((error) => response.writeHead(500).end(String(error)));
}).listen(port, "127.0.0.1");
