"""The course project from top to bottom: K-means and EM on toy data, then EM on movie ratings.

python main.py                    the four steps, on the data files beside this file
python main.py --data DIR         the same on the course's own files, or on matrices of yours
python main.py --ratings FILE     steps 3 and 4 on lines of `user item rating`
"""

import os
import sys

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
    import argparse
    import csv
    import inspect
    import io
    import math
    from functools import partial
    from multiprocessing.pool import ThreadPool
    from pathlib import Path
    from typing import NamedTuple

    import matplotlib.pyplot as plt
    import numpy as np
    from matplotlib.animation import PillowWriter

    import common
    import em
    import kmeans
    import naive_em
except ModuleNotFoundError as error:
    library = error.name.split(".")[0]
    if library in ("common", "em", "kmeans", "naive_em"):
        raise
    stop(f"{error}; this installs it: {sys.executable} -m pip install {library}")

HERE = Path(__file__).resolve().parent
TOY_K = [1, 2, 3, 4]  # the numbers of components to try
NETFLIX_K = [1, 2, 3, 4, 8, 12]  # the numbers of user types to try
FILL_K = 4  # em.predict's own default, with which --fill predicts
BIC_IN_WORDS = "BIC: log-likelihood - (number of parameters / 2) log n; larger is better"
LARGEST_RATING = 1e6  # em's steps are exact enough up to here

# What the course does not ask for: a student's modules may lack it.
RUN_TAKES_WATCH = "watch" in inspect.signature(em.run).parameters
PLOT_TAKES_AX = "ax" in inspect.signature(common.plot).parameters

BLUE = "#0072B2"  # from Okabe and Ito's palette, which colour-blind readers can tell apart
ORANGE = "#E69F00"
PURPLE = "#CC79A7"
GREY = "0.6"  # for comparison: the other seeds, a perfect prediction


def main():
    """Run the four steps, which print tables and save pictures."""
    options = parse_options()
    try:
        inputs = read_inputs(options)
        toy_Ks, Ks = components(options, inputs)
        check_outputs(options, inputs)
    except ValueError as error:
        stop(error)
    options.plots.mkdir(parents=True, exist_ok=True)
    say_what_is_left_out(options, inputs)

    if inputs.toy is not None:
        clusters = step_kmeans(inputs.toy, toy_Ks, options.seeds)
        step_naive_em(inputs.toy, toy_Ks, options.seeds, clusters, options.plots)
    step_em(inputs, Ks, options.seeds, options.plots)
    step_prediction(inputs, Ks, options.seeds, options.plots)
    if options.fill is not None:
        write_filled(inputs, options.fill)


# The four steps


def step_kmeans(toy, Ks, seeds):
    """Step 1: K-means on the toy data. Returns {K: the Fit of the lowest cost}."""
    show(f"1. K-means on toy_data.txt: {len(toy)} points, number of seeds: {len(seeds)}")
    show("Cost: sum of the squared distances of the points to their cluster's mean")
    show("  K              cost  seed")
    best = {}
    for K, fits in sweep("K-means", partial(fit_model, kmeans, toy), Ks, seeds, workers(toy)):
        best[K] = min(fits, key=rounded_score)
        show(f"{K:3} {best[K].score:17.4f} {best[K].seed:5}")
    return best


def step_naive_em(toy, Ks, seeds, clusters, plots):
    """Step 2: naive EM on the toy data, whose pictures also show the clusters of step 1."""
    show(f"\n2. Naive EM on toy_data.txt: {len(toy)} points, number of seeds: {len(seeds)}")
    show(BIC_IN_WORDS)
    show("  K    log-likelihood               BIC  seed")
    table = {}
    best = {}
    for K, fits in sweep("Naive EM", partial(fit_model, naive_em, toy), Ks, seeds, workers(toy)):
        table[K] = fits
        best[K] = max(fits, key=rounded_score)
        show(f"{K:3} {best[K].score:17.4f} {best[K].bic:17.4f} {best[K].seed:5}")
    K = max(best, key=lambda K: best[K].bic)
    show(f"BIC picks K = {K}.")
    if not all_finite(table):
        return
    if PLOT_TAKES_AX:
        orders = matching_orders(clusters, best)
        save(draw_toy(toy, clusters, best, orders), plots / "toy_kmeans_vs_em.png")
        save_animation(toy, best[K], orders["EM", K], plots / "toy_em.gif")
    save(draw_selection("Naive EM on the toy data", table, best, K), plots / "toy_selection.png")


def step_em(inputs, Ks, seeds, plots):
    """Step 3: EM on the ratings."""
    X = inputs.X
    n, d = X.shape
    share = 100 * np.mean(X != 0)
    show(f"\n3. EM on {inputs.name}, number of seeds: {len(seeds)}")
    show(f"{n} users x {d} {inputs.kind}s, {np.count_nonzero(X)} ratings ({share:.1f} %)")
    if inputs.toy is None:
        show(BIC_IN_WORDS)
    rmse_column = ""
    if inputs.Y is not None:
        show("RMSE: em.fill_matrix over every entry of netflix_complete.txt, given ones included")
        rmse_column = "      RMSE"
    show("  K    log-likelihood               BIC  seed  iterations" + rmse_column)
    table = {}
    best = {}
    for K, fits in sweep("EM", partial(fit_model, em, X, Y=inputs.Y), Ks, seeds, workers(X)):
        table[K] = fits
        best[K] = max(fits, key=rounded_score)
        iterations = len(best[K].trace) or "-"
        row = f"{K:3} {best[K].score:17.4f} {best[K].bic:17.4f} {best[K].seed:5} {iterations:>11}"
        if inputs.Y is not None:
            row += f" {best[K].rmse:9.4f}"
        show(row)
    picked = max(best, key=lambda K: best[K].bic)
    show(f"BIC picks K = {picked}.")
    if not all_finite(table):
        return
    selection = draw_selection(f"EM on {inputs.name}", table, best, picked)
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
    if best[K].trace:
        save(draw_convergence(table[K], best[K], title), plots / "netflix_convergence.png")
    save(
        draw_user_types(X, best[K], inputs.items, inputs.kind, title),
        plots / "netflix_user_types.png",
    )


def step_prediction(inputs, Ks, seeds, plots):
    """Step 4: the error on given ratings that are hidden from the fit (hold-out)."""
    X = inputs.X
    count = np.count_nonzero(X)
    tenths = hidden_tenths(X)
    if not tenths:
        show(f"\n4. Prediction: {count} ratings are too few to hide a tenth; no error is known.")
        return
    truth = X.take(np.concatenate(tenths))
    show(f"\n4. Prediction: {len(truth)} of the {count} given ratings are hidden, and predicted")
    if len(tenths) > 1:
        show("from the others, a tenth at a time. RMSE: over these hidden ratings alone, in stars")
    else:
        show("from the others. RMSE: over these hidden ratings alone, in stars")
    show("  K" + "".join(f"{name:>16}" for name in WAYS))
    digits = decimals(X)
    fill_K = min(FILL_K, len(X))
    Ks = sorted({*Ks, fill_K})
    jobs = [(predict, tenth) for predict in WAYS.values() for tenth in tenths]
    predictions = {}  # {K: {way: array of the predictions of truth}}
    from_the_others = partial(predict_hidden, X, seeds)
    for K, parts in sweep("Prediction", from_the_others, Ks, jobs, workers(X)):
        ways = np.concatenate(parts).reshape(len(WAYS), len(truth))  # in the order of the jobs
        predictions[K] = dict(zip(WAYS, ways))
        errors = [common.rmse(predicted, truth) for predicted in ways]
        show(f"{K:3}" + "".join(f"{error:16.{digits}f}" for error in errors))
    save(draw_predictions(predictions, fill_K, truth), plots / "netflix_predictions.png")
    if "em.predict" in WAYS:
        squares = (predictions[fill_K]["em.predict"] - truth) ** 2
        error = np.sqrt(squares.mean())
        # The standard error of the mean square, carried over to its root
        uncertainty = squares.std() / np.sqrt(len(squares)) / (2 * max(error, 1e-100))
        show(f"--fill takes em.predict with K = {fill_K}, its default: not chosen by this table.")
        expected = f"{error:.{digits}f} +- {uncertainty:.{digits}f}"
        show(f"Expect {expected} stars (+-: standard error) for ratings given like the others,")
        show(f"and more for users or {inputs.kind}s with few ratings.")


# The fits, side by side on all cores


class Fit(NamedTuple):
    """One mixture, fitted from one seed."""

    seed: int
    mixture: common.GaussianMixture
    post: np.ndarray  # (n, K)
    score: float  # K-means' cost, or a log-likelihood in nats
    trace: list  # em.run's log-likelihood in every iteration, in nats; otherwise empty
    bic: float | None = None  # in nats; None for K-means
    rmse: float | None = None  # the course's, in stars; None where it is not known


def fit_model(model, X, K, seed, Y=None):
    """The Fit of a model to X. Every function gets a copy of X, which a student's may change."""
    mixture, post = common.init(X.copy(), K, seed)
    trace = []
    if model is em and RUN_TAKES_WATCH:
        mixture, post, score = em.run(X.copy(), mixture, post, watch=trace.append)
    else:
        mixture, post, score = model.run(X.copy(), mixture, post)
    bic = None
    if model is not kmeans:
        bic = common.bic(X, mixture, score)
    rmse = None
    if Y is not None:
        rmse = common.rmse(np.asarray(em.fill_matrix(X.copy(), mixture)), Y)
    arrays = [np.asarray(part) for part in mixture]  # a student's may be lists or matrices
    mixture = common.GaussianMixture(*arrays)
    return Fit(seed, mixture, np.asarray(post), score, trace, bic, rmse)


def rounded_score(fit):
    """The score to 11 digits: rounding errors must not decide between seeds that end alike."""
    return float(f"{fit.score:.10e}")


def all_finite(table):
    """Whether all scores are finite; says so where one is not, and nothing can be drawn."""
    scores = [fit.score for fits in table.values() for fit in fits]
    finite = bool(np.isfinite(scores).all())
    if not finite:
        show("A log-likelihood is not a finite number (see test.py): its pictures are left out.")
    return finite


def predict_course(X, K, seeds):
    """The course's prediction: em.fill_matrix, from the seed of the best log-likelihood."""
    best = max((fit_model(em, X, K, seed) for seed in seeds), key=rounded_score)
    return em.fill_matrix(X.copy(), best.mixture)


def predict_ours(X, K, seeds):
    """em.predict, which has ten seeds of its own."""
    return em.predict(X, K)


# The functions to predict with; the last one is drawn in detail.
WAYS = {"em.fill_matrix": predict_course}
if hasattr(em, "predict"):
    WAYS["em.predict"] = predict_ours


def hidden_tenths(X):
    """Flat indices of ratings to hide, a tenth at a time, until 1000 are judged or all ten are.

    X is (n, d), 0 where missing; where it holds fewer than ten ratings, the list is empty.
    """
    order = np.random.RandomState(0).permutation(np.flatnonzero(X))
    size = len(order) // 10
    if size == 0:
        return []
    number = min(10, math.ceil(1000 / size))
    return [order[i * size : (i + 1) * size] for i in range(number)]


def predict_hidden(X, seeds, K, job):
    """What a function of the WAYS makes of a tenth of the ratings from the others."""
    predict, tenth = job
    X_left = X.copy()
    X_left.flat[tenth] = 0
    return np.asarray(predict(X_left, K, seeds)).take(tenth)


def sweep(name, job, Ks, variants, n_workers):
    """Yield every K and [job(K, variant) for all variants], in order, as soon as they are there.

    The jobs run on n_workers threads: NumPy lets several work at a time in its products.
    """
    calls = [(K, variant) for K in Ks for variant in variants]
    left = len(calls)
    pool = ThreadPool(n_workers)
    results = pool.imap(lambda call: job(*call), calls)
    try:
        for K in Ks:
            group = []
            for _ in variants:
                progress(f"{name}: {left} of {len(calls)} fits left")
                group.append(next(results))
                left -= 1
            yield K, group
    except Exception:  # of a module: end in order, so that its traceback is the last word
        pool.terminate()
        pool.join()
        raise
    pool.close()


def workers(X):
    """How many fits to make side by side: one per CPU, if the memory holds them."""
    if hasattr(os, "sched_getaffinity"):
        cpus = len(os.sched_getaffinity(0))
    else:
        cpus = os.cpu_count() or 1
    room = (memory() - X.nbytes) / memory_of_a_fit(*X.shape)
    return max(1, int(min(cpus, room)))


def memory_of_a_fit(n, d):
    """Bytes that a fit takes at most: a copy of X, and em.predict's 6.5 times X and its types."""
    return 8 * (7.5 * n * d + 8 * 240 * (n + d))


def memory():
    """The machine's memory in bytes; infinite where it cannot be told."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return math.inf


def show(line):
    """Print a line at once, also through a pipe, in place of the progress line."""
    progress("")
    print(line, flush=True)


def progress(line):
    """Show a line on the terminal until the next one takes its place, if there is a terminal."""
    if sys.stderr.isatty():
        print(f"\r{line:<78}\r", end="", file=sys.stderr, flush=True)


# Options and files: whatever is wrong with them is a ValueError, before anything is computed


class Inputs(NamedTuple):
    """What was read."""

    paths: list  # the files
    name: str  # of the file of the ratings
    toy: np.ndarray | None  # (n, 2) points, if there are any
    X: np.ndarray  # (n, d) ratings, 0 where missing
    Y: np.ndarray | None  # (n, d): X completed, if it is known
    kind: str  # what a column is: "movie" or "item"
    items: list  # the name of each column
    users: list | None = None  # the name of each row, if the rows have names
    report: str = ""  # what there is to say about the file


def parse_options():
    """The command line's options."""
    parser = argparse.ArgumentParser(
        description="K-means and EM on toy data, then EM on movie ratings: tables and pictures.",
        allow_abbrev=False,
    )
    parser.error = lambda message: stop(message.removeprefix("argument "))
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="folder of the course's files (or your matrices)"
    )
    parser.add_argument(
        "--ratings", type=Path, metavar="FILE", help="`user item rating` lines, in place of --data"
    )
    parser.add_argument(
        "--fill",
        type=Path,
        metavar="FILE",
        help="predict the missing ratings by em.predict and write them: with --ratings as CSV "
        "lines, each user's best items first, otherwise as the completed matrix",
    )
    parser.add_argument(
        "--plots", type=Path, metavar="DIR", help="folder for the pictures (plots beside the data)"
    )
    numbers = {"type": int, "nargs": "+", "metavar": "N"}
    parser.add_argument(
        "--seeds", help="seeds of the fits (0 to 4); em.predict has its own", **numbers
    )
    parser.add_argument("--toy-k", help=f"numbers of components to try {TOY_K}", **numbers)
    parser.add_argument("--netflix-k", help=f"numbers of user types to try {NETFLIX_K}", **numbers)
    options = parser.parse_args()

    if options.ratings is not None and options.data is not None:
        stop("--ratings: expected in place of --data, got both")
    if options.ratings is not None and options.toy_k is not None:
        stop("--toy-k: expected without --ratings, which has no toy data")
    options.seeds = sorted(set(options.seeds or range(5)))
    for seed in options.seeds:
        if not 0 <= seed < 2**32:
            stop(f"--seeds: expected whole numbers from 0 to {2**32 - 1}, got {seed}")
    if options.data is None:
        options.data = HERE
    if options.plots is None:
        folder = options.data if options.ratings is None else options.ratings.parent
        options.plots = folder / "plots"
    return options


def components(options, inputs):
    """The K to try on the toy data and on the ratings: as typed, or the defaults that fit."""
    checked = []
    for name, data, typed, default in [
        ("--toy-k", inputs.toy, options.toy_k, TOY_K),
        ("--netflix-k", inputs.X, options.netflix_k, NETFLIX_K),
    ]:
        if data is None:
            checked.append([])
            continue
        n = len(data)
        for K in typed or []:
            if not 1 <= K <= n:
                raise ValueError(f"{name}: expected 1 to {n}, the number of rows, got {K}")
        checked.append(sorted(set(typed or [K for K in default if K <= n])))
    return checked


def check_outputs(options, inputs):
    """Refuse what could not be written later."""
    folder = options.plots.absolute()
    while not folder.exists():  # it will be made
        folder = folder.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise ValueError(f"--plots: expected a folder to write into, got {options.plots}")
    if options.fill is None:
        return
    target = options.fill.resolve()
    if "em.predict" not in WAYS:
        raise ValueError("--fill: expected an em.py with a function predict, yours has none")
    if target in [path.resolve() for path in inputs.paths]:
        raise ValueError(f"--fill: expected a file of its own, got the input {options.fill}")
    if target.exists() and not target.is_file():
        raise ValueError(f"--fill: expected a file to write, got {options.fill}, which is none")
    if not target.parent.is_dir() or not os.access(target.parent, os.W_OK):
        raise ValueError(f"--fill: expected a folder to write into, got {target.parent}")
    if target.exists() and not os.access(target, os.W_OK):
        raise ValueError(f"--fill: expected a file that may be written, got {options.fill}")
    if part_of(target).exists():
        raise ValueError(f"--fill: expected no file {part_of(target)}: the result is made there")


def say_what_is_left_out(options, inputs):
    """Name what the files, or a student's modules, do not give."""
    if inputs.report:
        show(inputs.report)
        show("Steps 1 and 2, K-means and naive EM, are for the toy data.")
    if options.ratings is None and inputs.toy is None:
        show("There is no toy_data.txt: steps 1 and 2, K-means and naive EM, are left out.")
    if options.ratings is None and inputs.Y is None:
        show("There is no netflix_complete.txt: the course's RMSE is not known.")
    if inputs.Y is not None and not inputs.Y.all():
        unknown = np.count_nonzero(inputs.Y == 0)
        show(f"{unknown} entries of netflix_complete.txt are 0: the course's RMSE takes 0 stars.")
    lacks = []
    if not RUN_TAKES_WATCH:
        lacks.append("em.run's parameter watch (netflix_convergence.png)")
    if not PLOT_TAKES_AX:
        lacks.append("common.plot's parameter ax (toy_kmeans_vs_em.png, toy_em.gif)")
    if "em.predict" not in WAYS:
        lacks.append("em.predict (its column of step 4, --fill)")
    if lacks:
        show(f"Left out, because your modules have no: {', '.join(lacks)}.")


def read_inputs(options):
    """The Inputs that the options name."""
    if options.ratings is not None:
        return read_ratings(options.ratings)
    toy_path = options.data / "toy_data.txt"
    path = options.data / "netflix_incomplete.txt"
    complete_path = options.data / "netflix_complete.txt"
    toy = None
    if toy_path.exists():
        toy = read_matrix(toy_path)
        if toy.shape[1] != 2:
            raise ValueError(f"{toy_path}: expected 2 numbers a line, got {toy.shape[1]}")
    X = read_matrix(path, ratings=True)
    if X.shape[1] in (3, 4) and X.all() and len(X) > X.shape[1]:
        raise ValueError(
            f"{path}: expected a user a line and a movie a column, 0 where a rating is missing; "
            "for `user item rating` lines use --ratings"
        )
    Y = None
    if complete_path.exists():
        Y = read_matrix(complete_path, ratings=True)
        if Y.shape != X.shape or (Y != X)[X != 0].any():
            raise ValueError(f"{complete_path}: expected the ratings of {path.name}, completed")
    items = [f"movie {l + 1}" for l in range(X.shape[1])]
    return Inputs([toy_path, path, complete_path], path.name, toy, X, Y, "movie", items)


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
        raise ValueError(f"{path}, line {line}: expected text in UTF-8, got other bytes") from None


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
    lines = [line.split("#")[0] for line in read_text(path).splitlines()]
    if not "".join(lines).strip():
        raise ValueError(f"{path}: expected numbers separated by spaces, got none")
    try:
        X = np.loadtxt(lines, ndmin=2)
    except ValueError:
        X = None
    if X is not None and ratings:
        X = np.nan_to_num(X, nan=0, posinf=np.inf)
    if X is None or not is_allowed(X, ratings).all():
        raise ValueError(f"{path}, {first_fault(lines, ratings)}")
    if min(X.shape) < 2:
        raise ValueError(f"{path}: expected at least 2 rows and 2 columns, got shape {X.shape}")
    if ratings and not X.any():
        raise ValueError(f"{path}: expected at least one rating, got only zeros (missing)")
    return X


def is_allowed(X, ratings):
    """Whether a number, or each of an array, may stand in a matrix."""
    if ratings:
        return (X >= 0) & (X <= LARGEST_RATING)
    return np.isfinite(X) & (np.abs(X) < 1e100)


def first_fault(lines, ratings):
    """What is wrong with the first line that read_matrix cannot accept."""
    width = None
    for number, line in enumerate(lines, start=1):
        words = line.split()
        if not words:
            continue
        if width is None:
            width = len(words)
        for column, word in enumerate(words, start=1):
            hint = ""
            try:
                x = float(word)
            except ValueError:
                x = np.nan
                if "," in word or "::" in word or ";" in word:
                    hint = "; for lines of `user,item,rating` use --ratings"
            else:
                if ratings and np.isnan(x):
                    continue
                if ratings and x > LARGEST_RATING and width in (3, 4):
                    hint = "; for lines of `user item rating` use --ratings"
            if "_" in word or not word.isascii() or not is_allowed(x, ratings):
                kind = "a finite number"
                if ratings:
                    kind = f"a rating up to {LARGEST_RATING:.0f}, or 0 or nan for a missing one"
                return f"line {number}, column {column}: expected {kind}, got {word[:40]!r}{hint}"
        if len(words) != width:
            return f"line {number}: expected {width} numbers as above, got {len(words)}"


def read_ratings(path):
    """The Inputs of a file of lines `user item rating` and whatever follows them.

    The fields are separated by the first of tab, '::', ';', ',' and space that makes three of the
    first line, which may be a header. Ids are text. Of a pair that stands twice the last counts.
    """
    text = read_text(path)
    first = next((line for line in text.splitlines() if line), "")
    for separator in ["\t", "::", ";", ",", " "]:
        if len(first.split(separator)) >= 3:
            break
    else:
        raise ValueError(f"{path}, line 1: expected `user item rating`, got {first[:60]!r}")
    users = {}  # {id: its row}
    items = {}
    rows = []
    columns = []
    values = []
    header = ""
    for line_number, fields in records(path, text, separator):
        place = f"{path}, line {line_number}"
        if len(fields) < 3 or "" in fields[:2]:
            got = separator.join(fields)[:60]
            raise ValueError(f"{place}: expected a user, an item and a rating, got {got!r}")
        user, item, word = fields[:3]
        try:
            value = float(word)
        except ValueError:
            if not values and not header:
                header = separator.join(fields)
                continue
            value = np.nan
        if not 0 < value <= LARGEST_RATING or "_" in word:
            hint = ""
            if value == 0:
                hint = " (it would mean missing: leave the line out, or add 1 to all ratings)"
            most = f"{LARGEST_RATING:.0f}"
            raise ValueError(
                f"{place}: expected a rating above 0 and up to {most}, got {word[:40]!r}{hint}"
            )
        rows.append(users.setdefault(user, len(users)))
        columns.append(items.setdefault(item, len(items)))
        values.append(value)
        if len(values) % 100_000 == 0:
            progress(f"{path.name}: {len(values)} ratings read")
    progress("")
    if not values:
        raise ValueError(f"{path}: expected at least one rating, got none")
    n = len(users)
    d = len(items)
    if n < 2 or d < 2:
        raise ValueError(f"{path}: expected at least 2 users and 2 items, got {n} and {d}")
    needed = 8 * n * d + memory_of_a_fit(n, d)
    if needed > memory():
        raise ValueError(
            f"{path}: expected users x items to fit into memory, got {n} x {d}, which take "
            f"{needed / 1e9:.1f} GB of {memory() / 1e9:.1f} GB"
        )
    X = np.zeros((n, d))
    X[rows, columns] = values  # in the file's order
    _, times = np.unique(np.array(rows) * d + columns, return_counts=True)
    repeated = np.count_nonzero(times > 1)
    kind = {"\t": "tabs", " ": "spaces"}.get(separator, f"'{separator}'")
    report = f"{path.name}: {len(values)} lines, separated by {kind}; "
    report += f"ratings from {min(values):g} to {max(values):g}"
    if header:
        report += f"\nHeader: {header}"
    if repeated:
        report += f"\nPairs that stand more than once: {repeated}; the last rating of a pair counts"
    return Inputs([path], path.name, None, X, None, "item", list(items), list(users), report)


def records(path, text, separator):
    """Yield the number and the fields of every line of a file's text that is not empty."""
    if separator == "::":
        for number, line in enumerate(text.splitlines(), start=1):
            if line:
                yield number, line.split("::")
        return
    # With newline="" the csv module sees the line ends, which may stand within quotes.
    lines = io.StringIO(text, newline="")
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=True)
    try:
        for fields in reader:
            if fields:
                yield reader.line_num, fields
    except csv.Error as error:
        place = f"{path}, line {reader.line_num}"
        raise ValueError(f"{place}: expected `user item rating`, got {error}") from None


def decimals(X):
    """The decimals of an error: 3 on 1 to 5 stars, fewer on a larger scale, more on a smaller."""
    spread = np.ptp(X[X != 0]) or X.max()
    return max(0, 3 - math.floor(math.log10(spread)))


def write_filled(inputs, path):
    """Write the missing ratings as em.predict predicts them from all that are given."""
    K = min(FILL_K, len(inputs.X))
    progress(f"em.predict with K = {K}, from all ratings")
    X_pred = em.predict(inputs.X, K)
    rounded = X_pred.round(decimals(inputs.X) + 1)
    path = path.resolve()
    # Beside its place first: a run that ends early leaves an older file as it was.
    part = part_of(path)
    try:
        if inputs.users is None:
            np.savetxt(part, np.where(inputs.X == 0, rounded, inputs.X), fmt="%.15g")
        else:
            write_best_first(part, inputs, rounded)
    except BaseException:  # Ctrl-C among them
        part.unlink(missing_ok=True)
        raise
    try:
        os.replace(part, path)
    except OSError as error:
        stop(f"--fill: cannot replace {path} ({error.strerror}): the result lies in {part}")
    show(f"Saved {shown(path)}: predictions of em.predict from all {inputs.name} holds")


def part_of(path):
    """The file beside a --fill file in which the result is made."""
    return path.with_name(path.name + ".part")


def write_best_first(path, inputs, rounded):
    """Write a line for each missing rating: each user's items from the best to the worst."""
    digits = decimals(inputs.X) + 1
    popularity = np.count_nonzero(inputs.X, axis=0)
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["user", "item", "prediction"])
        for u, user in enumerate(inputs.users):
            progress(f"{u} of {len(inputs.users)} users written")
            # The last key counts first: the prediction, and where it ties the number of ratings.
            order = np.lexsort((-popularity, -rounded[u]))
            order = order[inputs.X[u, order] == 0]
            predictions = [f"{x:.{digits}f}" for x in rounded[u, order].tolist()]
            names = [inputs.items[l] for l in order]
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


def matching_orders(clusters, mixtures):
    """{(model, K): the order in which to draw its components}.

    Each has the number and the colour of the nearest one in the panel before.
    """
    orders = {}
    before = []  # the means of the panel before
    for K in clusters:
        for model, fits in [("K-means", clusters), ("EM", mixtures)]:
            mu = fits[K].mixture.mu
            left = list(np.argsort(mu[:, 0]))
            order = []
            for mean in before:
                nearest = ((mu[left] - mean) ** 2).sum(axis=1).argmin()
                order.append(left.pop(nearest))
            order += left
            orders[model, K] = order
            before = mu[order]
    return orders


def reordered(mixture, post, order):
    """A mixture and its posteriors with the components in another order."""
    mu, var, p = mixture
    return common.GaussianMixture(mu[order], var[order], p[order]), post[:, order]


def draw_toy(toy, clusters, mixtures, orders):
    """K-means above EM, a column per K, as common.plot draws them."""
    figure = plt.Figure(figsize=(max(3 * len(clusters), 9), 6.4), layout="constrained")
    axes = figure.subplots(2, len(clusters), squeeze=False)
    for column, K in enumerate(clusters):
        panels = [("K-means", "cost", clusters[K]), ("EM", "log-likelihood", mixtures[K])]
        for row, (model, score, fit) in enumerate(panels):
            mixture, post = reordered(fit.mixture, fit.post, orders[model, K])
            title = f"{model}, K = {K}\n{score} {fit.score:.1f}"
            ax = axes[row, column]
            common.plot(toy, mixture, post, title, ax)
            ax.set(xlabel="x1", ylabel="x2")
            ax.label_outer()
    figure.suptitle(
        "A point has its cluster's colour (K-means), or those of its components, mixed by its\n"
        "posteriors (EM). The radius of a circle is one standard deviation."
    )
    return figure


def save_animation(toy, best, order, path):
    """EM from its start, as a GIF: a frame per iteration at first, fewer later, 16 at most."""
    K = len(best.mixture.p)
    steps = list(iterations(toy, K, best.seed))
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
            mixture, post = reordered(mixture, post, order)
            ax.clear()
            common.plot(
                toy, mixture, post, f"EM, K = {K}: iteration {i + 1}, log-likelihood {ll:.1f}", ax
            )
            ax.set_aspect("equal", adjustable="box")
            ax.set(xlim=(left, right), ylim=(low, high), xlabel="x1", ylabel="x2")
            writer.grab_frame()
        for _ in range(3):  # the last one stays
            writer.grab_frame()
    show(f"Saved {shown(path)}")


def iterations(X, K, seed):
    """Yield the mixture, posteriors and log-likelihood of each E-step of naive_em.run."""
    mixture, _ = common.init(X.copy(), K, seed)
    old_ll = -np.inf
    while True:
        post, ll = naive_em.estep(X.copy(), mixture)
        yield mixture, np.asarray(post), ll
        if not ll - old_ll > 1e-6 * abs(ll):
            return
        mixture = naive_em.mstep(X.copy(), post)
        old_ll = ll


def draw_selection(title, table, best, picked):
    """Scores over K: every seed a dot, the seed of the best log-likelihood on the line."""
    panels = [
        ("score", "Log-likelihood (larger is better)", "nats"),
        ("bic", "BIC (larger is better)", "nats"),
    ]
    if best[picked].rmse is not None:
        panels.append(("rmse", "The course's RMSE (smaller is better)", "stars"))
    figure = plt.Figure(figsize=(4.4 * len(panels), 4), layout="constrained")
    for ax, (field, name, unit) in zip(figure.subplots(1, len(panels)), panels):
        for K, fits in table.items():
            values = [getattr(fit, field) for fit in fits]
            dots = ax.plot([K] * len(fits), values, "o", color=GREY, markersize=4)
        values = [getattr(fit, field) for fit in best.values()]
        line = ax.plot(list(best), values, "o-", color=BLUE)
        mark = ax.axvline(picked, color="black", linestyle=":")
        ax.set(title=name, xlabel="K", ylabel=unit, xticks=list(table))
        ax.yaxis.set_major_formatter("{x:.10g}")
    figure.legend(
        [line[0], dots[0], mark],
        ["seed with the best log-likelihood", "other seeds", f"K = {picked}, picked by the BIC"],
        loc="outside lower center",
        ncols=3,
    )
    figure.suptitle(title, parse_math=False)  # a file's name may hold a $
    return figure


def draw_convergence(fits, best, title):
    """The log-likelihood in every iteration's E-step, a line per seed: all of it, and magnified."""
    figure = plt.Figure(figsize=(10, 4.6), layout="constrained")
    whole, magnified = figure.subplots(1, 2)
    third = min(3, min(len(fit.trace) for fit in fits))
    handles = {}  # {label: a line of that kind}
    others = [fit for fit in fits if fit is not best]
    for fit in [*others, best]:  # the best one on top
        if fit is best:
            label = f"seed {fit.seed}, the best"
            style = {"color": BLUE, "marker": "o"}
        elif best.score - fit.score <= 1e-5 * abs(best.score):
            label = "seeds that end in the same optimum"
            style = {"color": GREY, "marker": "s"}
        else:
            label = "seeds that end in a worse optimum"
            style = {"color": ORANGE, "marker": "^"}
        iterations = range(1, len(fit.trace) + 1)
        line = whole.plot(iterations, fit.trace, markersize=4, **style)
        magnified.plot(iterations[third - 1 :], fit.trace[third - 1 :], markersize=4, **style)
        handles[label] = line[0]
    low = np.nanmin([fit.trace[third - 1] for fit in fits])
    margin = 0.05 * (best.score - low) or 1
    whole.set_title("all iterations")
    magnified.set_title(f"magnified, from iteration {third}")
    magnified.set_ylim(low - margin, best.score + margin)
    for ax in (whole, magnified):
        ax.set(xlabel="EM iteration", ylabel="log-likelihood (nats)")
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.yaxis.set_major_formatter("{x:.10g}")
    labels = list(handles)[::-1]  # the best one first
    figure.legend([handles[label] for label in labels], labels, loc="outside lower center", ncols=3)
    figure.suptitle(f"How the log-likelihood rises from each seed ({title})")
    return figure


def draw_user_types(X, fit, items, kind, title):
    """A panel per type: the movies that it likes most and least, beside what everyone thinks.

        difference_jl = mu_jl - mean of all ratings of movie l
        generosity_j  = mean over the movies of difference_jl
        bar_jl        = generosity_j + (difference_jl - generosity_j) count_jl / (count_jl + 15)

    The type's taste for a movie is pulled to 0, as in em.predict, where few of its users (count_jl,
    a soft count) have rated it.
    """
    K = len(fit.mixture.p)
    movies = np.flatnonzero(X.any(axis=0))  # those that anyone has rated
    X = X[:, movies]
    mu = fit.mixture.mu[:, movies]
    everyone = X.sum(axis=0) / np.count_nonzero(X, axis=0)
    difference = np.ma.masked_array(mu - everyone, mu == 0)  # a mean of 0 was never updated
    generosity = difference.mean(axis=1).filled(0)[:, None]
    count = fit.post.T @ (X != 0)
    taste = ((difference - generosity) * count / (count + 15)).filled(0)
    bars = generosity + taste

    shares = fit.mixture.p
    least = min(max(0.01, 1.5 / len(X)), shares.max())
    types = [j for j in np.argsort(-shares, kind="stable") if shares[j] >= least]
    few = max(1, min(5, len(movies) // 2))  # movies to show at each end
    columns = min(len(types), 4)
    rows = math.ceil(len(types) / 4)
    limit = 1.1 * np.abs(bars[types]).max() + 0.01
    figure = plt.Figure(figsize=(max(3.6 * columns, 8), 1.6 + 3 * rows), layout="constrained")
    for i, j in enumerate(types, start=1):
        ax = figure.add_subplot(rows, columns, i)
        by_taste = np.argsort(-taste[j], kind="stable")
        most = by_taste[:few]
        worst = by_taste[-few:]
        liked = ax.barh(range(few), bars[j, most], color=BLUE)
        disliked = ax.barh(range(few, 2 * few), bars[j, worst], color=ORANGE)
        mean = ax.axvline(generosity[j, 0], color="black", linestyle="--", linewidth=1)
        ax.axvline(0, color="black", linewidth=1)
        names = [shortened(items[movies[l]]) for l in [*most, *worst]]
        ax.set_yticks(range(2 * few), names, parse_math=False)
        ax.set(xlim=(-limit, limit), ylim=(2 * few - 0.5, -0.5))
        ax.set_title(f"type {i}: {100 * shares[j]:.1f} % of users")
        ax.set_xlabel("stars more or fewer than everyone")
    figure.legend(
        [liked, disliked, mean],
        ["liked most", "liked least", f"the type's mean over all {kind}s: its generosity"],
        loc="outside lower center",
        ncols=3,
    )
    if len(types) < K:
        title += f"; {K - len(types)} left out, of one user or under 1 %"
    figure.suptitle(f"User types ({title})")
    return figure


def shortened(name):
    """A name that fits beside a bar."""
    if len(name) > 18:
        return name[:17] + "\N{HORIZONTAL ELLIPSIS}"
    return name


def draw_predictions(predictions, K, truth):
    """Errors over K, and what the last of the WAYS makes with K of ratings of each true value."""
    figure = plt.Figure(figsize=(10, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    Ks = list(predictions)
    colours = {"em.fill_matrix": ORANGE, "em.predict": PURPLE}
    forms = {"em.fill_matrix": "s--", "em.predict": "o-"}
    for way in WAYS:
        errors = [common.rmse(predictions[k][way], truth) for k in Ks]
        left.plot(Ks, errors, forms[way], color=colours[way], label=way)
    left.axvline(K, color="black", linestyle=":", label=f"K = {K}, the one of --fill")
    left.set(xlabel="K", ylabel="RMSE (stars)", xticks=Ks)
    left.set_title("Error on the hidden ratings (smaller is better)")
    left.legend()

    way = list(WAYS)[-1]
    predicted = predictions[K][way]
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
        boxprops={"facecolor": colours[way]},
        medianprops={"color": "black"},
    )
    perfect = right.plot(levels[[0, -1]], levels[[0, -1]], color=GREY, linestyle="--")
    right.set_title(f"Predicted against true rating ({way}, K = {K})")
    right.set(xlabel="true rating (stars)", ylabel="predicted rating (stars)")
    right.set_xticks(levels, [f"{level:.3g}" for level in levels])
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
