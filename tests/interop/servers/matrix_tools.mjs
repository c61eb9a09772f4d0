// What the tools of the TypeScript upstreams of the bridge matrix do, whatever SDK is around them.

import { setTimeout as sleep } from "node:timers/promises";

const HOLD_MS = 60_000;
const CANCEL_MS = 5_000;
const POLL_MS = 50;

export const GREETING = (name) => `Hello, ${name}.`;

export const QUESTION = {
  mode: "form",
  message: "Which colour do you like?",
  requestedSchema: { type: "object", properties: { colour: { type: "string" } }, required: ["colour"] },
};

/** What `wipe` says, which no route of the matrix exposes. */
export const WIPED = "Everything is wiped.";

export const said = (text) => ({ content: [{ type: "text", text }] });
export const liking = (action, content) => (action === "accept" ? `You like ${content.colour}.` : `You said ${action}.`);

/** Progress from 1 to `to`, one each `everyMs`. */
export async function count({ to, everyMs }, progressToken, notify) {
  for (let progress = 1; progress <= to; progress += 1) {
    await sleep(everyMs);
    await notify({ method: "notifications/progress", params: { progressToken, progress, total: to } });
  }
  return said(`Counted to ${to}.`);
}

/** The calls of `hold` that have been cancelled, by the key that their client chose. */
const cancelled = new Set();

export async function hold(key, signal) {
  await sleep(HOLD_MS, undefined, { signal }).catch(() => cancelled.add(key));
  return said("Held to the end.");
}

/** Says whether `hold` has been told of its cancellation, and waits for that as long as a client may expect. */
export async function cancelledSoon(key) {
  const end = performance.now() + CANCEL_MS;
  while (!cancelled.has(key) && performance.now() < end) await sleep(POLL_MS);
  return said(cancelled.has(key) ? "cancelled" : "not cancelled");
}
