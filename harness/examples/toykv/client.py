#!/usr/bin/env python3
"""Forwards the calls of `harness` to a toykv replica: one line of JSON in, one line out."""
import http.client, json, sys

ip, port = sys.argv[1], int(sys.argv[2])


def ask(method, path, body=None):
    connection = http.client.HTTPConnection(ip, port, timeout=1)
    connection.request(method, path, json.dumps(body) if body else None)
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read() or "{}")


def call(f, key, value):
    path = f"/kv/{key}"
    if f == "read":
        status, body = ask("GET", path)
        if status in (200, 404):
            return {"type": "ok", "value": [key, body.get("value")]}
    elif f == "write":
        status, _ = ask("PUT", path, {"value": value})
        if status == 200:
            return {"type": "ok"}
    else:
        old, new = value
        status, _ = ask("POST", path + "/cas", {"old": old, "new": new})
        if status == 200:
            return {"type": "ok"}
        if status == 409:
            return {"type": "fail", "error": "mismatch"}
    return {"type": "info", "error": f"HTTP {status}"}


for line in sys.stdin:
    invoke = json.loads(line)
    try:
        answer = call(invoke["f"], *invoke["value"])
    except ConnectionRefusedError as error:
        answer = {"type": "fail", "error": str(error)}  # not a byte was sent
    except (OSError, ValueError, http.client.HTTPException) as error:
        answer = {"type": "info", "error": str(error)}
    print(json.dumps(answer), flush=True)
