"""Measure how fast the program is, or how well it predicts.

    python tools/benchmark.py [--data DIR] [--repeat N]
    python tools/benchmark.py --accuracy PATH [PATH ...]

Every figure of speed is a ratio of two things that are measured in turn, each the median of N
repetitions. --accuracy prints errors on hidden ratings instead, a column for each PATH. Both
compare with scikit-learn and Surprise where these are installed.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import tracemalloc
import warnings
from contextlib import suppress
from functools import partial
from pathlib import Path
from time import perf_counter

for library in ("OMP_NUM", "OPENBLAS_NUM", "MKL_NUM", "VECLIB_MAXIMUM"):
    os.environ[f"{library}_THREADS"] = "1"  # as in main.py, and before NumPy is imported
os.environ["MPLBACKEND"] = "Agg"
ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402

import common  # noqa: E402
import em  # noqa: E402
import kmeans  # noqa: E402
import main as program  # noqa: E402
import naive_em  # noqa: E402

sklearn = surprise = None
with suppress(ImportError):
    import sklearn.cluster
    import sklearn.mixture
with suppress(ImportError):
    import surprise

say = partial(print, file=sys.stderr, flush=True)  # what is being measured


def main():
    parser = argparse.ArgumentParser(description="Measure the program's speed, or its accuracy.")
    parser.add_argument("--data", type=Path, default=ROOT, help="folder of the data files")
    parser.add_argument("--repeat", type=int, default=15, help="repetitions (default: 15)")
    text = "folders, or files of `user item rating` lines: print errors on hidden ratings instead"
    parser.add_argument("--accuracy", type=Path, nargs="+", metavar="PATH", help=text)
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # scikit-learn's fits "did not converge": stopped on purpose
    try:
        if options.accuracy:
            accuracy([path.resolve() for path in options.accuracy])
        else:
            speed(options.data.resolve(), common.whole("--repeat", options.repeat, 1, 10_000))
    except (OSError, ValueError) as error:
        parser.exit(2, f"benchmark.py: {error}\n")


def speed(data, repeat):
    """Print a table of ratios, each with the most that it may be."""
    toy = common.read(data / program.INPUTS[0])
    X, Y = (common.read(data / name, ratings=True) for name in program.INPUTS[1:])
    print(f"{program.CORES} cores, one BLAS thread; medians of {repeat}, predict 5, main.py 3\n")
    print("| what | at most | measured |\n|---|---|---|")
    em_rows(X, repeat)
    if sklearn:
        sklearn_rows(Y, repeat)
    gif_row(toy, repeat)
    main_rows(X, data)


def row(what, most, measured):
    """Print a row of the table."""
    print(f"| {what} | {most:.2f} | {measured:.2f} |", flush=True)


def in_turn(repeat, *calls):
    """Median seconds of each (function, *arguments), in turn, after a round that does not count."""
    seconds = []
    for _ in range(repeat + 1):
        stamps = [perf_counter()]
        for function, *arguments in calls:
            function(*arguments)
            stamps.append(perf_counter())
        seconds.append(np.diff(stamps))
    return np.median(seconds[1:], axis=0)


def products(iterations):
    """The four matrix products of iterations of EM, and nothing else."""
    for X, rated, mu, post in iterations:
        mu @ X.T, mu**2 @ rated.T, post.T @ X, post.T @ rated


def em_rows(X, repeat):
    """em.run and em.predict over the matrix products that they cannot do without."""
    rated = (X != 0).astype(float)
    for K, most in [(1, 3.5), (4, 1.4), (12, 1.3), (30, 1.25)]:
        say(f"em.run, K = {K} ...")
        start, trace = common.init(X, K, 1), []
        mixture, post, _ = em.run(X, *start, trace.append)
        iterations = [(X, rated, mixture.mu, post)] * len(trace)
        run, bare = in_turn(repeat, (em.run, X, *start), (products, iterations))
        row(f"`em.run`, K = {K}, over the products of its iterations", most, run / bare)
    for K, most in [(4, 1.8), (12, 1.7)]:
        say(f"em.predict, K = {K} ...")
        iterations = []
        for rows, delta in [(X, rated), (X.T, rated.T)]:  # users and movies in turn
            mixture, _ = common.init(rows, K, 1)
            post, _ = em.estep(rows, mixture)
            iterations += [(rows, delta, mixture.mu, post)] * 3
        iterations *= 50  # 5 seeds, 20 rounds
        predict, bare = in_turn(5, (em.predict, X, K), (products, iterations))
        row(
            f"`em.predict`, K = {K}, no rating hidden, over its 1,200 products",
            most,
            predict / bare,
        )
    run, predict = partial(em.run, X, *common.init(X, 12, 1)), partial(em.predict, X, 12, [0, 1])
    for call, most in [(run, 1.3), (predict, 4.6)]:
        say(f"memory of em.{call.func.__name__} ...")
        tracemalloc.start()
        call()
        peak = tracemalloc.get_traced_memory()[1] / X.nbytes
        tracemalloc.stop()
        row(f"peak memory of `em.{call.func.__name__}`, K = 12, beside X, over X", most, peak)


def sklearn_rows(X, repeat):
    """Seconds per iteration of whole fits over those of scikit-learn's from the same start."""
    (mu, var, p), _ = start = common.init(X, 12, 1)
    mixture = partial(sklearn.mixture.GaussianMixture, covariance_type="spherical", reg_covar=0)
    mixture = partial(mixture, means_init=mu, precisions_init=1 / var, weights_init=p)
    clusters = partial(sklearn.cluster.KMeans, init=mu, n_init=1, algorithm="lloyd")
    for model, theirs, most in [(naive_em, mixture, 0.35), (kmeans, clusters, 1.5)]:
        say(f"{model.__name__}.run and scikit-learn's ...")
        trace = []
        model.run(X, *start, trace.append)
        theirs = theirs(12, max_iter=len(trace), tol=0)
        run, fit = in_turn(repeat, (model.run, X, *start), (theirs.fit, X))
        what = f"`{model.__name__}.run` over scikit-learn's `{type(theirs).__name__}`, K = 12, "
        ratio = run / len(trace) / (fit / theirs.n_iter_)
        row(f"{what}per iteration of whole fits", most, ratio)


def gif_row(toy, repeat):
    """The animation of EM over the picture of the fits, both with the writing of the file."""
    say("pictures of the toy data ...")
    fits = [{K: program.fit(m, toy, K, 0) for K in program.TOY_K} for m in (kmeans, naive_em)]
    with tempfile.TemporaryDirectory() as folder:
        gif, png = (Path(folder, name) for name in (program.TOY_EM, program.TOY))
        picture = (lambda: program.draw_toy(toy, *fits).savefig(png),)
        animated, drawn = in_turn(repeat, (program.animate, gif, toy, 3, 0), picture)
    row(f"drawing {program.TOY_EM} over drawing {program.TOY}", 2.5, animated / drawn)


def main_rows(X, data):
    """main.py over its own fits of step 3, and on a busy machine over alone."""
    say("main.py, alone and beside busy loops ...")
    starts = [common.init(X, K, seed) for K in program.NETFLIX_K for seed in range(5)]
    # main.py itself has to see to it that BLAS has one thread.
    environment = {name: os.environ[name] for name in os.environ if "_THREADS" not in name}
    outputs = set()

    def run_main():
        command = [sys.executable, ROOT / "main.py", "--data", data, "--plots", "."]
        with tempfile.TemporaryDirectory() as folder:
            outputs.add(subprocess.check_output(command, env=environment, cwd=folder))

    def run_busy():
        loop = [sys.executable, "-c", "while True: pass"]
        loops = [subprocess.Popen(loop) for _ in range(program.CORES)]
        try:
            run_main()
        finally:
            for process in loops:
                process.kill()

    fits = (lambda: [em.run(X, *start) for start in starts],)
    alone, fits, busy = in_turn(3, (run_main,), fits, (run_busy,))
    row(f"`python main.py` ({alone:.1f} s) over its 30 fits of step 3 in a row", 6.5, alone / fits)
    same = "the same output" if len(outputs) == 1 else "ANOTHER OUTPUT"
    row(f"`python main.py` beside as many busy loops as cores over alone, {same}", 4, busy / alone)


def accuracy(paths):
    """Print a table of errors, a row for each way to predict and a column for each path."""
    columns = []
    for path in paths:
        say(f"errors on {path} ...")
        columns.append(dict(errors(read_ratings(path))))
    print(f"| RMSE over hidden ratings, in stars | {' | '.join(path.name for path in paths)} |")
    print("|---|" + "---|" * len(paths))
    for name in columns[0]:
        print(f"| {name} | {' | '.join(column[name] for column in columns)} |")


def read_ratings(path):
    """(n, d) ratings of a folder with a netflix_incomplete.txt, or of `user item rating` lines."""
    if path.is_dir():
        return common.read(path / program.INPUTS[1], ratings=True)
    lines = np.loadtxt(path, ndmin=2)
    if lines.shape[1] not in (3, 4) or not lines[:, 2].min() > 0:
        raise ValueError(f"{path}: expected lines of `user item rating`, and maybe a time")
    (users, rows), (items, columns) = (np.unique(lines[:, i], return_inverse=True) for i in (0, 1))
    X = np.zeros((len(users), len(items)))
    X[rows, columns] = lines[:, 2]
    return X


def errors(X):
    """Yield the name and the error of each way to predict the ratings of X that main.py hides."""
    tenths = common.hidden_tenths(X)
    if not tenths:
        raise ValueError("expected at least 10 ratings, to hide a tenth of them")
    truth = X.take(np.concatenate(tenths))
    for way, name in zip(program.WAYS, ["the course's `em.fill_matrix`", "`em.predict`"]):
        say(f"{way} ...")
        squares = {}
        for K in [K for K in program.NETFLIX_K if K <= len(X)]:
            parts = [program.predict(X, range(5), K, (way, tenth)) for tenth in tenths]
            squares[K] = (np.concatenate(parts) - truth) ** 2
        K = common.smallest_good(squares)
        error = np.sqrt(squares[K].mean())
        yield f"{name}, with the K that main.py's rule picks for it", f"{error:.3f} (K = {K})"
    if surprise is None:
        return
    data, folds = surprise.Dataset(surprise.Reader(rating_scale=(X[X > 0].min(), X.max()))), []
    for tenth in tenths:
        X_left = X.copy()
        X_left.flat[tenth] = 0
        left = [(u, l, X[u, l], None) for u, l in np.argwhere(X_left).tolist()]
        hidden = [(*divmod(entry, X.shape[1]), X.flat[entry]) for entry in tenth.tolist()]
        folds.append((data.construct_trainset(left), hidden))
    items = {"name": "pearson_baseline", "user_based": False}
    for name, model in [
        ("BaselineOnly", surprise.BaselineOnly(verbose=False)),
        ("SlopeOne", surprise.SlopeOne()),
        ("NMF", surprise.NMF(random_state=0)),
        ("CoClustering", surprise.CoClustering(random_state=0)),
        ("KNNBaseline, users", surprise.KNNBaseline(verbose=False)),
        ("KNNBaseline, items", surprise.KNNBaseline(sim_options=items, verbose=False)),
        ("SVD", surprise.SVD(random_state=0)),
        ("SVD++", surprise.SVDpp(random_state=0)),
    ]:
        say(f"Surprise's {name} ...")
        if name == "SVD++" and np.count_nonzero(X) > 300_000:  # it would take hours
            yield f"Surprise's {name}", "-"
            continue
        guesses = [guess.est for left, hidden in folds for guess in model.fit(left).test(hidden)]
        yield f"Surprise's {name}", f"{common.rmse(guesses, truth):.3f}"


if __name__ == "__main__":
    main()
