"""A televote: quiet before the call, a spike when lines open, and a rush at the end.

Given to Locust as a second file beside locustfile.py, it decides how many voters
there are; without it, --users does."""

import os

from locust import LoadTestShape

from curve import voters


def _number(name, usual, least):
    value = float(os.environ.get(name, usual))
    if value < least:
        raise SystemExit(f"{name} must be at least {least}")
    return value


class Televote(LoadTestShape):
    """TELEVOTE_SECONDS and TELEVOTE_VOTERS set its length and its highest point."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.length = _number("TELEVOTE_SECONDS", 60, 1)
        self.most = int(_number("TELEVOTE_VOTERS", 100, 1))

    def tick(self):
        now = voters(self.get_run_time() / self.length, self.most)
        return None if now is None else (now, max(1, self.most))
