// TypeScript SDK, first generation, asking for what somebody else must approve.

import { UnauthorizedError } from "@modelcontextprotocol/sdk/client/auth.js";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { main } from "./held.mjs";

await main({
  client: () => new Client({ name: "interop-ts-v1", version: "1.0.0" }),
  transport: (url, authProvider) => new StreamableHTTPClientTransport(new URL(url), { authProvider }),
  finish: (transport, answer) => transport.finishAuth(answer.get("code")),
  isUnauthorized: (error) => error instanceof UnauthorizedError,
});
