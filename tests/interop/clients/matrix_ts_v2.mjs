// TypeScript SDK v2 in the bridge matrix: MODE is legacy, auto (probe, then fall back) or modern (no fallback).

import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { ANSWER, main } from "./matrix_story.mjs";

const NEGOTIATION = { legacy: "legacy", auto: "auto", modern: { pin: "2026-07-28" } };

await main(async (url, headers, mode) => {
  const client = new Client(
    { name: "matrix-ts-v2", version: "1.0.0" },
    { capabilities: { elicitation: {} }, versionNegotiation: { mode: NEGOTIATION[mode] } },
  );
  client.setRequestHandler("elicitation/create", () => ANSWER);
  const transport = new StreamableHTTPClientTransport(url, { requestInit: { headers } });
  await client.connect(transport);
  return {
    version: client.getNegotiatedProtocolVersion(),
    listTools: () => client.listTools(),
    call: (name, args, options) => client.callTool({ name, arguments: args }, options),
    close: async () => {
      if (transport.sessionId) await transport.terminateSession();
      await client.close();
    },
  };
});
