// Loaded before a server that knows no address to listen on (`node --import`): whatever it asks for, it listens on
// 127.0.0.1 at a free port, and says which on standard error.

import { Server } from "node:net";

const listen = Server.prototype.listen;

Server.prototype.listen = function (...asked) {
  const ready = asked.filter((argument) => typeof argument === "function");
  this.once("listening", () => console.error(`listening on http://127.0.0.1:${this.address().port}`));
  return listen.call(this, { port: 0, host: "127.0.0.1" }, ...ready);
};
