"""Make the data files that the project ships: synthetic stand-ins for the course's own.

python tools/make_data.py            write them beside main.py
python tools/make_data.py --check    exit with 0 only if they are byte for byte what this writes
"""

import argparse
import sys
from pathlib import Path

import numpy as np

PROJECT = Path(__file__).resolve().parent.parent
COMMENT = (
    "# Synthetic, made by tools/make_data.py: no real person's ratings, nothing of the course's."
)
SHARES = [0.039, 0.104, 0.315, 0.343, 0.199]  # of 1 to 5 stars in the course's matrix
WEIGHTS = [0.36, 0.34, 0.30]  # the share of each type of user: generous, middling, harsh
LEVELS = [0.45, 0.0, -0.45]  # how much more than others a type likes every movie, about in stars


def toy():
    """250 points of three overlapping round clusters that differ in size and spread: (250, 2)."""
    draw = np.random.RandomState(44)
    clusters = [(115, (-3.6, 0.6), 1.75), (45, (1.2, -0.1), 0.75), (90, (4.9, -1.3), 2.15)]
    points = [mean + sd * draw.randn(n, 2) for n, mean, sd in clusters]
    return draw.permutation(np.concatenate(points))


def ratings(seed, n=1200, d=1200):
    """Ratings of n users for d movies, and which of them are known.

    A rating is an opinion, cut into stars. The opinion is a sum: the quality of the movie, the
    generosity of the user's type, its taste for the movie's genre and for the movie, the user's
    own generosity, noise. Their standard deviations are such that the means of users and of movies
    spread as the course's do; the user's own generosity is small, or else the BIC would split
    types by it. How likely a rating is known depends on the user and on the movie alone.

    Returns:
        complete: (n, d) whole numbers 1 to 5, in stars
        known: (n, d) booleans
    """
    draw = np.random.RandomState(seed)
    K = len(WEIGHTS)
    types = draw.choice(K, n, p=WEIGHTS)
    genres = draw.randint(0, 20, d)
    tastes = 0.25 * draw.randn(K, 20)[:, genres] + 0.15 * draw.randn(K, d)
    means = np.array(LEVELS)[:, None] + 0.42 * draw.randn(d) + tastes
    opinions = means[types] + 0.12 * draw.randn(n, 1) + 0.85 * draw.randn(n, d)
    complete = 1 + np.searchsorted(np.quantile(opinions, np.cumsum(SHARES[:-1])), opinions)

    # Nine users in ten are about equally active. EM starts from rows, and common.init counts their
    # zeros like ratings: where rows differ much in the number of zeros, most starts fail.
    kind = draw.choice(3, n, p=[0.90, 0.08, 0.02])
    least, most = np.array([(0.74, 0.80), (0.10, 0.74), (0.80, 1.00)])[kind].T
    active = least + (most - least) * draw.rand(n)
    popular = 0.97 * draw.rand(d) ** 6  # most movies hardly, a few with nearly everyone
    return complete, draw.rand(n, d) < 1 - np.outer(1 - active, 1 - popular)


def text(array, form):
    """One data file: a comment, then a row a line, numbers separated by one space."""
    return "\n".join([COMMENT, *(" ".join(form % x for x in row) for row in array), ""])


def files():
    """{name of a file: its text}. RandomState's stream never changes."""
    texts = {"toy_data.txt": text(toy(), "%.3f")}
    # Of seed 0's large matrix five starts of EM find the three types, and the BIC picks K = 3. Of
    # seed 30's small one 17 of 20 users miss a movie, nobody has fewer than two ratings, and EM's
    # run meets both limits of the M-step, a count below 1 and the least variance.
    for name, seed, n, d in [("netflix", 0, 1200, 1200), ("test", 30, 20, 5)]:
        complete, known = ratings(seed, n, d)
        texts[f"{name}_complete.txt"] = text(complete, "%d")
        texts[f"{name}_incomplete.txt"] = text(complete * known, "%d")
    return texts


def main():
    parser = argparse.ArgumentParser(description="Make the data files that the project ships.")
    parser.add_argument("--check", action="store_true", help="compare the files, write nothing")
    options = parser.parse_args()
    stale = []
    for name, content in files().items():
        path = PROJECT / name
        if not options.check:
            path.write_bytes(content.encode())
        elif not path.is_file() or path.read_bytes().replace(b"\r\n", b"\n") != content.encode():
            stale.append(name)
    if stale:
        sys.exit(f"not what tools/make_data.py writes: {', '.join(stale)}")


if __name__ == "__main__":
    main()
