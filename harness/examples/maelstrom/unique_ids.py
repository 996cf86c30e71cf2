#!/usr/bin/env python3
"""Generates identifiers. With `--broken` they lack the name of the node, so nodes generate the same ones."""

import itertools
import sys

from maelstrom import Node

node, numbers = Node(), itertools.count()


@node.on("generate")
def generate(_):
    number = next(numbers)
    return {"type": "generate_ok", "id": number if "--broken" in sys.argv else f"{node.id}-{number}"}


node.run()
