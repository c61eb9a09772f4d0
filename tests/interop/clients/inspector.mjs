// The MCP Inspector's command line, run as people run it: one process per method. MODE is the
// protocol era. It prints no progress, so the long call only has to finish; and it refuses by itself
// to call a tool that is not listed, so the hidden tool is left to the SDK clients.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { withNewId } from "./story.mjs";

const [url, expectedJson, era] = process.argv.slice(2);
let expected = JSON.parse(expectedJson);
const manifest = createRequire(import.meta.url).resolve("@modelcontextprotocol/inspector/package.json");
const launcher = join(dirname(manifest), "clients/launcher/build/index.js");

async function inspect(method, ...options) {
  const args = [launcher, "--cli", url, "--transport", "http", "--protocol-era", era, "--method", method, ...options];
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 60_000 });
  return JSON.parse(stdout);
}

const pairs = (flag, args) => {
  const list = Object.entries(args).map(([key, value]) => `${key}=${value}`);
  return list.length ? [flag, ...list] : [];
};

async function checkCall({ name, arguments: args, text }) {
  const result = await inspect("tools/call", "--tool-name", name, ...pairs("--tool-arg", args));
  assert.ok(!result.isError && JSON.stringify(result.content).includes(text), JSON.stringify(result));
  return result;
}

const { tools } = await inspect("tools/list");
const names = tools.map((tool) => tool.name);
const seen = expected.toolsExactly ? names : names.filter((name) => expected.tools.includes(name));
assert.deepEqual(seen.sort(), [...expected.tools].sort(), `tools listed: ${names}`);

if (expected.first) expected = withNewId(expected, await checkCall(expected.first));
for (const call of [...expected.calls, expected.progress]) await checkCall(call);

const { contents } = await inspect("resources/read", "--uri", expected.resource.uri);
assert.ok(contents[0].text.includes(expected.resource.text));

const { name, arguments: args, text } = expected.prompt;
const { messages } = await inspect("prompts/get", "--prompt-name", name, ...pairs("--prompt-args", args));
assert.ok(JSON.stringify(messages).includes(text));
