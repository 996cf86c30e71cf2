"""Implements Maelstrom's protocol, for all nodes of these examples."""

import json
import sys
import threading
import time

MISSING, DIFFERENT, CONFLICT = 20, 22, 30


class Failure(Exception):
    """An error that the protocol defines."""

    def __init__(self, code, text=""):
        super().__init__(f"{code} {text}")
        self.code, self.text = code, text


class Node:
    """A node: `handlers` answer messages by type; with `threads`, each in its own thread."""

    def __init__(self, threads=False):
        self.id, self.peers, self.handlers = None, [], {}
        self.threads, self.lock, self.next, self.waiting = threads, threading.Lock(), 0, {}

    def on(self, kind):
        def remember(handler):
            self.handlers[kind] = handler
            return handler

        return remember

    def send(self, dest, body):
        line = json.dumps({"src": self.id, "dest": dest, "body": body})
        with self.lock:
            sys.stdout.write(line + "\n")
            sys.stdout.flush()

    def reply(self, message, body):
        self.send(message["src"], {**body, "in_reply_to": message["body"]["msg_id"]})

    def ask(self, dest, body, patience=1.0):
        """Sends a request and waits for its answer; needs `threads`."""
        arrived, held = threading.Event(), []
        with self.lock:
            self.next += 1
            number = self.next
            self.waiting[number] = (arrived, held)
        self.send(dest, {**body, "msg_id": number})
        if not arrived.wait(patience):
            self.waiting.pop(number, None)
            raise Failure(0, f"{dest} does not answer")
        if held[0]["type"] == "error":
            raise Failure(held[0]["code"], held[0].get("text", ""))
        return held[0]

    def every(self, seconds, act):
        def go_on():
            while True:
                time.sleep(seconds)
                if self.id:
                    act()

        threading.Thread(target=go_on, daemon=True).start()

    def answer(self, message):
        body = message["body"]
        handler = self.handlers.get(body["type"])
        try:
            if handler is None:
                raise Failure(10, f"no {body['type']} here")
            told = handler(message)
            if told is not None:
                self.reply(message, told)
        except Failure as failure:
            if "msg_id" in body:
                self.reply(message, {"type": "error", "code": failure.code, "text": failure.text})

    def take(self, message):
        body = message["body"]
        if "in_reply_to" in body:
            waiting = self.waiting.pop(body["in_reply_to"], None)
            if waiting:
                waiting[1].append(body)
                waiting[0].set()
        elif body["type"] == "init":
            self.id = body["node_id"]
            self.peers = [peer for peer in body["node_ids"] if peer != self.id]
            self.reply(message, {"type": "init_ok"})
        elif self.threads:
            threading.Thread(target=self.answer, args=[message], daemon=True).start()
        else:
            self.answer(message)

    def run(self):
        for line in sys.stdin:
            self.take(json.loads(line))
