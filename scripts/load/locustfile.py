"""Voters for Marimba: one class by HTTP, one by gRPC, with the same votes.

    locust -f scripts/load/locustfile.py --class-picker
    locust -f scripts/load/locustfile.py,scripts/load/televote.py HTTPVoter --headless --html report.html

Which way an HTTP vote takes, how many votes go in a request, which files they come
from and where the doors are can be set in the web UI.
"""

import json
import pathlib
import time
import uuid

import grpc.experimental.gevent

grpc.experimental.gevent.init_gevent()  # before any channel is made

import grpc  # noqa: E402
from locust import FastHttpUser, User, constant, events, task  # noqa: E402
from locust.exception import StopUser  # noqa: E402

import votes  # noqa: E402
import wire  # noqa: E402

# Where an HTTP vote goes, by what is asked for. All promise the same.
PATHS = {
    "votes": "/v1/contests/{contest}/votes",
    "wasm": "/wasm?contest={contest}",
    "grpc-front": "/grpc?contest={contest}",
    "events": "/",
}

# Bounds of a request.
MAX_BATCH = 10_000
TIMEOUT = 30.0

HERE = pathlib.Path(__file__).resolve().parent
VOTES = str(HERE.parent.parent / "config" / "contests" / "votes" / "*" / "*.*")


@events.init_command_line_parser.add_listener
def arguments(parser):
    # Not in a group: Locust does not show those in the web UI.
    add = parser.add_argument
    add("--http", default="http://127.0.0.1:8081", include_in_web_ui=True, help="the HTTP door")
    add("--grpc", default="127.0.0.1:8082", include_in_web_ui=True, help="the gRPC door, host:port")
    add("--path", default="votes", choices=list(PATHS), include_in_web_ui=True, help="where HTTP votes go")
    add("--batch", type=int, default=1, include_in_web_ui=True, help="votes in a request")
    add("--contest", default="default", include_in_web_ui=True, help="the contest")
    add("--vote-files", default=VOTES, include_in_web_ui=True, help="vote files: a path, * and ** stand for any")
    add("--voters", action="store_true", help="send the files' voters too; contests may limit them")
    add("--summary", default="", include_in_web_ui=False, help="a file for what became of the votes, as JSON")


class Tally:
    """What was answered, in this process."""

    def __init__(self):
        self.accepted = 0
        self.refused = 0  # votes that were answered with a reason
        self.failed = 0  # requests
        self.began = None
        self.ended = None

    def note(self, accepted, refused=0):
        """Notes a request. One in which nothing was accepted nor refused has failed."""
        now = time.monotonic()
        self.began = self.began or now
        self.ended = now
        self.accepted += accepted
        self.refused += refused
        self.failed += accepted + refused == 0


class Shared:
    """What all voters of this process use together: votes, one channel, a tally."""

    urn = None
    channel = None
    door = None
    tally = Tally()


@events.test_start.add_listener
def begin(environment, **_):
    options = environment.parsed_options
    if not 1 <= options.batch <= MAX_BATCH:
        raise SystemExit(f"--batch must be from 1 to {MAX_BATCH}")
    if options.batch > 1 and options.path not in ("votes", "wasm", "grpc-front"):
        raise SystemExit(f"--path {options.path} takes one vote in a request")
    try:
        found = votes.read_all(options.vote_files)
    except votes.FileFault as fault:
        raise SystemExit(f"--vote-files: {fault}") from fault
    Shared.urn = votes.Urn(found, f"l{uuid.uuid4().hex[:12]}", options.voters)
    Shared.tally = Tally()


@events.quitting.add_listener
def end(environment, **_):
    if Shared.channel is not None:
        Shared.channel.close()
        Shared.channel = Shared.door = None
    options = environment.parsed_options
    if options is not None and options.summary:
        t = Shared.tally
        seconds = t.ended - t.began if t.began is not None else 0.0
        text = json.dumps({"accepted": t.accepted, "refused": t.refused, "failed": t.failed, "seconds": seconds})
        pathlib.Path(options.summary).write_text(text + "\n", encoding="utf-8")


def door(target):
    """Returns the gRPC door, on the one channel of this process."""
    if Shared.door is None:
        Shared.channel = grpc.insecure_channel(target)
        Shared.door = wire.Door(Shared.channel)
    return Shared.door


class HTTPVoter(FastHttpUser):
    """Casts votes by HTTP, on a connection that is kept."""

    host = "http://127.0.0.1"  # Locust wants one; the door is --http
    wait_time = constant(0)
    connection_timeout = TIMEOUT
    network_timeout = TIMEOUT

    def on_start(self):
        options = self.environment.parsed_options
        self.batch = options.batch
        self.contest = options.contest
        self.event = options.path == "events"
        self.url = options.http.rstrip("/") + PATHS[options.path].format(contest=options.contest)
        self.name = f"{options.path}, {self.batch} a request"

    @task
    def cast(self):
        cast = Shared.urn.take(self.batch)
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self.batch > 1:
            headers["Content-Type"] = "application/x-ndjson"
        if self.event:
            headers |= {
                "Ce-Specversion": "1.0", "Ce-Id": cast[0]["id"], "Ce-Source": "/marimba/load",
                "Ce-Type": "gt.marimba.vote", "Ce-Subject": self.contest,
            }
        body = "\n".join(json.dumps(vote, ensure_ascii=False) for vote in cast)
        accepted, refused = 0, 0
        with self.client.post(self.url, data=body.encode(), headers=headers, name=self.name, catch_response=True) as answer:
            if answer.status_code == 202:
                accepted = 1 if self.batch == 1 else int(answer.json()["accepted"])
                refused = self.batch - accepted
                answer.success()
            elif answer.status_code == 422:  # a good answer to a vote that is not good
                refused = self.batch
                answer.success()
            else:
                answer.failure(f"status {answer.status_code}: {(answer.text or '')[:200]}")
        Shared.tally.note(accepted, refused)


def unable(result):
    """Says whether a result is a refusal for good, and not a vote to be sent again."""
    return result.refusal.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]


class GRPCVoter(User):
    """Casts votes by gRPC: Cast for one vote, CastMany for more. Its calls are unary;
    all voters of a process share one channel."""

    wait_time = constant(0)

    def on_start(self):
        options = self.environment.parsed_options
        if options.grpc.startswith(("http://", "https://")):
            raise StopUser("--grpc is host:port")
        self.contest = options.contest
        self.batch = options.batch
        self.door = door(options.grpc)
        self.name = f"{'Cast' if self.batch == 1 else 'CastMany'}, {self.batch} a request"

    @task
    def cast(self):
        cast = [wire.vote_of(vote, self.contest) for vote in Shared.urn.take(self.batch)]
        began = time.perf_counter()
        accepted, refused, size, fault = 0, 0, 0, None
        try:
            if self.batch == 1:
                reply = self.door.cast(cast[0], timeout=TIMEOUT)
                accepted = 1
            else:
                reply = self.door.cast_many(wire.CastManyRequest(votes=cast), timeout=TIMEOUT)
                accepted, refused = reply.accepted, sum(unable(result) for result in reply.results)
            size = reply.ByteSize()
        except grpc.RpcError as answer:
            if answer.code() == grpc.StatusCode.INVALID_ARGUMENT:  # a good answer to a vote that is not good
                refused = self.batch
            else:
                fault = answer
        self.environment.events.request.fire(
            request_type="gRPC", name=self.name, response_time=1000 * (time.perf_counter() - began),
            response_length=size, exception=fault, context={},
        )
        Shared.tally.note(accepted, refused)
