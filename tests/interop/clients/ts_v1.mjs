// TypeScript SDK, first generation: speaks the legacy era only.

import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { McpError } from "@modelcontextprotocol/sdk/types.js";
import { main } from "./story.mjs";

await main(async (url, onerror) => {
  const client = new Client({ name: "interop-ts-v1", version: "1.0.0" });
  const transport = new StreamableHTTPClientTransport(new URL(url));
  client.onerror = onerror;
  await client.connect(transport);
  return {
    era: "legacy",
    listTools: (cursor) => client.listTools({ cursor }),
    callTool: (params, onprogress) => client.callTool(params, undefined, { onprogress }),
    listResources: (cursor) => client.listResources({ cursor }),
    readResource: (params) => client.readResource(params),
    getPrompt: (params) => client.getPrompt(params),
    isProtocolError: (error) => error instanceof McpError,
    close: async () => {
      if (transport.sessionId) await transport.terminateSession();
      await client.close();
    },
  };
});
