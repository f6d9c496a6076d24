"""Measure how fast the program is, or how well it predicts.

    python tools/benchmark.py [--data DIR] [--repeat N]
    python tools/benchmark.py --accuracy PATH [PATH ...] [--splits N]

A figure of speed is the ratio of two things that are measured in turn, each the median of N
repetitions. --accuracy prints errors on hidden ratings instead, a column for each PATH and split;
split 0 is the one of main.py's step 4. Both compare with scikit-learn and Surprise where these are
installed.
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
from multiprocessing.pool import ThreadPool
from pathlib import Path
from time import perf_counter
from unittest import mock

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import main as program  # before NumPy: it sets the number of BLAS threads to 1

# isort: split
import numpy as np

import common
import em
import kmeans
import naive_em

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
    parser.add_argument(
        "--repeat", type=program.whole_number(1, np.inf), default=7, help="repetitions (7)"
    )
    parser.add_argument(
        "--accuracy",
        type=Path,
        nargs="+",
        metavar="PATH",
        help="folders with a netflix_incomplete.txt, or files of lines of user, item, rating: "
        "print errors on hidden ratings instead",
    )
    parser.add_argument(
        "--splits", type=program.whole_number(1, np.inf), default=1, help="how often to hide (1)"
    )
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # scikit-learn's fits "did not converge": stopped on purpose
    try:
        if options.accuracy:
            print_accuracy(options.accuracy, options.splits)
        else:
            print_speed(options.data, options.repeat)
    except ValueError as error:
        parser.exit(2, f"benchmark.py: {error}\n")


# Speed


def print_speed(folder, repeat):
    """Print a table of ratios: of times, then of memory."""
    data = program.read_data(folder)
    rows = []  # (what, a call, the call that it is compared with)
    for K in (1, 4, 12, 30):
        start = common.init(data.X, K, 1)
        bare = em_products(data.X, K, iterations(em, data.X, K))
        rows.append(
            (f"`em.run`, K = {K}, over its products", partial(em.run, data.X, *start), bare)
        )
    for K in (4, 12):
        bare = predict_products(data.X, K)
        what = f"`em.predict`, K = {K}, over its products"
        rows.append((what, partial(em.predict, data.X, K), bare))
    if sklearn:
        rows += sklearn_rows(data.toy, K=4)
    what = "`python main.py` over its 30 fits of step 3 in a row"
    rows.append((what, partial(run_main, folder.resolve()), partial(run_fits, data.X)))

    print(f"{program.workers(data.X, 1)} workers, one BLAS thread each; medians of {repeat}\n")
    print("| what | ratio |\n|---|---|")
    for what, call, compared in rows:
        say(f"{what} ...")
        seconds, bare = in_turn(repeat, call, compared)
        print(f"| {what} ({seconds:.3g} s) | {seconds / bare:.2f} |", flush=True)
    draw = np.random.RandomState(0)
    X = draw.randint(1, 6, (3000, 2000)) * (draw.rand(3000, 2000) < 0.3) * 1.0
    for what, call in [
        ("`em.run`, K = 12", partial(em.run, X, *common.init(X, 12, 1))),
        ("`em.predict`, K = 12", partial(em.predict, X, 12)),
    ]:
        say(f"memory of {what} ...")
        ratio = peak_memory(call) / X.nbytes
        print(f"| memory of {what}, beside X of 3000 x 2000, over X | {ratio:.2f} |", flush=True)


def in_turn(repeat, *calls):
    """Median seconds of each call, in turn, after a round that does not count."""
    seconds = []
    for _ in range(repeat + 1):
        stamps = [perf_counter()]
        for call in calls:
            call()
            stamps.append(perf_counter())
        seconds.append(np.diff(stamps))
    return np.median(seconds[1:], axis=0)


def peak_memory(call):
    """The most bytes that a call holds at a time."""
    tracemalloc.start()
    call()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


def iterations(model, X, K):
    """How many iterations model.run takes from seed 1."""
    with mock.patch.object(model, "estep", wraps=model.estep) as estep:
        model.run(X, *common.init(X, K, 1))
    return estep.call_count


def em_products(X, K, number):
    """A call of the matrix products of so many iterations of em.run, and of nothing else."""
    rated = (X != 0).astype(float)
    (mu, _, _), post, _ = em.run(X, *common.init(X, K, 1))  # very small numbers take longer

    def call():
        for _ in range(number):
            np.matmul(mu, X.T)
            np.matmul(mu**2, rated.T)
            np.matmul(post.T, X)
            np.matmul(post.T, rated)

    return call


def predict_products(X, K):
    """A call of the matrix products of em.predict with its ten seeds, and of nothing else."""
    rated = (X != 0).astype(float)

    def call():
        for values, mask in [(X, rated), (X.T, rated.T)]:
            for rounds, n_types, masked in [(8, 10 * K, True), (2, 240, False), (2, 240, True)]:
                mu = np.full((n_types, values.shape[1]), 0.1)
                post = np.full((n_types, len(values)), 0.1)
                for _ in range(rounds):
                    for _ in range(3):  # E-steps
                        np.matmul(mu, values.T)
                        if masked:
                            np.matmul(mu**2, mask.T)
                    for _ in range(2):  # M-steps
                        np.matmul(post, values)
                        if masked:
                            np.matmul(post, mask)
                    np.matmul(post, values)  # the types' means of the residuals
                    np.matmul(post, mask)
                    np.matmul(post.T, mu)  # what they predict

    return call


def sklearn_rows(X, K):
    """Rows of whole fits beside scikit-learn's, of as many iterations from the same start."""
    mixture, post = common.init(X, K, 1)
    gaussians = sklearn.mixture.GaussianMixture(
        K,
        covariance_type="spherical",
        tol=0,
        reg_covar=0,
        max_iter=iterations(naive_em, X, K),
        means_init=mixture.mu,
        precisions_init=1 / mixture.var,
        weights_init=mixture.p,
    )
    clusters = sklearn.cluster.KMeans(
        K, init=mixture.mu, n_init=1, max_iter=iterations(kmeans, X, K), tol=0, algorithm="lloyd"
    )
    rows = []
    for model, theirs in [(naive_em, gaussians), (kmeans, clusters)]:
        what = f"`{model.__name__}.run` over scikit-learn's `{type(theirs).__name__}`, toy data"
        rows.append((what, partial(model.run, X, mixture, post), partial(theirs.fit, X)))
    return rows


def run_main(folder):
    """main.py as a process of its own, which has to see to it that BLAS has one thread."""
    environment = {name: os.environ[name] for name in os.environ if "_THREADS" not in name}
    with tempfile.TemporaryDirectory() as plots:
        command = [sys.executable, ROOT / "main.py", "--data", folder, "--plots", plots]
        subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)


def run_fits(X):
    """The fits of main.py's step 3, one after the other."""
    for K in program.NETFLIX_K:
        for seed in program.SEEDS:
            em.run(X, *common.init(X, K, seed))


# Errors on hidden ratings


def print_accuracy(paths, splits):
    """Print a table of errors, a row for each way to predict, a column for each path and split."""
    names = []
    columns = []
    for path in paths:
        data = program.read_data(path) if path.is_dir() else program.read_ratings(path)
        for split in range(splits):
            say(f"errors on {path}, split {split} ...")
            name = path.resolve().name
            names.append(name if splits == 1 else f"{name}, split {split}")
            columns.append(errors(data.X, split))
    print(f"| RMSE over hidden ratings | {' | '.join(names)} |")
    print("|---|" + "---|" * len(columns))
    for way in columns[0]:
        print(f"| {way} | {' | '.join(column[way] for column in columns)} |")


def errors(X, split):
    """{way to predict: its error on the tenth of the ratings of X that a split hides}."""
    tenths = program.hidden_tenths(X, split)
    if not tenths:
        raise ValueError("expected at least 10 ratings, to hide a tenth of them")
    hidden = tenths[0]
    guesses = {
        "mean of all ratings": program.mean_rating(X, hidden),
        "averages of users and items": program.averages(X, hidden),
    }
    with ThreadPool(1) as pool:
        for K, guess in program.fill_hidden(pool, X, [hidden], [4], program.SEEDS):
            guesses[f"the course's `em.fill_matrix`, K = {K}"] = guess
    if hasattr(em, "predict"):  # a student's em.py has none
        say("em.predict ...")
        guesses["`em.predict`"] = program.predict_hidden(X, hidden)
    if surprise:
        guesses |= surprise_guesses(X, hidden)
    return {way: error(guess, X.flat[hidden]) for way, guess in guesses.items()}


def error(guess, truth):
    return "-" if guess is None else f"{common.rmse(guess, truth):.3f}"


def surprise_guesses(X, hidden):
    """{algorithm of Surprise: its predictions by its defaults}; None where it takes hours."""
    scale = (X[X != 0].min(), X.max())
    left = program.without(X, hidden)
    ratings = [(u, l, X[u, l], None) for u, l in np.argwhere(left).tolist()]
    trainset = surprise.Dataset(surprise.Reader(rating_scale=scale)).construct_trainset(ratings)
    users, items = np.unravel_index(hidden, X.shape)
    testset = list(zip(users.tolist(), items.tolist(), X.flat[hidden].tolist()))
    by_items = {"name": "pearson_baseline", "user_based": False}
    guesses = {}
    for name, algorithm in [
        ("BaselineOnly", surprise.BaselineOnly(verbose=False)),
        ("KNNBaseline, items", surprise.KNNBaseline(sim_options=by_items, verbose=False)),
        ("KNNBaseline, users", surprise.KNNBaseline(verbose=False)),
        ("SVD", surprise.SVD(random_state=0)),
        ("SVD++", surprise.SVDpp(random_state=0)),
    ]:
        say(f"Surprise's {name} ...")
        guesses[f"Surprise's {name}"] = None
        if name != "SVD++" or len(ratings) < 300_000:
            predictions = algorithm.fit(trainset).test(testset)
            guesses[f"Surprise's {name}"] = np.array([guess.est for guess in predictions])
    return guesses


if __name__ == "__main__":
    main()
