"""The course project from top to bottom: K-means and EM on toy data, then EM on movie ratings."""

import argparse
import contextlib
import inspect
import os
import secrets
import shutil
import signal
import stat
import sys
import tempfile
from functools import partial
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import NamedTuple


def progress(line):
    """Show a line on the terminal until the next one takes its place, if there is a terminal."""
    if sys.stderr and sys.stderr.isatty():
        print(f"\r{line:<78}\r", end="", file=sys.stderr, flush=True)


def stop(status, line):
    """End the program with this exit status and one line on standard error."""
    progress("")
    print(f"main.py: {line}", file=sys.stderr)
    sys.exit(status)


if sys.version_info < (3, 10):  # noqa: UP036
    stop(2, f"expected Python 3.10 or later, got {sys.version.split()[0]}")
HANDLERS = {}  # what signals did before; Ctrl-C may come while the imports below take their time
if __name__ == "__main__":
    for number in {signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)}:
        if signal.getsignal(number) is not signal.SIG_IGN:
            handler = signal.signal(number, lambda number, _: stop(128 + number, "interrupted"))
            HANDLERS[number] = handler
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))  # python -I leaves it out
os.environ["MPLBACKEND"] = "Agg"  # pictures go to files
# Fits run side by side, each with one BLAS thread: the threads of one product wait for each other
# in a busy loop, which is very slow on a busy machine. BLAS reads this when NumPy is imported.
for library in ("OMP_NUM", "OPENBLAS_NUM", "MKL_NUM", "VECLIB_MAXIMUM"):
    os.environ[f"{library}_THREADS"] = "1"
try:
    import matplotlib.pyplot as plt
    import numpy as np
    from matplotlib.animation import PillowWriter

    import common
    import em
    import kmeans
    import naive_em
except ImportError as error:
    stop(2, f"{error}: pip install {error.name}" if "No module" in str(error) else error)


def main():
    """Run the four steps; each prints its table and saves its pictures."""
    options = arguments()
    toy, toy_Ks, X, Y, Ks = inputs(options)
    check_outputs(options)
    say_what_is_left_out(toy, options)
    if toy is not None:
        clusters = step_kmeans(toy, toy_Ks, options.seeds)
        step_naive_em(toy, toy_Ks, options, clusters)
    step_em(X, Y, Ks, options)
    K = step_prediction(X, Ks, options)
    if options.fill is not None:
        progress(f"em.predict with K = {K}, from all ratings")
        X_pred = em.predict(X, K, options.seeds)
        write_whole(options.fill, partial(write_ratings, X=X, X_pred=X_pred))
        show(f"Its missing ratings are those of em.predict with K = {K}, from all given ratings.")


def step_kmeans(toy, Ks, seeds):
    """Step 1: K-means on the toy data. Returns the best Fit of every K."""
    show(f"K-means on toy_data.txt: {len(toy)} points, number of seeds: {len(seeds)}")
    show("Cost: sum of the squared distances of the points to their cluster's mean")
    show("  K              cost  seed")
    best = {}
    for K, fits in sweep("K-means", partial(fit, kmeans, toy), Ks, seeds):
        best[K] = best_of(fits, sign=-1)
        show(f"{K:3} {best[K].score:17.4f} {best[K].seed:5}")
    return best


def step_naive_em(toy, Ks, options, clusters):
    """Step 2: naive EM on the toy data, whose pictures also show the clusters of step 1."""
    show(f"\nNaive EM on toy_data.txt: {len(toy)} points, number of seeds: {len(options.seeds)}")
    show("BIC: log-likelihood - (number of parameters / 2) log n; larger is better")
    show("  K    log-likelihood               BIC  seed")
    table, best = {}, {}
    for K, fits in sweep("Naive EM", partial(fit, naive_em, toy), Ks, options.seeds):
        table[K], best[K] = fits, best_of(fits)
        show(f"{K:3} {best[K].score:17.4f} {best[K].bic:17.4f} {best[K].seed:5}")
    K = pick(best)
    save(draw_toy(toy, clusters, best), options.plots / TOY)
    write_whole(options.plots / TOY_EM, partial(animate, toy=toy, K=K, seed=best[K].seed))
    title = "Naive EM on the toy data: how many components?"
    save(draw_selection(title, table, best, K), options.plots / TOY_SELECTION)


def step_em(X, Y, Ks, options):
    """Step 3: EM on the ratings; Y completes X or is None."""
    n, d, seeds = *X.shape, options.seeds
    show(f"\nEM on netflix_incomplete.txt: {n} users x {d} movies, number of seeds: {len(seeds)}")
    show(f"Ratings given: {np.count_nonzero(X)} ({np.mean(X != 0):.1%} of the entries)")
    words = "the course's, in stars, over every entry of netflix_complete.txt"
    show(f"RMSE: {'not known, there is no netflix_complete.txt' if Y is None else words}")
    if unknown := 0 if Y is None else np.count_nonzero(Y == 0):
        show(f"({unknown} of its entries are unknown, and count as 0 stars, as in the course)")
    show("  K    log-likelihood               BIC  seed  iterations      RMSE")
    table, best = {}, {}
    for K, fits in sweep("EM", partial(fit, em, X, Y=Y), Ks, seeds):
        table[K], best[K] = fits, (top := best_of(fits))
        ends = f"{top.seed:5} {cell(len(top.trace) or np.nan, 0):>11} {cell(top.rmse, 4):>9}"
        show(f"{K:3} {top.score:17.4f} {top.bic:17.4f} {ends}")
    K = pick(best)
    title = "EM on the ratings: how many user types?"
    save(draw_selection(title, table, best, K), options.plots / SELECTION)
    if best[K].trace:
        save(draw_convergence(table[K], best[K]), options.plots / CONVERGENCE)
    save(draw_user_types(X, best[K]), options.plots / USER_TYPES)


def step_prediction(X, Ks, options):
    """Step 4: the error on ratings that were hidden from the fit. Returns the K to predict with."""
    tenths, count = hidden_tenths(X), np.count_nonzero(X)
    if not tenths:
        show(f"\nPrediction: {count} ratings are too few to hide a tenth; no error is known.")
        return Ks[0]
    hidden = np.concatenate(tenths)
    truth, digits, predicted = X.take(hidden), decimals(X), {}
    show(f"\nPrediction: {len(hidden)} of the {count} given ratings are hidden, a tenth at a time,")
    show("and predicted from the others. RMSE over them, in stars, of each way to predict:")
    for name, (_, words) in WAYS.items():
        show(f"  {name}: {words}")
    show("  K" + "".join(f" {name:>11}" for name in WAYS))
    jobs = [(name, tenth) for name in WAYS for tenth in tenths]
    for K, parts in sweep("Prediction", partial(predict, X, options.seeds), Ks, jobs):
        predicted[K] = np.concatenate(parts).reshape(len(WAYS), -1)
        errors = (cell(common.rmse(row, truth), digits) for row in predicted[K])
        show(f"{K:3}" + "".join(f" {error:>11}" for error in errors))
    K, error, uncertainty = smallest_good(predicted, truth)
    save(draw_predictions(predicted, K, truth), options.plots / PREDICTIONS)
    show(f"The smallest K whose error is within one standard error of the best: {K}.")
    show(
        f"Expect an error of {error:.{digits}f} +- {uncertainty:.{digits}f} (standard error) stars"
    )
    show("for ratings given like the others, more for users or movies with few ratings.")
    return K


# The fits, side by side


class Fit(NamedTuple):
    """One model of K components, fitted from one seed."""

    seed: int
    mixture: common.GaussianMixture
    post: np.ndarray  # (n, K)
    trace: list  # after every iteration: K-means' cost, or EM's log-likelihood in nats
    score: float  # the last of them
    bic: float  # in nats; NaN for K-means
    rmse: float  # the course's, in stars; NaN where it is not known


def fit(model, X, K, seed, Y=None):
    """The Fit of a model to X; a run without `watch`, as a student's, leaves no trace."""
    trace = []
    watch = [trace.append] if "watch" in inspect.signature(model.run).parameters else []
    mixture, post, score = model.run(X, *common.init(X, K, seed), *watch)
    bic = np.nan if model is kmeans else common.bic(X, mixture, score)
    rmse = np.nan if Y is None else common.rmse(model.fill_matrix(X, mixture), Y)
    return Fit(seed, mixture, post, trace, score, bic, rmse)


def best_of(fits, sign=1):
    """The Fit of the largest sign * score; of equal ones the first.

    Rounding must not decide between equal seeds: compare 11 digits.
    """
    return max(fits, key=lambda fit: float(f"{sign * fit.score:.10e}"))


def pick(best):
    """Print and return the K of the largest BIC."""
    picked = max(best, key=lambda K: best[K].bic)
    show(f"BIC picks K = {picked}.")
    return picked


def fill_from_best_seed(X, K, seeds):
    """The course's predictions."""
    return em.fill_matrix(X, best_of([fit(em, X, K, seed) for seed in seeds]).mixture)


WAYS = {"course": (fill_from_best_seed, "em.fill_matrix, from the seed of the best log-likelihood")}
if hasattr(em, "predict"):  # a student's em.py may have none
    WAYS["em.predict"] = em.predict, "twenty small mixtures, each of what is still unexplained"


def hidden_tenths(X):
    """Flat indices of ratings to hide, a tenth at a time, until 1,000 are judged or all ten are."""
    order = np.random.RandomState(0).permutation(np.flatnonzero(X))
    size = len(order) // 10
    return [order[i * size : (i + 1) * size] for i in range(10) if size and i * size < 1000]


def predict(X, seeds, K, job):
    """What one of the WAYS predicts for a tenth of the ratings from the others."""
    way, tenth = job
    X_left = X.copy()
    X_left.flat[tenth] = 0
    return WAYS[way][0](X_left, K, seeds).take(tenth)


def smallest_good(predicted, truth):
    """The smallest K whose error is within one standard error of the best (Breiman et al. 1984).

    Args:
        predicted: {K: (number of WAYS, hidden ratings) array}; the last way counts
        truth: the hidden ratings

    Returns:
        K, and the RMSE of its predictions with its standard error
    """
    squares = {K: (rows[-1] - truth) ** 2 for K, rows in predicted.items()}
    best = squares[min(squares, key=lambda K: squares[K].mean())]
    for K, square in squares.items():
        above = square - best  # paired: the same ratings, most of whose noise cancels
        if above.mean() <= above.std() / np.sqrt(len(truth)):
            rmse = np.sqrt(square.mean())
            return K, rmse, square.std() / np.sqrt(len(truth)) / (2 * rmse or 1)


def sweep(name, job, Ks, variants):
    """Yield every K and [job(K, variant) for all variants], as soon as they are there.

    The jobs run on all cores: NumPy lets other threads run during its products. The threads are
    daemons: Ctrl-C does not wait for them.
    """
    calls = [(K, variant) for K in Ks for variant in variants]
    try:
        pool = ThreadPool(min(cores(), len(calls)))
    except RuntimeError as error:  # "can't start new thread", for its stack has no room
        raise MemoryError(error) from error
    with pool:
        results = pool.imap(lambda call: job(*call), calls)
        for i, K in enumerate(Ks):
            group = []
            for j in range(len(variants)):
                progress(f"{name}: {len(calls) - i * len(variants) - j} of {len(calls)} fits left")
                group.append(next(results))
            yield K, group


def cores():
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


# Options and files: checked before anything is computed, written whole or not at all

INPUTS = "toy_data.txt", "netflix_incomplete.txt", "netflix_complete.txt"
TOY_K, NETFLIX_K = [1, 2, 3, 4], [1, 2, 3, 4, 8, 12]  # the numbers of components to try
PICTURES = TOY, TOY_EM, TOY_SELECTION, SELECTION, CONVERGENCE, USER_TYPES, PREDICTIONS = [
    "toy_kmeans_vs_em.png",
    "toy_em.gif",
    "toy_selection.png",
    "netflix_selection.png",
    "netflix_convergence.png",
    "netflix_user_types.png",
    "netflix_predictions.png",
]


def arguments():
    """The command line's options."""
    parser = argparse.ArgumentParser(
        description="K-means and EM on toy data, then EM on movie ratings: tables and pictures.",
        epilog="Exit status: 0, 2 on bad input (with one line that says what), 130 on Ctrl-C.",
        allow_abbrev=False,
    )
    parser.error = lambda message: stop(2, message.removeprefix("argument "))
    folder, numbers = {"metavar": "DIR", "type": Path}, {"metavar": "N", "nargs": "+", "type": int}
    text = "folder of netflix_incomplete.txt and, if there are any, netflix_complete.txt and "
    text += "toy_data.txt (default: the program's own)"
    parser.add_argument("--data", default=HERE, help=text, **folder)
    text = "folder for the pictures, made if it is not there (default: plots beside the program)"
    parser.add_argument("--plots", default=HERE / "plots", help=text, **folder)
    text = "seeds of the starts to try (default: 0 1 2 3 4)"
    parser.add_argument("--seeds", default=list(range(5)), help=text, **numbers)
    text = f"numbers of components for the toy data (default: {' '.join(map(str, TOY_K))})"
    parser.add_argument("--toy-k", help=text, **numbers)
    text = f"numbers of user types (default: {' '.join(map(str, NETFLIX_K))})"
    parser.add_argument("--netflix-k", help=text, **numbers)
    text = "write the ratings to FILE, the missing ones predicted by em.predict"
    parser.add_argument("--fill", metavar="FILE", type=Path, help=text)
    options = parser.parse_args()
    options.seeds = sorted({common.whole("--seeds", s, 0, 2**32 - 1) for s in options.seeds})
    return options


def inputs(options):
    """Read and check the data; ValueError says what is wrong.

    Returns:
        toy: (n, 2) points; None where there is no such file
        toy_Ks: the numbers of components to try on them
        X: (n, d) ratings, 0 where missing
        Y: (n, d) ratings that complete X, 0 where not known; None where there is no such file
        Ks: the numbers of user types to try
    """
    toy, path, complete = (options.data / name for name in INPUTS)
    X = common.read(path, ratings=True)
    if looks_like_triples(X):
        raise ValueError(
            f"{path}: expected one user per line and one movie per column, got what looks like "
            "`user item rating` lines; the README makes the matrix of them (Your own ratings)"
        )
    Y = common.read(complete, ratings=True) if os.path.lexists(complete) else None
    if Y is not None and Y.shape != X.shape:
        raise ValueError(f"{complete}: expected the shape of {path.name}, {X.shape}, got {Y.shape}")
    if Y is not None and (wrong := np.argwhere((X != 0) & (X != Y))).size:
        row, column = wrong[0]
        raise ValueError(
            f"{complete}, row {row + 1}, column {column + 1}: expected {X[row, column]:g} as in "
            f"{path.name}, got {Y[row, column]:g}"
        )
    Ks = components("--netflix-k", options.netflix_k, NETFLIX_K, path, len(X))
    if not os.path.lexists(toy):
        return None, [], X, Y, Ks
    points = common.read(toy)
    if points.shape[1] != 2:
        raise ValueError(f"{toy}: expected 2 numbers a line, got {points.shape[1]}")
    return points, components("--toy-k", options.toy_k, TOY_K, toy, len(points)), X, Y, Ks


def looks_like_triples(X):
    """Whether (n, d) ratings look like `user item rating [time]`: identifiers, each pair once."""
    pairs = X[:, :2]
    return (
        X.shape[1] in (3, 4)
        and bool(X.all() and (pairs % 1 == 0).all() and pairs.max() > X[:, 2].max())
        and len(np.unique(pairs, axis=0)) > 0.99 * len(X)
    )


def components(option, typed, default, path, n):
    """The K to try: those that were typed, or else the default ones that n rows allow."""
    if typed is None:
        return [K for K in default if K <= n]
    return sorted({common.whole(f"{option} ({path.name} has {n} rows)", K, 1, n) for K in typed})


def say_what_is_left_out(toy, options):
    """Name what the files, or a student's modules to the course's signatures, do not give."""
    if toy is None:
        show("There is no toy_data.txt: K-means and naive EM are left out.")
    if "watch" not in inspect.signature(em.run).parameters:
        show("Your em.run has no `watch`: iterations and netflix_convergence.png are left out.")
    if "em.predict" not in WAYS:
        show("Your em.py has no `predict`: its errors are left out.")


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
        check_writable("--fill", options.fill)
        if "em.predict" not in WAYS:
            raise ValueError("--fill: expected an em.py with a function predict")
        for path in [*pictures, *(options.data / name for name in INPUTS)]:
            if os.path.realpath(options.fill) == os.path.realpath(path):
                raise ValueError(f"--fill: expected a file of its own, got {path}")


def check_writable(option, path):
    """Raise ValueError, naming the option and the reason, where no file can be put at path."""
    try:
        path = Path(os.path.realpath(path))
        with contextlib.suppress(FileNotFoundError):
            if not stat.S_ISREG(path.stat().st_mode):
                raise OSError(0, "it is not a file")
            if not os.access(path, os.W_OK):
                raise OSError(0, "it is read-only")
            if is_pinned(path):
                raise OSError(0, "it can be written, but not replaced (mounted, or another's)")
        tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as error:
        raise ValueError(f"{option}: cannot write {path}: {error.strerror}") from error


def is_pinned(path):
    """Whether a file is a mount point, or another user's in a sticky folder such as /tmp."""
    with contextlib.suppress(OSError):  # a system without this file
        mounts = Path("/proc/self/mountinfo").read_text(errors="replace").splitlines()
        if str(path).replace(" ", "\\040") in [mount.split()[4] for mount in mounts]:
            return True
    folder = path.parent.stat()
    owners = (0, folder.st_uid, path.stat().st_uid)
    return bool(folder.st_mode & stat.S_ISVTX) and os.geteuid() not in owners


def write_whole(path, write):
    """Have write(temporary path) make a file beside path, put it in its place, and say so."""
    progress(f"writing {path.name}")
    real = Path(os.path.realpath(path))  # write what a link names, not the link
    temporary = real.with_name(f".{secrets.token_hex(8)}.part{real.suffix[-4:]}")
    try:
        temporary.touch()
        if real.exists():
            shutil.copymode(real, temporary)
        write(temporary)
        os.replace(temporary, real)
    except OSError as error:
        raise ValueError(f"cannot write {path}: {error.strerror}") from error
    finally:
        temporary.unlink(missing_ok=True)
    with contextlib.suppress(ValueError, OSError):  # not below this folder, or it was deleted
        path = path.relative_to(Path.cwd())
    show(f"Saved {path}")


def save(figure, path):
    """Write a figure to a PNG file."""
    write_whole(path, partial(figure.savefig, dpi=100))


def write_ratings(path, X, X_pred):
    """Write given ratings as they are and predicted ones rounded, one user per line."""
    rounded = np.clip(np.round(X_pred, decimals(X) + 1), X_pred.min(), X_pred.max())
    with open(path, "w", encoding="ascii") as file:
        for row in np.where(X != 0, X, rounded):
            file.write(" ".join(repr(x).removesuffix(".0") for x in row.tolist()) + "\n")


def decimals(X):
    """The decimals of an error: 3 on 1 to 5 stars, fewer on a larger scale, more on a smaller."""
    return max(0, 3 - int(np.floor(np.log10(X.max()))))


def cell(x, digits):
    """A number of a table; a dash where it is not known."""
    return "-" if np.isnan(x) else f"{x:.{digits}f}"


def show(line):
    """Print a line at once, in place of the live line."""
    progress("")
    try:
        print(line, flush=True)
    except OSError as error:  # standard output is full, or has lost its reader, such as head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # spare Python's last flush
        if isinstance(error, BrokenPipeError):
            sys.exit(141)  # as a program ends that dies of SIGPIPE
        stop(2, f"standard output: {error.strerror}")


# Pictures: data in, a figure out. The same thing has the same colour in all of them.

LL_COLOUR, COURSE_COLOUR, RMSE_COLOUR, PREDICT_COLOUR, _, BIC_COLOUR = common.COLOURS[:6]
GREY = "0.6"  # for comparison: the other seeds, a perfect prediction


def draw_toy(toy, clusters, mixtures):
    """K-means above EM, a column per K, as common.plot draws them."""
    figure = plt.Figure(figsize=(max(3 * len(clusters), 7), 6.4), layout="constrained")
    columns = figure.subplots(2, len(clusters), squeeze=False).T
    before = []  # the means of the panel before: a component takes the colour of the nearest
    for column, K in zip(columns, clusters):
        for ax, fit, name in zip(column, (clusters[K], mixtures[K]), ("K-means", "EM")):
            mu, order = fit.mixture.mu, []
            left = list(np.argsort(mu[:, 0]))
            for mean in before:
                order.append(left.pop(((mu[left] - mean) ** 2).sum(axis=1).argmin()))
            order += left
            mixture = common.GaussianMixture(*(part[order] for part in fit.mixture))
            score = "cost" if name == "K-means" else "log-likelihood"
            title = f"{name}, K = {K}\n{score} {fit.score:,.1f}"
            common.plot(toy, mixture, fit.post[:, order], title, ax)
            ax.set(xlabel="x1", ylabel="x2")
            ax.label_outer()
            before = mixture.mu
    figure.suptitle(
        "Toy data: a point has the colour of its cluster (K-means), or its components' colours in\n"
        "proportion to its posteriors (EM); a circle's radius is one standard deviation"
    )
    return figure


def animate(path, toy, K, seed):
    """EM from its start, as a GIF: a frame an iteration at first, fewer later, 16 at most."""
    mixture, _ = common.init(toy, K, seed)
    frames = []
    while len(frames) < 2 or frames[-1][2] - frames[-2][2] > 1e-6 * abs(frames[-1][2]):
        post, ll = naive_em.estep(toy, mixture)
        frames.append((mixture, post, ll))
        mixture = naive_em.mstep(toy, post)
    figure = plt.Figure(figsize=(6, 4.2), layout="constrained")
    ax, writer = figure.subplots(), PillowWriter(fps=2)
    limits = [toy.min(axis=0), toy.max(axis=0)] + toy.std() * np.array([[-0.3], [0.3]])
    with writer.saving(figure, path, dpi=80):
        for i in np.unique(np.geomspace(1, len(frames), 16).round().astype(int)) - 1:
            ax.clear()
            mixture, post, ll = frames[i]
            title = f"EM with K = {K}, after {i} iterations: log-likelihood {ll:,.1f}"
            common.plot(toy, mixture, post, title, ax)
            ax.set_aspect("equal", adjustable="box")
            ax.set(xlim=limits[:, 0], ylim=limits[:, 1], xlabel="x1", ylabel="x2")
            writer.grab_frame()
        for _ in range(5):  # the last one stays
            writer.grab_frame()


def draw_selection(title, table, best, picked):
    """Scores over K: every seed a dot, the seed of the best log-likelihood on the line."""
    panels = [
        ("score", "Log-likelihood (larger is better)", "nats", LL_COLOUR),
        ("bic", "BIC (larger is better)", "nats", BIC_COLOUR),
        ("rmse", "The course's RMSE (smaller is better)", "stars", RMSE_COLOUR),
    ]
    panels = panels if np.isfinite(best[picked].rmse) else panels[:2]
    figure = plt.Figure(figsize=(4.4 * len(panels), 4), layout="constrained")
    for ax, (field, name, unit, colour) in zip(figure.subplots(1, len(panels)), panels):
        for K, fits in table.items():
            scores = [getattr(fit, field) for fit in fits]
            dots = ax.plot([K] * len(fits), scores, "o", color=GREY, markersize=4)
        ax.plot(list(table), [getattr(fit, field) for fit in best.values()], "o-", color=colour)
        mark = ax.axvline(picked, color="black", linestyle=":")
        ax.set(title=name, xlabel="K", ylabel=unit, xticks=list(table))
        if unit == "nats":
            ax.yaxis.set_major_formatter("{x:,.10g}")
    line = plt.Line2D([], [], color="black", marker="o")
    labels = ["seed with the best log-likelihood", "other seeds", f"K = {picked}, picked by BIC"]
    figure.legend([line, dots[0], mark], labels, loc="outside lower center", ncols=3)
    figure.suptitle(title)
    return figure


def draw_convergence(fits, best):
    """The log-likelihood after every iteration, a line per seed, labelled at its end."""
    figure = plt.Figure(figsize=(9, 4.5), layout="constrained")
    ax = figure.subplots()
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
    ax.set(xlabel="EM iteration (axis cut: early values lie below)", ylabel="log-likelihood (nats)")
    ax.set_title(f"EM with K = {len(best.mixture.p)}: how the log-likelihood rises from each seed")
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.yaxis.set_major_formatter("{x:,.10g}")
    return figure


def draw_user_types(X, fit):
    """A panel per type: how generous it is, and the movies that it likes most and least.

    generosity = the mean over the movies of (the type's mean - everyone's mean), taste = what is
    left of that difference, pulled to 0 as in em.predict where few users of the type rated a movie.
    """
    raters = np.count_nonzero(X, axis=0)
    seen, counts = np.flatnonzero(raters), fit.post.T @ (X != 0)
    mu, p = fit.mixture.mu[:, seen], fit.mixture.p
    alone = len(p) == 1  # what would everyone's mean differ from? From the mean of all ratings.
    everyone = X.sum() / raters.sum() if alone else X.sum(axis=0)[seen] / raters[seen]
    above = np.ma.masked_array(mu - everyone, mu == 0)  # 0: a mean that was never updated
    generosity = above.mean(axis=1).filled(0)
    taste = above - generosity[:, None]
    taste = (taste * counts[:, seen] / (counts[:, seen] + 15)).filled(0)
    types = [j for j in np.argsort(-p, kind="stable") if p[j] * len(X) >= 1.5] or [p.argmax()]
    rows, few = -(-len(types) // 4), min(5, len(seen) // 2)
    figure = plt.Figure(
        figsize=(max(3 * min(len(types), 4), 7), 1.2 + 3 * rows), layout="constrained"
    )
    panels = figure.subplots(rows, min(len(types), 4), squeeze=False, sharex=True).flat
    for ax, j, i in zip(panels, types, range(1, 99)):
        shown = np.argsort(-taste[j], kind="stable")
        shown = np.concatenate([shown[:few], shown[len(shown) - few :]])
        colours = [LL_COLOUR] * few + [COURSE_COLOUR] * few
        ax.barh([f"movie {seen[l] + 1}" for l in shown], taste[j, shown], color=colours)
        ax.invert_yaxis()
        ax.axvline(0, color="black", linewidth=1)
        ax.set_title(
            "all users"
            if alone
            else f"type {i}: {p[j]:.1%} of the users\ngenerosity {generosity[j]:+.2f} stars"
        )
    for ax in list(panels):
        ax.set_visible(False)
    return figure


def draw_predictions(predicted, K, truth):
    """The hidden ratings: error over K, and how the last of the WAYS predicts with this K.

    predicted is {K: (number of WAYS, hidden ratings) array}; truth are the hidden ratings.
    """
    figure = plt.Figure(figsize=(10, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for i, (name, colour) in enumerate(zip(WAYS, (COURSE_COLOUR, PREDICT_COLOUR))):
        errors = [common.rmse(rows[i], truth) for rows in predicted.values()]
        left.plot(list(predicted), errors, "o-", color=colour, label=name)
    left.axvline(K, color="black", linestyle=":", label=f"K = {K}, used to predict")
    left.set(title="Error on the hidden ratings (smaller is better)", xlabel="K")
    left.set(ylabel="RMSE (stars)", xticks=list(predicted))
    left.legend()

    levels, values = np.unique(truth), predicted[K][-1]
    if len(levels) > 10:  # ten groups of equal width; a group stands at its middle
        edges = np.linspace(levels[0], levels[-1], 11)
        group = np.clip(np.searchsorted(edges, truth, "right") - 1, 0, 9)
        truth = ((edges[1:] + edges[:-1]) / 2)[group]
        levels = np.unique(truth)
    boxes = {"patch_artist": True, "boxprops": {"facecolor": PREDICT_COLOUR}}
    boxes |= {"medianprops": {"color": "black"}, "showfliers": False, "manage_ticks": False}
    width = 0.6 * np.diff(levels).min() if len(levels) > 1 else 0.6
    groups = [values[truth == level] for level in levels]
    drawn = right.boxplot(groups, positions=levels, widths=width, whis=(5, 95), **boxes)
    (perfect,) = right.plot(levels[[0, -1]], levels[[0, -1]], color=GREY, linestyle="--")
    right.set_title(f"What {list(WAYS)[-1]} says, K = {K}")
    right.set(xlabel="true rating (stars)", ylabel="predicted rating (stars)")
    right.set_xticks(levels, [f"{level:.3g}" for level in levels])
    words = ["middle half; line: median", "whiskers: 5 % to 95 %", "perfect prediction"]
    right.legend([drawn["boxes"][0], drawn["whiskers"][0], perfect], words)
    figure.suptitle(f"Predictions of {len(truth)} ratings that were hidden from the fit")
    return figure


if __name__ == "__main__":
    with contextlib.suppress(AttributeError):  # Jupyter's standard output encodes everything
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        with plt.rc_context():  # Matplotlib's own defaults, whatever the user's are
            plt.rcdefaults()
            main()
    except ValueError as error:
        stop(2, error)
    except MemoryError as error:
        stop(2, f"not enough memory: {error}")
    finally:
        for number, handler in HANDLERS.items():  # for Jupyter's %run
            signal.signal(number, handler)
