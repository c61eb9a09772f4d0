// The story that every TypeScript client tells. A client hands over a `session`: the same few
// verbs whatever SDK is below, so that the checks are written once. `expected` comes from run.py.

import assert from "node:assert/strict";

/** Reads `URL EXPECTED [MODE]` from the command line, connects, tells the story, closes. */
export async function main(connect) {
  const [url, expected, mode] = process.argv.slice(2);
  const complaints = [];
  const session = await connect(url, (error) => complaints.push(error), mode);
  try {
    await tell(session, JSON.parse(expected));
  } finally {
    await session.close();
  }
  assert.deepEqual(complaints, [], "the SDK reported errors on the side");
}

async function tell(session, story) {
  assert.equal(session.era, story.era, "protocol era");
  await checkTools(session, story);
  const expected = story.first ? withNewId(story, await checkCall(session, story.first)) : story;
  for (const call of expected.calls) await checkCall(session, call);
  await checkProgress(session, expected.progress);
  if (expected.refused) await checkRefused(session, expected.refused);
  await checkResource(session, expected.resource);
  await checkPrompt(session, expected.prompt);
  await checkCall(session, expected.calls.at(-1)); // a refusal must not have hurt the connection
}

async function checkTools(session, { tools, toolsExactly }) {
  const names = (await allPages((cursor) => session.listTools(cursor), "tools")).map((tool) => tool.name);
  const seen = toolsExactly ? names : names.filter((name) => tools.includes(name));
  assert.deepEqual(seen.sort(), [...tools].sort(), `tools listed: ${names}`);
}

async function checkCall(session, { name, arguments: args, text, structured }) {
  const result = await session.callTool({ name, arguments: args });
  assert.ok(!result.isError, `${name} failed: ${JSON.stringify(result)}`);
  assertContains(JSON.stringify(result.content), text, name);
  if (structured) assert.deepEqual(result.structuredContent, structured);
  return result;
}

/** The rest of the story, in which NEW_ID is the number that the first call was given. */
export function withNewId(story, { structuredContent: { id } }) {
  return JSON.parse(JSON.stringify(story).replaceAll('"NEW_ID"', id).replaceAll("NEW_ID", id));
}

/** Progress must arrive while the tool works: a buffering gateway delivers it all at the end. */
async function checkProgress(session, { name, arguments: args, steps, stepMs, text }) {
  const seen = [];
  const result = await session.callTool({ name, arguments: args }, ({ progress }) =>
    seen.push({ progress, at: performance.now() }),
  );
  const end = performance.now();
  assert.deepEqual(seen.map(({ progress }) => progress), countTo(steps), "progress values");
  assertContains(JSON.stringify(result.content), text, name);
  const spread = seen.at(-1).at - seen[0].at;
  const due = (steps - 1) * stepMs;
  assert.ok(spread > due / 2, `progress came within ${spread} ms, sent over ${due} ms: buffered`);
  assert.ok(seen[0].at < end - due / 2, "the first progress came with the result: buffered");
}

async function checkRefused(session, { name, arguments: args }) {
  const answer = await session.callTool({ name, arguments: args }).then(
    (result) => assert.fail(`${name} is hidden, yet it answered ${JSON.stringify(result)}`),
    (error) => error,
  );
  assert.ok(session.isProtocolError(answer), `${name}: not a JSON-RPC error but ${answer}`);
}

async function checkResource(session, { uri, text }) {
  const uris = (await allPages((cursor) => session.listResources(cursor), "resources")).map((found) => found.uri);
  assert.ok(uris.includes(uri), `${uri} is not among ${uris}`);
  const { contents } = await session.readResource({ uri });
  assertContains(contents[0].text, text, uri);
}

async function checkPrompt(session, { name, arguments: args, text }) {
  const { messages } = await session.getPrompt({ name, arguments: args });
  assertContains(JSON.stringify(messages), text, name);
}

async function allPages(fetchPage, key) {
  const items = [];
  let cursor;
  do {
    const page = await fetchPage(cursor);
    items.push(...page[key]);
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return items;
}

function assertContains(haystack, needle, where) {
  assert.ok(haystack.includes(needle), `${where}: ${JSON.stringify(needle)} is not in ${haystack}`);
}

const countTo = (last) => Array.from({ length: last }, (_, index) => index + 1);
