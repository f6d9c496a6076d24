"""Measure the program against its own matrix products, scikit-learn, and itself on a busy machine.

    python tools/benchmark.py [--data DIR] [--repeat N]
    python tools/benchmark.py --accuracy [PATH ...]

Every figure of speed is a ratio of two things measured in turn in the same run, each the median of
N repetitions; scikit-learn is used where it is installed. --accuracy prints errors on hidden
ratings instead, for folders with a netflix_incomplete.txt or files like MovieLens' u.data, and
those of Surprise where it is installed. Both say on standard error what is going on.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from time import perf_counter

os.environ.setdefault("OMP_NUM_THREADS", "1")  # as in main.py, and before NumPy is imported
os.environ.setdefault("VECLIB_MAXIMUM_THREADS", "1")

import numpy as np  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import common  # noqa: E402
import em  # noqa: E402
import kmeans  # noqa: E402
import main as program  # noqa: E402
import naive_em  # noqa: E402

try:
    import sklearn
    from sklearn.cluster import KMeans
    from sklearn.mixture import GaussianMixture as SklearnMixture
except ImportError:
    sklearn = None
try:
    import surprise
except ImportError:
    surprise = None


def timed(call):
    """Seconds that a call takes."""
    start = perf_counter()
    call()
    return perf_counter() - start


def in_turn(repeat, *calls):
    """Median seconds of each call, measured in turn after one round that does not count."""
    rounds = [[timed(call) for call in calls] for _ in range(repeat + 1)]
    return [statistics.median(times) for times in zip(*rounds[1:])]


def say(what):
    """Say on standard error what is being measured."""
    print(f"{what} ...", file=sys.stderr, flush=True)


def row(what, target, measured):
    print(f"| {what} | {target} | {measured} |", flush=True)


def products(X, rated, mu, post, times):
    """The four matrix products of an iteration, and nothing else."""
    square = mu**2
    for _ in range(times):
        mu @ X.T, square @ rated.T, post.T @ X, post.T @ rated


def run_over_products(X, K, repeat):
    """Time of em.run, set-up included, over that of its products; and the number of iterations."""
    start, trace = common.init(X, K, 1), []
    mixture, post, _ = em.run(X, *start, trace.append)
    rated = (X != 0).astype(float)
    run, bare = in_turn(
        repeat,
        lambda: em.run(X, *start),
        lambda: products(X, rated, mixture.mu, post, len(trace)),
    )
    return run / bare, len(trace)


def iteration(n, d, K, repeat):
    """Seconds of one EM iteration on random ratings, and of its products."""
    X = np.random.RandomState(0).randint(0, 6, (n, d)).astype(float)
    mixture, post = common.init(X, K, 0)
    ratings = em.prepare(X)
    for _ in range(3):  # the first posteriors are all zeros and ones, or all alike
        post, _ = em.estep(ratings, mixture)
        mixture = em.mstep(ratings, post, mixture)

    def once():
        em.mstep(ratings, em.estep(ratings, mixture)[0], mixture)

    return in_turn(repeat, once, lambda: products(X, ratings.rated, mixture.mu, post, 1))


def over_sklearn(model, X, K, repeat):
    """Time per iteration over that of scikit-learn from the same start, both as slopes."""
    start = common.init(X, K, 1)
    mixture = start[0]

    def theirs(iterations):
        if model is kmeans:
            fit = KMeans(
                K, init=mixture.mu, n_init=1, max_iter=iterations, tol=0, algorithm="lloyd"
            )
        else:
            fit = SklearnMixture(
                K,
                covariance_type="spherical",
                max_iter=iterations,
                tol=0,
                reg_covar=0,
                means_init=mixture.mu,
                precisions_init=1 / mixture.var,
                weights_init=mixture.p,
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "did not converge": it was not let to
            return fit.fit(X).n_iter_

    def slope():
        stamps = []
        model.run(X, *start, lambda _: stamps.append(perf_counter()))
        return (stamps[last - 1] - stamps[first - 1]) / (last - first)

    counted = []
    model.run(X, *start, counted.append)
    first, last = 2, min(len(counted), theirs(100) - 1)  # iterations that both of them do
    ours, few, many = [], [], []
    for _ in range(repeat):
        few.append(timed(lambda: theirs(first)))
        many.append(timed(lambda: theirs(last)))
        ours.append(slope())
    their_slope = (statistics.median(many) - statistics.median(few)) / (last - first)
    return statistics.median(ours) / their_slope, first, last


MEMORY = """
import resource, sys
sys.path.insert(0, sys.argv[1])
import numpy as np
import common, em
draw, X = np.random.RandomState(0), np.empty((20000, 1200))
for row in X:
    row[:] = draw.randint(0, 6, 1200)
mixture = common.GaussianMixture(X[:12].copy(), np.ones(12), np.full(12, 1 / 12))
post = np.full((20000, 12), 1 / 12)
unit = 1 if sys.platform == "darwin" else 1024
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
em.run(X, mixture, post)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit - before) / X.nbytes)
"""


def python(*arguments, threads=None):
    """The standard output of a Python program; how many BLAS threads it has is its own choice."""
    command = [sys.executable, *map(str, arguments)]
    environment = {name: os.environ[name] for name in os.environ if "_THREADS" not in name}
    if threads:
        environment["OMP_NUM_THREADS"] = environment["VECLIB_MAXIMUM_THREADS"] = threads
    return subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, env=environment
    ).stdout


def threads_row(X, data, repeat, threads):
    """The row of em.run's time over its products, with one BLAS thread or with two."""
    if threads == "1":
        ratio, iterations = run_over_products(X, 12, repeat)
        what = f"`em.run`, K = 12, seed 1, over the products of its {iterations} iterations"
        row(f"{what}, BLAS threads: {os.environ['OMP_NUM_THREADS']}", "<= 1.30", f"{ratio:.2f}")
    else:
        command = [__file__, "--data", data, "--repeat", repeat, "--threads-row"]
        print(python(*command, threads=threads), end="", flush=True)


def program_rows(X, data):
    """main.py alone over its own 30 fits one after the other, and on a busy machine over alone."""
    plots = tempfile.TemporaryDirectory()
    printed = {}

    def whole_run(name):
        printed[name] = python(ROOT / "main.py", "--data", data, "--plots", plots.name)

    def fits():
        for K in program.NETFLIX_K:
            for seed in range(5):
                em.run(X, *common.init(X, K, seed))

    say("main.py and its fits of step 3")
    alone, thirty = in_turn(3, lambda: whole_run("alone"), fits)
    what = f"`python main.py` ({alone:.1f} s) over its 30 fits of step 3, one after the other"
    row(what, "<= 5", f"{alone / thirty:.1f}")
    cores = program.cores()
    say(f"main.py beside {cores} busy loops")
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(cores)]
    try:
        busy = statistics.median(timed(lambda: whole_run("busy")) for _ in range(3))
    finally:
        for loop in loops:
            loop.kill()
    same = "the same output" if printed["alone"] == printed["busy"] else "ANOTHER OUTPUT"
    row(
        f"`python main.py` beside {cores} busy loops over alone",
        "<= 4",
        f"{busy / alone:.1f}, {same}",
    )
    plots.cleanup()


def speed(X, Y, data, repeat):
    """Print the table of speeds."""
    print("| what | target | measured |\n|---|---|---|")
    for threads in ("1", "2"):
        say(f"em.run, K = 12, BLAS threads: {threads}")
        threads_row(X, data, repeat, threads)
    for K, target in [(1, 3.5), (4, 1.4), (30, 1.25)]:
        say(f"em.run, K = {K}")
        ratio, iterations = run_over_products(X, K, repeat)
        what = f"`em.run`, K = {K}, seed 1, over the products of its {iterations} iterations"
        row(what, f"<= {target:.2f}", f"{ratio:.2f}")
    for model, name, target in [
        (naive_em, '`GaussianMixture(covariance_type="spherical")`', 0.35),
        (kmeans, '`KMeans(algorithm="lloyd", n_init=1)`', 1.5),
    ]:
        say(f"{model.__name__}.run and scikit-learn's")
        what = f"`{model.__name__}.run`, K = 12, per iteration, over scikit-learn's {name}"
        if sklearn is None:
            row(what, f"<= {target:.2f}", "left out: scikit-learn is not installed")
        else:
            ratio, first, last = over_sklearn(model, Y, 12, repeat)
            what += f" {sklearn.__version__}, iterations {first} to {last}"
            row(what, f"<= {target:.2f}", f"{ratio:.2f}")
    say("memory")
    what = "peak memory of `em.run` on 20,000 x 1200, over its data"
    row(what, "<= 1.30", f"{float(python('-c', MEMORY, ROOT, threads='1')):.2f}")

    worst = 0
    for unit, small, large, times, limit in [
        ("user", (1200, 1200, 12), (40_000, 1200, 12), 40_000 / 1200, 60),
        ("movie", (1200, 300, 12), (1200, 4800, 12), 16, 25),
        ("component", (1200, 1200, 12), (1200, 1200, 96), 8, 0),
    ]:
        say(f"iterations of {small} and {large}")
        few, many = iteration(*small, 3 * repeat), iteration(*large, repeat)
        worst = max([worst, many[0] / many[1]] + [few[0] / few[1]] * (small[1] >= 1200))
        what = f"iteration per {unit}, from n, d, K = {small} to {large}"
        row(what, f"+{limit} % at most", f"{many[0] / few[0] / times - 1:+.0%}")
    what = "iteration over its products, the worst of these sizes with d >= 1200"
    row(what, "<= 1.30", f"{worst:.2f}")
    program_rows(X, data)


def read_ratings(path):
    """(n, d) ratings of a folder with a netflix_incomplete.txt, or of a file of triples."""
    if path.is_dir():
        return common.read(path / "netflix_incomplete.txt", ratings=True)
    triples = np.loadtxt(path)
    users, rows = np.unique(triples[:, 0], return_inverse=True)
    items, columns = np.unique(triples[:, 1], return_inverse=True)
    X = np.zeros((len(users), len(items)))
    X[rows, columns] = triples[:, 2]
    return X


def errors(X):
    """Yield the name and the error, in stars over the hidden ratings, of every way to predict."""
    X_left, hidden = program.hide(X)
    truth = X.take(hidden)

    def error(X_pred):
        return f"{common.rmse(X_pred.take(hidden), truth):.3f}"

    course, ours = [], []
    for K in program.NETFLIX_K:
        fits = [em.run(X_left, *common.init(X_left, K, seed)) for seed in range(5)]
        mixture, _, _ = max(fits, key=lambda fit: fit[2])
        course.append(error(em.fill_matrix(X_left, mixture)))
        ours.append(error(em.predict(X_left, K)))
    Ks = ", ".join(map(str, program.NETFLIX_K))
    yield f"the course's `fill_matrix`, K = {Ks}", " ".join(course)
    yield f"`em.predict`, K = {Ks}", " ".join(ours)
    if surprise is None:
        yield "Surprise", "left out: it is not installed"
        return
    entries = np.argwhere(X_left)
    triples = [(u, l, X_left[u, l], None) for u, l in entries.tolist()]
    reader = surprise.Reader(rating_scale=(X_left[X_left > 0].min(), X_left.max()))
    data = surprise.Dataset(reader)
    trainset = data.construct_trainset(triples)
    similarity = {"name": "pearson_baseline", "user_based": False}
    for name, model in [
        ("BaselineOnly", surprise.BaselineOnly(verbose=False)),
        ("CoClustering", surprise.CoClustering(random_state=0)),
        ("SVD", surprise.SVD(random_state=0)),
        ("KNNBaseline, users", surprise.KNNBaseline(verbose=False)),
        ("KNNBaseline, items", surprise.KNNBaseline(sim_options=similarity, verbose=False)),
    ]:
        say(f"Surprise's {name}")
        model.fit(trainset)
        users, items = np.divmod(hidden, X.shape[1])
        predicted = [model.predict(u, l).est for u, l in zip(users.tolist(), items.tolist())]
        yield f"Surprise's {name}", f"{common.rmse(np.array(predicted), truth):.3f}"


def accuracy(paths):
    """Print a table of errors, a column per path."""
    columns = []
    for path in paths:
        say(f"errors on {path}")
        columns.append(dict(errors(read_ratings(path))))
    print(f"| RMSE over hidden ratings, in stars | {' | '.join(path.name for path in paths)} |")
    print("|---|" + "---|" * len(paths))
    for name in columns[0]:
        print(f"| {name} | {' | '.join(column[name] for column in columns)} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT, help="folder of the data files")
    parser.add_argument("--repeat", type=int, default=15, help="repetitions (default: 15)")
    parser.add_argument(
        "--accuracy",
        type=Path,
        nargs="*",
        metavar="PATH",
        help="print errors on hidden ratings instead (default: of the shipped data)",
    )
    parser.add_argument("--threads-row", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    try:
        if options.accuracy is not None:
            return accuracy([path.resolve() for path in options.accuracy or [ROOT]])
        X = common.read(options.data / "netflix_incomplete.txt", ratings=True)
        Y = common.read(options.data / "netflix_complete.txt", ratings=True)
    except (ValueError, OSError) as error:
        parser.error(str(error))
    if options.threads_row:
        return threads_row(X, options.data, options.repeat, "1")
    print(f"Python {platform.python_version()}, NumPy {np.__version__}, {program.cores()} cores;")
    print(f"medians of {options.repeat} repetitions\n")
    speed(X, Y, options.data, options.repeat)


if __name__ == "__main__":
    main()
