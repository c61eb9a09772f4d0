// TypeScript SDK, first generation, signing in.

import { UnauthorizedError } from "@modelcontextprotocol/sdk/client/auth.js";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { main } from "./signed_in.mjs";

await main({
  // Told that a scope is missing, this SDK refreshes, which can bring no further scope, and gives up.
  stepsUp: false,
  client: () => new Client({ name: "interop-ts-v1", version: "1.0.0" }),
  transport: (url, authProvider) => new StreamableHTTPClientTransport(new URL(url), { authProvider }),
  finish: (transport, answer) => transport.finishAuth(answer.get("code")),
  isUnauthorized: (error) => error instanceof UnauthorizedError,
});
