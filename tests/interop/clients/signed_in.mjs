// The story of a person who gives a client nothing but a route's URL; `signed_in.py` is the same for Python. An `sdk`
// hands over how it connects and calls; the checks are written once. The expectations come from run.py.

import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { Wallet } from "./wallet.mjs";

/** Reads the STORY from the command line and tells it. */
export async function main(sdk) {
  const story = JSON.parse(process.argv[2]);
  const complaints = [];
  const wallet = await new Wallet(story.registration).open();
  try {
    await tell(new Session(sdk, story.url, wallet, (error) => complaints.push(error)), wallet, story);
  } finally {
    wallet.close();
  }
  assert.deepEqual(complaints, [], "the SDK reported errors on the side");
}

async function tell(session, wallet, story) {
  await session.signIn();
  assert.deepEqual((await session.listTools()).sort(), [...story.tools].sort());
  await checkCall(session, story.call);
  checkToken(wallet, story);
  await checkElsewhere(wallet, story);
  await checkRefresh(session, wallet, story);
  if (session.stepsUp) await checkStepUp(session, wallet, story);
  await session.close();
}

async function checkCall(session, { name, arguments: args, text }) {
  const result = await session.callTool({ name, arguments: args });
  assert.ok(!result.isError && JSON.stringify(result.content).includes(text), `${name}: ${JSON.stringify(result)}`);
}

/** Is the token about the provider's user, for this route and this client? */
function checkToken(wallet, { url, subject, scopes, registration }) {
  const claims = claimsOf(wallet);
  assert.equal(claims.sub, subject);
  assert.equal(claims.aud, url);
  assert.equal(claims.iss, new URL(url).origin);
  assert.deepEqual(claims.scope.split(" ").sort(), scopes);
  assert.equal(claims.client_id, wallet.client.client_id);
  const named = registration.clientMetadataUrl ?? registration.clientId;
  if (named) assert.equal(claims.client_id, named, "it registered, and was not to");
  assert.equal(wallet.opened, 1);
}

/** A token for one route is worth nothing at another. */
async function checkElsewhere(wallet, { elsewhere }) {
  const answer = await fetch(elsewhere, {
    method: "POST",
    headers: {
      Authorization: `Bearer ${wallet.kept.access_token}`,
      "Content-Type": "application/json",
      Accept: "application/json, text/event-stream",
    },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/list" }),
  });
  await answer.body.cancel();
  assert.equal(answer.status, 401);
  assert.match(answer.headers.get("www-authenticate"), /error="invalid_token"/);
}

/** A token that has expired is renewed, and nobody is asked. */
async function checkRefresh(session, wallet, { call, expirySeconds }) {
  const before = wallet.kept;
  await sleep(expirySeconds * 1000);
  await checkCall(session, call);
  assert.notEqual(wallet.kept.access_token, before.access_token, "the access token is the same");
  assert.notEqual(wallet.kept.refresh_token, before.refresh_token, "the refresh token is the same");
  assert.equal(wallet.opened, 1, "the person was asked again");
}

/** A tool that asks for more: the person is asked once, and the call goes through. */
async function checkStepUp(session, wallet, { stepUp }) {
  await checkCall(session, stepUp.call);
  assert.equal(wallet.opened, 2);
  assert.ok(claimsOf(wallet).scope.split(" ").includes(stepUp.scope), claimsOf(wallet).scope);
}

function claimsOf(wallet) {
  const [header, claims] = wallet.kept.access_token.split(".", 2).map((part) => JSON.parse(decoded(part)));
  assert.equal(header.typ, "at+jwt");
  return claims;
}

const decoded = (text) => Buffer.from(text, "base64url").toString();

/** A connection that signs in when it has to, as programs built on these SDKs do. */
export class Session {
  constructor(sdk, url, wallet, onerror) {
    Object.assign(this, { sdk, url, wallet, onerror, stepsUp: sdk.stepsUp });
  }

  /** Nobody is signed in at first: the SDK must find that out, and everything else, from the URL. */
  async signIn() {
    const stranger = this.sdk.transport(this.url, this.wallet);
    await assert.rejects(this.sdk.client().connect(stranger), (error) => this.sdk.isUnauthorized(error));
    await this.sdk.finish(stranger, this.wallet.takeAnswer());
    this.transport = this.sdk.transport(this.url, this.wallet);
    this.client = this.sdk.client();
    // That a call needs another sign-in is thrown as well, and answered where it is called.
    this.client.onerror = (error) => this.sdk.isUnauthorized(error) || this.onerror(error);
    await this.client.connect(this.transport);
  }

  async listTools() {
    return (await this.client.listTools()).tools.map((tool) => tool.name);
  }

  async callTool(params) {
    try {
      return await this.client.callTool(params);
    } catch (error) {
      if (!this.sdk.isUnauthorized(error)) throw error;
      await this.sdk.finish(this.transport, this.wallet.takeAnswer());
      return await this.client.callTool(params);
    }
  }

  async close() {
    if (this.transport.sessionId) await this.transport.terminateSession();
    await this.client.close();
  }
}
