// TypeScript SDK, second generation, asking for what somebody else must approve.

import { Client, StreamableHTTPClientTransport, UnauthorizedError } from "@modelcontextprotocol/client";
import { main } from "./held.mjs";

await main({
  client: () => new Client({ name: "interop-ts-v2", version: "1.0.0" }, { versionNegotiation: { mode: "auto" } }),
  transport: (url, authProvider) => new StreamableHTTPClientTransport(new URL(url), { authProvider }),
  finish: (transport, answer) => transport.finishAuth(answer),
  isUnauthorized: (error) => error instanceof UnauthorizedError,
});
