// What an MCP client keeps for one person: the `OAuthClientProvider` that both TypeScript SDKs ask for. It opens
// $BROWSER, like a program on somebody's own computer, and is called back on a port that happened to be free.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import { promisify } from "node:util";

export class Wallet {
  /** How often a person was asked. */
  opened = 0;
  #server = createServer((request, response) => {
    this.answer = new URL(request.url, this.redirectUrl).searchParams;
    response.end("You can close this page.");
  });

  /** `{}` registers; `{clientMetadataUrl}` is named by a document; a `clientId` is one that the gateway knows. The
   * `environment` is for $BROWSER. */
  constructor({ clientMetadataUrl, clientId, clientSecret, issuer }, environment = {}) {
    this.environment = { ...process.env, ...environment };
    this.clientMetadataUrl = clientMetadataUrl;
    if (clientId) this.client = { client_id: clientId, client_secret: clientSecret, issuer };
  }

  async open() {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    this.redirectUrl = `http://127.0.0.1:${this.#server.address().port}/callback`;
    return this;
  }

  close() {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  /** The answer that the browser brought, once. */
  takeAnswer() {
    const answer = this.answer;
    assert.ok(answer?.get("code"), `the browser brought no code but ${answer}`);
    assert.equal(answer.get("state"), this.expectedState, "state");
    this.answer = undefined;
    return answer;
  }

  // What the SDKs ask for ---------------------------------------------------------------------------

  get clientMetadata() {
    return {
      client_name: "interop wallet",
      redirect_uris: [this.redirectUrl],
      grant_types: ["authorization_code", "refresh_token"],
      response_types: ["code"],
      token_endpoint_auth_method: "none",
    };
  }

  state = () => (this.expectedState = randomUUID());
  clientInformation = () => this.client;
  saveClientInformation = (client) => void (this.client = client);
  tokens = () => this.kept;
  saveTokens = (tokens) => void (this.kept = tokens);
  saveCodeVerifier = (verifier) => void (this.verifier = verifier);
  codeVerifier = () => this.verifier;
  saveDiscoveryState = (state) => void (this.discovered = state);
  discoveryState = () => this.discovered;

  async redirectToAuthorization(url) {
    this.opened += 1;
    await promisify(execFile)(process.env.BROWSER, [String(url)], { timeout: 60_000, env: this.environment });
  }
}
