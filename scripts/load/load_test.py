"""Tests of what is in this folder. They need no Marimba: doors of their own answer."""

import contextlib
import http.server
import io
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.request
from concurrent import futures

import burst
import curve
import votes

HERE = pathlib.Path(__file__).resolve().parent
CONTESTS = HERE.parent.parent / "config" / "contests" / "votes"


class VoteFiles(unittest.TestCase):
    def test_own_files(self):
        """The contest's own files are read, CSV and JSON, years and ranks as texts."""
        found = votes.read_all(str(CONTESTS / "*" / "*.*"))
        self.assertGreater(len(found), 400)
        for vote in found:
            self.assertTrue(all(isinstance(value, str) and value for value in vote.values()), vote)
            self.assertIn("name", vote)
            self.assertNotIn("id", vote)

    def test_faults(self):
        """What is no vote file is named, with the reason."""
        with tempfile.TemporaryDirectory() as folder:
            for name, text in {"a.txt": "x", "b.json": "{}", "c.json": "[1]", "d.ndjson": "{", "e.csv": "name,album\n"}.items():
                path = pathlib.Path(folder) / name
                path.write_text(text, encoding="utf-8")
                with self.assertRaises(votes.FileFault, msg=name) as fault:
                    votes.read_all(str(path))
                self.assertIn(name, str(fault.exception))
            with self.assertRaises(votes.FileFault):
                votes.read_all(folder + "/none-*.csv")

    def test_urn(self):
        """Votes come round, and no id comes again, whoever takes them."""
        urn = votes.Urn([{"name": "a", "voter": "v"}, {"name": "b"}], "run")
        taken = []
        with futures.ThreadPoolExecutor(4) as pool:
            for part in pool.map(lambda _: urn.take(25), range(40)):
                taken += part
        self.assertEqual(len({vote["id"] for vote in taken}), 1000)
        self.assertEqual(sum(vote["name"] == "a" for vote in taken), 500)
        self.assertFalse(any("voter" in vote for vote in taken))
        self.assertEqual(votes.Urn([{"name": "a", "voter": "v"}], "run", voters=True).take(1)[0]["voter"], "v")


class Televote(unittest.TestCase):
    def test_shape(self):
        """It is quiet, then the call, then it ebbs, then the rush; then it is over."""
        quiet, call, ebb, rush = (curve.voters(at, 100) for at in (0.1, 0.2, 0.7, 1.0))
        self.assertEqual((quiet, call, rush), (2, 100, 100))
        self.assertLess(ebb, 30)
        self.assertIsNone(curve.voters(1.01, 100))
        self.assertTrue(all(1 <= curve.voters(n / 1000, 10) <= 10 for n in range(1001)))
        self.assertEqual(curve.CURVE[0][0], 0)
        self.assertEqual(curve.CURVE[-1][0], 1)


class Comparison(unittest.TestCase):
    def of(self, voter, p50, accepted=10, counted=10, failed=0):
        return {"voter": voter, "accepted": accepted, "refused": 0, "failed": failed, "seconds": 2.0, "late": 0.5, "p50": p50, "p99": 9.0,
                "p999": 9.0, "states": {"counted": counted, "duplicate": 0, "over_limit": 0, "refused": 0, "dead": 0}}

    def test_balance(self):
        """A vote too few, or too many, does not balance; after a failure more may be there."""
        self.assertTrue(burst.balanced(self.of("a", 1)))
        self.assertFalse(burst.balanced(self.of("a", 1, counted=9)))
        self.assertFalse(burst.balanced(self.of("a", 1, counted=11)))
        self.assertTrue(burst.balanced(self.of("a", 1, counted=11, failed=1)))
        self.assertFalse(burst.balanced(self.of("a", 1, counted=9, failed=1)))

    def test_text(self):
        text = burst.comparison([self.of("HTTPVoter", 8), self.of("GRPCVoter", 4, counted=9)])
        self.assertIn("GRPCVoter took less time", text)
        self.assertIn("HTTPVoter: 10 answered = 10 counted", text)
        self.assertEqual(text.count("DOES NOT BALANCE"), 1)

    def test_nothing_runs(self):
        """Without a house it says how to start one."""
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()) as said:
            self.assertEqual(burst.main(["--data", folder]), 1)
        self.assertIn("marimba up", said.getvalue())


class HTTPDoor(http.server.BaseHTTPRequestHandler):
    """Answers as ingress-http does, and keeps the ids that it accepted."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one piece
    ids = []
    refused = 0

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        cast = [json.loads(line) for line in body.splitlines()]
        good = [vote["id"] for vote in cast if vote["rank"].isdigit()]
        HTTPDoor.ids += good
        HTTPDoor.refused += len(cast) - len(good)
        text = json.dumps({"accepted": len(good)}).encode()
        self.send_response(202 if good else 422)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


# The gRPC door runs in a process of its own: here grpc is not under gevent.
GRPC_DOOR = """
import sys
from concurrent import futures
import grpc, wire

class Door(grpc.GenericRpcHandler):
    def service(self, call):
        one = {
            "/marimba.v1.Votes/Cast": (wire.Vote, lambda vote, _: wire.Receipt(id=vote.id, status="accepted")),
            "/marimba.v1.Votes/CastMany": (wire.CastManyRequest, lambda many, _: wire.CastManyReply(accepted=len(many.votes))),
        }.get(call.method)
        return one and grpc.unary_unary_rpc_method_handler(
            one[1], request_deserializer=one[0].FromString, response_serializer=lambda reply: reply.SerializeToString())

server = grpc.server(futures.ThreadPoolExecutor(4))
server.add_generic_rpc_handlers((Door(),))
print(server.add_insecure_port("127.0.0.1:0"), flush=True)
server.start()
sys.stdin.read()
"""


class Voters(unittest.TestCase):
    def locust(self, voter, *more, shape=False):
        with tempfile.TemporaryDirectory() as folder:
            summary, report = pathlib.Path(folder) / "summary.json", pathlib.Path(folder) / "report.html"
            files = f"{HERE / 'locustfile.py'}" + (f",{HERE / 'televote.py'}" if shape else "")
            command = [sys.executable, "-B", "-m", "locust", "-f", files, voter, "--headless", "--only-summary", "--loglevel", "ERROR",
                       "--stop-timeout", "20", "--summary", str(summary), "--html", str(report), *more]
            if not shape:
                command += ["--users", "3", "--spawn-rate", "100", "--run-time", "3s"]
            done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False,
                                  env=os.environ | {"TELEVOTE_SECONDS": "4", "TELEVOTE_VOTERS": "4"})
            self.assertEqual(done.returncode, 0, done.stderr + done.stdout)
            self.assertIn("<html", report.read_text(encoding="utf-8"))
            return json.loads(summary.read_text(encoding="utf-8"))

    def test_http(self):
        """HTTP voters cast bulks, each vote once, and count what was accepted."""
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), HTTPDoor)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        for shape, batch in ((True, 1), (False, 4)):
            HTTPDoor.ids, HTTPDoor.refused = [], 0
            end = self.locust("HTTPVoter", "--http", f"http://127.0.0.1:{server.server_port}", "--batch", str(batch),
                              "--vote-files", str(HERE / "testdata" / "votes.ndjson"), shape=shape)
            self.assertEqual(len(set(HTTPDoor.ids)), len(HTTPDoor.ids))
            self.assertGreater(end["accepted"], 0)
            self.assertEqual((end["failed"], end["accepted"], end["refused"]), (0, len(HTTPDoor.ids), HTTPDoor.refused))
            if batch > 1:
                self.assertEqual(end["refused"], end["accepted"])  # every second one of the file

    def test_grpc(self):
        """gRPC voters cast one or many a call, over the descriptors that Go wrote."""
        door = subprocess.Popen([sys.executable, "-B", "-c", GRPC_DOOR], cwd=HERE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(door.wait)
        self.addCleanup(door.stdout.close)
        self.addCleanup(door.stdin.close)
        port = door.stdout.readline().strip()
        for batch in ("1", "7"):
            end = self.locust("GRPCVoter", "--grpc", f"127.0.0.1:{port}", "--batch", batch)
            self.assertGreater(end["accepted"], 0)
            self.assertEqual((end["failed"], end["accepted"] % int(batch)), (0, 0))


class WebUI(unittest.TestCase):
    def test_choices(self):
        """Locust's page offers both classes and what can be set: path, batch, files, doors."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        command = [sys.executable, "-B", "-m", "locust", "-f", str(HERE / "locustfile.py"), "--class-picker", "--loglevel", "ERROR",
                   "--web-host", "127.0.0.1", "--web-port", str(port)]
        locust = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(locust.wait)
        self.addCleanup(locust.terminate)
        until = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
                    page = answer.read().decode()
                break
            except OSError:
                self.assertIsNone(locust.poll(), "Locust has ended")
                self.assertLess(time.monotonic(), until, "Locust's page does not answer")
                time.sleep(0.1)
        for word in ("HTTPVoter", "GRPCVoter", "grpc-front", '"path"', '"batch"', '"vote_files"', '"http"', '"grpc"', '"contest"'):
            self.assertIn(word, page)


if __name__ == "__main__":
    unittest.main()
