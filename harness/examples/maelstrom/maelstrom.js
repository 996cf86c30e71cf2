// Implements Maelstrom's protocol, for all nodes of these examples.
const readline = require("readline");

class Failure extends Error {
  constructor(code, text) {
    super(text);
    this.code = code;
  }
}

class Node {
  constructor() {
    this.id = null;
    this.peers = [];
    this.handlers = {};
    this.waiting = new Map();
    this.next = 0;
  }

  on(kind, handler) {
    this.handlers[kind] = handler;
  }

  send(dest, body) {
    process.stdout.write(JSON.stringify({ src: this.id, dest, body }) + "\n");
  }

  reply(message, body) {
    this.send(message.src, { ...body, in_reply_to: message.body.msg_id });
  }

  // Sends a request and returns a promise of its answer.
  ask(dest, body, patience = 1000) {
    const number = ++this.next;
    return new Promise((resolve, reject) => {
      const late = () => reject(new Failure(0, `${dest} does not answer`));
      const timer = setTimeout(late, patience);
      this.waiting.set(number, (answer) => {
        clearTimeout(timer);
        if (answer.type === "error") reject(new Failure(answer.code, answer.text));
        else resolve(answer);
      });
      this.send(dest, { ...body, msg_id: number });
    });
  }

  async take(message) {
    const { body } = message;
    if (body.in_reply_to !== undefined) {
      const waiting = this.waiting.get(body.in_reply_to);
      this.waiting.delete(body.in_reply_to);
      if (waiting) waiting(body);
      return;
    }
    if (body.type === "init") {
      this.id = body.node_id;
      this.peers = body.node_ids.filter((peer) => peer !== this.id);
      this.reply(message, { type: "init_ok" });
      return;
    }
    try {
      const handler = this.handlers[body.type];
      if (!handler) throw new Failure(10, `no ${body.type} here`);
      const told = await handler(message);
      if (told) this.reply(message, told);
    } catch (failure) {
      const code = failure.code === undefined ? 13 : failure.code;
      if (body.msg_id !== undefined) this.reply(message, { type: "error", code, text: failure.message });
    }
  }

  run() {
    readline.createInterface({ input: process.stdin }).on("line", (line) => this.take(JSON.parse(line)));
  }
}

module.exports = { Failure, Node };
