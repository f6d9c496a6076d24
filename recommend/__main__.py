"""Recommend items: from a file of ratings the error to expect, and each user's best items.

python -m recommend ratings.csv                 everybody's ten best items, to recommendations.csv
python -m recommend ratings.csv --user 42       those of user 42, on the screen
python -m recommend ratings.csv --columns who what stars     where the file does not tell

From a folder that is not the project's: python PATH/recommend ratings.csv. What a file may hold is
said in recommend/ratings.py, how ratings are predicted in recommend/predict.py.
"""

import argparse
import contextlib
import csv
import math
import os
import stat
import sys
import tempfile
from pathlib import Path

# One BLAS thread: several wait for each other where other programs run. BLAS reads this when NumPy
# is imported.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["MKL_NUM_THREADS"] = "1"
os.environ["VECLIB_MAXIMUM_THREADS"] = "1"


def progress(line):
    """Show a line on the terminal until the next one takes its place, if there is a terminal."""
    if sys.stderr.isatty():
        print(f"\r{line[:78]:<78}\r", end="", file=sys.stderr, flush=True)


def stop(message):
    """End the program with one line on standard error and exit status 2."""
    progress("")
    print(f"recommend: {message}", file=sys.stderr)
    sys.exit(2)


if sys.version_info < (3, 10):  # noqa: UP036
    stop(f"expected Python 3.10 or later, got {sys.version.split()[0]}")
try:
    import numpy as np
except ModuleNotFoundError as problem:
    if problem.name != "numpy":
        raise
    stop(f"{problem}; this installs it: {sys.executable} -m pip install numpy")

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for python PATH/recommend
from recommend.predict import (
    averages,
    decimals,
    error,
    fit,
    hidden_tenths,
    matrix_of,
    mean_rating,
    verdict,
)
from recommend.ratings import in_one_line, read_ratings, tidy

OUT = Path("recommendations.csv")
HIDDEN = 1000  # ratings to hide, if there are enough, to measure an error
PREDICTIONS = 3_000_000  # to make at a time: 24 MB, and faster than a user at a time


def main():
    """Read ratings, say what error to expect of predictions, and list the best items."""
    options = parse_options()
    try:
        check_out(options.out, options.file)
        ratings = read_ratings(options.file, options.columns, options.missing, progress)
        chosen = find_users(ratings, options.user)
        # Used in the end, but too many users and items are refused before anything is computed.
        matrix = matrix_of(ratings.users, ratings.items, ratings.values, shape_of(ratings))
    except ValueError as problem:
        stop(problem)
    for line in ratings.report:
        show(line)
    show_errors(ratings)

    n_rated = np.bincount(ratings.users)
    has_all = n_rated[chosen] == len(ratings.item_names)
    if options.user is not None:
        for u in chosen[has_all]:
            show(f"{in_one_line(ratings.user_names[u])} has rated every item")
    elif has_all.all():
        show("Every user has rated every item: there is nothing to recommend.")
    chosen = chosen[~has_all]
    if len(chosen) == 0:
        return
    fit(matrix, progress=lambda share: progress(f"predict, from all ratings: {share:.0%}"))
    lists = best_items(ratings, matrix, chosen, options.top)
    if options.out is None:
        show_lists(lists)
    else:
        try:
            write_lists(lists, options.out)
        except ValueError as problem:
            stop(problem)
        whose = "1 user's" if len(chosen) == 1 else f"{len(chosen)} users'"
        show(f"\nSaved {options.out}: {whose} best items, of those not rated yet")


def shape_of(ratings):
    """The number of users and items."""
    return len(ratings.user_names), len(ratings.item_names)


# Options. What is wrong with them is a ValueError.


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that says in one line what is wrong."""

    def error(self, message):
        if message.endswith("required: FILE"):
            message += ", which stands before --user"  # which takes all words that follow it
        stop(message.removeprefix("argument "))


def parse_options():
    """The command line's options."""
    parser = Parser(
        prog="python -m recommend",
        description="From lines of user, item and rating: the error to expect of predictions, and "
        "each user's best items.",
        allow_abbrev=False,
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="a rating a line")
    parser.add_argument(
        "--columns",
        nargs=3,
        metavar=("USER", "ITEM", "RATING"),
        help="names of columns, or their numbers from 1, where the file does not tell",
    )
    parser.add_argument(
        "--missing",
        type=number_or_none,
        metavar="VALUE",
        help="the number that stands for no rating; none if every number is a rating",
    )
    parser.add_argument(
        "--user", nargs="+", metavar="NAME", help="make lists for these users alone (everybody)"
    )
    parser.add_argument(
        "--top", type=whole_number, default=10, metavar="N", help="items of a list (10)"
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help=f"write the lists to a CSV file (without --user: {OUT}; with it: on the screen)",
    )
    options = parser.parse_args()
    if options.out is None and options.user is None:
        options.out = OUT
    return options


def number_or_none(word):
    """An argparse type: a number, or the word none."""
    if word == "none":
        return word
    try:
        value = float(word)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"expected a number or none, got {word!r}")
    return value


def whole_number(word):
    """An argparse type: whole numbers from 1."""
    try:
        value = int(word)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1, got {word!r}")
    return value


def check_out(path, file):
    """Refuse an --out that could not be written in the end; it may be None."""
    if path is None:
        return
    target = os.path.realpath(path)
    folder = os.path.dirname(target)
    try:
        if status_of(folder) is None:
            raise ValueError(f"--out: expected a file in a folder that is there, got {path}")
        with tempfile.TemporaryFile(dir=folder):  # the lists are written beside their place first
            pass
        status = status_of(target)
        if status is None:  # a new file
            return
        if not stat.S_ISREG(status.st_mode):
            raise ValueError(f"--out: expected a file to write, got {path}, which is none")
        with open(target, "ab"):
            pass
        if os.path.exists(file) and os.path.samefile(target, file):
            raise ValueError(f"--out: expected a file of its own, got {path}, which holds ratings")
    except OSError as problem:
        raise ValueError(f"--out: cannot write {path}: {problem.strerror}") from None


def status_of(path):
    """What the system says of a file or folder; None if there is none."""
    try:
        return os.stat(path)
    except FileNotFoundError:
        return None


def find_users(ratings, names):
    """The numbers of the users with these names, in the file's order; of all if names is None."""
    numbers = {name: u for u, name in enumerate(ratings.user_names)}
    if names is None:
        names = ratings.user_names
    for name in names:
        if name not in numbers:
            first = ", ".join(tidy(ratings.user_names[:3]))
            raise ValueError(
                f"--user: no user is called {name!r}: the first are {first} (users without a "
                "rating are left out)"
            )
    return np.unique([numbers[name] for name in names])  # numbers are in the file's order


# The error to expect, and the lists


def show_errors(ratings):
    """Print the errors of averages and of predict on ratings that are hidden from them."""
    users = ratings.users
    items = ratings.items
    values = ratings.values
    size = len(values) // 10
    if size == 0:
        show(f"{len(values)} ratings are too few to hide a tenth: no error is measured.")
        return
    tenths = hidden_tenths(len(values), min(10, math.ceil(HIDDEN / size)))
    truth = values[np.concatenate(tenths)]
    one_by_one = ", a tenth at a time" if len(tenths) > 1 else ""
    show(f"\n{len(truth)} of the {len(values)} ratings are hidden{one_by_one}, and predicted")
    show("from the others. RMSE: over these hidden ratings alone")
    ways = {
        "mean of all ratings": lambda tenth: mean_rating(values, tenth),
        "averages of users and items": lambda tenth: averages(users, items, values, tenth),
        "predict": lambda tenth: predict_hidden(ratings, tenth),
    }
    digits = decimals(values)
    guesses = {}
    for name, way in ways.items():
        guesses[name] = np.concatenate([way(tenth) for tenth in tenths])
        rmse, _ = error(guesses[name], truth)
        show(f"{name:28}{rmse:10.{digits}f}")
    to_beat = {
        "the mean": guesses["mean of all ratings"],
        "averages": guesses["averages of users and items"],
    }
    for line in verdict(to_beat, guesses["predict"], truth, digits, "item"):
        show(line)


def predict_hidden(ratings, hidden):
    """Predictions of the ratings at some positions, from all others."""
    matrix = matrix_of(ratings.users, ratings.items, ratings.values, shape_of(ratings), hidden)
    fit(matrix, progress=lambda share: progress(f"predict, from what is left: {share:.0%}"))
    return matrix.at(ratings.users[hidden], ratings.items[hidden])


def best_items(ratings, matrix, chosen, top):
    """Yield the best items of each of some users, among those that the user has not rated.

    Best first by the prediction as it is written; of equal ones, the item with more ratings comes
    first, then the one that the file names first.

    Args:
        ratings: the Ratings
        matrix: their Full or Sparse, fitted
        chosen: numbers of users
        top: the number of items of a list

    Yields:
        the user's name
        a list of (item's name, prediction, mean of its ratings, their number), all as text
    """
    n, d = shape_of(ratings)
    digits = decimals(ratings.values) + 1  # one more than errors have: fewer are equal
    item_ratings = np.bincount(ratings.items)
    item_means = np.bincount(ratings.items, ratings.values) / item_ratings
    starts = np.searchsorted(ratings.users, np.arange(n + 1))  # where a user's ratings start
    by_popularity = np.argsort(-item_ratings, kind="stable")
    step = max(1, PREDICTIONS // d)
    for first in range(0, len(chosen), step):
        progress(f"{first} of {len(chosen)} lists made")
        block = chosen[first : first + step]
        predictions = matrix.of_users(block).round(digits) + 0.0  # a -0. becomes 0.
        for u, x_hat in zip(block, predictions):
            x_hat[ratings.items[starts[u] : starts[u + 1]]] = -math.inf
            x_hat = x_hat[by_popularity]
            places = np.argsort(-x_hat, kind="stable")[:top]
            places = places[x_hat[places] > -math.inf]
            best = []
            for l, prediction in zip(by_popularity[places], x_hat[places]):
                best.append(
                    (
                        ratings.item_names[l],
                        f"{prediction:.{digits}f}",
                        f"{item_means[l]:.{digits}f}",
                        str(item_ratings[l]),
                    )
                )
            yield ratings.user_names[u], best


def show_lists(lists):
    """Print a table for each user."""
    for user, best in lists:
        rows = [tidy(row) for row in best]
        width = max(4, *(len(item) for item, *_ in rows))
        show(f"\nBest items for {in_one_line(user)}")
        show(f"{'item':{width}}  prediction  item_mean  item_ratings")
        for item, prediction, mean, number in rows:
            show(f"{item:{width}}  {prediction:>10}  {mean:>9}  {number:>12}")


def write_lists(lists, path):
    """Write a line for each item of each list."""
    target = Path(os.path.realpath(path))
    # Beside its place first: a run that ends early leaves an older file as it was.
    part = target.with_name(f".recommend-{os.getpid()}.part")
    try:
        # Names may hold bytes that are not UTF-8, which are written as they were read.
        with open(part, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["user", "item", "prediction", "item_mean", "item_ratings"])
            for user, best in lists:
                writer.writerows([user, *row] for row in best)
        os.replace(part, target)
    except OSError as problem:
        raise ValueError(f"--out: cannot write {path}: {problem.strerror}") from None
    finally:  # after Ctrl-C, too
        part.unlink(missing_ok=True)


def show(line):
    """Print a line at once, also through a pipe, in place of the progress line."""
    progress("")
    print(line, flush=True)


if __name__ == "__main__":
    with contextlib.suppress(AttributeError):  # there may be no standard output
        sys.stdout.reconfigure(errors="replace")  # for names that a terminal cannot show
    try:
        main()
    except KeyboardInterrupt:
        progress("")
        print("recommend: interrupted", file=sys.stderr)
        os._exit(130)
    except BrokenPipeError:  # the output's reader has left, as `| head` does
        os._exit(141)
    except MemoryError:
        stop("not enough memory")
