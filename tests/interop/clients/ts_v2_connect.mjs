// TypeScript SDK, second generation, connecting to what is behind the gateway.

import { Client, StreamableHTTPClientTransport, UnauthorizedError } from "@modelcontextprotocol/client";
import { main } from "./connecting.mjs";

await main({
  client: (open) => {
    const capabilities = open ? { elicitation: { url: {} } } : {};
    const options = { capabilities, versionNegotiation: { mode: "auto" } };
    const client = new Client({ name: "interop-ts-v2", version: "1.0.0" }, options);
    if (open) client.setRequestHandler("elicitation/create", ({ params }) => open(params.url));
    return client;
  },
  transport: (url, authProvider) => new StreamableHTTPClientTransport(new URL(url), { authProvider }),
  finish: (transport, answer) => transport.finishAuth(answer),
  isUnauthorized: (error) => error instanceof UnauthorizedError,
});
