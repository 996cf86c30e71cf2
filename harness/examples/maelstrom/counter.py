#!/usr/bin/env python3
"""A counter (g-counter, pn-counter): each node stores the sum of every node, and sends all sums to the others.

With `--broken` it stores one sum and adds what others send, each time they send it.
"""

import sys

from maelstrom import Node

node, sums, broken = Node(), {}, "--broken" in sys.argv


@node.on("add")
def add(message):
    up, down = sums.get(node.id, (0, 0))
    delta = message["body"]["delta"]
    sums[node.id] = (up + max(delta, 0), down + max(-delta, 0))
    return {"type": "add_ok"}


@node.on("merge")
def merge(message):
    for name, (up, down) in message["body"]["sums"].items():
        known = sums.get(name, (0, 0))
        if broken and name != node.id:
            sums[name] = (known[0] + up, known[1] + down)
        else:
            sums[name] = (max(known[0], up), max(known[1], down))


@node.on("read")
def read(_):
    return {"type": "read_ok", "value": sum(up - down for up, down in sums.values())}


def tell():
    told = {node.id: sums.get(node.id, (0, 0))} if broken else dict(sums)
    for peer in node.peers:
        node.send(peer, {"type": "merge", "sums": told})


node.every(0.3, tell)
node.run()
