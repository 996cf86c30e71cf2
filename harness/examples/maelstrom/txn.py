#!/usr/bin/env python3
"""Transactions over lists and registers (txn-list-append, txn-rw-register): all state is one value of `lin-kv`,
replaced by compare-and-set; a transaction that comes too late aborts. With `--broken` a transaction is not atomic.
"""

import json
import sys

from maelstrom import CONFLICT, DIFFERENT, MISSING, Failure, Node

node, broken = Node(threads=True), "--broken" in sys.argv
STATE = "state"


def held():
    try:
        return node.ask("lin-kv", {"type": "read", "key": STATE})["value"]
    except Failure as failure:
        if failure.code != MISSING:
            raise
        return "{}"


def done(state, txn):
    told = []
    for f, key, value in txn:
        name = str(key)
        if f == "r":
            value = state.get(name)
        elif f == "append":
            state[name] = state.get(name, []) + [value]
        else:
            state[name] = value
        told.append([f, key, value])
    return told


def atomically(txn):
    before = held()
    state = json.loads(before)
    told = done(state, txn)
    swap = {"type": "cas", "key": STATE, "from": before, "to": json.dumps(state)}
    try:
        node.ask("lin-kv", {**swap, "create_if_not_exists": True})
    except Failure as failure:
        if failure.code == DIFFERENT:
            raise Failure(CONFLICT, "another transaction was faster") from failure
        raise
    return told


def until_done(txn):
    while True:
        try:
            return atomically(txn)
        except Failure as failure:
            if failure.code != CONFLICT:
                raise


@node.on("txn")
def txn(message):
    asked = message["body"]["txn"]
    parts = [[op] for op in asked] if broken else [asked]
    return {"type": "txn_ok", "txn": [told for part in parts for told in until_done(part)]}


node.run()
