// The story of a call that somebody else must approve: an SDK's client asks for it, and gets its result once it may be made.
// The expectations come from run.py; the SDK hands over how it connects.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { Session } from "./signed_in.mjs";
import { Wallet } from "./wallet.mjs";

/** Reads the STORY from the command line, tells it, and prints the number of the approval. */
export async function main(sdk) {
  const story = JSON.parse(process.argv[2]);
  const complaints = [];
  const wallet = await new Wallet({}, story.asks).open();
  try {
    await tell(new Session(sdk, story.url, wallet, (error) => complaints.push(error)), story);
  } finally {
    wallet.close();
  }
  assert.deepEqual(complaints, [], "the SDK reported errors on the side");
}

async function tell(session, { note, asks, decides }) {
  const call = (name) => answered(session, { name, arguments: { id: note } });
  await session.signIn();
  const unconnected = await call("delete_note");
  await browse(linkIn(unconnected.text), asks);
  assert.ok((await session.listTools()).includes("delete_note"), "what waits for an approval is listed");

  const held = await call("delete_note");
  const number = Number(/waits for approval #(\d+)/.exec(held.text)?.[1]);
  assert.ok(held.isError && number, `not held: ${held.text}`);
  assert.ok(!(await call("read_note")).isError, "the note was deleted before anybody had decided");
  await browse(linkIn(held.text), decides);

  const made = await call("delete_note");
  assert.ok(!made.isError, `not made: ${made.text}`);
  assert.ok((await call("read_note")).isError, "the note is still there");
  const again = await call("delete_note");
  assert.match(again.text, /waits for approval/, "an approval counted twice");
  await session.close();
  console.log(number);
}

async function answered(session, params) {
  const { isError = false, content } = await session.callTool(params);
  return { isError, text: content.map((part) => part.text).join("\n") };
}

const linkIn = (text) => /https?:\/\/[^\s<>")\]]*[\w/]/.exec(text)?.[0] ?? assert.fail(`no link: ${text}`);

const browse = (url, environment) =>
  promisify(execFile)(process.env.BROWSER, [url], { timeout: 60_000, env: { ...process.env, ...environment } });
