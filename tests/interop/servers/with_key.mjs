// For clients that cannot sign in: hands every request on to `with_key.mjs PORT GATEWAY_PORT` with the API key of $KEY, byte
// for byte as it streams. The Host stays the client's, so that the gateway judges it.

import { createServer, request as send } from "node:http";

const [port, gatewayPort] = process.argv.slice(2).map(Number);
const authorization = `Bearer ${process.env.KEY}`;

createServer((incoming, outgoing) => {
  const { method, url: path, headers } = incoming;
  const sent = send({ host: "127.0.0.1", port: gatewayPort, method, path, headers: { ...headers, authorization } });
  sent.on("response", (answer) => {
    outgoing.writeHead(answer.statusCode, answer.rawHeaders);
    outgoing.flushHeaders();
    answer.on("error", () => outgoing.destroy()).pipe(outgoing);
  });
  sent.on("error", () => outgoing.destroy());
  outgoing.on("close", () => sent.destroy());
  incoming.pipe(sent);
}).listen(port, "127.0.0.1");
