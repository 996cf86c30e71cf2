#!/usr/bin/env python3
"""Sends every message to its neighbours until they acknowledge it. With `--broken` it sends each once."""

import sys

from maelstrom import Node

node, seen, unsaid = Node(), set(), {}


@node.on("topology")
def topology(message):
    for peer in message["body"]["topology"][node.id]:
        unsaid[peer] = set()
    return {"type": "topology_ok"}


def spread(new, but=None):
    fresh = set(new) - seen
    seen.update(fresh)
    for peer in unsaid:
        if fresh and peer != but:
            if "--broken" not in sys.argv:
                unsaid[peer] |= fresh
            node.send(peer, {"type": "gossip", "messages": list(fresh)})


@node.on("broadcast")
def broadcast(message):
    spread([message["body"]["message"]])
    return {"type": "broadcast_ok"}


@node.on("gossip")
def gossip(message):
    new = message["body"]["messages"]
    spread(new, message["src"])
    node.send(message["src"], {"type": "heard", "messages": new})


@node.on("heard")
def heard(message):
    unsaid[message["src"]] -= set(message["body"]["messages"])


@node.on("read")
def read(_):
    return {"type": "read_ok", "messages": list(seen)}


def again():
    for peer, messages in list(unsaid.items()):
        if messages:
            node.send(peer, {"type": "gossip", "messages": list(messages)})


node.every(0.5, again)
node.run()
