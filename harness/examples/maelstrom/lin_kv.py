#!/usr/bin/env python3
"""Forwards every request to the service `lin-kv`. With `--broken` it answers reads from a cache of its last values."""

import sys

from maelstrom import Node

node, cache = Node(threads=True), {}


@node.on("read")
def read(message):
    key = message["body"]["key"]
    if "--broken" in sys.argv and key in cache:
        return {"type": "read_ok", "value": cache[key]}
    cache[key] = node.ask("lin-kv", {"type": "read", "key": key})["value"]
    return {"type": "read_ok", "value": cache[key]}


@node.on("write")
def write(message):
    body = {name: message["body"][name] for name in ("type", "key", "value")}
    node.ask("lin-kv", body)
    cache[body["key"]] = body["value"]
    return {"type": "write_ok"}


@node.on("cas")
def cas(message):
    body = {name: message["body"][name] for name in ("type", "key", "from", "to")}
    node.ask("lin-kv", body)
    cache[body["key"]] = body["to"]
    return {"type": "cas_ok"}


node.run()
