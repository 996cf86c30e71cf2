#!/usr/bin/env node
// Generates identifiers. With `--broken` they lack the name of the node, so nodes generate the same ones.
const { Node } = require("./maelstrom.js");

const node = new Node();
let number = 0;

node.on("generate", () => {
  number += 1;
  return { type: "generate_ok", id: process.argv.includes("--broken") ? number : `${node.id}-${number}` };
});

node.run();
