#!/usr/bin/env node
// Echoes. With `--broken` every tenth answer repeats the previous one.
const { Node } = require("./maelstrom.js");

const node = new Node();
const said = [""];

node.on("echo", ({ body }) => {
  said.push(body.echo);
  const late = process.argv.includes("--broken") && said.length % 10 === 0;
  return { type: "echo_ok", echo: said[said.length - (late ? 2 : 1)] };
});

node.run();
