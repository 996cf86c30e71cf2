#!/usr/bin/env python3
"""Logs (kafka): one node stores each log, and the others forward requests to it.

With `--broken` the node loses every twentieth message that it acknowledged.
"""

import sys
import threading

from maelstrom import Node

node, broken = Node(threads=True), "--broken" in sys.argv
logs, committed, lock = {}, {}, threading.Lock()


def keeper(key):
    nodes = sorted([node.id, *node.peers])
    return nodes[sum(key.encode()) % len(nodes)]


def by_keeper(keys):
    """Groups the logs by the node that stores them."""
    groups = {}
    for key in keys:
        groups.setdefault(keeper(key), []).append(key)
    return groups.items()


def passed_on(kind, fields, keys):
    """Asks each of these nodes for its part, and joins the answers."""
    told = {}
    for who, part in by_keeper(keys):
        body = {"type": kind, **fields(part)}
        answer = node.handlers[kind]({"body": body}) if who == node.id else node.ask(who, body)
        told.update(answer["told"])
    return told


@node.on("keep")
def keep(message):
    body = message["body"]
    with lock:
        log = logs.setdefault(body["key"], [])
        log.append(body["msg"])
        offset = len(log) - 1
        if broken and offset % 20 == 19:
            log[offset] = None
    return {"type": "keep_ok", "told": {body["key"]: offset}}


@node.on("fetch")
def fetch(message):
    told = {}
    for key, start in message["body"]["offsets"].items():
        log = logs.get(key, [])
        some = enumerate(log[start : start + 50], start)
        told[key] = [[offset, msg] for offset, msg in some if msg is not None]
    return {"type": "fetch_ok", "told": told}


@node.on("place")
def place(message):
    with lock:
        for key, offset in message["body"]["offsets"].items():
            committed[key] = max(committed.get(key, 0), offset)
    return {"type": "place_ok", "told": {}}


@node.on("places")
def places(message):
    keys = message["body"]["keys"]
    return {"type": "places_ok", "told": {key: committed[key] for key in keys if key in committed}}


@node.on("send")
def send(message):
    key, msg = message["body"]["key"], message["body"]["msg"]
    told = passed_on("keep", lambda _: {"key": key, "msg": msg}, [key])
    return {"type": "send_ok", "offset": told[key]}


@node.on("poll")
def poll(message):
    offsets = message["body"]["offsets"]
    told = passed_on("fetch", lambda keys: {"offsets": {key: offsets[key] for key in keys}}, offsets)
    return {"type": "poll_ok", "msgs": told}


@node.on("commit_offsets")
def commit_offsets(message):
    offsets = message["body"]["offsets"]
    passed_on("place", lambda keys: {"offsets": {key: offsets[key] for key in keys}}, offsets)
    return {"type": "commit_offsets_ok"}


@node.on("list_committed_offsets")
def list_committed_offsets(message):
    told = passed_on("places", lambda keys: {"keys": keys}, message["body"]["keys"])
    return {"type": "list_committed_offsets_ok", "offsets": told}


node.run()
