#!/usr/bin/env python3
"""Gives identifiers. With `--broken` nodes forget to put their names into them."""

import itertools
import sys

from maelstrom import Node

node, numbers = Node(), itertools.count()


@node.on("generate")
def generate(_):
    number = next(numbers)
    return {"type": "generate_ok", "id": number if "--broken" in sys.argv else f"{node.id}-{number}"}


node.run()
