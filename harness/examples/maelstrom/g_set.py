#!/usr/bin/env python3
"""A set that only grows: nodes send all of it to each other at intervals. With `--broken` they send only new elements."""

import sys

from maelstrom import Node

node, elements, new = Node(), set(), set()


@node.on("add")
def add(message):
    elements.add(message["body"]["element"])
    new.add(message["body"]["element"])
    return {"type": "add_ok"}


@node.on("merge")
def merge(message):
    elements.update(message["body"]["elements"])


@node.on("read")
def read(_):
    return {"type": "read_ok", "value": list(elements)}


def tell():
    told = list(new if "--broken" in sys.argv else elements)
    new.difference_update(told)
    for peer in node.peers:
        node.send(peer, {"type": "merge", "elements": told})


node.every(0.3, tell)
node.run()
