// TypeScript SDK v1 in the bridge matrix: MODE is the revision that it offers.

import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { ElicitRequestSchema } from "@modelcontextprotocol/sdk/types.js";
import { ANSWER, main } from "./matrix_story.mjs";

/** The SDK offers its newest revision, always. */
class Offering extends StreamableHTTPClientTransport {
  constructor(url, options, version) {
    super(url, options);
    this.offered = version;
  }

  send(message, options) {
    if (message.method === "initialize") message.params.protocolVersion = this.offered;
    return super.send(message, options);
  }

  setProtocolVersion(version) {
    this.agreed = version;
    super.setProtocolVersion(version);
  }
}

await main(async (url, headers, version) => {
  const client = new Client({ name: "matrix-ts-v1", version: "1.0.0" }, { capabilities: { elicitation: {} } });
  client.setRequestHandler(ElicitRequestSchema, () => ANSWER);
  const transport = new Offering(url, { requestInit: { headers } }, version);
  await client.connect(transport);
  return {
    version: transport.agreed,
    listTools: () => client.listTools(),
    call: (name, args, options) => client.callTool({ name, arguments: args }, undefined, options),
    close: async () => {
      if (transport.sessionId) await transport.terminateSession();
      await client.close();
    },
  };
});
