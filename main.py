"""The course project from top to bottom: K-means and EM on toy data, then EM on movie ratings.

Prints a table per step and saves pictures; --fill also writes the completed rating matrix.
"""

import argparse
import contextlib
import os
import signal
import stat
import sys
import tempfile
from functools import partial
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import NamedTuple

# The fits of a sweep run side by side, each with one BLAS thread: the threads of one product wait
# for each other by spinning, which takes very long on a busy machine. NumPy's BLAS reads this when
# it is imported (Accelerate has a name of its own for it).
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("VECLIB_MAXIMUM_THREADS", "1")


def progress(line):
    """Show a line on the terminal until the next one takes its place, if there is a terminal."""
    if sys.stderr and sys.stderr.isatty():
        print(f"\r{line:<78}\r", end="", file=sys.stderr, flush=True)


def stop(status, line):
    """End the program with this exit status and one line on standard error."""
    progress("")
    print(f"main.py: {line}", file=sys.stderr)
    sys.exit(status)


if __name__ == "__main__":  # before the imports: they take a moment, in which Ctrl-C may come
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: stop(128 + number, "interrupted"))
try:
    import matplotlib.pyplot as plt
    import numpy as np
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch
    from matplotlib.ticker import MaxNLocator

    import common
    import em
    import kmeans
    import naive_em
except ImportError as error:
    stop(2, f"{error}: the README's first command installs what is needed")

HERE = Path(__file__).resolve().parent
INPUTS = "toy_data.txt", "netflix_incomplete.txt", "netflix_complete.txt"
TOY_K, NETFLIX_K = [1, 2, 3, 4], [1, 2, 4, 6, 8, 12]  # the numbers of components tried by default
PICTURES = TOY, TOY_SELECTION, SELECTION, CONVERGENCE, USER_TYPES, PREDICTIONS = [
    "toy_kmeans_vs_em.png",
    "toy_selection.png",
    "netflix_selection.png",
    "netflix_convergence.png",
    "netflix_user_types.png",
    "netflix_predictions.png",
]

# The same thing has the same colour in every picture.
LL_COLOUR, COURSE_COLOUR, RMSE_COLOUR, PREDICT_COLOUR, _, BIC_COLOUR = common.COLOURS[:6]
GREY = "0.6"  # for comparison: the other seeds, a perfect prediction


class Fit(NamedTuple):
    """One model of K components, fitted from one seed."""

    seed: int
    mixture: common.GaussianMixture
    post: np.ndarray  # (n, K)
    trace: list  # after every iteration: K-means' cost, or EM's log-likelihood in nats
    score: float  # the last of them
    bic: float  # in nats; NaN for K-means
    rmse: float  # the course's, in stars; NaN where it is not known


def main():
    """Run the four steps; each prints its table and saves its pictures."""
    options = arguments()
    toy, X, Y = inputs(options)
    check_outputs(options)
    plt.switch_backend("Agg")  # pictures go to files: no display is needed, no window opens
    if toy is None:
        show("There is no toy_data.txt: K-means and naive EM are left out.")
    else:
        clusters = step_kmeans(toy, options)
        step_naive_em(toy, clusters, options)
    step_em(X, Y, options)
    best, error = step_prediction(X, options)
    if options.fill is not None:
        progress(f"em.predict with K = {best}, from all ratings")
        X_pred = em.predict(X, best, options.seeds)
        write_whole(options.fill, lambda path: write_ratings(path, X, X_pred))
        show(f"Its missing ratings are those of em.predict with K = {best}; {error}.")


def step_kmeans(toy, options):
    """Step 1: K-means on the toy data. Returns the best Fit of every K."""
    show(f"K-means on toy_data.txt: {len(toy)} points, number of seeds: {len(options.seeds)}")
    show("Cost: sum of the squared distances of the points to their cluster's mean")
    show("  K              cost  seed")
    best = {}
    for K, fits in sweep("K-means", kmeans, toy, options.toy_k, options.seeds):
        best[K] = best_of(fits, sign=-1)
        show(f"{K:3}{best[K].score:18.4f}{best[K].seed:6}")
    return best


def step_naive_em(toy, clusters, options):
    """Step 2: naive EM on the toy data, whose pictures also show the clusters of step 1."""
    show(f"\nNaive EM on toy_data.txt: {len(toy)} points, number of seeds: {len(options.seeds)}")
    show("BIC: log-likelihood - (number of parameters / 2) log n; larger is better")
    show("  K    log-likelihood               BIC  seed")
    table, best = {}, {}
    for K, fits in sweep("Naive EM", naive_em, toy, options.toy_k, options.seeds):
        table[K], best[K] = fits, best_of(fits)
        show(f"{K:3}{best[K].score:18.4f}{best[K].bic:18.4f}{best[K].seed:6}")
    picked = pick(best)
    save(draw_toy(toy, clusters, best), options.plots / TOY)
    title = "Naive EM on the toy data: how many components?"
    save(draw_selection(title, table, best, picked), options.plots / TOY_SELECTION)


def step_em(X, Y, options):
    """Step 3: EM on the ratings; Y completes X or is None."""
    n, d, seeds = *X.shape, len(options.seeds)
    show(f"\nEM on netflix_incomplete.txt: {n} users x {d} movies, number of seeds: {seeds}")
    show(f"Ratings given: {np.count_nonzero(X)} ({np.mean(X != 0):.1%} of the entries)")
    if Y is None:
        show("RMSE: not known, there is no netflix_complete.txt")
    else:
        show("RMSE: the course's, in stars, over every entry of netflix_complete.txt")
        if unknown := np.count_nonzero(Y == 0):
            show(f"({unknown} of its entries are unknown, and count as 0 stars, as in the course)")
    show("  K    log-likelihood               BIC  seed  iterations      RMSE")
    table, best = {}, {}
    for K, fits in sweep("EM", em, X, options.netflix_k, options.seeds, Y):
        table[K], best[K] = fits, (fit := best_of(fits))
        error = "-" if Y is None else f"{fit.rmse:.4f}"
        numbers = f"{fit.score:18.4f}{fit.bic:18.4f}{fit.seed:6}{len(fit.trace):12}"
        show(f"{K:3}{numbers}{error:>10}")
    picked = pick(best)
    title = "EM on the ratings: how many user types?"
    save(draw_selection(title, table, best, picked), options.plots / SELECTION)
    save(draw_convergence(table[picked], best[picked]), options.plots / CONVERGENCE)
    save(draw_user_types(X, best[picked].mixture), options.plots / USER_TYPES)


def step_prediction(X, options):
    """Step 4: the error on ratings that were hidden from the fits, the course's way and ours.

    Returns:
        best: the K of the smallest error of em.predict; the smallest K where none is known
        error: what is known of that error, in words
    """
    Ks, given = options.netflix_k, np.count_nonzero(X)
    X_left, hidden = hide(X)
    if not len(hidden):
        show(f"\nPrediction: {given} ratings are too few to hide a tenth of them")
        return Ks[0], "no error is known"
    show(f"\nPrediction: {len(hidden)} of the {given} given ratings are hidden, and predicted")
    show("from the others. RMSE in stars over the hidden ratings, of two ways to predict:")
    show("  course: em.fill_matrix, with the seed of the best log-likelihood")
    show("  em.predict: averages of movie and user, and EM on what they leave over")
    show("  K    course  em.predict")
    truth, ratings = X.take(hidden), prepared(em, X_left)

    def course(K, seed):
        mixture, _, ll = em.run(ratings, *common.init(X_left, K, seed))
        return ll, em.fill_matrix(ratings, mixture).take(hidden)

    def ours(K):
        return em.predict(X_left, K, options.seeds).take(hidden)

    jobs = []
    for K in Ks:
        jobs += [partial(ours, K), *(partial(course, K, seed) for seed in options.seeds)]
    errors, best, digits = {}, None, decimals(X)
    with contextlib.closing(side_by_side("Prediction", jobs)) as results:
        for K in Ks:
            predicted = next(results)
            fits = [next(results) for _ in options.seeds]
            _, theirs = max(fits, key=lambda fit: without_rounding(fit[0]))
            errors[K] = [common.rmse(truth, each) for each in (theirs, predicted)]
            show(f"{K:3}{errors[K][0]:10.{digits}f}{errors[K][1]:12.{digits}f}")
            if best is None or round(errors[K][1], digits) < round(errors[best][1], digits):
                best, best_predicted = K, predicted
    show("K = 1 is about what averages alone predict: of the movie (course), or of movie and")
    limit = ", the largest that was tried" if best == Ks[-1] and len(Ks) > 1 else ""
    show(f"user (em.predict). The best is em.predict with K = {best}{limit}.")
    save(draw_predictions(errors, best, truth, best_predicted), options.plots / PREDICTIONS)
    return best, f"expect an error of about {errors[best][1]:.{digits}f} stars"


def hide(X):
    """Take a tenth of the ratings out; return the matrix without them, and their flat indices."""
    given = np.flatnonzero(X)
    hidden = np.random.RandomState(0).choice(given, int(0.1 * len(given)), replace=False)
    X_left = X.copy()
    X_left.flat[hidden] = 0
    return X_left, hidden


# The sweep


def sweep(name, model, X, Ks, seeds, Y=None):
    """Fit a model for every K from every seed; yield K and its Fits as soon as they are there."""
    data = prepared(model, X)

    def fit(K, seed):
        trace = []
        mixture, post, score = model.run(data, *common.init(X, K, seed), trace.append)
        bic = np.nan if model is kmeans else common.bic(X, mixture, score)
        rmse = np.nan if Y is None else common.rmse(model.fill_matrix(data, mixture), Y)
        return Fit(seed, mixture, post, trace, score, bic, rmse)

    jobs = [partial(fit, K, seed) for K in Ks for seed in seeds]
    with contextlib.closing(side_by_side(name, jobs)) as results:
        for K in Ks:
            yield K, [next(results) for _ in seeds]


def prepared(model, X):
    """Return what all the fits of a model to X share; a student's own model may have nothing."""
    return model.prepare(X) if hasattr(model, "prepare") else X


def side_by_side(name, jobs):
    """Call the jobs on all cores, and yield their results in order.

    NumPy lets other threads run during its products. ThreadPool's end with the program: Ctrl-C
    waits for none of them.
    """
    try:
        threads = ThreadPool(min(cores(), len(jobs)))
    except RuntimeError as error:  # "can't start new thread", for its stack has no room
        raise MemoryError(error) from error
    with threads as pool:
        results = pool.imap(lambda job: job(), jobs)
        for left in range(len(jobs), 0, -1):
            progress(f"{name}: {left} of {len(jobs)} fits left")
            yield next(results)


def best_of(fits, sign=1):
    """Return the Fit of the largest sign * score; if they differ by rounding only, the first."""
    return max(fits, key=lambda fit: without_rounding(sign * fit.score))


def without_rounding(score):
    """11 digits: which of several seeds that end alike is the best must not hang on the BLAS."""
    return float(f"{score:.10e}")


def cores():
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def pick(best):
    """Print and return the K of the largest BIC."""
    picked = max(best, key=lambda K: best[K].bic)
    show(f"BIC picks K = {picked}.")
    return picked


def show(line):
    """Print a line at once, in place of the live line."""
    progress("")
    print(line, flush=True)


# Pictures: data in, a figure out


def draw_toy(toy, clusters, mixtures):
    """K-means above EM, a column per K, as common.plot draws them."""
    size = (max(3 * len(clusters), 7), 6.4)
    shape = {"squeeze": False, "layout": "constrained"}
    figure, axes = plt.subplots(2, len(clusters), figsize=size, **shape)
    rows = [("K-means", "cost", clusters), ("EM", "log-likelihood", mixtures)]
    for row, (name, score, fits) in zip(axes, rows):
        for ax, (K, fit) in zip(row, fits.items()):
            # From left to right, so that a component has the same colour and number in all panels.
            order = np.argsort(fit.mixture.mu[:, 0])
            mixture = common.GaussianMixture(*(part[order] for part in fit.mixture))
            title = f"{name}, K = {K}\n{score} {fit.score:,.1f}"
            common.plot(toy, mixture, fit.post[:, order], title, ax)
            ax.set(xlabel="x1", ylabel="x2")
            ax.label_outer()
    figure.suptitle(
        "Toy data: a point has the colour of its cluster (K-means), or its components' colours in\n"
        "proportion to its posteriors (EM); a circle's radius is one standard deviation"
    )
    return figure


def draw_selection(title, table, best, picked):
    """Scores over K: every seed a dot, the seed of the best log-likelihood on the line."""
    panels = [
        ("score", "Log-likelihood", "nats", LL_COLOUR),
        ("bic", "BIC (larger is better)", "nats", BIC_COLOUR),
        ("rmse", "The course's RMSE", "stars", RMSE_COLOUR),
    ]
    panels = panels if np.isfinite(best[picked].rmse) else panels[:2]
    Ks, size = list(table), (4.4 * len(panels), 4)
    figure, axes = plt.subplots(1, len(panels), figsize=size, layout="constrained")
    for ax, (field, name, unit, colour) in zip(axes, panels):
        for K, fits in table.items():
            scores = [getattr(fit, field) for fit in fits]
            dots = ax.plot([K] * len(fits), scores, "o", color=GREY, markersize=4)
        ax.plot(Ks, [getattr(fit, field) for fit in best.values()], "o-", color=colour)
        mark = ax.axvline(picked, color="black", linestyle=":")
        ax.set(title=name, xlabel="K", ylabel=unit)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        if unit == "nats":
            ax.yaxis.set_major_formatter("{x:,.10g}")
    line = Line2D([], [], color="black", marker="o")
    labels = ["seed with the best log-likelihood", "other seeds", f"K = {picked}, picked by BIC"]
    figure.legend([line, dots[0], mark], labels, loc="outside lower center", ncols=3)
    figure.suptitle(title)
    return figure


def draw_convergence(fits, best):
    """The log-likelihood after every iteration, a line per seed, labelled at its end."""
    figure, ax = plt.subplots(figsize=(9, 4.5), layout="constrained")
    # The first two steps climb a hundred times as high as all that follow; if nothing follows, the
    # picture begins with the first.
    low = min(fit.trace[min(2, len(fit.trace) - 1)] for fit in fits)
    if best.score - low < 1e-4 * abs(best.score):
        low = min(fit.trace[0] for fit in fits) - 1e-9
    height, longest = best.score - low, max(len(fit.trace) for fit in fits)
    place = np.inf
    for fit in sorted(fits, key=lambda fit: -fit.score):
        colour, zorder = (LL_COLOUR, 3) if fit is best else (GREY, 2)
        iterations = range(1, len(fit.trace) + 1)
        ax.plot(iterations, fit.trace, "o-", markersize=3, color=colour, zorder=zorder)
        place = min(fit.score, place - 0.06 * height)  # no label covers the one above it
        if place > low:
            label, end = f"seed {fit.seed}: {fit.score:,.1f}", (len(fit.trace), fit.score)
            arrow = {"arrowstyle": "-", "color": "0.85", "shrinkB": 4}
            ax.annotate(label, end, (longest + 1, place), va="center", arrowprops=arrow)
    ax.set(xlim=(0.5, 1 + 1.3 * longest), ylim=(low, best.score + 0.08 * height))
    ax.set(xlabel="EM iteration (the first ones may lie below)", ylabel="log-likelihood (nats)")
    ax.set_title(f"EM with K = {len(best.mixture.p)}: how the log-likelihood rises from each seed")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.yaxis.set_major_formatter("{x:,.10g}")
    return figure


def draw_user_types(X, mixture):
    """What each user type gives above the average, and the movies that it likes more than others.

    A movie stands in the group of the type whose taste for it is the strongest; taste is the type's
    mean less the mean of all users and less what the type gives above the average.
    """
    raters, users = np.count_nonzero(X, axis=0), mixture.p * len(X)
    X, mu, raters = X[:, raters > 0], mixture.mu[:, raters > 0], raters[raters > 0]
    types = np.argsort(-users, kind="stable")
    shared = types[users[types] >= 1.5]
    types = shared if len(shared) else types
    # No rating is 0: such a mean was never updated, because hardly anyone of the type rated it.
    taste = np.ma.masked_array(mu - X.sum(axis=0) / raters, mu == 0)[types]
    level = taste.mean(axis=1).filled(0)
    taste -= level[:, None]
    known = taste.filled(-np.inf)
    fan = known.argmax(axis=0)
    movies = np.lexsort([-known.max(axis=0), fan])

    size, ratios = (10, 2.7 + 0.4 * len(types)), [1, 3.2]
    figure, (left, right) = plt.subplots(
        1, 2, figsize=size, width_ratios=ratios, sharey=True, layout="constrained"
    )
    bars = left.barh(range(len(types)), level, color=COURSE_COLOUR)
    left.bar_label(bars, [f"{x:+.2f}" for x in level], padding=3)
    left.axvline(0, color="black", linewidth=1)
    left.set_xlim(np.array([-2.4, 2.4]) * max(np.abs(level).max(), 0.01))
    left.set(title="Generosity", xlabel="mean rating, less\nthat of all users (stars)")
    labels = [f"type {i}: {mixture.p[j]:.1%} of users" for i, j in enumerate(types, start=1)]
    left.set_yticks(range(len(types)), labels)
    limit = max(np.quantile(np.append(np.abs(taste.compressed()), 0), 0.98), 0.01)
    colours = plt.get_cmap("PuOr").with_extremes(bad="0.85")
    look = {"aspect": "auto", "interpolation": "nearest", "vmin": -limit, "vmax": limit}
    image = right.imshow(taste[:, movies], cmap=colours, **look)
    right.hlines(np.arange(0.5, len(types) - 1), -0.5, len(movies) - 0.5, color="white")
    counts = np.bincount(fan, minlength=len(types))
    ends = np.cumsum(counts)
    right.vlines(ends[:-1] - 0.5, -0.5, len(types) - 0.5, color="black", linewidth=1)
    wide = np.flatnonzero(counts > 0.05 * len(movies))
    right.set_xticks((ends - counts / 2)[wide], [f"{counts[i]} of\ntype {i + 1}" for i in wide])
    right.set(title="Taste: which movies a type likes more, or less, than others do")
    right.set_xlabel("movies, grouped by the type that likes them most; its favourite first")
    right.tick_params(axis="y", left=False)
    label = "mean rating, less that of all users\nand less generosity (stars; grey: unknown)"
    figure.colorbar(image, ax=right, label=label, extend="both", pad=0.01)
    alone = len(users) - len(types)
    words = f"; left out: {alone} that no two users share" if alone else ""
    hint = "The sorting makes the staircase; look at the depth of its colours, and what lies beside"
    hint = hint if len(types) > 1 else "There is a single type: its taste is that of all users"
    figure.suptitle(f"Who the user types are (K = {len(users)}{words})\n{hint}")
    return figure


def draw_predictions(errors, best, truth, predicted):
    """The hidden ratings: error over K, and what em.predict with the best K makes of each rating.

    errors is {K: (the course's, em.predict's)}; truth and predicted are the hidden ratings.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.4), layout="constrained")
    Ks, width = list(errors), max(max(errors) - min(errors), 1)
    for place, name, colour in [(0, "course", COURSE_COLOUR), (1, "em.predict", PREDICT_COLOUR)]:
        scores = [both[place] for both in errors.values()]
        left.plot(Ks, scores, "o-", color=colour)
        left.annotate(name, (Ks[-1] + 0.04 * width, scores[-1]), va="center")
    left.axvline(best, color="black", linestyle=":", label=f"K = {best} predicts best")
    left.set(title="Error on the hidden ratings", xlabel="K", ylabel="RMSE (stars)")
    left.set_xlim(Ks[0] - 0.08 * width, Ks[-1] + 0.35 * width)
    left.xaxis.set_major_locator(MaxNLocator(integer=True))
    left.legend()

    levels = np.unique(truth)
    if len(levels) > 10:  # ten groups of equal width; a group stands at its middle
        edges = np.linspace(levels[0], levels[-1], 11)
        group = np.clip(np.searchsorted(edges, truth, "right") - 1, 0, 9)
        truth = ((edges[1:] + edges[:-1]) / 2)[group]
        levels = np.unique(truth)
    boxes = {"patch_artist": True, "boxprops": {"facecolor": PREDICT_COLOUR}}
    boxes |= {"medianprops": {"color": "black"}, "showfliers": False, "manage_ticks": False}
    width = 0.6 * np.diff(levels).min() if len(levels) > 1 else 0.6
    groups = [predicted[truth == level] for level in levels]
    right.boxplot(groups, positions=levels, widths=width, whis=(5, 95), **boxes)
    (perfect,) = right.plot(levels[[0, -1]], levels[[0, -1]], color=GREY, linestyle="--")
    right.set_title(f"What em.predict, K = {best}, makes of them")
    right.set(xlabel="true rating (stars)", ylabel="predicted rating (stars)")
    right.set_xticks(levels, [f"{level:.3g}" for level in levels])
    box = Patch(facecolor=PREDICT_COLOUR, edgecolor="black")
    whisker = Line2D([], [], color="black")
    words = ["middle half; line: median", "whiskers: 5 % to 95 %", "perfect prediction"]
    right.legend([box, whisker, perfect], words)
    figure.suptitle(f"Predictions of {len(predicted)} ratings that were hidden from the fit")
    return figure


# Options and files: checked before anything is computed, written whole or not at all


def arguments():
    """The command line's options."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        epilog="Exit status: 0, 2 on bad input (with one line that says what), 130 on Ctrl-C.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        allow_abbrev=False,
    )
    parser.error = lambda message: stop(2, message.removeprefix("argument "))
    folder, numbers = {"metavar": "DIR", "type": Path}, {"metavar": "N", "nargs": "+", "type": int}
    text = (
        "folder of netflix_incomplete.txt and, if there are any, netflix_complete.txt, toy_data.txt"
    )
    parser.add_argument("--data", default=HERE, help=text, **folder)
    text = "folder for the pictures, made if it is not there"
    parser.add_argument("--plots", default=HERE / "plots", help=text, **folder)
    text = "seeds of the starts to try"
    parser.add_argument("--seeds", default=list(range(5)), help=text, **numbers)
    text = "numbers of components, K, for the toy data"
    parser.add_argument("--toy-k", default=TOY_K, help=text, **numbers)
    text = "numbers of user types, K"
    parser.add_argument("--netflix-k", default=NETFLIX_K, help=text, **numbers)
    text = "write the ratings to FILE, the missing ones predicted by em.predict with the best K"
    parser.add_argument("--fill", metavar="FILE", type=Path, help=text)
    options = parser.parse_args()
    for seed in options.seeds:
        common.whole("--seeds", seed, 0, 2**32 - 1)
    options.seeds = sorted(set(options.seeds))
    return options


def inputs(options):
    """Read and check the data, and fit the options' K to them; ValueError says what is wrong.

    Returns:
        toy: (n, 2) points; None where there is no such file
        X: (n, d) ratings, 0 where missing
        Y: (n, d) ratings that complete X, 0 where not known; None where there is no such file
    """
    toy, path, complete = (options.data / name for name in INPUTS)
    X = common.read(path, ratings=True)
    Y = common.read(complete, ratings=True) if os.path.lexists(complete) else None
    if Y is not None and Y.shape != X.shape:
        raise ValueError(f"{complete}: expected the shape of {path.name}, {X.shape}, got {Y.shape}")
    if Y is not None and (wrong := np.argwhere((X != 0) & (X != Y))).size:
        row, column = wrong[0]
        raise ValueError(
            f"{complete}, row {row + 1}, column {column + 1}: expected {X[row, column]:g} as in "
            f"{path.name}, got {Y[row, column]:g}"
        )
    options.netflix_k = components("--netflix-k", options.netflix_k, NETFLIX_K, path, len(X))
    if not os.path.lexists(toy):
        return None, X, Y
    toy_data = common.read(toy)
    if toy_data.shape[1] != 2:
        raise ValueError(f"{toy}: expected 2 numbers a line, got {toy_data.shape[1]}")
    options.toy_k = components("--toy-k", options.toy_k, TOY_K, toy, len(toy_data))
    return toy_data, X, Y


def components(option, Ks, default, path, n):
    """Return the K to try: those that were typed, or the default ones that n rows allow."""
    if Ks is default:  # the object itself: nothing was typed
        if n < default[-1]:
            show(f"{path.name} has {n} rows: K above {n} is left out.")
        return [K for K in default if K <= n]
    for K in Ks:
        common.whole(f"{option} ({path.name} has {n} rows)", K, 1, n)
    return sorted(set(Ks))


def check_outputs(options):
    """Make the folder of the pictures; ValueError where a file could not be written later."""
    try:
        options.plots.mkdir(exist_ok=True)
    except OSError as error:
        raise ValueError(f"--plots: cannot make {options.plots}: {error.strerror}") from error
    pictures = [options.plots / picture for picture in PICTURES]
    for picture in pictures:
        check_writable("--plots", picture)
    if options.fill is not None:
        options.fill = Path(os.path.realpath(options.fill))  # write what a link names, not the link
        check_writable("--fill", options.fill)
        for path in [*pictures, *(options.data / name for name in INPUTS)]:
            if options.fill == Path(os.path.realpath(path)):
                raise ValueError(f"--fill: expected a file of its own, got {path}")


def check_writable(option, path):
    """Raise ValueError, naming the option and the reason, where no file can be put at path."""
    try:
        with contextlib.suppress(FileNotFoundError):
            if not stat.S_ISREG(path.stat().st_mode):
                raise OSError(0, "it is not a file")
            if not os.access(path, os.W_OK):
                raise OSError(0, "it is read-only")
        tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as error:
        raise ValueError(f"{option}: cannot write {path}: {error.strerror}") from error


def save(figure, path):
    """Write a figure to a PNG file and close it."""
    progress(f"drawing {path.name}")
    write_whole(path, partial(figure.savefig, format="png", dpi=100))
    plt.close(figure)


def decimals(X):
    """4, or as many as show four digits of the largest rating."""
    return max(4, 3 - int(np.floor(np.log10(X.max()))))


def write_ratings(path, X, X_pred):
    """Write given ratings as they were read, and predicted ones rounded, a user a line."""
    form = f"%.{decimals(X)}f"
    rounded = np.round(X_pred, decimals(X))
    # What rounding would take off the scale is written in full, too.
    exact = (X != 0) | (rounded < X_pred.min()) | (rounded > X_pred.max())
    with open(path, "w", encoding="ascii") as file:
        for row, full in zip(X_pred.tolist(), exact.tolist()):
            words = (repr(x).removesuffix(".0") if e else form % x for x, e in zip(row, full))
            file.write(" ".join(words) + "\n")


def write_whole(path, write):
    """Have write(temporary path) make a file beside path, put it in its place, and say so."""
    temporary = path.with_name(f".{os.getpid()}.part")
    try:
        write(temporary)
        os.replace(temporary, path)
    except OSError as error:
        raise ValueError(f"cannot write {path}: {error.strerror}") from error
    finally:
        temporary.unlink(missing_ok=True)
    with contextlib.suppress(ValueError, OSError):  # not below this folder, or it was deleted
        path = path.relative_to(Path.cwd())
    show(f"Saved {path}")


if __name__ == "__main__":
    with contextlib.suppress(AttributeError):  # Jupyter's standard output encodes everything
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        main()
        print(end="", flush=True)  # flush now, so that its errors are handled below
    except ValueError as error:
        stop(2, error)
    except MemoryError as error:
        stop(2, f"not enough memory: {error}")
    except OSError as error:
        # Standard output is full or has lost its reader, such as head: spare Python's last flush.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            sys.exit(141)  # as a program ends that dies of SIGPIPE
        stop(2, f"standard output: {error.strerror}")
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # for Jupyter's %run
