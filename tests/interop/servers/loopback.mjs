// Preloaded (`node --import`) into programs that would listen on all interfaces: server-everything, and the conformance
// suite, whose servers must have their port as soon as `listen` returns. With a host in its options, `listen` would look
// that host up first and have no port yet; so the address is bound here.

import net from "node:net";

const listen = net.Server.prototype.listen;
const IPV4 = 4;

net.Server.prototype.listen = function listenOnLoopback(port, ...rest) {
  if (port?.host === "127.0.0.1" || rest[0] === "127.0.0.1") {
    return listen.call(this, port, ...rest);
  }
  const [onListening, ...more] = rest;
  if (!/^\d+$/.test(port) || more.length > 0 || !["function", "undefined"].includes(typeof onListening)) {
    throw new Error("loopback.mjs knows only listen(port, callback): look at how the new version listens");
  }
  const handle = net._createServerHandle("127.0.0.1", Number(port), IPV4);
  if (typeof handle === "number") {
    throw new Error(`port ${port} of 127.0.0.1 cannot be had: error ${handle}`);
  }
  return listen.call(this, { _handle: handle }, onListening);
};
