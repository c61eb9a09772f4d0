// The story of two people whose client calls a tool of a server that wants each one's own credential;
// `connecting.py` is the same for Python. The SDK hands over how it connects; the expectations come from run.py.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { Session } from "./signed_in.mjs";
import { Wallet } from "./wallet.mjs";

const URL_ELICITATION_REQUIRED = -32042;

/** Reads the STORY from the command line and tells it. */
export async function main(sdk) {
  const story = JSON.parse(process.argv[2]);
  const people = story.people.map((person) => new Person(sdk, story, person));
  try {
    for (const person of people) await person.arrives();
    await tell(story, ...people);
    for (const person of people) await person.leaves();
  } finally {
    for (const person of people) person.wallet.close();
  }
  for (const person of people) assert.deepEqual(person.complaints, [], "the SDK reported errors on the side");
}

async function tell(story, ada, bob) {
  await ada.isAskedOnce(bob);
  await bob.isAskedOnce(ada);
  // Each call carries the token of its own person, whoever called before.
  for (const person of [ada, bob, ada]) assert.equal(await person.whoami(), person.upstream);
  assert.ok((await ada.session.listTools()).includes("whoami"), "the upstream's tools are listed");

  await fetch(story.end, { method: "POST", body: new URLSearchParams({ person: ada.upstream }) });
  assert.equal(await bob.whoami(), bob.upstream, "what was taken back from Ada is not Bob's");
  await ada.isAskedOnce(bob);
  assert.equal(await ada.whoami(), ada.upstream);
}

class Person {
  complaints = [];
  /** In which ways the person was asked to connect. */
  asked = [];

  constructor(sdk, { url, asks, registration }, { upstream, browser }) {
    Object.assign(this, { upstream, asks, browser });
    this.wallet = new Wallet(registration, browser);
    const open = asks === "text" ? undefined : (link) => this.elicited(link);
    const own = { ...sdk, client: () => sdk.client(open) };
    this.session = new Session(own, url, this.wallet, (error) => this.complaints.push(error));
  }

  /** The handshake and the list work before anybody is connected. */
  async arrives() {
    await this.wallet.open();
    await this.session.signIn();
    assert.ok((await this.session.listTools()).length > 0, "no tools");
  }

  leaves = () => this.session.close();

  /** The next call asks, once; whoever else opens the link gets nowhere; then it works. */
  async isAskedOnce(other) {
    this.asked = [];
    this.other = other;
    assert.equal(await this.whoami(), this.upstream);
    assert.equal(this.asked.length, 1, `asked: ${this.asked}`);
    if (this.asks) assert.equal(this.asked[0], this.asks);
  }

  async whoami() {
    const before = this.asked.length;
    const answer = await this.call();
    if (typeof answer === "string") return answer;
    assert.equal(this.asked.length, before, "asked in two ways at once");
    await this.connects(answer.link, answer.way);
    const again = await this.call();
    assert.equal(typeof again, "string", `asked again: ${JSON.stringify(again)}`);
    return again;
  }

  /** What the tool said, or the link in the place of it. */
  async call() {
    try {
      const result = await this.session.callTool({ name: "whoami", arguments: {} });
      const text = result.content.map((part) => part.text).join("\n");
      if (!result.isError) return result.structuredContent?.name ?? text;
      return { way: "text", link: linkIn(text) };
    } catch (error) {
      if (error.code !== URL_ELICITATION_REQUIRED) throw error;
      const [elicitation, ...others] = error.elicitations ?? error.data.elicitations;
      assert.deepEqual(others, []);
      return { way: "-32042", link: elicitation.url };
    }
  }

  /** The SDK asks in the middle of a call, which it then repeats by itself. */
  async elicited(link) {
    await this.connects(link, "input_required");
    return { action: "accept" };
  }

  async connects(link, way) {
    this.asked.push(way);
    assert.equal(new URL(link).origin, new URL(this.session.url).origin, "the link is the gateway's own page");
    await assert.rejects(browse(link, this.other.browser), "somebody else connected by this link");
    await browse(link, this.browser);
  }
}

function linkIn(text) {
  const [link, ...others] = text.match(/https?:\/\/[^\s<>")\]]+/g) ?? [];
  assert.ok(link && others.every((other) => other === link), `not one link: ${text}`);
  return link;
}

const browse = (url, environment) =>
  promisify(execFile)(process.env.BROWSER, [url], { timeout: 60_000, env: { ...process.env, ...environment } });
