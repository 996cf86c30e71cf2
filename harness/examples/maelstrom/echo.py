#!/usr/bin/env python3
"""Echoes. With `--broken` every tenth answer repeats the previous one."""

import sys

from maelstrom import Node

node, said = Node(), [""]


@node.on("echo")
def echo(message):
    said.append(message["body"]["echo"])
    late = "--broken" in sys.argv and len(said) % 10 == 0
    return {"type": "echo_ok", "echo": said[-2 if late else -1]}


node.run()
