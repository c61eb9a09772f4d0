// The person's MCP client in conformance_driver.py where it is an SDK that the suite wants to see: `judged.mjs URL`, with
// the access token in $TOKEN. It uses whatever the server lists, so that every header and stream of the gateway is tried.

import assert from "node:assert/strict";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";

const [url] = process.argv.slice(2);
const { TOKEN, MCP_CONFORMANCE_SCENARIO: scenario, MCP_CONFORMANCE_PROTOCOL_VERSION: version } = process.env;
const context = JSON.parse(process.env.MCP_CONFORMANCE_CONTEXT ?? "{}");

const FIRST_MODERN = "2026-07-28";
const EXAMPLES = { string: "example", number: 5, integer: 3, boolean: true };
// This scenario's server lists a tool that it does not have.
const ONLY_LISTED = ["json-schema-ref-no-deref"];
// The SDK does not take what the suite lets servers of before answer.
const REFUSED_BY_THE_SDK = ["test_mrtr_no_result_type"];

const capabilities = { elicitation: { form: { applyDefaults: true } }, sampling: {}, roots: {} };
const mode = version >= FIRST_MODERN ? { pin: FIRST_MODERN } : "legacy";
const client = new Client({ name: "judged", version: "1.0.0" }, { capabilities, versionNegotiation: { mode } });
const requestInit = { headers: { Authorization: `Bearer ${TOKEN}` } };
const transport = new StreamableHTTPClientTransport(new URL(url), { requestInit });

/** The person agrees to everything, and meanwhile the client calls something else. */
client.setRequestHandler("elicitation/create", async ({ params }) => {
  const unrelated = tools.find(({ name }) => name === "test_mrtr_unrelated");
  if (unrelated) await call(unrelated);
  const { confirmed } = params.requestedSchema?.properties ?? {};
  return { action: "accept", content: confirmed ? { confirmed: true } : {} };
});

/** What the suite says that it should be called with, else an example of everything that is required. */
function argumentsOf({ name, inputSchema: { properties = {}, required = [] } }) {
  const told = context.toolCalls?.find((call) => call.name === name);
  const example = (property) => {
    if (property === "schema") return tools.find(({ name }) => name === "json_schema_2020_12_tool").inputSchema;
    return EXAMPLES[properties[property].type] ?? {};
  };
  return told?.arguments ?? Object.fromEntries(required.map((property) => [property, example(property)]));
}

async function call(tool) {
  const called = client.callTool({ name: tool.name, arguments: argumentsOf(tool) });
  if (REFUSED_BY_THE_SDK.includes(tool.name)) return void (await assert.rejects(called, { code: "INVALID_RESULT" }));
  const result = await called;
  assert.ok(!result.isError, `${tool.name} failed: ${JSON.stringify(result)}`);
}

console.warn = console.log; // the SDK says which tools it leaves out
await client.connect(transport);
const { tools } = await client.listTools();
if (!ONLY_LISTED.includes(scenario)) {
  for (const tool of tools) await call(tool);
}
const { resources, prompts } = client.getServerCapabilities() ?? {};
if (resources) {
  for (const { uri } of (await client.listResources()).resources) await client.readResource({ uri });
}
if (prompts) {
  for (const { name } of (await client.listPrompts()).prompts) await client.getPrompt({ name });
}
await client.close();
