// What every TypeScript client of the bridge matrix does; `matrix_story.py` is the same for Python. One line of JSON for
// each thing: a thing that fails does not hide the next.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";

const SECOND = 1000;
const LIMIT_MS = 20 * SECOND;
const HEAD_START_MS = SECOND; // until a call that is to be cancelled has surely arrived

export const ANSWER = { action: "accept", content: { colour: "green" } };
const TOOLS = ["ask", "count", "greet", "hold", "was_cancelled"];
const HIDDEN = "wipe"; // the gateway's filter leaves it out

const THINGS = {
  async list(session, filtered) {
    const { tools } = await session.listTools();
    assert.deepEqual(tools.map((tool) => tool.name).sort(), filtered ? TOOLS : [...TOOLS, HIDDEN]);
    const wiped = said(session, HIDDEN, {});
    if (filtered) await assert.rejects(wiped, /exposes no tool/);
    else assert.equal(await wiped, "Everything is wiped.");
  },
  async call(session) {
    assert.equal(await said(session, "greet", { name: "Ada" }), "Hello, Ada.");
  },
  progress: (session) => counted(session, 3, 200),
  async elicitation(session) {
    assert.equal(await said(session, "ask", {}), "You like green.");
  },
  async cancellation(session) {
    const [key, cancel] = [randomUUID(), new AbortController()];
    const held = session.call("hold", { key }, { signal: cancel.signal }).then(() => "answered", () => "cancelled");
    await sleep(HEAD_START_MS);
    cancel.abort();
    assert.equal(await held, "cancelled", "the client's own call");
    assert.equal(await said(session, "was_cancelled", { key }), "cancelled", "the server's");
  },
  stream: (session) => counted(session, 20, 500),
};

/** Reads `URL KEY MODE filtered|whole` from the command line, connects, shows everything, closes. */
export async function main(connect) {
  const [url, key, mode, tools] = process.argv.slice(2);
  const session = await connect(new URL(url), { Authorization: `Bearer ${key}` }, mode);
  report({ version: session.version });
  for (const [thing, show] of Object.entries(THINGS)) report({ thing, why: await complaint(show(session, tools === "filtered")) });
  await session.close();
}

const report = (line) => console.log(JSON.stringify(line));

async function complaint(showing) {
  const limit = new AbortController();
  const late = sleep(LIMIT_MS, `no end after ${LIMIT_MS} ms`, { signal: limit.signal }).catch(() => undefined);
  const shown = showing.then(() => null, (error) => `${error.name}: ${error.message}`);
  return Promise.race([shown, late]).finally(() => limit.abort());
}

async function said(session, name, args, options) {
  const result = await session.call(name, args, options);
  const text = result.content.map((part) => part.text).join();
  assert.ok(!result.isError, text);
  return text;
}

/** Progress must come in order, whole, and while the tool works: a buffering gateway delivers it all at the end. */
async function counted(session, to, everyMs) {
  const [seen, begun] = [[], performance.now()];
  const onprogress = ({ progress }) => seen.push({ progress, at: performance.now() });
  assert.equal(await said(session, "count", { to, everyMs }, { onprogress }), `Counted to ${to}.`);
  assert.deepEqual(seen.map(({ progress }) => progress), Array.from({ length: to }, (_, step) => step + 1));
  const spread = seen.at(-1).at - seen[0].at;
  assert.ok(spread > ((to - 1) * everyMs) / 2, `came within ${spread} ms of ${performance.now() - begun}: buffered`);
}
