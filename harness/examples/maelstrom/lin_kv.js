#!/usr/bin/env node
// Forwards every request to the service `lin-kv`. With `--broken` it answers reads from a cache of its last values.
const { Node } = require("./maelstrom.js");

const node = new Node();
const cache = new Map();

node.on("read", async ({ body }) => {
  if (process.argv.includes("--broken") && cache.has(body.key)) {
    return { type: "read_ok", value: cache.get(body.key) };
  }
  const { value } = await node.ask("lin-kv", { type: "read", key: body.key });
  cache.set(body.key, value);
  return { type: "read_ok", value };
});

node.on("write", async ({ body: { key, value } }) => {
  await node.ask("lin-kv", { type: "write", key, value });
  cache.set(key, value);
  return { type: "write_ok" };
});

node.on("cas", async ({ body: { key, from, to } }) => {
  await node.ask("lin-kv", { type: "cas", key, from, to });
  cache.set(key, to);
  return { type: "cas_ok" };
});

node.run();
