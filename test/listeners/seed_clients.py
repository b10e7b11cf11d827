"""The two seeds' client programs, as their transcripts show them to talk: sockets, lines, and what they do with answers.

Usage: seed_clients.py shibudb PORT USER PASSWORD | seed_clients.py nubdb PORT
Prints one JSON value a step. Anything unexpected ends it with a traceback.
"""

import json
import socket
import sys


def tell(step, value):
    print(json.dumps([step, value]), flush=True)


class Lines:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.reader = self.socket.makefile("rb")

    def ask(self, line):
        self.socket.sendall((line + "\n").encode())
        return self.reader.readline().decode()

    def close(self):
        self.reader.close()
        self.socket.close()


class ShibuDb:
    """Every query is an object that names its type, its space and who asks; the space in use is the client's own business."""

    def __init__(self, port):
        self.lines = Lines(port)
        self.user = None
        self.space = ""

    def authenticate(self, username, password):
        answer = json.loads(self.lines.ask(json.dumps({"username": username, "password": password})))
        if answer["status"] != "OK":
            raise PermissionError(answer["message"])
        self.user = answer["user"]
        return self.user

    def query(self, kind, **fields):
        query = {"type": kind, "space": self.space, "user": self.user["username"], **fields}
        answer = json.loads(self.lines.ask(json.dumps(query)))
        if answer["status"] != "OK":
            raise ValueError(answer["message"])
        return answer.get("value", answer.get("message"))

    def use_space(self, name):
        answer = self.query("USE_SPACE", data=name, space=name)
        self.space = name
        return answer


def failure(call):
    try:
        return call()
    except (ValueError, PermissionError) as error:
        return "refused: " + str(error)


def play_shibudb(port, username, password):
    db = ShibuDb(port)
    user = db.authenticate(username, password)
    tell("login", [user["role"], user["password"]])
    tell("create", db.query("CREATE_SPACE", space="kv", data="kv", engine_type="key-value"))
    tell("create again", failure(lambda: db.query("CREATE_SPACE", space="kv", data="kv", engine_type="key-value")))
    tell("use", db.use_space("kv"))
    for i in range(20):
        db.query("PUT", key="key%d" % i, value="value %d, \u00fc and \"quotes\"" % i)
    tell("get", db.query("GET", key="key7"))
    tell("delete", db.query("DELETE", key="key7"))
    tell("gone", failure(lambda: db.query("GET", key="key7")))
    vectors = dict(engine_type="vector", dimension=3, index_type="Flat", metric="L2")
    tell("create vectors", db.query("CREATE_SPACE", space="points", data="points", **vectors))
    db.use_space("points")
    for i in range(10):
        db.query("INSERT_VECTOR", key=str(i), value="%d,0,0" % i)
    tell("topk", json.loads(db.query("SEARCH_TOPK", value="2.2,0,0", dimension=3)))
    tell("range", json.loads(db.query("RANGE_SEARCH", value="2,0,0", radius=1.5)))
    tell("vector", db.query("GET_VECTOR", key="4"))
    tell("wrong dimension", failure(lambda: db.query("INSERT_VECTOR", key="11", value="1,2")))
    tell("spaces", sorted(json.loads(db.query("LIST_SPACES"))["spaces"]))
    reader = {"username": "reader", "password": "pw", "role": "user", "permissions": {"kv": "read"}}
    tell("create user", db.query("CREATE_USER", new_user=reader))
    tell("user", db.query("GET_USER", data="reader"))
    other = ShibuDb(port)
    other.authenticate("reader", "pw")
    other.space = "kv"
    tell("reads", other.query("GET", key="key8"))
    tell("may not write", failure(lambda: other.query("PUT", key="x", value="y")))
    tell("may not list", failure(lambda: other.query("LIST_SPACES")))
    other.lines.close()
    tell("delete user", db.query("DELETE_USER", delete_user={"username": "reader"}))
    tell("shut out", failure(lambda: ShibuDb(port).authenticate("reader", "pw")))
    tell("delete space", db.query("DELETE_SPACE", data="points"))
    db.lines.close()


class NubDb:
    """Sends inline commands and reads what a Redis server answers: a sign, and for a text its length first."""

    def __init__(self, port):
        self.lines = Lines(port)

    def command(self, line):
        answer = self.lines.ask(line).rstrip("\r\n")
        sign, rest = answer[0], answer[1:]
        if sign == "$":
            length = int(rest)
            if length < 0:
                return None
            text = self.lines.reader.read(length + 2)
            return text[:-2].decode()
        if sign == ":":
            return int(rest)
        if sign == "-":
            return "refused: " + rest
        return rest


def play_nubdb(port):
    db = NubDb(port)
    tell("set", db.command('SET name "Alice"'))
    tell("get", db.command("GET name"))
    tell("set words", db.command('SET city "New York"'))
    tell("get words", db.command("GET city"))
    tell("missing", db.command("GET nope"))
    tell("counter", db.command('SET counter "100"'))
    tell("incr", db.command("INCR counter"))
    tell("decr", db.command("DECR counter"))
    tell("exists", [db.command("EXISTS name"), db.command("EXISTS nope")])
    tell("expires", [db.command('SET t "x" EX 1000'), db.command("TTL t")])
    tell("delete", [db.command("DEL name"), db.command("DEL name")])
    tell("size", db.command("DBSIZE"))
    tell("unknown", db.command("NONSENSE"))
    tell("clear", [db.command("FLUSHDB"), db.command("DBSIZE")])
    tell("quit", db.command("QUIT"))
    tell("closed", db.lines.reader.readline().decode())


if __name__ == "__main__":
    which, port = sys.argv[1], int(sys.argv[2])
    if which == "shibudb":
        play_shibudb(port, sys.argv[3], sys.argv[4])
    else:
        play_nubdb(port)
