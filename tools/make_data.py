"""Make the data files that the project ships: synthetic stand-ins for the course's own.

python tools/make_data.py            write them beside main.py
python tools/make_data.py --check    exit with 0 only if they are byte for byte what this writes
"""

import argparse
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
COMMENT = (
    "# Synthetic, made by tools/make_data.py: no real person's ratings, nothing of the course's."
)


def toy():
    """250 points of three overlapping round clusters that differ in size and spread: (250, 2)."""
    draw = np.random.RandomState(44)
    clusters = [(115, (-3.6, 0.6), 1.75), (45, (1.2, -0.1), 0.75), (90, (4.9, -1.3), 2.15)]
    points = [mean + sd * draw.randn(n, 2) for n, mean, sd in clusters]
    return draw.permutation(np.concatenate(points))


def ratings(seed, n, d, weights, levels):
    """Ratings 1..5 of n users for d movies, and which of them are known.

    A user is of one type. A type has a level (generous or harsh) and tastes (genres, and single
    movies, that it likes more or less than others do). A movie is good or bad for everyone. A user
    is a little more or less generous than their type, and has a mood at every rating; now and
    then one dislikes a movie so much that it gets one star, whatever it is. How likely a rating is
    known depends on how active the user and how popular the movie is, and on nothing else.

    Args:
        seed: of the draws
        n, d: numbers of users and movies
        weights: (K,) share of each type of user
        levels: (K,) how many stars more than others a type gives

    Returns:
        complete: (n, d) whole numbers 1 to 5
        known: (n, d) booleans
    """
    draw = np.random.RandomState(seed)
    K = len(weights)
    types = draw.choice(K, n, p=weights)
    genres = draw.randint(0, 20, d)
    tastes = 0.36 * draw.randn(K, 20)[:, genres] + 0.17 * draw.randn(K, d)
    quality = 0.46 * draw.randn(d)
    mean = 3.63 + np.array(levels)[:, None] + quality + tastes - np.dot(weights, tastes)
    stars = mean[types] + 0.18 * draw.randn(n, 1) + 0.75 * draw.randn(n, d)
    complete = np.clip(np.rint(stars), 1, 5).astype(int)
    complete[draw.rand(n, d) < 0.024] = 1

    # Two users in five have rated nearly everything, the others anything from little to much.
    regular = draw.rand(n) < 0.4
    active = np.where(regular, 0.985 + 0.015 * draw.rand(n), 0.02 + 0.96 * draw.beta(1.6, 1.1, n))
    popular = 0.97 * draw.rand(d) ** 3
    return complete, draw.rand(n, d) < 1 - np.outer(1 - active, 1 - popular)


def text(array, form):
    """One data file: a comment, then a row a line, numbers separated by one space."""
    return "\n".join([COMMENT, *(" ".join(form % x for x in row) for row in array), ""])


def files():
    """The text of every file, by name."""
    # The seeds were picked out of dozens: the statistics are near those of the course's files,
    # and EM from the starts 0 to 4 finds what is in the data. RandomState's stream never changes.
    texts = {"toy_data.txt": text(toy(), "%.3f")}
    weights, levels = [0.32, 0.27, 0.23, 0.18], [0.30, -0.42, 0.46, -0.38]
    for name, seed, n, d in [("netflix", 79, 1200, 1200), ("test", 55, 20, 5)]:
        complete, known = ratings(seed, n, d, weights, levels)
        texts[f"{name}_complete.txt"] = text(complete, "%d")
        texts[f"{name}_incomplete.txt"] = text(complete * known, "%d")
    return texts


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare the files, write nothing")
    check = parser.parse_args().check
    stale = []
    for name, content in files().items():
        path = ROOT / name
        if not check:
            path.write_bytes(content.encode())
        elif not path.is_file() or path.read_bytes().replace(b"\r\n", b"\n") != content.encode():
            stale.append(name)
    if stale:
        sys.exit(f"not what tools/make_data.py writes: {', '.join(stale)}")


if __name__ == "__main__":
    main()
