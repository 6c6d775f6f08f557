#!/usr/bin/python3
"""client.py plain|sentinel NAME PORT... - redis-py, going on whatever happens to nodes: client.js in another language,
which see. (It is Debian's python3-redis, so that Debian's Python runs it.)"""

import select
import sys
import time

try:
    import redis
    import redis.sentinel
except ImportError as error:
    print("state:", error, flush=True)
    sys.exit(0)

mode, name, *ports = sys.argv[1:]
told = {"rounds": 0, "acked": 0, "uncertain": 0}


def connect():
    if mode == "sentinel":
        sentinel = redis.sentinel.Sentinel([("127.0.0.1", int(port)) for port in ports])
        return sentinel.master_for(name, decode_responses=True)
    return redis.Redis(port=int(ports[0]), decode_responses=True)


def not_executed(error):
    """Whether a command that failed was certainly not executed."""
    text = str(error)
    certain = isinstance(error, redis.exceptions.ClusterDownError) or text.startswith("CLUSTERDOWN")
    wrong = isinstance(error, redis.ResponseError) and not certain and not text.startswith("UNCERTAIN")
    assert not wrong, repr(error)
    print("failed:", repr(error), flush=True)
    return certain


def persist(command):
    """What may be done twice is tried until it succeeds."""
    while True:
        try:
            return command()
        except redis.RedisError as error:
            not_executed(error)
            time.sleep(0.01)


def add(command):
    try:
        command()
        told["acked"] += 1
    except redis.RedisError as error:
        told["uncertain"] += 0 if not_executed(error) else 1


def transaction(client, counter):
    added, read = client.pipeline().incr(counter).get(counter).execute()
    assert str(added) == read, (added, read)


def do_round(client, number):
    key, counter = f"redis-py:{mode}:{number}", f"redis-py:{mode}:count"
    assert persist(lambda: client.set(key, number)) is True
    add(lambda: client.incr(counter))
    add(lambda: transaction(client, counter))
    assert persist(lambda: client.get(key)) == str(number)


def stopping():
    return bool(select.select([sys.stdin], [], [], 0)[0])


print("state: ready", flush=True)
client = connect()
while not stopping():
    do_round(client, told["rounds"] + 1)
    told["rounds"] += 1
    print("round", told["rounds"], flush=True)
for number in range(1, told["rounds"] + 1):
    assert persist(lambda: client.get(f"redis-py:{mode}:{number}")) == str(number)
print("done " + " ".join(f"{key}={value}" for key, value in told.items()), flush=True)
