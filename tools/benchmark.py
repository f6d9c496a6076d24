"""Measure how fast the program is, or how well it predicts.

    python tools/benchmark.py [--data DIR] [--repeat N]
    python tools/benchmark.py --accuracy PATH [PATH ...] [--splits N]

Every figure of speed is a ratio of two things that are measured in turn, each the median of N
repetitions. --accuracy prints errors on hidden ratings instead, a column for each PATH and split:
split s hides a tenth of the ratings, drawn by RandomState(s). Both compare with scikit-learn and
Surprise where these are installed.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import tracemalloc
import warnings
from contextlib import redirect_stdout, suppress
from functools import partial
from io import StringIO
from pathlib import Path
from time import perf_counter
from unittest import mock

for library in ("OMP_NUM", "OPENBLAS_NUM", "MKL_NUM", "VECLIB_MAXIMUM"):
    os.environ[f"{library}_THREADS"] = "1"  # as in main.py, and before NumPy is imported
os.environ["MPLBACKEND"] = "Agg"
ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402

import common  # noqa: E402
import em  # noqa: E402
import kmeans  # noqa: E402
import naive_em  # noqa: E402

sklearn = None
surprise = None
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
    parser.add_argument(
        "--accuracy",
        type=Path,
        nargs="+",
        metavar="PATH",
        help="folders with a netflix_incomplete.txt, or files of `user item rating` lines: print "
        "errors on hidden ratings instead",
    )
    parser.add_argument(
        "--splits", type=int, default=1, help="for --accuracy: how often to hide (default: 1)"
    )
    options = parser.parse_args()
    if options.repeat < 1:
        parser.error(f"--repeat: expected at least 1, got {options.repeat}")
    if options.splits < 1:
        parser.error(f"--splits: expected at least 1, got {options.splits}")
    warnings.simplefilter("ignore")  # scikit-learn's fits "did not converge": stopped on purpose
    try:
        if options.accuracy:
            accuracy([path.resolve() for path in options.accuracy], options.splits)
        else:
            speed(options.data.resolve(), options.repeat)
    except (OSError, ValueError) as error:
        parser.exit(2, f"benchmark.py: {error}\n")


def speed(data, repeat):
    """Print a table of ratios, each with the most that it may be."""
    toy = np.loadtxt(data / "toy_data.txt")
    X = np.loadtxt(data / "netflix_incomplete.txt")
    Y = np.loadtxt(data / "netflix_complete.txt")
    print(f"{cpus()} cores, one BLAS thread; medians of {repeat}, predict 5, main.py 3\n")
    print("| what | at most | measured |\n|---|---|---|")
    em_rows(X, repeat)
    if hasattr(em, "predict"):  # a student's em.py has none
        predict_rows(X)
    if sklearn:
        sklearn_rows("toy_data.txt, K = 4", toy, 4, repeat, [1.0, 2.5])
        sklearn_rows("netflix_complete.txt, K = 12", Y, 12, repeat, [None, None])
    gif_row(toy, repeat)
    main_rows(X, data)


def cpus():
    """The CPUs that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def row(what, most, measured):
    """Print a row of the table; most is None where there is no bound."""
    bound = "-" if most is None else f"{most:.2f}"
    print(f"| {what} | {bound} | {measured:.2f} |", flush=True)


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


def peak_memory(function, *arguments):
    """The most bytes that a call holds at a time, beside what it is given."""
    tracemalloc.start()
    function(*arguments)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


def em_products(iterations, X, rated, mu, post):
    """The four matrix products of iterations of EM, and nothing else."""
    for _ in range(iterations):
        np.matmul(mu, X.T)
        np.matmul(mu**2, rated.T)
        np.matmul(post.T, X)
        np.matmul(post.T, rated)


def em_rows(X, repeat):
    """em.run over the matrix products that it cannot do without, and its memory over X."""
    rated = (X != 0).astype(float)
    for K, most in [(1, 3.5), (4, 1.4), (12, 1.3), (30, 1.25)]:
        say(f"em.run, K = {K} ...")
        start, start_post = common.init(X, K, 1)
        mixture, post, _ = em.run(X, start, start_post)
        iterations = count_iterations(em, X, start, start_post)
        run, bare = in_turn(
            repeat,
            (em.run, X, start, start_post),
            (em_products, iterations, X, rated, mixture.mu, post),
        )
        row(f"`em.run`, K = {K}, over the products of its iterations", most, run / bare)
    say("memory of em.run ...")
    start, start_post = common.init(X, 12, 1)
    peak = peak_memory(em.run, X, start, start_post)
    row("peak memory of `em.run`, K = 12, beside X, over X", 1.3, peak / X.nbytes)


def count_iterations(model, X, mixture, post):
    """How many iterations model.run takes from there."""
    with mock.patch.object(model, "estep", wraps=model.estep) as estep:
        model.run(X, mixture, post)
    return estep.call_count


def predict_rows(X):
    """em.predict over the matrix products that it cannot do without, and its memory over X."""
    rated = (X != 0).astype(float)
    for K in (4, 12):
        say(f"em.predict, K = {K} ...")
        predict, bare = in_turn(5, (em.predict, X, K), (predict_products, X, rated, K))
        row(f"`em.predict`, K = {K}, over its products", 1.5, predict / bare)
    say("memory of em.predict ...")
    peak = peak_memory(em.predict, X, 12)
    row("peak memory of `em.predict`, K = 12, beside X, over X", 6.5, peak / X.nbytes)


def predict_products(X, rated, K):
    """The matrix products of em.predict with its ten seeds, and nothing else."""
    users = (X, rated)
    movies = (X.T, rated.T)
    for rows, delta in [users, movies] * 8:
        post = np.full((10 * K, len(rows)), 0.1)
        mu = np.full((10 * K, rows.shape[1]), 0.1)
        for _ in range(3):
            np.matmul(mu, rows.T)
            np.matmul(mu**2, delta.T)
            np.matmul(post, rows)
            np.matmul(post, delta)
        np.matmul(post.T, mu)
    # rated or not: one product with theta, one with the posteriors; rated above the mean or not:
    # two of each, as who rated at all counts, too
    for rows, delta, matrices in [(*users, 1), (*movies, 1), (*users, 2), (*movies, 2)]:
        post = np.full((240, len(rows)), 0.1)
        mu = np.full((240, rows.shape[1]), 0.1)
        for _ in range(3 * matrices):
            np.matmul(mu, delta.T)
            np.matmul(post, delta)
        np.matmul(post, rows)
        np.matmul(post, delta)
        np.matmul(post.T, mu)


def sklearn_rows(name, X, K, repeat, bounds):
    """Seconds per iteration of whole fits over those of scikit-learn's from the same start."""
    mixture, post = common.init(X, K, 1)
    gaussians = sklearn.mixture.GaussianMixture(
        K,
        covariance_type="spherical",
        tol=0,
        reg_covar=0,
        max_iter=count_iterations(naive_em, X, mixture, post),
        means_init=mixture.mu,
        precisions_init=1 / mixture.var,
        weights_init=mixture.p,
    )
    clusters = sklearn.cluster.KMeans(
        K,
        init=mixture.mu,
        n_init=1,
        max_iter=count_iterations(kmeans, X, mixture, post),
        tol=0,
        algorithm="lloyd",
    )
    for model, theirs, most in zip([naive_em, kmeans], [gaussians, clusters], bounds):
        say(f"{model.__name__}.run and scikit-learn's ...")
        run, fit = in_turn(repeat, (model.run, X, mixture, post), (theirs.fit, X))
        ratio = (run / theirs.max_iter) / (fit / theirs.n_iter_)
        what = f"`{model.__name__}.run` over scikit-learn's `{type(theirs).__name__}`, an iteration"
        row(f"{what}, {name}", most, ratio)


def gif_row(toy, repeat):
    """The animation of EM over the picture of the fits, both with the writing of the file."""
    import main as program

    say("pictures of the toy data ...")
    clusters = {K: program.fit_model(kmeans, toy, K, 0) for K in program.TOY_K}
    mixtures = {K: program.fit_model(naive_em, toy, K, 0) for K in program.TOY_K}
    orders = program.matching_orders(clusters, mixtures)
    with tempfile.TemporaryDirectory() as folder:
        gif = Path(folder, "toy.gif")
        png = Path(folder, "toy.png")

        def animate():
            with redirect_stdout(StringIO()):
                program.save_animation(toy, mixtures[3], orders["EM", 3], gif)

        def draw():
            program.draw_toy(toy, clusters, mixtures, orders).savefig(png)

        animated, drawn = in_turn(repeat, (animate,), (draw,))
    row("drawing toy_em.gif over drawing toy_kmeans_vs_em.png", 2.5, animated / drawn)


def main_rows(X, data):
    """main.py over its own fits of step 3, and on a busy machine over alone."""
    import main as program

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
        loops = [subprocess.Popen(loop) for _ in range(cpus())]
        try:
            run_main()
        finally:
            for process in loops:
                process.kill()

    def run_fits():
        for mixture, post in starts:
            em.run(X, mixture, post)

    alone, fits, busy = in_turn(3, (run_main,), (run_fits,), (run_busy,))
    row(f"`python main.py` ({alone:.1f} s) over its 30 fits of step 3 in a row", 6.5, alone / fits)
    same = "the same output" if len(outputs) == 1 else "ANOTHER OUTPUT"
    row(f"`python main.py` beside as many busy loops as cores over alone, {same}", 4, busy / alone)


# Errors on hidden ratings: of the project, only the course's functions and em.predict


def accuracy(paths, splits):
    """Print a table of errors, a row for each way to predict, a column for each path and split."""
    names = []
    columns = []
    for path in paths:
        X = read_ratings(path)
        for split in range(splits):
            say(f"errors on {path}, split {split} ...")
            names.append(path.name if splits == 1 else f"{path.name}, split {split}")
            columns.append(errors(X, split))
    print(f"| RMSE over hidden ratings, in stars | {' | '.join(names)} |")
    print("|---|" + "---|" * len(columns))
    for way in columns[0]:
        print(f"| {way} | {' | '.join(column[way] for column in columns)} |")


def read_ratings(path):
    """(n, d) ratings of a folder with a netflix_incomplete.txt, or of `user item rating` lines."""
    if path.is_dir():
        return np.loadtxt(path / "netflix_incomplete.txt", ndmin=2)
    lines = np.loadtxt(path, ndmin=2)
    if lines.shape[1] not in (3, 4) or not lines[:, 2].min() > 0:
        raise ValueError(f"{path}: expected lines of `user item rating`, and maybe a time")
    users, rows = np.unique(lines[:, 0], return_inverse=True)
    items, columns = np.unique(lines[:, 1], return_inverse=True)
    X = np.zeros((len(users), len(items)))
    X[rows, columns] = lines[:, 2]  # of a pair that stands twice, the last one counts
    return X


def errors(X, split):
    """The error of each way to predict the tenth of the ratings of X that a split hides."""
    given = np.flatnonzero(X)
    if len(given) < 10:
        raise ValueError(f"expected at least 10 ratings, to hide a tenth of them, got {len(given)}")
    hidden = np.random.RandomState(split).choice(given, int(0.1 * len(given)), replace=False)
    left = X.copy()
    left.flat[hidden] = 0

    def error(predictions):
        return f"{np.sqrt(np.mean((predictions - X.flat[hidden]) ** 2)):.3f}"

    say("the course's em.fill_matrix ...")
    fits = [em.run(left, *common.init(left, 4, seed)) for seed in range(5)]
    mixture, _, _ = max(fits, key=lambda fit: fit[2])
    guess = em.fill_matrix(left.copy(), mixture)
    table = {"the course's `em.fill_matrix`, K = 4": error(guess.flat[hidden])}
    if hasattr(em, "predict"):
        say("em.predict ...")
        table["`em.predict`, K = 4"] = error(em.predict(left).flat[hidden])
    if surprise is None:
        return table

    trainset, testset = surprise_sets(X, left, hidden)
    by_items = {"name": "pearson_baseline", "user_based": False}
    models = {
        "BaselineOnly": surprise.BaselineOnly(verbose=False),
        "KNNBaseline, items": surprise.KNNBaseline(sim_options=by_items, verbose=False),
        "KNNBaseline, users": surprise.KNNBaseline(verbose=False),
        "SVD": surprise.SVD(random_state=0),
        "SVD++": surprise.SVDpp(random_state=0),
    }
    for name, model in models.items():
        say(f"Surprise's {name} ...")
        if name == "SVD++" and len(given) > 300_000:  # it would take hours
            table[f"Surprise's {name}"] = "-"
        else:
            guesses = model.fit(trainset).test(testset)
            table[f"Surprise's {name}"] = error(np.array([guess.est for guess in guesses]))
    return table


def surprise_sets(X, left, hidden):
    """The ratings that are left and those that are hidden, as Surprise wants them."""
    scale = (X[X != 0].min(), X.max())
    ratings = [(u, l, X[u, l], None) for u, l in np.argwhere(left).tolist()]
    trainset = surprise.Dataset(surprise.Reader(rating_scale=scale)).construct_trainset(ratings)
    users, movies = np.unravel_index(hidden, X.shape)
    testset = list(zip(users.tolist(), movies.tolist(), X.flat[hidden].tolist()))
    return trainset, testset


if __name__ == "__main__":
    main()
