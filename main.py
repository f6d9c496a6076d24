"""The course project from top to bottom: K-means and EM on toy data, then EM on movie ratings.

python main.py                    the four steps, on the data files beside this file
python main.py --data DIR         the same on the course's own files, or on matrices of yours
python main.py --ratings FILE     steps 3 and 4 on lines of user, item, rating

kmeans.py, naive_em.py, em.py and common.py may each be a student's. So only what the course asks
for is needed of them; predict and common.plot's parameter ax are used where there are any, and
what a function returns may be lists.
"""

import argparse
import contextlib
import csv
import inspect
import io
import itertools
import math
import os
import re
import stat
import sys
import tempfile
from functools import partial
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import NamedTuple

# The fits run side by side, each with one BLAS thread. BLAS reads this when NumPy is imported.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["MKL_NUM_THREADS"] = "1"
os.environ["VECLIB_MAXIMUM_THREADS"] = "1"
os.environ["MPLBACKEND"] = "Agg"  # pictures go to files


def stop(message):
    """End the program with one line on standard error and exit status 2."""
    print(f"main.py: {message}", file=sys.stderr)
    sys.exit(2)


if sys.version_info < (3, 10):  # noqa: UP036
    stop(f"expected Python 3.10 or later, got {sys.version.split()[0]}")
try:
    import matplotlib.pyplot as plt
    import numpy as np
    from matplotlib.animation import PillowWriter
    from matplotlib.ticker import FuncFormatter, MaxNLocator
except ModuleNotFoundError as error:
    if error.name not in ("numpy", "matplotlib"):
        raise
    stop(f"{error}; this installs it: {sys.executable} -m pip install {error.name}")

import common
import em
import kmeans
import naive_em
from recommend.predict import predict

HERE = Path(__file__).resolve().parent
SEEDS = [0, 1, 2, 3, 4]  # the seeds of the fits
TOY_K = [1, 2, 3, 4]  # the numbers of components to try
NETFLIX_K = [1, 2, 3, 4, 8, 12]  # the numbers of user types to try
BIC_IN_WORDS = "BIC: log-likelihood - (number of parameters / 2) log n; larger is better"
LARGEST_RATING = 1e6  # em's steps are exact enough up to here
MIN_VARIANCE = 0.25  # em.mstep's, in squared units of the ratings

BLUE = "#0072B2"  # from Okabe and Ito's palette, which colour-blind readers can tell apart
ORANGE = "#E69F00"
PURPLE = "#CC79A7"
GREY = "0.6"  # for comparison: the other seeds, averages, a perfect prediction
# Numbers on an axis: -1 400 000, 0.25
READABLE = FuncFormatter(lambda x, position: f"{x:,.10g}".replace(",", " "))


def main():
    """Run the four steps, which print tables and save pictures."""
    options = parse_options()
    try:
        check_fill(options)
        if options.ratings is None:
            data = read_data(options.data)
        else:
            data = read_ratings(options.ratings)
        toy_Ks = usable("--toy-k", options.toy_k, TOY_K, data.toy)
        Ks = usable("--netflix-k", options.netflix_k, NETFLIX_K, data.X)
        make_folder(options.plots)
    except ValueError as error:
        stop(error)

    for line in [*data.report, *remarks(data)]:
        show(line)
    tenths = hidden_tenths(data.X)  # for step 4; predict runs once for each
    with ThreadPool(workers(data.X, len(tenths))) as pool:
        try:
            if data.toy is not None:
                kmeans_fits = step_kmeans(pool, data.toy, toy_Ks, options.seeds)
                step_naive_em(pool, data.toy, toy_Ks, options.seeds, kmeans_fits, options.plots)
            step_em(pool, data, Ks, options.seeds, options.plots)
            step_prediction(pool, data, tenths, Ks, options.seeds, options.plots)
        except Exception:
            # A module has failed: its traceback comes last, after the fits that still run.
            pool.terminate()
            pool.join()
            raise
    if options.fill is not None:
        write_predictions(data, options.fill, options.top)


# The four steps


def step_kmeans(pool, toy, Ks, seeds):
    """Step 1: K-means on the toy data. Returns {K: the Fit of the lowest cost}."""
    show(f"1. K-means on toy_data.txt: {len(toy)} points, number of seeds: {len(seeds)}")
    show("Cost: sum of the squared distances of the points to their cluster's mean")
    show("  K              cost  seed")
    best = {}
    for K, fits in sweep(pool, "K-means", kmeans, toy, Ks, seeds):
        best[K] = min(fits, key=rounded_score)
        show(f"{K:3} {best[K].score:17.4f} {best[K].seed:5}")
    return best


def step_naive_em(pool, toy, Ks, seeds, kmeans_fits, plots):
    """Step 2: naive EM on the toy data, whose pictures also show the fits of step 1."""
    show(f"\n2. Naive EM on toy_data.txt: {len(toy)} points, number of seeds: {len(seeds)}")
    show(BIC_IN_WORDS)
    show("  K    log-likelihood               BIC  seed")
    table = {}  # {K: the Fits of all seeds}
    best = {}  # {K: the Fit of the best log-likelihood}
    for K, fits in sweep(pool, "Naive EM", naive_em, toy, Ks, seeds):
        table[K] = fits
        best[K] = max(fits, key=rounded_score)
        show(f"{K:3} {best[K].score:17.4f} {best[K].bic:17.4f} {best[K].seed:5}")
    picked = max(best, key=lambda K: best[K].bic)
    show(f"BIC picks K = {picked}.")
    if not all_finite(table):
        return
    if plot_takes_ax():
        save(draw_toy(toy, kmeans_fits, best), plots / "toy_kmeans_vs_em.png")
        save_animation(toy, picked, best[picked].seed, plots / "toy_em.gif")
    selection = draw_selection("Naive EM on the toy data", table, best, picked)
    save(selection, plots / "toy_selection.png")


def step_em(pool, data, Ks, seeds, plots):
    """Step 3: EM on the ratings."""
    X = data.X
    n, d = X.shape
    given = X[X != 0]
    show(f"\n3. EM on {data.name}, number of seeds: {len(seeds)}")
    show(
        f"{n} users x {d} {data.noun}s, {given.size} ratings ({100 * given.size / X.size:.1f} %) "
        f"from {given.min():.10g} to {given.max():.10g}"
    )
    if data.toy is None:
        show(BIC_IN_WORDS)
    rmse_column = ""
    if data.Y is not None:
        show("RMSE: em.fill_matrix over every entry of netflix_complete.txt, given ones included")
        rmse_column = "      RMSE"
    show("  K    log-likelihood               BIC  seed" + rmse_column)
    table = {}
    best = {}
    rmse = {}
    for K, fits in sweep(pool, "EM", em, X, Ks, seeds):
        table[K] = fits
        best[K] = max(fits, key=rounded_score)
        row = f"{K:3} {best[K].score:17.4f} {best[K].bic:17.4f} {best[K].seed:5}"
        if data.Y is not None:
            X_pred = em.fill_matrix(X.copy(), best[K].mixture)
            rmse[K] = common.rmse(np.asarray(X_pred), data.Y)
            row += f" {rmse[K]:9.4f}"
        show(row)
    picked = max(best, key=lambda K: best[K].bic)
    show(f"BIC picks K = {picked}.")
    if not all_finite(table):
        return
    selection = draw_selection(f"EM on {data.name}", table, best, picked, rmse)
    save(selection, plots / "netflix_selection.png")
    several = [K for K in Ks if K > 1]
    if not several:
        show("The convergence and the user types need a K above 1: they are left out.")
        return
    # One type says nothing about users: where the BIC picks it, show the best K above 1.
    K = max(several, key=lambda K: best[K].bic)
    title = f"K = {K}"
    if picked == 1:
        title += "; the BIC prefers one type"
    traces = dict(zip(seeds, pool.map(partial(trace, em, X, K), seeds)))
    save(draw_convergence(traces, best[K], title), plots / "netflix_convergence.png")
    save(draw_user_types(data, best[K], title), plots / "netflix_user_types.png")


def step_prediction(pool, data, tenths, Ks, seeds, plots):
    """Step 4: step 3 on what is left when ratings are hidden, beside averages and predict.

    tenths are flat indices of ratings to hide, as hidden_tenths gives them. Every error is that of
    predictions of the hidden ratings from the others.
    """
    X = data.X
    count = np.count_nonzero(X)
    if not tenths:
        show(f"\n4. Prediction: {count} ratings are too few to hide a tenth; no error is known.")
        return
    truth = X.take(np.concatenate(tenths))
    a_tenth_at_a_time = ", a tenth at a time" if len(tenths) > 1 else ""
    in_unit = f", in {data.unit}" if data.unit else ""
    show(f"\n4. Prediction: {len(truth)} of the {count} given ratings are hidden, and predicted")
    show(f"from the others{a_tenth_at_a_time}. RMSE: over these hidden ratings alone{in_unit}")
    digits = decimals(X)
    # predict takes longer than a fit: it starts first, and the fits run beside it.
    predicts = [pool.apply_async(predict_hidden, (X, tenth)) for tenth in tenths]

    errors = {}  # {name: RMSE} of all but em.fill_matrix
    ways = {
        "mean of all ratings": mean_rating,
        f"averages of users and {data.noun}s": averages,
    }
    for name, way in ways.items():
        guess = np.concatenate([way(X, tenth) for tenth in tenths])
        errors[name] = common.rmse(guess, truth)
        show(error_row(name, errors[name], digits))
    to_beat = min(errors.values())
    fill_errors = {}  # {K: their RMSE}
    for K, guess in fill_hidden(pool, X, tenths, Ks, seeds):
        fill_errors[K] = common.rmse(guess, truth)
        show(error_row(f"em.fill_matrix, K = {K:2}", fill_errors[K], digits))
    progress("predict")
    name = "predict"
    guess = np.concatenate([result.get() for result in predicts])
    errors[name] = common.rmse(guess, truth)
    show(error_row(name, errors[name], digits))
    show_expectation(data, guess, truth, to_beat)
    figure = draw_predictions(fill_errors, errors, name, guess, truth, data.unit)
    save(figure, plots / "netflix_predictions.png")


def show_expectation(data, guess, truth, to_beat):
    """Print predict's error with its standard error, and whether it beats the averages."""
    squares = (guess - truth) ** 2
    error = math.sqrt(squares.mean())
    # The standard error of the mean square, carried over to its root
    uncertainty = squares.std() / math.sqrt(len(squares)) / (2 * max(error, 1e-100))
    digits = decimals(data.X)
    expected = f"{error:.{digits}f} +- {uncertainty:.{digits}f} {data.unit}".rstrip()
    show(f"predict expects {expected} on ratings given like the others;")
    show(f"more for users or {data.noun}s with few ratings.")
    if not error + uncertainty < to_beat:
        show("Not better than averages: predict gains no more than the +- here.")


def error_row(name, error, digits):
    """A row of step 4's table."""
    return f"{name:28}{error:10.{digits}f}"


# Files in: options, matrices, lines of ratings. What is wrong with them is a ValueError.


class Data(NamedTuple):
    """Ratings, what is known about them, and maybe the toy data."""

    name: str  # of the file of the ratings
    X: np.ndarray  # (n, d) ratings, 0 where missing
    items: list  # the names of the columns
    noun: str  # what a column is: "movie" or "item"
    unit: str  # of the ratings: "stars", or "" if it is not known
    report: list  # lines that say how the file was understood
    users: list | None = None  # the names of the rows; None in the course's matrices
    Y: np.ndarray | None = None  # (n, d): X completed, if it is known
    toy: np.ndarray | None = None  # (m, 2) points, if there are any


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that says in one line what is wrong."""

    def error(self, message):
        stop(message.removeprefix("argument "))


def parse_options():
    """The command line's options."""
    parser = Parser(
        description="K-means and EM on toy data, then EM on movie ratings: tables and pictures.",
        allow_abbrev=False,
    )
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--data",
        type=Path,
        default=HERE,
        metavar="DIR",
        help="folder of the course's files (or your matrices)",
    )
    source.add_argument("--ratings", type=Path, metavar="FILE", help="lines of user, item, rating")
    parser.add_argument(
        "--fill",
        type=Path,
        metavar="FILE",
        help="predict the missing ratings by predict and write them: with --ratings as CSV "
        "lines, each user's best items first, otherwise as the completed matrix",
    )
    parser.add_argument(
        "--top",
        type=whole_number(1, math.inf),
        metavar="N",
        help="with --ratings and --fill: write only each user's N best items",
    )
    parser.add_argument(
        "--plots", type=Path, metavar="DIR", help="folder for the pictures (plots beside the data)"
    )
    parser.add_argument(
        "--seeds",
        type=whole_number(0, 2**32 - 1),
        nargs="+",
        default=SEEDS,
        metavar="N",
        help="seeds of the fits (0 to 4); predict has its own",
    )
    for name, what, default in [
        ("--toy-k", "components", TOY_K),
        ("--netflix-k", "user types", NETFLIX_K),
    ]:
        parser.add_argument(
            name,
            type=whole_number(1, math.inf),
            nargs="+",
            metavar="K",
            help=f"numbers of {what} to try {default}",
        )
    options = parser.parse_args()
    if options.ratings is not None and options.toy_k is not None:
        parser.error("--toy-k: expected without --ratings, which has no toy data")
    if options.top is not None and (options.ratings is None or options.fill is None):
        parser.error("--top: expected with --ratings and --fill, whose file it shortens")
    options.seeds = sorted(set(options.seeds))
    if options.plots is None:
        folder = options.data if options.ratings is None else options.ratings.parent
        options.plots = folder / "plots"
    return options


def whole_number(least, most):
    """An argparse type: whole numbers from least to most."""
    limits = f"from {least} to {most}" if most < math.inf else f"of at least {least}"

    def parse(word):
        try:
            value = int(word)
        except ValueError:
            value = None
        if value is None or not least <= value <= most:
            apart = ", separated by spaces" if "," in word else ""
            raise argparse.ArgumentTypeError(
                f"expected whole numbers {limits}{apart}, got {word!r}"
            )
        return value

    return parse


def usable(option, typed, default, X):
    """The K to try on the rows of X: those typed, or those of the default that are possible."""
    if X is None:
        return []
    n = len(X)
    for K in typed or []:
        if K > n:
            raise ValueError(f"{option}: expected 1 to {n}, the number of rows, got {K}")
    return sorted(set(typed or [K for K in default if K <= n]))


def check_fill(options):
    """Refuse a --fill that could not be written in the end."""
    if options.fill is None:
        return
    inputs = [options.ratings]
    if options.ratings is None:
        names = ("toy_data.txt", "netflix_incomplete.txt", "netflix_complete.txt")
        inputs = [options.data / name for name in names]
    target = os.path.realpath(options.fill)
    if target in [os.path.realpath(path) for path in inputs]:
        raise ValueError(f"--fill: expected a file of its own, got the input {options.fill}")
    try:
        with tempfile.TemporaryFile(dir=os.path.dirname(target)):
            pass
        if not stat.S_ISREG(os.stat(target).st_mode):
            raise ValueError(f"--fill: expected a file to write, got {options.fill}, which is none")
    except FileNotFoundError:  # a new file is fine, in a folder that is there
        if not os.path.isdir(os.path.dirname(target)):
            raise ValueError(f"--fill: expected a file in a folder, got {options.fill}") from None
    except OSError as error:
        raise ValueError(f"--fill: cannot write {options.fill}: {error.strerror}") from None


def make_folder(folder):
    """Make the folder of --plots, if it can be made and written into."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ValueError(f"--plots: cannot write into {folder}: {error.strerror}") from None


def remarks(data):
    """Lines about what is left out, and about ratings that the steps say little about."""
    lines = []
    if data.users is not None:
        lines.append("Steps 1 and 2, K-means and naive EM, are for the toy data.")
    elif data.toy is None:
        lines.append("There is no toy_data.txt: steps 1 and 2, K-means and naive EM, are left out.")
    if data.users is None and data.Y is None:
        lines.append("There is no netflix_complete.txt: the course's RMSE is not known.")
    if data.Y is not None and not data.Y.all():
        unknown = np.count_nonzero(data.Y == 0)
        lines.append(
            f"{unknown} entries of netflix_complete.txt are 0, as the course's RMSE takes them."
        )
    given = data.X[data.X != 0]
    if given.min() == given.max():
        lines.append("All ratings are equal: there is nothing to learn from them.")
    elif given.var() < MIN_VARIANCE:
        lines.append(
            f"The ratings' variance is {given.var():.2g}, below {MIN_VARIANCE}, the least of a "
            "type: step 3 needs larger ratings (multiply them), predict does not."
        )
    if given.size == data.X.size:
        lines.append("No rating is missing: there is nothing to predict.")
    lacks = []
    if not plot_takes_ax():
        lacks.append("common.plot's parameter ax (toy_kmeans_vs_em.png, toy_em.gif)")
    if lacks:
        lines.append(f"Left out, because your modules have no: {', '.join(lacks)}.")
    return lines


def plot_takes_ax():
    """Whether common.plot draws on given axes, which the course's does not."""
    return "ax" in inspect.signature(common.plot).parameters


def read_text(path):
    """The text of a file."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ValueError(
            f"{path}, line {line}: expected text in UTF-8, got other bytes: save the file as UTF-8"
        ) from None


def to_number(word):
    """The number that a word stands for; infinity, which no file may hold, if it is none."""
    if "_" in word:  # Python reads 1_0 as 10
        return math.inf
    try:
        return float(word)
    except ValueError:
        return math.inf


# Matrices


def read_data(folder):
    """The Data of a folder of the course's files, or of matrices with their names."""
    toy_path = folder / "toy_data.txt"
    path = folder / "netflix_incomplete.txt"
    complete_path = folder / "netflix_complete.txt"
    toy = None
    if os.path.exists(toy_path):
        toy = read_matrix(toy_path)
        if toy.shape[1] != 2:
            raise ValueError(f"{toy_path}: expected 2 numbers a line, got {toy.shape[1]}")
    X = read_matrix(path, ratings=True)
    if X.shape[1] in (3, 4) and X.all() and len(X) > X.shape[1]:
        raise ValueError(
            f"{path}: expected a user a line and a movie a column, 0 where a rating is missing; "
            "for lines of user, item, rating use --ratings"
        )
    Y = None
    if os.path.exists(complete_path):
        Y = read_matrix(complete_path, ratings=True)
        if Y.shape != X.shape or (Y != X)[X != 0].any():
            raise ValueError(f"{complete_path}: expected the ratings of {path.name}, completed")
    movies = [f"movie {l + 1}" for l in range(X.shape[1])]
    return Data(path.name, X, movies, "movie", "stars", [], Y=Y, toy=toy)


def read_matrix(path, ratings=False):
    """Read a matrix: numbers separated by spaces, a row a line; '#' starts a comment.

    Args:
        path: the file
        ratings: whether the numbers have to be ratings: from 0 (or nan, both: missing) to
            LARGEST_RATING, and not all of them missing

    Returns:
        (n, d) float array, 0 where a rating is missing; n and d are at least 2

    Raises:
        ValueError: the file cannot be read or holds anything else; the message is one line that
            names the file and the place, what was expected and what it holds
    """
    rows = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        words = line.split("#")[0].split()
        if not words:
            continue
        row = np.array([to_number(word) for word in words])
        if ratings:
            row[np.isnan(row)] = 0
            allowed = (row >= 0) & (row <= LARGEST_RATING)
        else:
            allowed = np.abs(row) < 1e100
        if not allowed.all():
            column = allowed.argmin()
            expected = "a finite number"
            if ratings:
                expected = (
                    f"a rating up to {LARGEST_RATING:.0f}, or 0 or nan for a missing one, all "
                    "separated by spaces (for lines of user, item, rating use --ratings)"
                )
            raise ValueError(
                f"{path}, line {number}, column {column + 1}: expected {expected}, got "
                f"{words[column][:40]!r}"
            )
        if rows and len(row) != len(rows[0]):
            raise ValueError(
                f"{path}, line {number}: expected {len(rows[0])} numbers as above, got {len(row)}"
            )
        rows.append(row)
    if not rows:
        raise ValueError(f"{path}: expected numbers separated by spaces, got none")
    X = np.array(rows)
    if min(X.shape) < 2:
        raise ValueError(f"{path}: expected at least 2 rows and 2 columns, got shape {X.shape}")
    if ratings and not X.any():
        raise ValueError(f"{path}: expected at least one rating, got only zeros (missing)")
    return X


# Lines of ratings

SEPARATORS = {"\t": "tabs", "::": "'::'", ";": "';'", ",": "','", " ": "spaces"}
MISSING = {"", "nan", "na", "n/a", "null", "none"}  # what stands for a missing rating, in any case

# The words by which a column's name says what it holds: "userId", "user-id" and "userid" have two,
# user and id.
WORDS = {
    "user": "user username reviewer person customer cust critic reader".split(),
    "item": "item movie film book isbn title product asin anime song artist joke business game "
    "place recipe".split(),
    "rating": "rating ratings score star stars overall".split(),
}
ITEM_IDS = ["isbn", "asin"]  # a name with one of these is an item's id, whatever else it says
USELESS_WORDS = "unnamed time timestamp datetime date year".split()  # no column of ours has them
USELESS_NAMES = [[], ["index"]]  # none or one word, which says nothing
# A review_id and a rating_count are about ratings, and hold none.
ABOUT_RATINGS = [*WORDS["rating"], "review"]
NO_RATING_WORDS = "id count number num average avg mean".split()


def read_ratings(path):
    """The Data of a file of ratings: a line each, with a user, an item, a rating, maybe more.

    The fields are separated by the first of the SEPARATORS that splits the first line into three
    or more. A header says which columns they are; without one they are the first three. Ids are
    text. A missing rating is left out; of a pair that stands twice the last rating counts.
    """
    text = read_text(path)
    lead = re.match(r"(([#%][^\r\n]*|[ \t]*)[\r\n]+)*", text)[0]  # comments and empty lines
    comments = [line for line in lead.splitlines() if line.strip()]
    text = text[len(lead) :]
    separator = find_separator(path, text)
    start_reading = partial(records, path, text, separator, len(lead.splitlines()))
    refuse_a_matrix(path, *split_header(start_reading(), comments, separator))
    names, rows = split_header(start_reading(), comments, separator)
    columns = {"user": 0, "item": 1, "rating": 2}
    if names is not None:
        columns = find_columns(path, names)

    users = {}  # {id: its row}
    items = {}  # {id: its column}
    row_of = []
    column_of = []
    values = []
    n_missing = 0
    for user, item, value in ratings(path, rows, columns, names):
        if value is None:
            n_missing += 1
            continue
        row_of.append(users.setdefault(user, len(users)))
        column_of.append(items.setdefault(item, len(items)))
        values.append(value)
        if len(values) % 100_000 == 0:
            progress(f"{path.name}: {len(values)} ratings read")
    progress("")
    n = len(users)
    d = len(items)
    if not values:
        raise ValueError(f"{path}: expected at least one rating, got none")
    if n < 2 or d < 2:
        raise ValueError(f"{path}: expected at least 2 users and 2 items, got {n} and {d}")
    needed = memory_of(n, d, 1, 1)
    if needed > memory():
        raise ValueError(
            f"{path}: expected users x items to fit into memory, got {n} x {d}, which take "
            f"{needed / 1e9:.1f} GB of {memory() / 1e9:.1f} GB: leave out users and items with few "
            "ratings"
        )
    X = np.zeros((n, d))
    X[row_of, column_of] = values  # of a pair that stands twice the last one stays
    _, times = np.unique(np.array(row_of) * d + column_of, return_counts=True)
    n_repeated = np.count_nonzero(times > 1)

    report = [f"{path.name}: {len(values) + n_missing} lines, separated by {SEPARATORS[separator]}"]
    if names is not None:
        found = [f"{kind} = {names[column]}" for kind, column in columns.items()]
        report.append(f"Header: {', '.join(found)}")
    first = f"user {next(iter(users))}, item {next(iter(items))}, rating {values[0]:.10g}"
    report.append(f"First rating: {first}")
    if comments:
        report.append(f"Lines at the start that begin with # or %: {len(comments)}")
    if n_missing:
        report.append(f"Lines whose rating is missing: {n_missing}, left out")
    if n_repeated:
        report.append(
            f"Pairs that stand more than once: {n_repeated}; the last rating of a pair counts"
        )
    return Data(path.name, X, list(items), "item", "", report, users=list(users))


def find_separator(path, text):
    """The separator of the fields of the first line."""
    line = text.split("\n")[0].rstrip("\r")
    for separator in SEPARATORS:
        # A wrong separator may split the line within quotation marks.
        with contextlib.suppress(ValueError):
            for _, fields in records(path, line, separator, 0):
                if len(fields) >= 3:
                    return separator
    raise ValueError(
        f"{path}: expected lines of user, item, rating, separated by tabs, '::', ';', ',' or "
        f"spaces, got {line[:60]!r}"
    )


def records(path, text, separator, n_lead):
    """Yield the number and the fields of every line of a text; n_lead lines stand before it."""
    if separator == "::":  # the csv module takes single characters only
        separator = "\x1f"
        text = text.replace("::", separator)
    # With newline="" the csv module sees the line ends, which may stand within quotes: not between
    # tabs, say, where nobody quotes, and a quotation mark would swallow lines up to the next one.
    lines = io.StringIO(text, newline="")
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=True)
    number = n_lead + 1
    try:
        for fields in reader:
            if n_lead + reader.line_num > number and separator not in (",", ";"):
                raise csv.Error
            if any(fields):
                yield number, fields
            number = n_lead + reader.line_num + 1
    except csv.Error:
        raise ValueError(
            f"{path}, line {number}: expected lines of user, item, rating, got JSON or a quotation "
            "mark that ends within a field or not at all"
        ) from None


def split_header(rows, comments, separator):
    """The names of the columns, or None where nothing tells them, and the rows without them."""
    line, first = next(rows)
    if is_header(first):
        return [name.strip() for name in first], rows
    names = None
    if comments:  # the last one may be a header
        last = [name.strip() for name in comments[-1].lstrip("#%").split(separator)]
        if set(WORDS) <= {kind_of(name) for name in last}:
            names = last
    return names, itertools.chain([(line, first)], rows)


def is_header(first):
    """Whether the fields of the first line are names of columns, and no rating."""
    third = first[2].strip()
    if third.lower() in MISSING:
        return any(plainly(name, "user") or plainly(name, "rating") for name in first)
    if re.match(r"[-+.,\d]", third):
        # A number is no name, unless of an item in the header of a matrix: userId,1,2,3
        return plainly(first[0], "user")
    return True


def words_of(name):
    """The words of a column's name, split at capitals, digits and all else, in lower case."""
    words = []
    for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W_]+", name):
        word = word.lower()
        stem = word.removesuffix("id")
        if stem != word and any(stem in known for known in WORDS.values()):
            words += [stem, "id"]
        else:
            words.append(word)
    return words


def kind_of(name):
    """What a column holds, by its name: a "rating", "user" or "item", "nothing" of use, or None."""
    words = words_of(name)
    if words in USELESS_NAMES or any(word in USELESS_WORDS for word in words):
        return "nothing"
    if any(word in ABOUT_RATINGS for word in words):
        if any(word in NO_RATING_WORDS for word in words):
            return "nothing"
    for kind in ("rating", "user", "item"):
        if any(word in WORDS[kind] for word in words):
            return kind
    return None


def plainly(name, kind):
    """Whether a column's name says of what kind it is, that it is an id, and nothing else."""
    words = words_of(name)
    if kind == "item" and any(word in ITEM_IDS for word in words):
        return True
    return bool(words) and all(word in WORDS[kind] or word == "id" for word in words)


def is_id(name):
    """Whether a column's name ends in id, or has a word for an item's id."""
    words = words_of(name)
    return words[-1] == "id" or any(word in ITEM_IDS for word in words)


def find_columns(path, names):
    """{"user": its column, "item": its column, "rating": its column}, by the names of a header.

    What the names leave open goes by place, where there is no doubt: in three columns, or in four
    of which no name says anything. With a user and a rating, the item may have any name.
    """
    expected = (
        f"{path}: expected a header that names a user, an item and a rating (rename the columns to "
        f"user,item,rating), got {','.join(names)[:80]!r}"
    )
    kinds = [kind_of(name) for name in names]
    found = {}
    for kind in WORDS:
        columns = [c for c in range(len(names)) if kinds[c] == kind]
        # Of several, those whose names say nothing else; of several of these, the ids.
        columns = [c for c in columns if plainly(names[c], kind)] or columns
        columns = [c for c in columns if is_id(names[c])] or columns
        if len(columns) == 1 or (columns and kind == "item"):  # of several items the first will do
            found[kind] = columns[0]
        elif columns:
            several = ", ".join(names[c] for c in columns)
            raise ValueError(f"{expected}, several for the {kind}: {several}")

    left = [c for c in range(len(names)) if c not in found.values() and kinds[c] != "nothing"]
    missing = [kind for kind in WORDS if kind not in found]
    three = len(names) == 3 and len(left) == len(missing)
    four = len(names) == 4 and len(left) >= 3 and not found
    if three or four:
        found |= zip(missing, left)
    elif missing == ["item"]:
        unknown = [c for c in left if kinds[c] is None]
        if len(unknown) > 1:
            unknown = [c for c in unknown if is_id(names[c])]
        if len(unknown) == 1:
            found["item"] = unknown[0]
    for kind in WORDS:
        if kind not in found:
            raise ValueError(f"{expected}, no {kind} (looked for {', '.join(WORDS[kind])})")
    return {kind: found[kind] for kind in WORDS}


def refuse_a_matrix(path, names, rows):
    """Refuse a file whose lines are a user and that user's ratings of all items.

    A file is taken for one if every line has a user of its own, all other fields are numbers or
    empty, and no name says rating; from ten lines on, or at once where a header begins with a user
    and has nothing about ratings (as Star Trek has).
    """
    least = 10
    if names is not None:
        if any(plainly(name, "rating") for name in names):
            return
        if kind_of(names[0]) == "user" and "rating" not in map(kind_of, names):
            least = 1
    users = set()
    for _, fields in rows:
        numbers = [to_number(field) for field in fields[1:] if field.strip()]
        if len(fields) < 4 or fields[0] in users or math.inf in numbers:
            return
        users.add(fields[0])
    if len(users) >= least:
        raise ValueError(
            f"{path}: expected lines of user, item, rating, got a matrix, or numbered lines, as no "
            "user has two: pandas' df.melt(df.columns[0], var_name='item', value_name='rating')"
            ".dropna() makes lines of a matrix; --data takes its numbers alone, separated by "
            "spaces, 0 for a missing one; numbered lines need a header, index,user,item,rating"
        )


def ratings(path, rows, columns, names):
    """Yield the user, the item and the rating of each line; None for a missing rating."""
    user_column, item_column, rating_column = columns.values()
    last = max(columns.values())
    for line, fields in rows:
        if len(fields) <= last:
            raise ValueError(
                f"{path}, line {line}: expected a user, an item and a rating, got "
                f"{' '.join(fields)[:60]!r}"
            )
        if names is not None and any(fields[len(names) :]):
            raise ValueError(
                f"{path}, line {line}: expected {len(names)} fields as in the header, got "
                f"{len(fields)}: name the lines' numbers, too (index), and quote a separator"
            )
        user = fields[user_column].strip()
        item = fields[item_column].strip()
        word = fields[rating_column].strip()
        if not user or not item:
            raise ValueError(
                f"{path}, line {line}: expected a user, an item and a rating, got user {user!r}, "
                f"item {item!r}, rating {word[:40]!r}"
            )
        value = to_number(word)
        if 0 < value <= LARGEST_RATING:
            yield user, item, value
        elif word.lower() in MISSING:
            yield user, item, None
        else:
            most = f"{LARGEST_RATING:.0f}"
            column = f"column {rating_column + 1}"
            if names is not None:
                column = f"the column {names[rating_column]}"
            hint = rating_hint(word, column)
            if names is None and len(fields) > 5:
                hint = "is it a matrix? --data takes one, as netflix_incomplete.txt in a folder"
            raise ValueError(
                f"{path}, line {line}: expected a rating above 0 and up to {most}, got "
                f"{word[:40]!r}: {hint}"
            )


def rating_hint(word, column):
    """What to do about a word that is no rating."""
    if to_number(word) <= 0:
        return (
            f"leave the line out if it means missing, else add {1 - to_number(word):g} to all "
            "ratings, and take it off the predictions again"
        )
    if re.fullmatch(r"\d+,\d+", word):
        return f"write {word.replace(',', '.')}"
    return f"is the rating in {column}?"


# The fits, side by side on all cores


class Fit(NamedTuple):
    """One mixture, fitted from one seed."""

    seed: int
    mixture: common.GaussianMixture
    post: np.ndarray  # (n, K)
    score: float  # K-means' cost (smaller is better), or a log-likelihood in nats (larger is)
    bic: float | None  # in nats; K-means has none


def fit(model, X, K, seed, hidden):
    """The Fit of a model to a copy of X, which a student's functions may change.

    hidden are flat indices of ratings to hide from it, or None.
    """
    X = without(X, hidden)
    mixture, post, score = model.run(X, *common.init(X, K, seed))
    score = one_number(score)
    bic = None
    if model is not kmeans:
        bic = common.bic(X, mixture, score)
    arrays = [np.asarray(part) for part in mixture]  # a student's may be lists or matrices
    return Fit(seed, common.GaussianMixture(*arrays), np.asarray(post), score, bic)


def without(X, hidden):
    """A copy of X in which the ratings with these flat indices, if there are any, are missing."""
    X = X.copy()
    if hidden is not None:
        X.flat[hidden] = 0
    return X


def one_number(score):
    """A cost or a log-likelihood, which may be an array of one element."""
    return float(np.asarray(score).item())


def rounded_score(fit):
    """The score to 11 digits: rounding errors must not decide between seeds that end alike."""
    return float(f"{fit.score:.10e}")


def sweep(pool, name, model, X, Ks, seeds, hidden=None):
    """Yield every K and its Fits, one for each seed, in order, as soon as they are there.

    The fits are made on the threads of the pool: NumPy lets several work at a time in its products.
    """
    calls = [(model, X, K, seed, hidden) for K in Ks for seed in seeds]
    fits = pool.imap(lambda call: fit(*call), calls)
    left = len(calls)
    for K in Ks:
        of_K = []
        for _ in seeds:
            progress(f"{name}: {left} of {len(calls)} fits left")
            of_K.append(next(fits))
            left -= 1
        yield K, of_K


def iterations(model, X, K, seed):
    """Yield the mixture, posteriors and log-likelihood of each E-step, by the course's rules."""
    X = X.copy()
    mixture, _ = common.init(X, K, seed)
    old_ll = -math.inf
    while True:
        post, ll = model.estep(X, mixture)
        ll = one_number(ll)
        yield mixture, np.asarray(post), ll
        improved = ll - old_ll > 1e-6 * abs(ll)
        if not improved:
            return
        if model is em:
            mixture = em.mstep(X, post, mixture)
        else:
            mixture = model.mstep(X, post)
        old_ll = ll


def trace(model, X, K, seed):
    """The log-likelihoods of all iterations, in nats."""
    return [ll for _, _, ll in iterations(model, X, K, seed)]


def all_finite(table):
    """Whether all scores are finite; says so where one is not, and nothing can be drawn."""
    scores = [fit.score for fits in table.values() for fit in fits]
    finite = bool(np.isfinite(scores).all())
    if not finite:
        show("A log-likelihood is not a finite number (see test.py): its pictures are left out.")
    return finite


def hidden_tenths(X, split=0):
    """Flat indices of ratings to hide, an array for each tenth.

    There are as many tenths as it takes to hide 1000 ratings, at most all ten; none where X, which
    is (n, d) and 0 where a rating is missing, holds fewer than ten ratings. split is the seed of
    the draw: tools/benchmark.py tries several.
    """
    order = np.random.RandomState(split).permutation(np.flatnonzero(X))
    size = len(order) // 10
    if size == 0:
        return []
    number = min(10, math.ceil(1000 / size))
    return [order[i * size : (i + 1) * size] for i in range(number)]


def fill_hidden(pool, X, tenths, Ks, seeds):
    """Yield every K and em.fill_matrix's predictions of the hidden tenths, one after the other.

    Each tenth is hidden from fits of its own, of which the one with the best log-likelihood counts.
    """
    parts = {K: [] for K in Ks}
    for tenth in tenths:  # all fits without a tenth run side by side, so the last completes all K
        for K, fits in sweep(pool, "em.fill_matrix", em, X, Ks, seeds, tenth):
            best = max(fits, key=rounded_score)
            X_pred = em.fill_matrix(without(X, tenth), best.mixture)
            parts[K].append(np.asarray(X_pred).take(tenth))
            if tenth is tenths[-1]:
                yield K, np.concatenate(parts[K])


def predict_hidden(X, hidden):
    """predict's predictions of ratings that are hidden from it."""
    return predict(without(X, hidden)).take(hidden)


def mean_rating(X, hidden):
    """The mean of the ratings that are not hidden, for each that is."""
    left = without(X, hidden)
    return np.full(len(hidden), left.sum() / np.count_nonzero(left))


def averages(X, hidden):
    """Predictions of hidden ratings by how much users and items differ from the mean.

    b_l is the sum of the residuals of item l, over their number + 10; b_u that of what is left of
    user u's residuals, over their number + 15. The 10 and the 15 pull both to 0 where few ratings
    tell; they are the defaults of Surprise's BaselineOnly.
    """
    left = without(X, hidden)
    delta = left != 0
    mean = left.sum() / np.count_nonzero(delta)
    residuals = (left - mean) * delta
    b_item = residuals.sum(axis=0) / (delta.sum(axis=0) + 10)
    residuals -= b_item * delta
    b_user = residuals.sum(axis=1) / (delta.sum(axis=1) + 15)
    u, l = np.unravel_index(hidden, X.shape)
    return mean + b_item[l] + b_user[u]


def workers(X, n_predicts):
    """How many fits to make side by side: one per CPU, if the memory holds them.

    Among those that run at the same time n_predicts at most are predict's.
    """
    if hasattr(os, "sched_getaffinity"):
        number = len(os.sched_getaffinity(0))
    else:
        number = os.cpu_count() or 1
    n, d = X.shape
    while number > 1 and memory_of(n, d, number, min(n_predicts, number)) > memory():
        number -= 1
    return number


def memory_of(n, d, n_fits, n_predicts):
    """Bytes for an (n, d) matrix and so many fits at a time, of which some are predict's.

    A fit takes a copy of X and, as tools/benchmark.py measures it, up to 1.3 times X in em.run, or
    6.5 times X in predict. Besides, it holds arrays of n or d numbers for each type, 12 by
    default, or predict's 24 of 10 seeds; about eight of these arrays at a time.
    """
    fits = (n_fits - n_predicts) * (2.3 * n * d + 8 * 12 * (n + d))
    predicts = n_predicts * (7.5 * n * d + 8 * 240 * (n + d))
    return 8 * (n * d + fits + predicts)  # 8 bytes for a number


def memory():
    """The machine's memory in bytes; infinite where it cannot be told."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return math.inf


# Lines on the screen, and files out


def show(line):
    """Print a line at once, also through a pipe, in place of the progress line."""
    progress("")
    print(line, flush=True)


def progress(line):
    """Show a line on the terminal until the next one takes its place, if there is a terminal."""
    if sys.stderr.isatty():
        print(f"\r{line:<78}\r", end="", file=sys.stderr, flush=True)


def decimals(X):
    """The decimals of an error: 3 on 1 to 5 stars, fewer on a larger scale, more on a smaller."""
    spread = np.ptp(X[X != 0]) or X.max()
    return max(0, 3 - math.floor(math.log10(spread)))


def write_predictions(data, path, top):
    """Write the missing ratings as predict predicts them from all that are given.

    A matrix is written as it is, completed; of lines of ratings, see write_best_first.
    """
    progress("predict, from all ratings")
    digits = decimals(data.X) + 1
    X_pred = predict(data.X).round(digits)
    target = Path(os.path.realpath(path))
    # Beside its place first: a run that ends early leaves an older file as it was.
    part = target.with_name(f".main-{os.getpid()}.part")
    try:
        with open(part, "w", encoding="utf-8", newline="") as file:
            if data.users is None:
                completed = np.where(data.X == 0, X_pred, data.X)  # given ones are not rounded
                np.savetxt(file, completed, fmt="%.15g")
            else:
                write_best_first(csv.writer(file, lineterminator="\n"), data, X_pred, digits, top)
        os.replace(part, target)
    except BaseException:  # Ctrl-C among them
        part.unlink(missing_ok=True)
        raise
    show(f"Saved {shown(path)}: predictions of predict from all {data.name} holds")


def write_best_first(writer, data, X_pred, digits, top):
    """Write a line for each missing rating: each user's items from the best to the worst.

    Of equal predictions, that of the item with more ratings comes first. top is the number of lines
    of a user; None for all.
    """
    writer.writerow(["user", "item", "prediction"])
    popularity = np.count_nonzero(data.X, axis=0)
    for u, user in enumerate(data.users):
        progress(f"{u} of {len(data.users)} users written")
        order = np.lexsort((-popularity, -X_pred[u]))  # by the last key first
        order = order[data.X[u, order] == 0][:top]
        predictions = [f"{x:.{digits}f}" for x in X_pred[u, order].tolist()]
        names = [data.items[l] for l in order]
        writer.writerows(zip([user] * len(order), names, predictions))


def save(figure, path):
    """Save a picture, and say so."""
    figure.savefig(path)
    show(f"Saved {shown(path)}")


def shown(path):
    """A path as a reader would type it."""
    path = path.absolute()
    if path.is_relative_to(Path.cwd()):
        return path.relative_to(Path.cwd())
    return path


# Pictures: data in, a figure out


def from_left(mixture, post):
    """A mixture and its posteriors, with the components in the order of their means' x."""
    order = np.argsort(mixture.mu[:, 0])
    mu, var, p = mixture
    return common.GaussianMixture(mu[order], var[order], p[order]), post[:, order]


def draw_toy(toy, kmeans_fits, em_fits):
    """K-means above EM, a column per K, as common.plot draws them."""
    figure = plt.Figure(figsize=(max(3 * len(kmeans_fits), 9), 6.4), layout="constrained")
    axes = figure.subplots(2, len(kmeans_fits), squeeze=False)
    for column, K in enumerate(kmeans_fits):
        panels = [("K-means", "cost", kmeans_fits[K]), ("EM", "log-likelihood", em_fits[K])]
        for row, (model, score, fit) in enumerate(panels):
            mixture, post = from_left(fit.mixture, fit.post)
            title = f"{model}, K = {K}\n{score} {fit.score:.1f}"
            ax = axes[row, column]
            common.plot(toy, mixture, post, title, ax=ax)
            ax.set(xlabel="x1", ylabel="x2")
            ax.label_outer()
    figure.suptitle(
        "A point has its cluster's colour (K-means), or those of its components, mixed by its\n"
        "posteriors (EM). The radius of a circle is one standard deviation."
    )
    return figure


def save_animation(toy, K, seed, path):
    """EM from its start, as a GIF: a frame per iteration at first, fewer later, 16 at most."""
    steps = list(iterations(naive_em, toy, K, seed))
    frames = np.unique(np.geomspace(1, len(steps), 16).round().astype(int)) - 1
    margin = 0.4 * toy.std() or 1
    left, low = toy.min(axis=0) - margin
    right, high = toy.max(axis=0) + margin
    figure = plt.Figure(figsize=(6, 4.4))
    ax = figure.subplots()
    writer = PillowWriter(fps=2)
    with writer.saving(figure, path, dpi=80):
        for i in frames:
            mixture, post, ll = steps[i]
            arrays = [np.asarray(part) for part in mixture]
            mixture, post = from_left(common.GaussianMixture(*arrays), post)
            title = f"EM, K = {K}: iteration {i + 1}, log-likelihood {ll:.1f}"
            ax.clear()
            common.plot(toy, mixture, post, title, ax=ax)
            ax.set_aspect("equal", adjustable="box")
            ax.set(xlim=(left, right), ylim=(low, high), xlabel="x1", ylabel="x2")
            writer.grab_frame()
        for _ in range(3):  # the last picture stays for two seconds
            writer.grab_frame()
    show(f"Saved {shown(path)}")


def draw_selection(title, table, best, picked, rmse=None):
    """Scores over K: every seed a dot, the seed of the best log-likelihood on the line.

    table is {K: Fits of all seeds}, best {K: the best of them}, rmse {K: the course's RMSE} or
    nothing.
    """
    number = 3 if rmse else 2
    figure = plt.Figure(figsize=(4.4 * number, 4), layout="constrained")
    axes = figure.subplots(1, number)
    for ax, field, name in zip(axes, ["score", "bic"], ["Log-likelihood", "BIC"]):
        for K, fits in table.items():
            values = [getattr(fit, field) for fit in fits]
            dots = ax.plot([K] * len(fits), values, "o", color=GREY, markersize=4)
        values = [getattr(fit, field) for fit in best.values()]
        line = ax.plot(list(best), values, "o-", color=BLUE)
        ax.set(title=f"{name} (larger is better)", ylabel="nats")
        ax.yaxis.set_major_formatter(READABLE)
    if rmse:
        axes[2].plot(list(rmse), list(rmse.values()), "o-", color=BLUE)
        axes[2].set(title="The course's RMSE (smaller is better)", ylabel="stars")
    for ax in axes:
        mark = ax.axvline(picked, color="black", linestyle=":")
        ax.set(xlabel="K", xticks=list(table))
    figure.legend(
        [line[0], dots[0], mark],
        ["seed with the best log-likelihood", "other seeds", f"K = {picked}, picked by the BIC"],
        loc="outside lower center",
        ncols=3,
    )
    figure.suptitle(title, parse_math=False)  # a file's name may hold a $
    return figure


def draw_convergence(traces, best, title):
    """The log-likelihood in every iteration's E-step, a line per seed: all of it, and magnified.

    traces is {seed: its log-likelihoods}, best the Fit of the best of these seeds.
    """
    figure = plt.Figure(figsize=(10, 4.6), layout="constrained")
    whole, magnified = figure.subplots(1, 2)
    third = min(3, min(len(lls) for lls in traces.values()))
    handles = {}  # {label: a line of that kind}
    others = [seed for seed in traces if seed != best.seed]
    for seed in [*others, best.seed]:  # the best one on top
        lls = traces[seed]
        if seed == best.seed:
            label = f"seed {seed}, the best"
            style = {"color": BLUE, "marker": "o"}
        elif best.score - lls[-1] <= 1e-5 * abs(best.score):
            label = "seeds that end in the same optimum"
            style = {"color": GREY, "marker": "s"}
        else:
            label = "seeds that end in a worse optimum"
            style = {"color": ORANGE, "marker": "^"}
        numbers = range(1, len(lls) + 1)
        line = whole.plot(numbers, lls, markersize=4, **style)
        magnified.plot(numbers[third - 1 :], lls[third - 1 :], markersize=4, **style)
        handles[label] = line[0]
    low = np.nanmin([lls[third - 1] for lls in traces.values()])
    margin = 0.05 * (best.score - low) or 1
    whole.set_title("all iterations")
    magnified.set_title(f"magnified, from iteration {third}")
    magnified.set_ylim(low - margin, best.score + margin)
    for ax in (whole, magnified):
        ax.set(xlabel="EM iteration", ylabel="log-likelihood (nats)")
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.yaxis.set_major_formatter(READABLE)
    labels = list(handles)[::-1]  # the best one first
    figure.legend([handles[label] for label in labels], labels, loc="outside lower center", ncols=3)
    figure.suptitle(f"How the log-likelihood rises from each seed ({title})")
    return figure


def draw_user_types(data, fit, title):
    """A panel per type: the movies that it likes most and least, beside what everyone thinks.

        difference_jl = mu_jl - mean of all ratings of movie l
        generosity_j  = mean over the movies of difference_jl
        taste_jl      = (difference_jl - generosity_j) count_jl / (count_jl + 15)
        bar_jl        = generosity_j + taste_jl

    The taste for a movie is pulled to 0, as in predict, where few of the type's users (count_jl,
    a soft count) have rated it.
    """
    K = len(fit.mixture.p)
    movies = np.flatnonzero(data.X.any(axis=0))  # those that anyone has rated
    X = data.X[:, movies]
    mu = fit.mixture.mu[:, movies]
    everyone = X.sum(axis=0) / np.count_nonzero(X, axis=0)
    difference = np.ma.masked_array(mu - everyone, mu == 0)  # a mean of 0 was never updated
    generosity = difference.mean(axis=1).filled(0)[:, None]
    count = fit.post.T @ (X != 0)
    taste = ((difference - generosity) * count / (count + 15)).filled(0)
    bars = generosity + taste

    shares = fit.mixture.p
    least = min(max(0.01, 1.5 / len(X)), shares.max())  # 1 % of the users, and more than one
    types = [j for j in np.argsort(-shares, kind="stable") if shares[j] >= least]
    few = max(1, min(5, len(movies) // 2))  # movies to show at each end
    columns = min(len(types), 4)
    rows = math.ceil(len(types) / 4)
    limit = 1.1 * np.abs(bars[types]).max() or 1
    figure = plt.Figure(figsize=(max(3.6 * columns, 8), 1.6 + 3 * rows), layout="constrained")
    for i, j in enumerate(types, start=1):
        ax = figure.add_subplot(rows, columns, i)
        by_taste = np.argsort(-taste[j], kind="stable")
        most = by_taste[:few]
        least_liked = by_taste[-few:]
        liked = ax.barh(range(few), bars[j, most], color=BLUE)
        disliked = ax.barh(range(few, 2 * few), bars[j, least_liked], color=ORANGE)
        mean = ax.axvline(generosity[j, 0], color="black", linestyle="--", linewidth=1)
        ax.axvline(0, color="black", linewidth=1)
        names = [shortened(data.items[movies[l]]) for l in [*most, *least_liked]]
        ax.set_yticks(range(2 * few), names, parse_math=False)
        ax.set(xlim=(-limit, limit), ylim=(2 * few - 0.5, -0.5))
        ax.set_title(f"type {i}: {100 * shares[j]:.1f} % of users")
        ax.set_xlabel(f"difference in {data.unit}" if data.unit else "difference")
        ax.xaxis.set_major_locator(MaxNLocator(5))
        ax.xaxis.set_major_formatter(READABLE)
    figure.legend(
        [liked, disliked, mean],
        [
            "liked most",
            "liked least",
            f"the type's mean over all {data.noun}s: its generosity",
        ],
        loc="outside lower center",
        ncols=3,
    )
    if len(types) < K:
        title += f"; {K - len(types)} left out, of one user or under 1 %"
    figure.suptitle(f"User types ({title}): their ratings, above or below everyone's")
    return figure


def shortened(name):
    """A name that fits beside a bar."""
    if len(name) > 18:
        return name[:10] + "\N{HORIZONTAL ELLIPSIS}" + name[-7:]
    return name


def draw_predictions(fill_errors, others, name, predicted, truth, unit):
    """Errors on hidden ratings, and one way's predictions of ratings of each true value.

    fill_errors is {K: em.fill_matrix's error}, others {name: error}; name is that of the way whose
    predictions of the true ratings are given.
    """
    in_unit = f" ({unit})" if unit else ""
    figure = plt.Figure(figsize=(10, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    values = list(fill_errors.values())
    left.plot(list(fill_errors), values, "s-", color=ORANGE, label="em.fill_matrix")
    styles = [(GREY, ":"), (GREY, "--"), (PURPLE, "-")]
    for (label, error), (colour, dashes) in zip(others.items(), styles):
        left.axhline(error, color=colour, linestyle=dashes, linewidth=2, label=label)
    left.set(xlabel="K", ylabel=f"RMSE{in_unit}", xticks=list(fill_errors))
    left.set_title("Error on the hidden ratings (smaller is better)")
    low, high = left.get_ylim()
    left.set_ylim(low, high + 0.45 * (high - low))  # room for the legend
    left.legend(loc="upper right")

    if len(np.unique(truth)) > 10:
        truth = middles_of_ten_groups(truth)
    levels = np.unique(truth)
    boxes = right.boxplot(
        [predicted[truth == level] for level in levels],
        positions=levels,
        widths=0.6 * min(np.diff(levels), default=1),
        whis=(5, 95),
        showfliers=False,
        manage_ticks=False,
        patch_artist=True,
        boxprops={"facecolor": ORANGE if name != "predict" else PURPLE},
        medianprops={"color": "black"},
    )
    perfect = right.plot(levels[[0, -1]], levels[[0, -1]], color=GREY, linestyle="--")
    right.set_title(f"Predicted against true rating ({name})")
    right.set(xlabel=f"true rating{in_unit}", ylabel=f"predicted rating{in_unit}")
    for axis in (right.xaxis, right.yaxis):
        axis.set_major_formatter(READABLE)
    right.legend(
        [boxes["boxes"][0], boxes["whiskers"][0], perfect[0]],
        ["middle half; line: median", "whiskers: 5 % to 95 %", "perfect prediction"],
        loc="lower right",
    )
    figure.suptitle(f"Predictions of {len(truth)} ratings that were hidden from the fit")
    return figure


def middles_of_ten_groups(values):
    """Each value replaced by the middle of its group, of ten of equal width."""
    low = values.min()
    width = np.ptp(values) / 10
    group = np.minimum((values - low) // width, 9)
    return low + width * (group + 0.5)


if __name__ == "__main__":
    plt.rcdefaults()  # Matplotlib's own settings, whatever the user's are
    try:
        main()
    except KeyboardInterrupt:
        progress("")
        print("main.py: interrupted", file=sys.stderr)
        os._exit(130)  # a fit in a long product would crash the interpreter's orderly end
    except BrokenPipeError:  # the output's reader has left, as `| head` does
        os._exit(141)
    except MemoryError:
        progress("")
        print("main.py: not enough memory", file=sys.stderr)
        os._exit(2)
