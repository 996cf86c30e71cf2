#!/usr/bin/env python3
"""A toy key-value store: the first replica keeps everything on its disk, the others pass requests on to it.

With --cache the others answer reads from what they saw last: that is the bug to be found.
"""
import argparse, json, os, threading, urllib.error, urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

parser = argparse.ArgumentParser()
for flag in ("--id", "--listen", "--peer-port", "--data", "--peers"):
    parser.add_argument(flag, required=True)
parser.add_argument("--cache", action="store_true")
args = parser.parse_args()
peers = dict(peer.split("=") for peer in args.peers.split(","))
primary = sorted(peers)[0]
lock, store, cache = threading.Lock(), {}, {}
os.makedirs(args.data, exist_ok=True)
log = open(os.path.join(args.data, "log"), "a+")
log.seek(0)
for line in log:
    if line.endswith("\n"):
        store.update(json.loads(line))


def save(key, value):
    log.write(json.dumps({key: value}) + "\n")
    log.flush()
    os.fsync(log.fileno())
    store[key] = value


def serve(method, path, body):
    """The status and the answer of the one copy."""
    key = path.split("/")[2] if path.startswith("/kv/") else None
    with lock:
        if path == "/status":
            return 200, {"role": "leader" if args.id == primary else "follower"}
        if method == "GET":
            return (200, {"value": store[key]}) if key in store else (404, {})
        if method == "PUT":
            save(key, body["value"])
            return 200, {}
        if store.get(key) != body["old"]:
            return 409, {}
        save(key, body["new"])
        return 200, {}


def pass_on(method, path, raw):
    if args.cache and method == "GET" and path in cache:
        return cache[path]
    request = urllib.request.Request("http://" + peers[primary] + path, data=raw or None, method=method)
    try:
        with urllib.request.urlopen(request, timeout=0.8) as answer:
            told = answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        told = error.code, {}
    except OSError:
        return 504, {}  # it may have happened
    if method == "GET":
        cache[path] = told
    return told


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # headers and body in one packet

    def answer(self):
        raw = self.rfile.read(int(self.headers.get("content-length", 0)))
        if args.id == primary or self.path == "/status":
            status, body = serve(self.command, self.path, json.loads(raw) if raw else None)
        else:
            status, body = pass_on(self.command, self.path, raw)
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_PUT = do_POST = answer

    def log_message(self, *_):
        pass


ip, port = args.listen.split(":")
inner = ThreadingHTTPServer((ip, int(args.peer_port)), Handler)
threading.Thread(target=inner.serve_forever, daemon=True).start()
ThreadingHTTPServer((ip, int(port)), Handler).serve_forever()
