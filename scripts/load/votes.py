"""Votes out of files, over and over, each time under an id of its own."""

import csv
import glob
import itertools
import json
import pathlib
import threading

FIELDS = ("name", "album", "year", "rank", "voter")

# A file beyond this is no vote file.
MAX_FILE = 64 << 20


class FileFault(Exception):
    """A vote file that cannot be read, and why."""


def read(path):
    """Returns the votes of a file: .csv with a head, .json with an array, .ndjson."""
    path = pathlib.Path(path)
    try:
        if path.stat().st_size > MAX_FILE:
            raise FileFault(f"{path}: larger than {MAX_FILE} bytes")
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix == ".csv":
            rows = list(csv.DictReader(text.splitlines()))
        elif path.suffix == ".ndjson":
            rows = [json.loads(line) for line in text.splitlines() if line.strip()]
        elif path.suffix == ".json":
            rows = json.loads(text)
        else:
            raise FileFault(f"{path}: neither .csv nor .json nor .ndjson")
    except (OSError, ValueError) as fault:
        raise FileFault(f"{path}: {fault}") from fault
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise FileFault(f"{path}: not a list of votes")
    return [{key: str(row[key]) for key in FIELDS if row.get(key) not in (None, "")} for row in rows]


def read_all(pattern):
    """Returns the votes of all files that a pattern names, in the order of their names."""
    paths = sorted(glob.glob(pattern, recursive=True))
    votes = [vote for path in paths for vote in read(path)]
    if not votes:
        raise FileFault(f"{pattern}: no votes there")
    return votes


class Urn:
    """Gives votes without an end. No two have the same id, in this run or another."""

    def __init__(self, votes, run, voters=False):
        self._votes = [dict(vote) for vote in votes]
        if not voters:
            for vote in self._votes:
                vote.pop("voter", None)
        self._run = run
        self._count = itertools.count()
        self._lock = threading.Lock()

    def take(self, n):
        """Returns the next n votes."""
        with self._lock:
            numbers = [next(self._count) for _ in range(n)]
        return [{**self._votes[at % len(self._votes)], "id": f"{self._run}-{at}"} for at in numbers]
