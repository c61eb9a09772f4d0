// A certified OpenID provider on loopback: `provider.mjs PORT CALLBACK`. Whoever comes is Ada.
// It knows the gateway under three names, and signs its ID tokens for them with two kinds of keys.

import { generateKeyPairSync } from "node:crypto";
import { createServer } from "node:http";
import { Provider } from "oidc-provider";

const [port, callback] = process.argv.slice(2);

const key = (kid, alg, type, options) => {
  const { privateKey } = generateKeyPairSync(type, options);
  return { ...privateKey.export({ format: "jwk" }), kid, alg, use: "sig" };
};

const client = (client_id, alg) => ({
  client_id,
  client_secret: "a secret of the interop suite",
  redirect_uris: [callback],
  grant_types: ["authorization_code", "refresh_token"],
  token_endpoint_auth_method: "client_secret_basic",
  id_token_signed_response_alg: alg,
});

const account = (id) => ({
  accountId: id,
  claims: () => ({
    sub: id,
    name: `${id[0].toUpperCase()}${id.slice(1)} of the interop suite`,
    email: `${id}@example.com`,
    email_verified: true,
    groups: ["editors"],
    roles: ["writer"],
  }),
});

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [client("gateway-rs256", "RS256"), client("gateway-eddsa", "EdDSA"), client("gateway-later", "EdDSA")],
  jwks: { keys: [key("rsa", "RS256", "rsa", { modulusLength: 2048 }), key("ed", "EdDSA", "ed25519")] },
  claims: { openid: ["sub"], profile: ["name"], email: ["email", "email_verified"], groups: ["groups", "roles"] },
  scopes: ["openid", "offline_access", "profile", "email", "groups"],
  conformIdTokenClaims: false, // claims stand in the ID token, where gateways look for them
  findAccount: (_, id) => account(id),
  pkce: { required: () => true },
  rotateRefreshToken: true,
  features: { devInteractions: { enabled: false } },
  interactions: { url: (_, { uid }) => `/interaction/${uid}` },
  cookies: { keys: ["a key of the interop suite"] },
  ttl: { AccessToken: 600, IdToken: 600, Interaction: 600, Session: 3600, Grant: 3600, RefreshToken: 3600 },
});

/** What a person would do on the provider's pages: sign in, and agree that the gateway may know who they are. */
async function interact(request, response) {
  const { prompt, params, session, grantId } = await provider.interactionDetails(request, response);
  if (prompt.name === "login") {
    const login = { accountId: "ada" };
    return provider.interactionFinished(request, response, { login });
  }
  const grant = grantId
    ? await provider.Grant.find(grantId)
    : new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  grant.addOIDCScope(params.scope);
  const consent = { grantId: await grant.save() };
  return provider.interactionFinished(request, response, { consent }, { mergeWithLastSubmission: true });
}

// run.py reads these lines.
provider.on("grant.success", ({ oidc }) => {
  if (oidc.params.grant_type === "refresh_token") console.log(oidc.client.clientId, "refreshed");
});
for (const event of ["grant.error", "authorization.error", "server_error"]) {
  provider.on(event, (_, error) => console.log("refused", event, error.error_detail ?? error.message));
}

const answer = provider.callback();
const server = createServer((request, response) => {
  if (!request.url.startsWith("/interaction/")) return answer(request, response);
  return interact(request, response).catch((error) => response.writeHead(500).end(String(error)));
});
server.listen(Number(port), "127.0.0.1");
