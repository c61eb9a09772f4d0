// TypeScript SDK, first generation, connecting to what is behind the gateway.

import { UnauthorizedError } from "@modelcontextprotocol/sdk/client/auth.js";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { main } from "./connecting.mjs";

await main({
  // In this generation the request to open a page is an error of the call, and nothing asks in between.
  client: (open) => {
    const capabilities = open ? { elicitation: { url: {} } } : {};
    return new Client({ name: "interop-ts-v1", version: "1.0.0" }, { capabilities });
  },
  transport: (url, authProvider) => new StreamableHTTPClientTransport(new URL(url), { authProvider }),
  finish: (transport, answer) => transport.finishAuth(answer.get("code")),
  isUnauthorized: (error) => error instanceof UnauthorizedError,
});
