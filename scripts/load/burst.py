"""Runs the televote twice against a Marimba that is up, by HTTP and then by gRPC, and
says which took less time and whether the books balance. See scripts/load/burst."""

import argparse
import csv
import json
import os
import pathlib
import subprocess
import sys
import time
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent

# The states that a vote ends in.
STATES = ("counted", "duplicate", "over_limit", "refused", "dead")


class Fault(Exception):
    """What keeps the burst from being run, in words for whoever started it."""


def addresses(options):
    """Returns where the house is: what was given, or else what `up` left."""
    found = {"http": options.http, "grpc": options.grpc, "results": options.results}
    if not all(found.values()):
        path = pathlib.Path(options.data) / "running.json"
        try:
            left = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as fault:
            raise Fault(f"nothing runs on {options.data} ({fault}): start it with `go run ./scripts/marimba up`, "
                        "or give --http, --grpc and --results") from fault
        found = {name: found[name] or left.get(name, "") for name in found}
    found["grpc"] = found["grpc"].split("://")[-1].rstrip("/")
    for name, value in found.items():
        if not value:
            raise Fault(f"--{name} is needed")
    return found


def balance(results, contest):
    """Returns how many votes of a contest are in which final state."""
    url = f"{results.rstrip('/')}/v1/contests/{contest}/balance"
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            states = json.load(answer)["states"]
    except (urllib.error.URLError, OSError, ValueError, KeyError) as fault:
        raise Fault(f"ask for the balance: {fault}") from fault
    return {state: int(states.get(state, 0)) for state in STATES}


def since(before, after):
    return {state: after[state] - before[state] for state in STATES}


def wait(results, contest, before, accepted, limit):
    """Waits until so many votes more are in a final state. Returns which, and when."""
    began = time.monotonic()
    while True:
        new = since(before, balance(results, contest))
        if sum(new.values()) >= accepted or time.monotonic() - began > limit:
            return new, time.monotonic() - began
        time.sleep(0.2)


def run(options, at, voter, folder):
    """Runs the televote once by a class of voters. Returns its figures."""
    before = balance(at["results"], options.contest)
    summary, prefix = folder / f"{voter}.json", folder / voter
    summary.unlink(missing_ok=True)
    command = [
        sys.executable, "-m", "locust", "-f", f"{HERE / 'locustfile.py'},{HERE / 'televote.py'}", voter,
        "--headless", "--only-summary", "--loglevel", "WARNING", "--exit-code-on-error", "0",
        "--http", at["http"], "--grpc", at["grpc"], "--path", options.path, "--batch", str(options.batch),
        "--contest", options.contest, "--summary", str(summary), "--csv", str(prefix), "--html", f"{prefix}.html",
        "--stop-timeout", "30",
    ]
    if options.vote_files:
        command += ["--vote-files", options.vote_files]
    environment = os.environ | {"TELEVOTE_SECONDS": str(options.seconds), "TELEVOTE_VOTERS": str(options.voters)}
    began = time.monotonic()
    log = folder / f"{voter}.log"
    with log.open("w", encoding="utf-8") as out:
        done = subprocess.run(command, env=environment, stdout=out, stderr=out, timeout=options.seconds + 300, check=False)
    if done.returncode or not summary.exists():
        raise Fault(f"Locust failed for {voter} ({done.returncode}); see {log}")
    answered = json.loads(summary.read_text(encoding="utf-8"))
    new, late = wait(at["results"], options.contest, before, answered["accepted"], options.wait)
    return {
        "voter": voter, **answered, "late": late, "states": new, "whole": time.monotonic() - began,
        **percentiles(pathlib.Path(f"{prefix}_stats.csv")),
    }


def percentiles(path):
    """Returns the latencies that Locust wrote of all requests, in ms."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["Name"] == "Aggregated"]
    row = rows[0] if rows else {}
    number = lambda name: float(row[name]) if row.get(name) not in (None, "", "N/A") else 0.0
    return {"p50": number("50%"), "p99": number("99%"), "p999": number("99.9%"), "requests": int(number("Request Count"))}


def balanced(r):
    """Says whether the books balance: each vote that was answered with success is in
    one final state. Of a request that failed, votes may be there or not."""
    final = sum(r["states"].values())
    return final == r["accepted"] if r["failed"] == 0 else final >= r["accepted"]


def comparison(runs):
    """Returns the comparison as text."""
    head = ("path", "votes answered", "votes/s", "p50 ms", "p99 ms", "p99.9 ms", "refused", "failed", "all counted", "balance")
    rows = [head]
    for r in runs:
        rate = r["accepted"] / r["seconds"] if r["seconds"] else 0.0
        rows.append((
            r["voter"], str(r["accepted"]), f"{rate:.0f}", f"{r['p50']:.0f}", f"{r['p99']:.0f}", f"{r['p999']:.0f}", str(r["refused"]), str(r["failed"]),
            f"+{r['late']:.1f} s", "balances" if balanced(r) else "DOES NOT BALANCE",
        ))
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
    for r in runs:
        states = ", ".join(f"{n} {state}" for state, n in r["states"].items() if n)
        lines.append(f"{r['voter']}: {r['accepted']} answered = {states or 'nothing'}")
    lines.append(verdict(runs))
    return "\n".join(lines)


def verdict(runs):
    """Says which took less time. One run each shows a difference, not that it is not
    chance: `marimba bench` does that."""
    if any(r["p50"] <= 0 for r in runs):
        return "There is nothing to compare."
    fast, slow = sorted(runs, key=lambda r: r["p50"])
    if fast["p50"] == slow["p50"]:
        return f"Half of the answers took up to {fast['p50']:.0f} ms by either."
    return (f"{fast['voter']} took less time: half of its answers came within {fast['p50']:.0f} ms, "
            f"of {slow['voter']}'s within {slow['p50']:.0f}. One run each: whether that is chance, `marimba bench` tells.")


def arguments():
    home = pathlib.Path(os.environ.get("MARIMBA_HOME", ROOT / ".marimba"))
    parser = argparse.ArgumentParser(prog="scripts/load/burst", description=__doc__)
    add = parser.add_argument
    add("--http", default="", help="the HTTP door (default: of the house that is up)")
    add("--grpc", default="", help="the gRPC door")
    add("--results", default="", help="where results are")
    add("--data", default=str(home / "data"), help="folder of the house's data")
    add("--contest", default="default")
    add("--path", default="wasm", choices=["votes", "wasm", "grpc-front", "events"], help="where HTTP votes go")
    add("--batch", type=int, default=1, help="votes in a request")
    add("--voters", type=int, default=100, help="at the highest point")
    add("--seconds", type=int, default=60, help="of each televote")
    add("--wait", type=float, default=300, help="seconds until all must be counted")
    add("--vote-files", default="", help="vote files to take votes from")
    add("--reports", default=str(home / "load"), help="folder of Locust's reports")
    return parser


def main(argv):
    options = arguments().parse_args(argv)
    try:
        at = addresses(options)
        folder = pathlib.Path(options.reports)
        folder.mkdir(parents=True, exist_ok=True)
        runs = []
        for voter in ("HTTPVoter", "GRPCVoter"):
            print(f"{voter}: a televote of {options.seconds} s with up to {options.voters} voters", file=sys.stderr)
            runs.append(run(options, at, voter, folder))
    except Fault as fault:
        print(f"burst: {fault}", file=sys.stderr)
        return 1
    print(comparison(runs))
    print(f"Locust's reports are in {folder}.")
    return 0 if all(balanced(r) for r in runs) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
