#!/usr/bin/env node
// Gives identifiers. With `--broken` nodes forget to put their names into them.
const { Node } = require("./maelstrom.js");

const node = new Node();
let number = 0;

node.on("generate", () => {
  number += 1;
  return { type: "generate_ok", id: process.argv.includes("--broken") ? number : `${node.id}-${number}` };
});

node.run();
