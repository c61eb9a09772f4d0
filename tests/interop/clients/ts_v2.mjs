// TypeScript SDK, second generation: MODE is legacy, auto (probe, then fall back) or modern (no fallback).

import { Client, ProtocolError, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { main } from "./story.mjs";

const NEGOTIATION = { legacy: "legacy", auto: "auto", modern: { pin: "2026-07-28" } };

await main(async (url, onerror, mode) => {
  const client = new Client(
    { name: "interop-ts-v2", version: "1.0.0" },
    { versionNegotiation: { mode: NEGOTIATION[mode] } },
  );
  const transport = new StreamableHTTPClientTransport(new URL(url));
  client.onerror = onerror;
  await client.connect(transport);
  return {
    era: client.getProtocolEra(),
    listTools: (cursor) => client.listTools({ cursor }), // without a cursor this SDK walks all pages itself
    callTool: (params, onprogress) => client.callTool(params, { onprogress }),
    listResources: (cursor) => client.listResources({ cursor }),
    readResource: (params) => client.readResource(params),
    getPrompt: (params) => client.getPrompt(params),
    isProtocolError: (error) => error instanceof ProtocolError,
    close: async () => {
      if (transport.sessionId) await transport.terminateSession();
      await client.close();
    },
  };
});
