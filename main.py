"""The course project from top to bottom: K-means and EM on toy data, then EM on movie ratings."""

import os
import signal
import sys

PARTS, CLEAR = set(), "\r\033[K" * os.isatty(2)  # unfinished files; a terminal's live line


def stop(status, line):
    """End the program with this exit status and one line on standard error."""
    print(CLEAR + f"main.py: {line}", file=sys.stderr)
    sys.exit(status)


def interrupted(number, _):
    """End at once: an exception could be swallowed, as in a callback of the garbage collector."""
    signal.signal(number, signal.SIG_IGN)
    try:
        for part in list(PARTS):
            part.unlink(missing_ok=True)
        os.write(2, f"{CLEAR}main.py: interrupted\n".encode())
    finally:  # even if standard error is closed
        os._exit(128 + number)


if sys.version_info < (3, 10):  # noqa: UP036
    stop(2, f"expected Python 3.10 or later, got {sys.version.split()[0]}")
if __name__ == "__main__" and "IPython" not in sys.modules:  # the imports below take a while
    for number in {signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)}:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, interrupted)
# One BLAS thread a fit: several wait for each other in busy loops. BLAS reads this on its import.
for library in ("OMP_NUM", "OPENBLAS_NUM", "MKL_NUM", "VECLIB_MAXIMUM"):
    os.environ[f"{library}_THREADS"] = "1"
os.environ["MPLBACKEND"] = "Agg"  # pictures go to files
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # python -I leaves it out
try:
    import argparse
    import contextlib
    import inspect
    import tempfile
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
    from common import COLOURS
except (ImportError, OSError, UnicodeError) as error:
    library = (getattr(error, "name", None) or "").split(".")[0]
    known = "No module" not in str(error) or library in ("common", "em", "kmeans", "naive_em")
    stop(2, error if known else f"{error}: pip install {library}")


def main():
    """Run the four steps, which print tables and save pictures."""
    options = arguments()
    toy, toy_Ks, X, Y, Ks = inputs(options)
    check_outputs(options)
    say_what_is_left_out(toy, Y)
    if toy is not None:
        clusters = step_kmeans(toy, toy_Ks, options.seeds)
        step_naive_em(toy, toy_Ks, options, clusters)
    step_em(X, Y, Ks, options)
    K = step_prediction(X, Ks, options)
    if options.fill is not None:
        progress(f"em.predict with K = {K}, from all ratings")
        X_pred = em.predict(X, K, options.seeds)
        write_whole(options.fill, partial(common.write_ratings, X=X, X_pred=X_pred))
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
    table, best, K = bic_table("Naive EM", partial(fit, naive_em, toy), Ks, options.seeds)
    write_whole(options.plots / TOY, draw_toy(toy, clusters, best).savefig)
    write_whole(options.plots / TOY_EM, partial(animate, toy=toy, K=K, seed=best[K].seed))
    title = "Naive EM on the toy data: how many components?"
    write_whole(options.plots / TOY_SELECTION, draw_selection(title, table, best, K).savefig)


def step_em(X, Y, Ks, options):
    """Step 3: EM on the ratings; Y completes X or is None."""
    sizes, seeds = "{} users x {} movies".format(*X.shape), options.seeds
    show(f"\nEM on netflix_incomplete.txt: {sizes}, number of seeds: {len(seeds)}")
    show(f"Ratings given: {np.count_nonzero(X)} ({np.mean(X != 0):.1%} of the entries)")
    show("RMSE: the course's, in stars, over every entry of netflix_complete.txt")
    show("  K    log-likelihood               BIC  seed  iterations      RMSE")
    table, best, K = bic_table("EM", partial(fit, em, X, Y=Y), Ks, seeds)
    title = "EM on the ratings: how many user types?"
    write_whole(options.plots / SELECTION, draw_selection(title, table, best, K).savefig)
    if best[K].trace:
        write_whole(options.plots / CONVERGENCE, draw_convergence(table[K], best[K]).savefig)
    write_whole(options.plots / USER_TYPES, draw_user_types(X, best[K]).savefig)


def step_prediction(X, Ks, options):
    """Step 4: the error on ratings that were hidden from the fit. Returns the K to predict with."""
    tenths, count, used = common.hidden_tenths(X), np.count_nonzero(X), list(WAYS)[-1]
    if not tenths:
        show(f"\nPrediction: {count} ratings are too few to hide a tenth; no error is known.")
        return Ks[0]
    truth, digits, predicted = X.take(np.concatenate(tenths)), common.decimals(X), {}
    show(f"\nPrediction: {len(truth)} of the {count} given ratings are hidden, and predicted from")
    show(f"the others{', a tenth at a time' * (len(tenths) > 1)}. RMSE over them, in stars:")
    for way, words in WAYS.items():
        show(f"  {way}: {words}")
    show("  K" + "".join(f" {way:>11}" for way in WAYS))
    jobs = [(way, tenth) for way in WAYS for tenth in tenths]
    for K, parts in sweep("Prediction", partial(predict, X, options.seeds), Ks, jobs):
        predicted[K] = np.concatenate(parts).reshape(len(WAYS), -1)
        errors = [common.rmse(row, truth) for row in predicted[K]]
        show(f"{K:3}" + "".join(f" {error:11.{digits}f}" for error in errors))
    squares = {K: (rows[-1] - truth) ** 2 for K, rows in predicted.items()}
    K, (error, uncertainty) = common.smallest_good(squares), common.promise(squares)
    write_whole(options.plots / PREDICTIONS, draw_predictions(predicted, K, truth).savefig)
    show(f"Smallest K whose error ({used}) is within one standard error of the best: {K}.")
    show(f"Expect {error:.{digits}f} +- {uncertainty:.{digits}f} stars (+-: standard error) for")
    show("ratings given like the others, and more for users or movies with few ratings.")
    return K


# The fits, side by side, on the cores that this process may use

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


class Fit(NamedTuple):
    """One model of K components, fitted from one seed."""

    seed: int
    mixture: common.GaussianMixture
    post: np.ndarray  # (n, K)
    trace: list  # EM's log-likelihood in every iteration, in nats; may be empty
    score: float  # K-means' cost, or a log-likelihood in nats
    bic: float  # in nats; NaN for K-means
    rmse: float  # the course's, in stars; NaN where it is not known


def fit(model, X, K, seed, Y=None):
    """The Fit of a model to X."""
    trace, start = [], common.init(X, K, seed)
    mixture, post, score = model.run(X, *start, *[trace.append] * (model in WATCHED))
    bic = np.nan if model is kmeans else common.bic(X, mixture, score)
    rmse = np.nan if Y is None else common.rmse(model.fill_matrix(X, mixture), Y)
    return Fit(seed, mixture, post, trace, score, bic, rmse)


def best_of(fits, sign=1):
    """The Fit of the largest sign * score to 11 digits: rounding must not decide between seeds."""
    return max(fits, key=lambda fit: float(f"{sign * fit.score:.10e}"))


def bic_table(name, job, Ks, seeds):
    """Print the best Fit of every K; return {K: fits}, {K: the best of them} and the BIC's K."""
    table, best = {}, {}
    for K, fits in sweep(name, job, Ks, seeds):
        table[K], best[K] = fits, (top := best_of(fits))
        ends = f" {len(top.trace) or '-':>11} {'-' if np.isnan(top.rmse) else f'{top.rmse:.4f}':>9}"
        show(f"{K:3} {top.score:17.4f} {top.bic:17.4f} {top.seed:5}" + ends * (name == "EM"))
    K = max(best, key=lambda K: best[K].bic)
    show(f"BIC picks K = {K}.")
    return table, best, K


# What the course does not ask for, a student's module may lack: watch, em.predict.
WATCHED = [em] if "watch" in inspect.signature(em.run).parameters else []
WAYS = {"course": "em.fill_matrix, from the seed of the best log-likelihood"}
if hasattr(em, "predict"):
    WAYS["em.predict"] = "twenty small mixtures, each of what is still unexplained"


def predict(X, seeds, K, job):
    """What one of the WAYS predicts for a tenth of the ratings from the others."""
    way, tenth = job
    X_left = X.copy()
    X_left.flat[tenth] = 0
    if way == "em.predict":
        return em.predict(X_left, K, seeds).take(tenth)
    best = best_of([fit(em, X_left, K, seed) for seed in seeds])
    return em.fill_matrix(X_left, best.mixture).take(tenth)


def progress(line):
    """Show a line on the terminal until the next one takes its place, if there is a terminal."""
    if sys.stderr and sys.stderr.isatty():
        print(f"\r{line:<78}\r", end="", file=sys.stderr, flush=True)


def sweep(name, job, Ks, variants):
    """Yield every K and [job(K, variant) for all variants], as soon as they are there."""
    calls = [(K, variant) for K in Ks for variant in variants]
    try:
        pool = ThreadPool(min(CORES, len(calls)))
    except (OSError, RuntimeError) as error:  # "can't start new thread", for its stack has no room
        raise MemoryError(f"not enough memory or threads: {error}") from error
    with pool:
        results = pool.imap(lambda call: job(*call), calls)
        for i, K in enumerate(Ks):
            group = []
            for j in range(len(variants)):
                progress(f"{name}: {len(calls) - i * len(variants) - j} of {len(calls)} fits left")
                group.append(next(results))
            yield K, group


# Options and files: checked before anything is computed, written whole or not at all

HERE = Path(__file__).resolve().parent
INPUTS = "toy_data.txt", "netflix_incomplete.txt", "netflix_complete.txt"
TOY_K, NETFLIX_K = [1, 2, 3, 4], [1, 2, 3, 4, 8, 12]  # the numbers of components to try
PICTURES = TOY, TOY_EM, TOY_SELECTION, SELECTION, CONVERGENCE, USER_TYPES, PREDICTIONS = (
    *("toy_kmeans_vs_em.png", "toy_em.gif", "toy_selection.png"),
    *("netflix_selection.png", "netflix_convergence.png", "netflix_user_types.png"),
    "netflix_predictions.png",
)


def arguments():
    """The command line's options."""
    parser = argparse.ArgumentParser(
        description="K-means and EM on toy data, then EM on movie ratings: tables and pictures.",
        allow_abbrev=False,
    )
    parser.error = lambda message: stop(2, message.removeprefix("argument "))
    folder, numbers = {"metavar": "DIR", "type": Path}, {"metavar": "N", "nargs": "+", "type": int}
    fill = "write the ratings to FILE, the missing ones predicted by em.predict"
    for name, kind, default, text in [
        ("--data", folder, HERE, "folder of the data files (default: %(default)s)"),
        ("--plots", folder, HERE / "plots", "folder for the pictures (default: %(default)s)"),
        ("--seeds", numbers, list(range(5)), "seeds of the starts to try (default: %(default)s)"),
        ("--toy-k", numbers, None, f"numbers of components for the toy data (default: {TOY_K})"),
        ("--netflix-k", numbers, None, f"numbers of user types (default: {NETFLIX_K})"),
        ("--fill", {"metavar": "FILE", "type": Path}, None, fill),
    ]:
        parser.add_argument(name, default=default, help=text, **kind)
    options = parser.parse_args()
    options.seeds = sorted({common.whole("--seeds", s, 0, 2**32 - 1) for s in options.seeds})
    return options


def inputs(options):
    """Read toy (n, 2) or None, the K for it, ratings X (n, d), Y completing X or None, their K."""
    toy_path, path, complete = (options.data / name for name in INPUTS)
    X, Y, toy, toy_Ks = common.read(path, ratings=True), None, None, []
    # Few columns, nothing missing, and numbers that only identifiers reach
    if X.shape[1] in (3, 4) and X.all() and X[:, :2].max() > 5 * X[:, 2].max():
        got = "what looks like `user item rating` lines: the README makes the matrix of them"
        raise ValueError(f"{path}: expected a user per line and a movie per column, got {got}")
    if os.path.lexists(complete):
        Y = common.read(complete, ratings=True)
        if Y.shape != X.shape:
            raise ValueError(f"{complete}: expected shape {X.shape}, {path.name}'s, got {Y.shape}")
        for row, column in np.argwhere((X != 0) & (X != Y))[:1]:
            place, x = f"{complete}, row {row + 1}, column {column + 1}", X[row, column]
            raise ValueError(f"{place}: expected {x:g} as in {path.name}, got {Y[row, column]:g}")
    if os.path.lexists(toy_path):
        toy = common.read(toy_path)
        if toy.shape[1] != 2:
            raise ValueError(f"{toy_path}: expected 2 numbers a line, got {toy.shape[1]}")
        toy_Ks = components("--toy-k", options.toy_k, TOY_K, toy_path, len(toy))
    return toy, toy_Ks, X, Y, components("--netflix-k", options.netflix_k, NETFLIX_K, path, len(X))


def components(option, typed, default, path, n):
    """The K to try: those that were typed, or else the default ones that n rows allow."""
    Ks, name = typed or [K for K in default if K <= n], f"{option} ({path.name} has {n} rows)"
    return sorted({common.whole(name, K, 1, n) for K in Ks})


def say_what_is_left_out(toy, Y):
    """Name what the files, or a student's modules to the course's signatures, do not give."""
    if toy is None:
        show("There is no toy_data.txt: K-means and naive EM are left out.")
    if Y is None:
        show("There is no netflix_complete.txt: the course's RMSE is not known.")
    elif unknown := np.count_nonzero(Y == 0):
        show(f"{unknown} entries of netflix_complete.txt are unknown: the RMSE takes 0 stars.")
    if lacks := ["watch"] * (not WATCHED) + ["predict"] * ("em.predict" not in WAYS):
        show(f"Your em.py has no {' and no '.join(lacks)}: what needs it is left out.")


def check_outputs(options):
    """Make the folder of the pictures; ValueError where a file could not be written later."""
    pictures, fill = [options.plots / picture for picture in PICTURES], options.fill
    option, path = "--plots", options.plots
    try:
        path.mkdir(exist_ok=True)
        for path in pictures:
            check_writable(path)
        option, path = "--fill", fill
        if fill is not None:
            others = pictures + [options.data / name for name in INPUTS]
            if os.path.realpath(fill) in map(os.path.realpath, others):
                raise ValueError(f"--fill: expected a file of its own, got {fill}")
            if "em.predict" not in WAYS:
                raise ValueError("--fill: expected an em.py with a function predict")
            check_writable(fill)
    except OSError as error:
        raise ValueError(f"{option}: cannot write {path}: {error.strerror}") from error


def check_writable(path):
    """Raise OSError with the reason where no file can be put at path."""
    real, mounts = Path(os.path.realpath(path)), []
    with contextlib.suppress(OSError):  # Linux alone has this file, with \040 for a space
        lines = Path("/proc/self/mountinfo").read_text(errors="surrogateescape").splitlines()
        mounts = [line.split()[4].encode("ascii", "backslashreplace") for line in lines]
    with contextlib.suppress(FileNotFoundError):
        file, folder = real.stat(), real.parent.stat()
        if not real.is_file():
            raise OSError(0, "it is not a file")
        open(real, "r+b").close()
        sticky = folder.st_mode & 0o1000 and os.geteuid() not in (0, folder.st_uid, file.st_uid)
        if sticky or str(real) in [mount.decode("unicode_escape") for mount in mounts]:
            raise OSError(0, "it can be written but not replaced (mounted, or another user's)")
    tempfile.TemporaryFile(dir=real.parent).close()


def write_whole(path, write):
    """Have write(temporary path) make a file beside path, put it in its place, and say so."""
    try:
        real = Path(os.path.realpath(path))  # write what a link names, not the link
        temporary = real.with_name(f".{os.urandom(8).hex()}.part{path.suffix[-4:]}")
        PARTS.add(temporary)
        try:
            temporary.touch()
            if real.exists():
                temporary.chmod(real.stat().st_mode & 0o777)
            write(temporary)
            os.replace(temporary, real)
        finally:
            temporary.unlink(missing_ok=True)
            PARTS.discard(temporary)
    except OSError as error:
        raise ValueError(f"cannot write {path}: {error.strerror}") from error
    with contextlib.suppress(ValueError, OSError):  # not below this folder, or it was deleted
        path = path.relative_to(Path.cwd())
    show(f"Saved {path}")


def show(line):
    """Print a line at once, in place of the live line."""
    progress("")
    try:
        print(line, flush=True)
    except OSError as error:  # standard output is full, or has lost its reader, such as head
        sys.stdout = None  # spare Python's last flush
        if isinstance(error, BrokenPipeError):
            sys.exit(141)  # as a program ends that dies of SIGPIPE
        stop(2, f"standard output: {error.strerror}")


# Pictures: data in, a figure out. A score has the same colour in all of them.

LL_COLOUR, COURSE_COLOUR, RMSE_COLOUR, PREDICT_COLOUR, _, BIC_COLOUR = COLOURS[:6]
GREY = "0.6"  # for comparison: the other seeds, a perfect prediction


def draw_toy(toy, clusters, mixtures):
    """K-means above EM, a column per K, as common.plot draws them."""
    figure = plt.Figure(figsize=(max(3 * len(clusters), 9), 6.4), layout="constrained")
    columns = figure.subplots(2, len(clusters), squeeze=False).T
    before = []  # means of the panel before: the nearest component takes its number and colour
    for column, K in zip(columns, clusters):
        rows = ("K-means", "cost", clusters[K]), ("EM", "log-likelihood", mixtures[K])
        for ax, (name, score, fit) in zip(column, rows):
            mu, left, order = fit.mixture.mu, list(np.argsort(fit.mixture.mu[:, 0])), []
            for mean in before:
                order.append(left.pop(((mu[left] - mean) ** 2).sum(axis=1).argmin()))
            order += left
            before = mu[order]
            mixture = fit.mixture._replace(mu=before, var=fit.mixture.var[order])
            title = f"{name}, K = {K}\n{score} {fit.score:,.1f}"
            common.plot(toy, mixture, fit.post[:, order], title, ax).set(xlabel="x1", ylabel="x2")
            ax.label_outer()
    words = "A point has its cluster's colour (K-means), or those of its components, mixed by its\n"
    figure.suptitle(f"{words}posteriors (EM). The radius of a circle is one standard deviation.")
    return figure


def animate(path, toy, K, seed):
    """EM from its start, as a GIF: a frame per iteration at first, fewer later, 16 at most."""
    (mixture, _), steps = common.init(toy, K, seed), []
    while len(steps) < 2 or steps[-1][2] - steps[-2][2] > 1e-6 * abs(steps[-1][2]):
        steps.append((mixture, *naive_em.estep(toy, mixture)))
        mixture = naive_em.mstep(toy, steps[-1][1])
    figure, writer = plt.Figure(figsize=(6, 4.4)), PillowWriter(fps=2)
    ax, margin = figure.subplots(), 0.4 * toy.std() or 1
    (left, low), (right, high) = toy.min(axis=0) - margin, toy.max(axis=0) + margin
    with writer.saving(figure, path, dpi=80):
        for i in np.unique(np.geomspace(1, len(steps), 16).round().astype(int)) - 1:
            mixture, post, ll = steps[i]
            ax.clear()
            when = f"iteration {i}" if i else "the start"
            common.plot(toy, mixture, post, f"EM, K = {K}: {when}, log-likelihood {ll:,.1f}", ax)
            ax.set_aspect("equal", adjustable="box")
            ax.set(xlim=(left, right), ylim=(low, high), xlabel="x1", ylabel="x2")
            writer.grab_frame()
        for _ in range(3):  # the last one stays
            writer.grab_frame()


def draw_selection(title, table, best, picked):
    """Scores over K: every seed a dot, the seed of the best log-likelihood on the line."""
    panels = [  # the course's RMSE may not be known
        ("score", "Log-likelihood (larger is better)", "nats", LL_COLOUR),
        ("bic", "BIC (larger is better)", "nats", BIC_COLOUR),
        ("rmse", "The course's RMSE (smaller is better)", "stars", RMSE_COLOUR),
    ][: 3 if np.isfinite(best[picked].rmse) else 2]
    figure = plt.Figure(figsize=(4.4 * len(panels), 4), layout="constrained")
    for ax, (field, name, unit, colour) in zip(figure.subplots(1, len(panels)), panels):
        for K, fits in table.items():
            dots = ax.plot([K] * len(fits), [getattr(f, field) for f in fits], "o", c=GREY, ms=4)
        (line,) = ax.plot(list(best), [getattr(f, field) for f in best.values()], "o-", c=colour)
        mark = ax.axvline(picked, color="black", linestyle=":")
        ax.set(title=name, xlabel="K", ylabel=unit, xticks=list(table))
        ax.yaxis.set_major_formatter("{x:,.10g}")
    labels = ["seed with the best log-likelihood", "other seeds", f"K = {picked}, picked by BIC"]
    figure.legend([line, dots[0], mark], labels, loc="outside lower center", ncols=3)
    figure.suptitle(title)
    return figure


def draw_convergence(fits, best):
    """The log-likelihood after every iteration, a line per seed."""
    figure = plt.Figure(figsize=(9, 4.5), layout="constrained")
    ax = figure.subplots()
    for fit in sorted(fits, key=lambda fit: fit is best):
        colour, iterations = LL_COLOUR if fit is best else GREY, range(1, len(fit.trace) + 1)
        ax.plot(iterations, fit.trace, "o-", markersize=3, color=colour)
    low = min(fit.trace[min(2, len(fit.trace) - 2)] for fit in fits)
    margin = 0.05 * (best.score - low) or 1
    ax.set(xlabel="EM iteration", ylim=(low - margin, best.score + margin))
    ax.set_ylabel("log-likelihood (nats; the first ones lie below)")
    ax.set_title(f"EM with K = {len(best.mixture.p)}: how the log-likelihood rises from each seed")
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.yaxis.set_major_formatter("{x:,.10g}")
    labels = [f"seed {best.seed}, the best", "other seeds"][: len(fits)]
    figure.legend(ax.lines[:-3:-1], labels, loc="outside lower center", ncols=2)
    return figure


def draw_user_types(X, fit):
    """A panel per type: how generous it is, and the movies that it likes most and least.

    Its mean - everyone's, of each movie = generosity (the mean over the movies) + taste; a taste is
    pulled to 0, as in em.predict, where few users of the type have rated the movie.
    """
    movies, p = np.flatnonzero(X.any(axis=0)), fit.mixture.p
    X, mu = X[:, movies], fit.mixture.mu[:, movies]
    # A single type is compared with the mean of all ratings. A mean of 0 was never updated.
    everyone = X[X != 0].mean() if len(p) == 1 else X.sum(axis=0) / (X != 0).sum(axis=0)
    above = np.ma.masked_array(mu - everyone, mu == 0)
    generosity, count = above.mean(axis=1).filled(0), fit.post.T @ (X != 0)
    taste = ((above - generosity[:, None]) * count / (count + 15)).filled(0)

    least = min(max(0.01, 1.5 / len(X)), p.max())
    types = [j for j in np.argsort(-p, kind="stable") if p[j] >= least]
    few, limit = max(1, min(5, len(movies) // 2)), 1.1 * np.abs(taste[types]).max() + 0.01
    rows, columns = -(-len(types) // 4), min(len(types), 4)
    figure = plt.Figure(figsize=(max(3 * columns, 8), 1.2 + 3 * rows), layout="constrained")
    for i, j in enumerate(types, start=1):
        ax = figure.add_subplot(rows, columns, i)
        shown = np.argsort(-taste[j], kind="stable")[[*range(few), *range(-few, 0)]]
        ax.barh(range(2 * few), taste[j, shown], color=[LL_COLOUR] * few + [COURSE_COLOUR] * few)
        ax.set_yticks(range(2 * few), [f"movie {movies[l] + 1}" for l in shown])
        ax.set(xlim=(-limit, limit), ylim=(2 * few - 0.5, -0.5))
        ax.axvline(0, color="black", linewidth=1)
        ax.set_title(f"type {i}: {p[j]:.1%} of users\ngenerosity {generosity[j]:+.2f} stars")
    figure.supxlabel("stars above or below everyone's mean plus the type's generosity")
    more = f" ({len(p) - len(types)} left out, of one user or under 1 %)" * (len(types) < len(p))
    words = f"User types, K = {len(p)}{more}: how much more each gives than everyone, and\n"
    figure.suptitle(words + "the movies liked most (blue) and least (orange)")
    return figure


def draw_predictions(predicted, K, truth):
    """Errors over K, and what the last way predicts with K, of {K: (WAYS, ratings) array}."""
    figure = plt.Figure(figsize=(10, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    colours = [COURSE_COLOUR, PREDICT_COLOUR][: len(WAYS)]
    for i, (way, colour) in enumerate(zip(WAYS, colours)):  # the last one is used to predict
        errors = [common.rmse(rows[i], truth) for rows in predicted.values()]
        left.plot(list(predicted), errors, "o-", color=colour, label=way)
    left.axvline(K, color="black", linestyle=":", label=f"K = {K}, used to predict")
    left.set(xlabel="K", ylabel="RMSE (stars)", xticks=list(predicted))
    left.set_title("Error on the hidden ratings (smaller is better)")
    left.legend()

    if len(np.unique(truth)) > 10:  # ten groups of equal width; a group stands at its middle
        low, width = truth.min(), np.ptp(truth) / 10
        truth = low + width * (np.minimum((truth - low) // width, 9) + 0.5)
    levels, values = np.unique(truth), predicted[K][-1]
    boxes = {"patch_artist": True, "boxprops": {"facecolor": colour}, "showfliers": False}
    boxes |= {"medianprops": {"color": "black"}, "whis": (5, 95), "manage_ticks": False}
    width, groups = 0.6 * min(np.diff(levels), default=1), [values[truth == x] for x in levels]
    drawn = right.boxplot(groups, positions=levels, widths=width, **boxes)
    (perfect,) = right.plot(levels[[0, -1]], levels[[0, -1]], color=GREY, linestyle="--")
    right.set_title(f"Predicted against true rating ({way}, K = {K})")
    right.set(xlabel="true rating (stars)", ylabel="predicted rating (stars)")
    right.set_xticks(levels, [f"{level:.3g}" for level in levels])
    words = ["middle half; line: median", "whiskers: 5 % to 95 %", "perfect prediction"]
    right.legend([drawn["boxes"][0], drawn["whiskers"][0], perfect], words, loc="lower right")
    figure.suptitle(f"Predictions of {len(truth)} ratings that were hidden from the fit")
    return figure


if __name__ == "__main__":
    with contextlib.suppress(AttributeError):  # Jupyter's standard output encodes everything
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        with plt.rc_context():  # Matplotlib's own defaults, whatever the user's are
            plt.rcdefaults()
            main()
    except (ValueError, MemoryError) as error:
        stop(2, str(error) or "not enough memory")
