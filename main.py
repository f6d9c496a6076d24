"""The course project from top to bottom: K-means and EM on toy data, EM on movie ratings.

Its last step, beyond the course, predicts ratings that were hidden.

python main.py                 the four steps, on the data files beside this file
python main.py --data DIR      the same on the course's own files, or on matrices of yours

kmeans.py, naive_em.py, em.py and common.py may each be a student's: only what the course asks for
is needed of them.
"""

import argparse
import inspect
import math
import os
import sys
import tempfile
import traceback
from multiprocessing.pool import ThreadPool
from pathlib import Path
from threading import Lock
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
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image  # Matplotlib needs it, too
except ModuleNotFoundError as problem:
    if problem.name not in ("numpy", "matplotlib"):
        raise
    stop(f"{problem}; this installs it: {sys.executable} -m pip install {problem.name}")

import common
import em
import kmeans
import naive_em
from recommend.predict import (
    averages,
    decimals,
    error,
    hidden_tenths,
    mean_rating,
    predict,
    verdict,
)

PROJECT = Path(__file__).resolve().parent
SEEDS = [0, 1, 2, 3, 4]  # the seeds of the fits
TOY_K = [1, 2, 3, 4]  # the numbers of components to try
NETFLIX_K = [1, 2, 3, 4, 8, 12]  # the numbers of user types to try
BIC_IN_WORDS = "BIC: log-likelihood - (number of parameters / 2) log n; larger is better"
LARGEST_RATING = 1e6  # of larger ones em.estep's distances lose too many digits, see there
MIN_VARIANCE = 0.25  # em.mstep's, in squared stars
SAME_OPTIMUM = 0.001  # a seed within this share of the best seed's rise has found its optimum

BLUE = "#0072B2"  # from Okabe and Ito's palette, which colour-blind readers can tell apart
ORANGE = "#E69F00"
PURPLE = "#CC79A7"
GREY = "0.6"  # for comparison: the other seeds, averages, a perfect prediction


def main():
    """Run the four steps, which print tables and save pictures."""
    options = parse_options()
    try:
        data = read_data(options.data)
        toy_Ks = usable("--toy-k", options.toy_k, TOY_K, data.toy)
        Ks = usable("--netflix-k", options.netflix_k, NETFLIX_K, data.X)
        make_folder(options.plots)
    except ValueError as problem:
        stop(problem)

    for line in remarks(data):
        show(line)
    seeds = options.seeds
    hidden = hidden_tenths(np.count_nonzero(data.X))[0]
    left = without(data.X, hidden)
    with ThreadPool(workers()) as pool:
        # All fits are queued now, so that no core is idle while a picture is drawn; predict, which
        # takes longest, before EM's.
        kmeans_sweep = sweep(pool, kmeans, data.toy, toy_Ks, seeds)
        naive_em_sweep = sweep(pool, naive_em, data.toy, toy_Ks, seeds)
        predicted = pool.apply_async(predict, [left])
        em_sweep = sweep(pool, em, data.X, Ks, seeds)
        holdout_sweep = sweep(pool, em, left, Ks, seeds)
        if data.toy is not None:
            best_kmeans = step_kmeans(data.toy, kmeans_sweep, seeds)
            step_naive_em(data.toy, naive_em_sweep, seeds, best_kmeans, options.plots)
        step_em(data, em_sweep, seeds, options.plots)
        step_prediction(data.X, hidden, left, holdout_sweep, predicted, options.plots)


# The four steps


def step_kmeans(toy, fits_by_K, seeds):
    """Step 1: K-means on the toy data. Returns {K: the Fit of the lowest cost}."""
    show(f"1. K-means on toy_data.txt: {len(toy)} points, number of seeds: {len(seeds)}")
    show("Cost: sum of the squared distances of the points to their cluster's mean")
    show("  K              cost  seed")
    best = {}
    for K, fits in fits_by_K:
        best[K] = min(fits, key=rounded_score)
        show(f"{K:3} {best[K].score:17.4f} {best[K].seed:5}")
    return best


def step_naive_em(toy, fits_by_K, seeds, best_kmeans, plots):
    """Step 2: naive EM on the toy data, drawn below the clusters of step 1."""
    show(f"\n2. Naive EM on toy_data.txt: {len(toy)} points, number of seeds: {len(seeds)}")
    show(BIC_IN_WORDS)
    show("  K    log-likelihood               BIC  seed")
    table = {}  # {K: the Fits of all seeds}
    best = {}  # {K: the Fit of the best log-likelihood}
    for K, fits in fits_by_K:
        table[K] = fits
        best[K] = max(fits, key=rounded_score)
        show(f"{K:3} {best[K].score:17.4f} {best[K].bic:17.4f} {best[K].seed:5}")
    picked = show_pick(best)
    if not all_finite(table):
        return
    if plot_takes_ax():
        save(draw_toy(toy, best_kmeans, best), plots / "toy_kmeans_vs_em.png")
        steps = list(iterations(naive_em, toy, picked, best[picked].seed))
        save_animation(toy, steps, plots / "toy_em.gif")
    selection = draw_selection("Naive EM on the toy data", table, best, picked)
    save(selection, plots / "toy_selection.png")


def step_em(data, fits_by_K, seeds, plots):
    """Step 3: EM on the ratings."""
    X = data.X
    n, d = X.shape
    given = X[X != 0]
    show(f"\n3. EM on netflix_incomplete.txt, number of seeds: {len(seeds)}")
    show(
        f"{n} users x {d} movies, {given.size} ratings ({100 * given.size / X.size:.1f} %) "
        f"from {given.min():.10g} to {given.max():.10g}"
    )
    if data.toy is None:  # otherwise step 2 has said it
        show(BIC_IN_WORDS)
    header = "  K    log-likelihood               BIC  seed"
    if data.Y is not None:
        show("RMSE: em.fill_matrix over every entry of netflix_complete.txt, given ones included")
        header += "      RMSE"
    show(header)
    table = {}
    best = {}
    rmse = {}
    for K, fits in fits_by_K:
        table[K] = fits
        best[K] = max(fits, key=rounded_score)
        row = f"{K:3} {best[K].score:17.4f} {best[K].bic:17.4f} {best[K].seed:5}"
        if data.Y is not None:
            rmse[K] = rmse_of(filled(X, best[K].mixture), data.Y)
            row += f" {rmse[K]:9.4f}"
        show(row)
    picked = show_pick(best)
    if not all_finite(table):
        return
    selection = draw_selection("EM on netflix_incomplete.txt", table, best, picked, rmse)
    save(selection, plots / "netflix_selection.png")
    several = [K for K in best if K > 1]
    if not several:
        show("One type has nothing to converge to: netflix_convergence.png needs a K above 1.")
        return
    K = max(several, key=lambda K: best[K].bic)
    title = f"K = {K}"
    if picked == 1:
        title += "; the BIC prefers one type"
    traces = {seed: [ll for _, _, ll in iterations(em, X, K, seed)] for seed in seeds}
    save(draw_convergence(traces, best[K].seed, title), plots / "netflix_convergence.png")


def step_prediction(X, hidden, left, fits_by_K, predicted, plots):
    """Step 4: step 3 on the ratings that are left, beside averages and predict.

    Every error is that of predictions of the hidden ratings.

    Args:
        X: (n, d) ratings, 0 where missing
        hidden: positions of the hidden ones among the ratings of X, row by row
        left: X without these
        fits_by_K: sweep of em on left
        predicted: the result of predict on left, which may still be at work
        plots: folder for the picture
    """
    users, items = np.nonzero(X)
    values = X[users, items]
    if hidden.size == 0:
        show(f"\n4. Prediction: {values.size} ratings are too few to hide a tenth of them.")
        return
    counts = f"{hidden.size} of the {values.size} given ratings"
    show(f"\n4. Prediction: {counts} are hidden, and predicted")
    show("from the others. RMSE: over these hidden ratings alone, in stars")
    at = users[hidden], items[hidden]
    truth = values[hidden]
    digits = decimals(values)
    mean = mean_rating(values, hidden)
    average = averages(users, items, values, hidden)
    errors = {}  # {name: RMSE} of the ways that have no K
    for name, guess in [("mean of all ratings", mean), ("averages of users and movies", average)]:
        errors[name] = show_error(name, guess, truth, digits)
    fill_errors = {}  # {K: RMSE} of em.fill_matrix
    for K, fits in fits_by_K:
        best = max(fits, key=rounded_score)
        guess = filled(left, best.mixture)[at]
        fill_errors[K] = show_error(f"em.fill_matrix, K = {K:2}", guess, truth, digits)
    guess = predicted.get()[at]
    errors["predict"] = show_error("predict", guess, truth, digits)
    to_beat = {"the mean": mean, "averages": average}
    for line in verdict(to_beat, guess, truth, digits, "movie"):
        show(line)
    figure = draw_predictions(fill_errors, errors, guess, truth)
    save(figure, plots / "netflix_predictions.png")


def show_error(name, guess, truth, digits):
    """Print a row of step 4's table, and return its RMSE."""
    rmse, _ = error(guess, truth)
    show(f"{name:28}{rmse:10.{digits}f}")
    return rmse


def show_pick(best):
    """The K of the best BIC, of {K: its best Fit}; printed where there was a choice."""
    picked = max(best, key=lambda K: best[K].bic)
    if len(best) > 1:
        show(f"BIC picks K = {picked}.")
    return picked


def all_finite(table):
    """Whether all scores are finite; says so where one is not, and nothing can be drawn."""
    scores = [fit.score for fits in table.values() for fit in fits]
    finite = bool(np.isfinite(scores).all())
    if not finite:
        show("A log-likelihood is not a finite number (see test.py): its pictures are left out.")
    return finite


# Options. What is wrong with them, or with a file, is a ValueError.


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
    parser.add_argument(
        "--data",
        type=Path,
        default=PROJECT,
        metavar="DIR",
        help="folder of the course's files (or your matrices)",
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
    options.seeds = sorted(set(options.seeds))
    options.data = options.data.expanduser()  # --data=~/netflix is not the shell's to expand
    if options.plots is None:
        options.plots = options.data / "plots"
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
    if X is None and typed:
        raise ValueError(f"{option}: expected a toy_data.txt in the folder of --data, found none")
    if X is None:
        return []
    n = len(X)
    for K in typed or []:
        if K > n:
            raise ValueError(f"{option}: expected 1 to {n}, the number of rows, got {K}")
    return sorted(set(typed or [K for K in default if K <= n]))


def make_folder(folder):
    """Make the folder of --plots, if it can be made and written into."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as problem:
        raise ValueError(f"--plots: cannot write into {folder}: {problem.strerror}") from None


# Matrices in


class Data(NamedTuple):
    """What a folder holds."""

    toy: np.ndarray | None  # (m, 2) points, if there are any
    X: np.ndarray  # (n, d) ratings, 0 where missing
    Y: np.ndarray | None  # (n, d): X completed, if it is known


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
    if X.shape[1] in (3, 4) and X.all() and len(X) > X.shape[1]:  # user, item, rating, maybe time
        raise ValueError(
            f"{path}: expected a user a line and a movie a column, 0 where a rating is missing; "
            "for lines of user, item, rating: python -m recommend"
        )
    Y = None
    if os.path.exists(complete_path):
        Y = read_matrix(complete_path, ratings=True)
        if Y.shape != X.shape or (Y != X)[X != 0].any():
            raise ValueError(f"{complete_path}: expected the ratings of {path.name}, completed")
    return Data(toy, X, Y)


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
        row = to_numbers(words)
        if ratings:
            row[np.isnan(row)] = 0
            allowed = (row >= 0) & (row <= LARGEST_RATING)
        else:
            allowed = np.abs(row) < 1e100  # their squares do not overflow
        if not allowed.all():
            column = allowed.argmin()
            place = f"{path}, line {number}, column {column + 1}"
            expected = "a finite number"
            if ratings:
                expected = (
                    f"a rating up to {LARGEST_RATING:.0f}, or 0 or nan for a missing one, all "
                    "separated by spaces (for lines of user, item, rating: python -m recommend)"
                )
            raise ValueError(f"{place}: expected {expected}, got {words[column][:40]!r}")
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


def read_text(path):
    """The text of a file."""
    try:
        content = path.read_bytes()
    except OSError as problem:
        raise ValueError(f"cannot read {path}: {problem.strerror}") from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = content[: problem.start].count(b"\n") + 1
        raise ValueError(f"{path}, line {line}: expected numbers as text in UTF-8") from None


def to_numbers(words):
    """The numbers that words stand for; infinity, which no file may hold, for a word that is none.

    Python reads 1_0 as 10: here it is none.
    """
    try:
        numbers = np.array(words, dtype=float)  # twice as fast as a word at a time
        if "_" not in "".join(words):
            return numbers
    except ValueError:
        pass
    return np.array([to_number(word) for word in words])


def to_number(word):
    """The number that a word stands for; infinity if it is none."""
    if "_" in word:
        return math.inf
    try:
        return float(word)
    except ValueError:
        return math.inf


def remarks(data):
    """Lines about what is left out, and about ratings that the steps say little about."""
    lines = []
    if data.toy is None:
        lines.append("There is no toy_data.txt: steps 1 and 2, K-means and naive EM, are left out.")
    if data.Y is None:
        lines.append("There is no netflix_complete.txt: the course's RMSE is not known.")
    elif not data.Y.all():
        zeros = f"{np.count_nonzero(data.Y == 0)} entries of netflix_complete.txt are 0"
        lines.append(f"{zeros}: they count as ratings of 0 in the RMSE below.")
    variance = data.X[data.X != 0].var()
    if variance < MIN_VARIANCE:
        lines.append(
            f"The ratings' variance is {variance:.2g}, below {MIN_VARIANCE}, the least of a type: "
            "step 3 needs a larger scale (multiply the ratings), predict does not."
        )
    if not plot_takes_ax():
        pictures = "toy_kmeans_vs_em.png and toy_em.gif"
        lines.append(f"Your common.plot has no parameter ax: {pictures} are left out.")
    return lines


# The course's functions, which may be a student's: they may change what they are given, and return
# lists, or a number as an array of one element. Only this section calls them (common.plot is called
# by draw_mixture alone): it gives them copies, and takes arrays and numbers out.


class Fit(NamedTuple):
    """One mixture, fitted from one seed."""

    seed: int
    mixture: common.GaussianMixture
    post: np.ndarray  # (n, K)
    score: float  # K-means' cost (smaller is better), or a log-likelihood in nats (larger is)
    bic: float | None  # in nats; K-means has none


ONE_AT_A_TIME = Lock()  # the course's init draws from NumPy's global state, which threads share


def start(X, K, seed):
    """What common.init returns, as it is."""
    with ONE_AT_A_TIME:
        return common.init(X, K, seed)


def fitted(model, X, K, seed):
    """The Fit of a model, from common.init's start."""
    X = X.copy()
    mixture, post, score = model.run(X, *start(X, K, seed))
    mixture = as_mixture(mixture)
    score = as_number(score)
    bic = None
    if model is not kmeans:
        bic = as_number(common.bic(X, as_mixture(mixture), score))
    return Fit(seed, mixture, np.array(post), score, bic)


def iterations(model, X, K, seed):
    """Yield the mixture, posteriors and log-likelihood of each E-step, by the course's rules.

    run does the same, and returns the mixture after the last M-step.
    """
    data = X.copy()
    mixture, _ = start(data, K, seed)
    if hasattr(model, "prepare"):  # our em's: it does once what no iteration changes
        data = model.prepare(data)
    old_ll = -math.inf
    while True:
        post, ll = model.estep(data, mixture)
        ll = as_number(ll)
        yield as_mixture(mixture), np.array(post), ll
        improved = ll - old_ll > 1e-6 * abs(ll)
        if not improved:
            return
        if model is em:
            mixture = em.mstep(data, post, mixture)
        else:
            mixture = model.mstep(data, post)
        old_ll = ll


def filled(X, mixture):
    """em.fill_matrix's predictions."""
    return np.array(em.fill_matrix(X.copy(), as_mixture(mixture)))


def rmse_of(X, Y):
    """The number that common.rmse gives."""
    return as_number(common.rmse(X.copy(), Y.copy()))


def as_mixture(mixture):
    """A mixture of arrays of its own."""
    return common.GaussianMixture(*[np.array(part) for part in mixture])


def as_number(score):
    """A number, which may be an array of one element."""
    return float(np.asarray(score).item())


# The fits, side by side on all cores


def workers():
    """How many fits to make side by side: one per CPU that the process has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def sweep(pool, model, X, Ks, seeds):
    """Queue the fits of every K and seed, and return an iterator over every K and its Fits.

    The fits are made on the threads of the pool: NumPy lets several work at a time in its products.
    """
    calls = [(model, X, K, seed) for K in Ks for seed in seeds]
    fits = pool.imap(lambda call: fitted(*call), calls)
    # The fits come in the order of the calls: those of the first K, then those of the second.
    return ((K, [next(fits) for _ in seeds]) for K in Ks)


def rounded_score(fit):
    """The score to 11 digits: rounding errors must not decide between seeds that end alike."""
    return float(f"{fit.score:.10e}")


def without(X, hidden):
    """A copy of X in which some ratings are missing: these positions among them, row by row."""
    left = np.array(X)
    left.flat[np.flatnonzero(X)[hidden]] = 0
    return left


# Lines on the screen


def show(line):
    """Print a line at once, also through a pipe."""
    print(line, flush=True)


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


# Pictures: arrays in, a figure out


def plot_takes_ax():
    """Whether common.plot draws on given axes, which the course's does not."""
    return "ax" in inspect.signature(common.plot).parameters


def draw_mixture(ax, X, mixture, post, order, title):
    """Let common.plot draw on ax; it gets copies, with the components in this order."""
    mu, var, p = mixture
    mixture = common.GaussianMixture(mu[order], var[order], p[order])
    common.plot(X.copy(), mixture, post[:, order], title, ax=ax)
    ax.set(xlabel="x1", ylabel="x2")


def draw_toy(toy, best_kmeans, best_em):
    """K-means above EM, a column per K, as common.plot draws them; both are {K: the best Fit}."""
    figure = plt.Figure(figsize=(max(3 * len(best_kmeans), 9), 6.4), layout="constrained")
    axes = figure.subplots(2, len(best_kmeans), squeeze=False)
    for column, K in enumerate(best_kmeans):
        panels = [("K-means", "cost", best_kmeans[K]), ("EM", "log-likelihood", best_em[K])]
        for row, (model, score, fit) in enumerate(panels):
            ax = axes[row, column]
            title = f"{model}, K = {K}\n{score} {fit.score:.1f}"
            from_left = fit.mixture.mu[:, 0].argsort()
            draw_mixture(ax, toy, fit.mixture, fit.post, from_left, title)
            ax.label_outer()
    figure.suptitle(
        "A point has its cluster's colour (K-means), or those of its components, mixed by its\n"
        "posteriors (EM). The radius of a circle is one standard deviation."
    )
    return figure


def save_animation(toy, steps, path):
    """EM from its start, as a GIF: a frame per iteration at first, fewer later, 16 at most.

    steps are the mixture, posteriors and log-likelihood of each iteration. The last one orders the
    components in all frames, so each keeps its number and its colour.
    """
    last, _, _ = steps[-1]
    from_left = last.mu[:, 0].argsort()
    frames = np.unique(np.geomspace(1, len(steps), 16).round().astype(int)) - 1
    margin = 0.4 * toy.std() or 1
    left, low = toy.min(axis=0) - margin
    right, high = toy.max(axis=0) + margin
    figure = plt.Figure(figsize=(6, 4.4), dpi=80)
    canvas = FigureCanvasAgg(figure)
    ax = figure.subplots()
    images = []
    for i in frames:
        mixture, post, ll = steps[i]
        title = f"EM, K = {len(from_left)}: iteration {i + 1}, log-likelihood {ll:.1f}"
        ax.clear()
        draw_mixture(ax, toy, mixture, post, from_left, title)
        ax.set_aspect("equal", adjustable="box")
        ax.set(xlim=(left, right), ylim=(low, high))
        canvas.draw()
        images.append(Image.fromarray(np.array(canvas.buffer_rgba())).convert("RGB"))
    milliseconds = [500] * len(images)
    milliseconds[-1] = 2000
    images[0].save(path, append_images=images[1:], save_all=True, duration=milliseconds, loop=0)
    show(f"Saved {shown(path)}")


def draw_selection(title, table, best, picked, rmse=None):
    """Scores over K: every seed a dot, the seed of the best log-likelihood on the line.

    table is {K: Fits of all seeds}, best {K: the best of them}, rmse {K: the course's RMSE} or
    nothing. The picked K is marked where there was a choice.
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
    if rmse:
        axes[2].plot(list(rmse), list(rmse.values()), "o-", color=BLUE)
        axes[2].set(title="The course's RMSE (smaller is better)", ylabel="stars")
    handles = {"seed with the best log-likelihood": line[0], "other seeds": dots[0]}
    for ax in axes:
        if len(table) > 1:
            mark = ax.axvline(picked, color="black", linestyle=":")
            handles[f"K = {picked}, picked by the BIC"] = mark
        ax.set(xlabel="K", xticks=list(table))
        ax.ticklabel_format(style="plain", useOffset=False)
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=3)
    figure.suptitle(title)
    return figure


def draw_convergence(traces, best, title):
    """The log-likelihood in every iteration's E-step, a line per seed: all of it, and magnified.

    traces is {seed: its log-likelihoods}, best the best of these seeds.
    """
    figure = plt.Figure(figsize=(10, 4.6), layout="constrained")
    whole, magnified = figure.subplots(1, 2)
    top = traces[best][-1]
    near = SAME_OPTIMUM * (top - traces[best][0])
    zoom_from = min(3, min(len(lls) for lls in traces.values()))
    handles = {}  # {label: a line of that kind}
    others = [seed for seed in traces if seed != best]
    for seed in [*others, best]:  # the best one on top
        lls = traces[seed]
        if seed == best:
            label = f"seed {seed}, the best"
            style = {"color": BLUE, "marker": "o"}
        elif top - lls[-1] <= near:
            label = "seeds that end in the same optimum"
            style = {"color": GREY, "marker": "s"}
        else:
            label = "seeds that end in a worse optimum"
            style = {"color": ORANGE, "marker": "^"}
        numbers = range(1, len(lls) + 1)
        line = whole.plot(numbers, lls, markersize=4, **style)
        magnified.plot(numbers[zoom_from - 1 :], lls[zoom_from - 1 :], markersize=4, **style)
        handles[label] = line[0]
    low = min(lls[zoom_from - 1] for lls in traces.values())
    margin = 0.05 * (top - low) or 1
    whole.set_title("all iterations")
    magnified.set_title(f"magnified, from iteration {zoom_from}")
    magnified.set_ylim(low - margin, top + margin)
    for ax in (whole, magnified):
        ax.set(xlabel="EM iteration", ylabel="log-likelihood (nats)")
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.ticklabel_format(style="plain", useOffset=False)
    labels = list(handles)[::-1]  # the best one first
    figure.legend([handles[label] for label in labels], labels, loc="outside lower center", ncols=3)
    figure.suptitle(f"How the log-likelihood rises from each seed ({title})")
    return figure


def draw_predictions(fill_errors, errors, predicted, truth):
    """Errors on hidden ratings, and predict's predictions of ratings of each true value.

    fill_errors is {K: em.fill_matrix's error}, errors {name: error} of the ways that have no K.
    """
    figure = plt.Figure(figsize=(10, 5), layout="constrained")
    left, right = figure.subplots(1, 2)
    values = list(fill_errors.values())
    left.plot(list(fill_errors), values, "s-", color=ORANGE, label="em.fill_matrix")
    styles = [(GREY, ":"), (GREY, "--"), (PURPLE, "-")]  # the mean, averages, predict
    for (label, rmse), (colour, dashes) in zip(errors.items(), styles):
        left.axhline(rmse, color=colour, linestyle=dashes, linewidth=2, label=label)
    left.set_title("Error on the hidden ratings (smaller is better)")
    left.set(xlabel="K", ylabel="RMSE (stars)", xticks=list(fill_errors))

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
        boxprops={"facecolor": PURPLE},
        medianprops={"color": "black"},
    )
    perfect = right.plot(levels[[0, -1]], levels[[0, -1]], color=GREY, linestyle="--")
    right.set_title("Predicted against true rating (predict)")
    right.set(xlabel="true rating (stars)", ylabel="predicted rating (stars)")
    for ax in (left, right):
        ax.ticklabel_format(style="plain", useOffset=False)
    below = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.16), "ncols": 2}
    left.legend(**below)
    right.legend(
        [boxes["boxes"][0], boxes["whiskers"][0], perfect[0]],
        ["middle half; line: median", "whiskers: 5 % to 95 %", "perfect prediction"],
        **below,
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
    # os._exit leaves at once, while fits are still at work on their threads: an orderly end in the
    # midst of a long product crashes the interpreter.
    try:
        main()
    except KeyboardInterrupt:
        print("main.py: interrupted", file=sys.stderr)
        os._exit(130)
    except BrokenPipeError:  # the output's reader has left, as `| head` does
        os._exit(141)
    except Exception:  # of a module, maybe a student's
        traceback.print_exc()
        os._exit(1)
