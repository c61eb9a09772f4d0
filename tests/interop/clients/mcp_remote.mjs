// mcp-remote, as programs run it that speak stdio only: it signs in by itself and hands everything on.
// What it keeps is in $HOME. `mcp_remote.mjs STORY`.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";

const story = JSON.parse(process.argv[2]);
const manifest = createRequire(import.meta.url).resolve("mcp-remote/package.json");
const transport = new StdioClientTransport({
  command: process.execPath,
  args: [join(dirname(manifest), "dist/proxy.js"), story.url],
  env: process.env,
  stderr: "pipe", // it tells there what it does
});
let told = "";
transport.stderr.on("data", (text) => (told += text));
const client = new Client({ name: "interop-mcp-remote", version: "1.0.0" });

async function checkCall({ name, arguments: args, text }) {
  const result = await client.callTool({ name, arguments: args });
  assert.ok(!result.isError && JSON.stringify(result.content).includes(text), `${name}: ${JSON.stringify(result)}`);
}

try {
  await client.connect(transport);
  const { tools } = await client.listTools();
  assert.deepEqual(tools.map((tool) => tool.name).sort(), [...story.tools].sort());
  await checkCall(story.call);
  await sleep(story.expirySeconds * 1000);
  await checkCall(story.call);
  const opened = (await readFile(join(process.env.BROWSER_PROFILE, "opened"), "utf8")).trim().split("\n");
  assert.equal(opened.length, 1, "the person was asked again");
  await client.close();
} catch (error) {
  console.error(told);
  throw error;
}
