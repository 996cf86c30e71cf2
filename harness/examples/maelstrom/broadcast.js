#!/usr/bin/env node
// Sends every message to its neighbours until they acknowledge it. With `--broken` it sends each once.
const { Node } = require("./maelstrom.js");

const node = new Node();
const seen = new Set();
const unsaid = new Map();

function spread(messages, but) {
  const fresh = messages.filter((message) => !seen.has(message));
  if (fresh.length === 0) return;
  fresh.forEach((message) => seen.add(message));
  for (const [peer, waiting] of unsaid) {
    if (peer === but) continue;
    if (!process.argv.includes("--broken")) fresh.forEach((message) => waiting.add(message));
    node.send(peer, { type: "gossip", messages: fresh });
  }
}

node.on("topology", ({ body }) => {
  body.topology[node.id].forEach((peer) => unsaid.set(peer, new Set()));
  return { type: "topology_ok" };
});

node.on("broadcast", ({ body }) => {
  spread([body.message]);
  return { type: "broadcast_ok" };
});

node.on("gossip", ({ src, body }) => {
  spread(body.messages, src);
  node.send(src, { type: "heard", messages: body.messages });
});

node.on("heard", ({ src, body }) => {
  body.messages.forEach((message) => unsaid.get(src).delete(message));
});

node.on("read", () => ({ type: "read_ok", messages: [...seen] }));

setInterval(() => {
  for (const [peer, waiting] of unsaid) {
    if (waiting.size > 0) node.send(peer, { type: "gossip", messages: [...waiting] });
  }
}, 500);

node.run();
