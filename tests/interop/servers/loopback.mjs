// Preloaded (`node --import`) into server-everything, which would listen on all interfaces.

import net from "node:net";

const listen = net.Server.prototype.listen;

net.Server.prototype.listen = function listenOnLoopback(port, ...rest) {
  const [onListening, ...more] = rest;
  if (!/^\d+$/.test(port) || more.length > 0 || !["function", "undefined"].includes(typeof onListening)) {
    throw new Error("loopback.mjs knows only listen(port, callback): look at how the new version listens");
  }
  return listen.call(this, { port: Number(port), host: "127.0.0.1" }, onListening);
};
