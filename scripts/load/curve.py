"""The shape of a televote, apart from Locust: quiet before the call, a spike when lines
open, and a rush at the end."""

# (share of the time, share of the voters at its end). Between two points the number
# of voters changes evenly.
CURVE = (
    (0.00, 0.02),
    (0.15, 0.02),  # quiet
    (0.20, 1.00),  # the call
    (0.30, 0.60),
    (0.50, 0.25),  # it ebbs
    (0.75, 0.20),
    (0.85, 0.80),  # the closing rush
    (1.00, 1.00),
)


def voters(at, most):
    """Returns how many voters there are at a share of the time; None: it is over."""
    if at > 1:
        return None
    for (begin, low), (end, high) in zip(CURVE, CURVE[1:]):
        if at <= end:
            part = (at - begin) / (end - begin)
            return max(1, round(most * (low + part * (high - low))))
    return None
