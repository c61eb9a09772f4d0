// The MCP Inspector's command line, signing in: the first process sends a person to the browser, and those that follow,
// which may not, live on what it kept in $HOME. `inspector_oauth.mjs STORY`.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

const story = JSON.parse(process.argv[2]);
const manifest = createRequire(import.meta.url).resolve("@modelcontextprotocol/inspector/package.json");
const launcher = join(dirname(manifest), "clients/launcher/build/index.js");
const env = { ...process.env, MCP_AUTO_OPEN_ENABLED: "true", MCP_INSPECTOR_SECRET_STORE: "file" };
const flags = {
  "--client-id": story.registration.clientId,
  "--client-secret": story.registration.clientSecret,
  "--client-metadata-url": story.registration.clientMetadataUrl,
};
const known = Object.entries(flags).flatMap(([flag, value]) => (value ? [flag, value] : []));

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

async function inspect(...options) {
  const args = [launcher, "--cli", story.url, "--transport", "http", ...known, ...options];
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 60_000, env });
  return JSON.parse(stdout);
}

async function checkCall({ name, arguments: args, text }) {
  const given = Object.entries(args).flatMap(([key, value]) => ["--tool-arg", `${key}=${value}`]);
  const result = await inspect("--stored-auth-only", "--method", "tools/call", "--tool-name", name, ...given);
  assert.ok(!result.isError && JSON.stringify(result.content).includes(text), JSON.stringify(result));
}

const callback = `http://127.0.0.1:${await freePort()}/callback`;
const { tools } = await inspect("--callback-url", callback, "--method", "tools/list");
assert.deepEqual(tools.map((tool) => tool.name).sort(), [...story.tools].sort());
await checkCall(story.call);
await sleep(story.expirySeconds * 1000);
await checkCall(story.call);

const opened = (await readFile(join(process.env.BROWSER_PROFILE, "opened"), "utf8")).trim().split("\n");
assert.equal(opened.length, 1, "the person was asked again");
const asked = new URL(opened[0]).searchParams;
const named = story.registration.clientMetadataUrl ?? story.registration.clientId;
if (named) assert.equal(asked.get("client_id"), named, "it registered, and was not to");
assert.equal(asked.get("resource"), story.url);
