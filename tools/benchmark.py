"""Measure how fast the program is, or how well it predicts.

    python tools/benchmark.py [--data DIR] [--repeat N]
    python tools/benchmark.py --accuracy PATH [PATH ...] [--splits N]

A figure of speed is a ratio of two times that are measured in the same run, the median of N
repetitions. --accuracy prints errors on hidden ratings instead, a column for each PATH and split;
split 0 is the one of main.py's step 4 and of recommend. It compares with Surprise where that is
installed.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import tracemalloc
from contextlib import suppress
from functools import partial
from pathlib import Path
from time import perf_counter, process_time
from unittest import mock

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))

import main as program  # before NumPy: it sets the number of BLAS threads to 1

# isort: split
import numpy as np

import common
import em
from recommend import predict as recipe
from recommend.ratings import read_ratings

surprise = None
with suppress(ImportError):
    import surprise

say = partial(print, file=sys.stderr, flush=True)  # progress


def main():
    parser = argparse.ArgumentParser(description="Measure the program's speed, or its accuracy.")
    parser.add_argument("--data", type=Path, default=PROJECT, help="folder of the data files")
    parser.add_argument("--repeat", type=int, default=7, help="repetitions (7)")
    parser.add_argument(
        "--accuracy",
        type=Path,
        nargs="+",
        metavar="PATH",
        help="folders with a netflix_incomplete.txt, or files of lines of user, item, rating: "
        "print errors on hidden ratings instead",
    )
    parser.add_argument("--splits", type=int, default=1, help="how often to hide (1)")
    options = parser.parse_args()
    if options.repeat < 1 or options.splits < 1:
        parser.error("--repeat, --splits: expected at least 1")
    try:
        if options.accuracy:
            print_accuracy(options.accuracy, options.splits)
        else:
            print_speed(options.data, options.repeat)
    except ValueError as error:
        parser.exit(2, f"benchmark.py: {error}\n")


# Speed


class Timed(np.ndarray):
    """An array that adds up the time of matrix products; what is computed from it does so, too."""

    seconds = 0.0  # of all matrix products

    def __array_ufunc__(self, ufunc, method, *inputs, **parameters):
        bare = [untimed(value) for value in inputs]
        for name, value in parameters.items():
            if name == "out":
                parameters[name] = tuple(untimed(array) for array in value)
        start = perf_counter()
        result = getattr(ufunc, method)(*bare, **parameters)
        if ufunc is np.matmul:
            Timed.seconds += perf_counter() - start
        return result.view(Timed) if isinstance(result, np.ndarray) else result


def untimed(value):
    """A Timed as a plain array; anything else as it is."""
    return value.view(np.ndarray) if isinstance(value, Timed) else value


def print_speed(folder, repeat):
    """Print a table of ratios: of times, then of memory."""
    X = program.read_data(folder).X
    print(f"One BLAS thread; medians of {repeat}\n")
    print("| what | seconds | over | ratio |\n|---|---|---|---|")
    for K in (1, 4, 12, 30):
        mixture, post = common.init(X, K, 1)
        timed = mixture._replace(mu=mixture.mu.view(Timed))
        call = partial(em.run, X, timed, post)
        print_over_products(repeat, f"`em.run`, K = {K}", call)
    for K in (4, 12):
        call = partial(fit_timed, X, K)
        print_over_products(repeat, f"`predict`, K = {K}", call)
    main_seconds = []
    fits_seconds = []
    for _ in range(repeat):
        main_seconds.append(seconds_of(partial(run_main, folder.resolve())))
        fits_seconds.append(seconds_of(partial(run_fits, X)))
    print_row("`main.py`", main_seconds, "its 30 fits of step 3 in a row", fits_seconds)
    if recipe.has_scipy():
        for percent in (1, 3, 6, 10, 20):
            sparse_seconds, full_seconds = sparse_and_full(percent / 100)
            what = f"a sparse `fit`, {percent} % of 2000 x 2000 given"
            print_row(what, [sparse_seconds], "a full one", [full_seconds])

    draw = np.random.RandomState(0)
    X = draw.randint(1, 6, (3000, 2000)) * (draw.rand(3000, 2000) < 0.78) * 1.0
    print("\n| peak memory beside X of 3000 x 2000 | over X |\n|---|---|")
    for K in (4, 12):
        for name, call in [
            ("em.run", partial(em.run, X, *common.init(X, K, 1))),
            ("predict", partial(recipe.predict, X, K)),
        ]:
            ratio = peak_memory(call) / X.nbytes
            print(f"| `{name}`, K = {K} | {ratio:.2f} |", flush=True)


def print_row(what, seconds, compared, other_seconds):
    """Print a row of times: the median of the first, and of its ratio to the second."""
    ratio = np.median(np.divide(seconds, other_seconds))
    print(f"| {what} | {np.median(seconds):.3g} | {compared} | {ratio:.2f} |", flush=True)


def print_over_products(repeat, what, call):
    """Print the time of a call on Timed arrays over that of its matrix products."""
    seconds = []
    of_products = []
    for _ in range(repeat):
        Timed.seconds = 0.0
        seconds.append(seconds_of(call))
        of_products.append(Timed.seconds)
    print_row(what, seconds, "its matrix products", of_products)


def seconds_of(call):
    """The seconds that a call takes."""
    start = perf_counter()
    call()
    return perf_counter() - start


def fit_timed(X, K):
    """What predict does, on Timed arrays."""
    delta = (X != 0).astype(float)
    recipe.fit(recipe.Full(X.view(Timed), delta.view(Timed)), K)


def run_main(folder):
    """main.py as a process of its own, which has to see to it that BLAS has one thread."""
    environment = {name: os.environ[name] for name in os.environ if "_THREADS" not in name}
    with tempfile.TemporaryDirectory() as plots:
        command = [sys.executable, PROJECT / "main.py", "--data", folder, "--plots", plots]
        subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)


def run_fits(X):
    """The fits of main.py's step 3, one after the other."""
    for K in program.NETFLIX_K:
        for seed in program.SEEDS:
            em.run(X, *common.init(X, K, seed))


def sparse_and_full(share):
    """The seconds of processor time of a Sparse and of a Full with such a share of ratings."""
    draw = np.random.RandomState(0)
    users, items = np.nonzero(draw.rand(2000, 2000) < share)
    values = draw.randint(1, 6, len(users)) * 1.0
    found = []
    for sparse_below in (1, 0):
        with mock.patch.object(recipe, "SPARSE_BELOW", sparse_below):
            matrix = recipe.matrix_of(users, items, values, (2000, 2000))
        start = process_time()
        recipe.fit(matrix)
        found.append(process_time() - start)
    return found


def peak_memory(call):
    """The most bytes that a call holds at a time."""
    tracemalloc.start()
    call()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


# Errors on hidden ratings


def print_accuracy(paths, splits):
    """Print a table of errors, a row for each way to predict, a column for each path and split."""
    names = []
    columns = []
    for path in paths:
        if path.is_dir():
            X = program.read_data(path).X
            users, items = np.nonzero(X)
            values = X[users, items]
        else:
            users, items, values = read_ratings(path)[:3]
        for split in range(splits):
            say(f"errors on {path}, split {split} ...")
            name = path.resolve().name
            names.append(name if splits == 1 else f"{name}, split {split}")
            columns.append(errors(users, items, values, split))
    print(f"| RMSE over hidden ratings | {' | '.join(names)} |")
    print("|---|" + "---|" * len(columns))
    for way in columns[0]:
        print(f"| {way} | {' | '.join(column[way] for column in columns)} |")


def errors(users, items, values, split):
    """{way to predict: its error on the tenth of the ratings that a split hides}."""
    hidden = recipe.hidden_tenths(len(values), split=split)[0]
    if not len(hidden):
        raise ValueError("expected at least 10 ratings, to hide a tenth of them")
    shape = (users.max() + 1, items.max() + 1)

    def predicted(K=4, seeds=range(15), views=recipe.VIEWS):
        matrix = recipe.matrix_of(users, items, values, shape, hidden)
        with mock.patch.object(recipe, "VIEWS", views):
            recipe.fit(matrix, K, seeds)
        return matrix.at(users[hidden], items[hidden])

    guesses = {
        "mean of all ratings": recipe.mean_rating(values, hidden),
        "averages of users and items": recipe.averages(users, items, values, hidden),
        "the course's `em.fill_matrix`, K = 4": filled(users, items, values, shape, hidden),
        "`predict`": predicted(),
    }
    for K in (1, 8, 12):
        guesses[f"`predict`, K = {K}"] = predicted(K)
    guesses["its biases alone"] = predicted(views=[])
    guesses["... and its seven rounds"] = predicted(views=recipe.VIEWS[:7])
    guesses["`predict` with one seed"] = predicted(seeds=[0])
    if surprise:
        guesses |= surprise_guesses(users, items, values, hidden)
    truth = values[hidden]
    return {
        way: "-" if guess is None else f"{recipe.error(guess, truth)[0]:.4f}"
        for way, guess in guesses.items()
    }


def filled(users, items, values, shape, hidden):
    """What em.fill_matrix makes of hidden ratings, by the best of five seeds at K = 4."""
    X = np.zeros(shape)
    X[users, items] = values
    X[users[hidden], items[hidden]] = 0
    fits = [program.fitted(em, X, 4, seed) for seed in program.SEEDS]
    best = max(fits, key=program.rounded_score)
    return em.fill_matrix(X, best.mixture)[users[hidden], items[hidden]]


def surprise_guesses(users, items, values, hidden):
    """{algorithm of Surprise: its predictions by its defaults}; None where it takes hours."""
    reader = surprise.Reader(rating_scale=(values.min(), values.max()))
    ratings = list(zip(users.tolist(), items.tolist(), values.tolist()))
    is_hidden = np.zeros(len(values), dtype=bool)
    is_hidden[hidden] = True
    left = [(*ratings[i], None) for i in np.flatnonzero(~is_hidden)]
    trainset = surprise.Dataset(reader).construct_trainset(left)
    testset = [ratings[i] for i in hidden]
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
        if name != "SVD++" or len(left) < 300_000:
            predictions = algorithm.fit(trainset).test(testset)
            guesses[f"Surprise's {name}"] = np.array([guess.est for guess in predictions])
    return guesses


if __name__ == "__main__":
    main()
