"""Measure the program against its own matrix products, scikit-learn and Matplotlib's import.

    python tools/benchmark.py [--data DIR] [--repeat N]

Every figure is a ratio of two things measured in turn in the same run, each the median of N
repetitions. It prints a Markdown table. scikit-learn and threadpoolctl are used where installed.
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
from time import perf_counter, sleep

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import common  # noqa: E402
import em  # noqa: E402
import kmeans  # noqa: E402
import naive_em  # noqa: E402

try:
    import sklearn
    from sklearn.cluster import KMeans
    from sklearn.mixture import GaussianMixture as SklearnMixture
except ImportError:
    sklearn = None


def timed(call):
    """Seconds that a call takes."""
    start = perf_counter()
    call()
    return perf_counter() - start


def in_turn(repeat, *calls):
    """Median seconds of each call, measured in turn after one round that does not count."""
    rounds = [[timed(call) for call in calls] for _ in range(repeat + 1)]
    return [statistics.median(times) for times in zip(*rounds[1:])]


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
    prepared = em.prepare(X)
    for _ in range(3):  # the first posteriors are all zeros and ones, or all alike
        post, _ = em.estep(X, mixture, prepared)
        mixture = em.mstep(X, post, mixture, prepared=prepared)

    def once():
        em.mstep(X, em.estep(X, mixture, prepared)[0], mixture, prepared=prepared)

    return in_turn(repeat, once, lambda: products(X, prepared[0], mixture.mu, post, 1))


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
        # The threads of NumPy's BLAS go on spinning for a while after their work, and scikit-learn
        # has threads of its own: without a rest in between it would take twice as long.
        sleep(0.1)
        few.append(timed(lambda: theirs(first)))
        many.append(timed(lambda: theirs(last)))
        sleep(0.1)
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


def peak_memory():
    """Peak memory of em.run beyond the process before the call, over the size of its data."""
    command = [sys.executable, "-c", MEMORY, str(ROOT)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def blas():
    """The BLAS and its number of threads, in words."""
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return f"its BLAS with the default number of threads on {os.cpu_count()} processors"
    libraries = [library for library in threadpool_info() if library["user_api"] == "blas"]
    return ", ".join(
        f"{b['internal_api']} {b['version']}, {b['num_threads']} threads" for b in libraries[:1]
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT, help="folder of the data files")
    parser.add_argument("--repeat", type=int, default=15, help="repetitions (default: 15)")
    options = parser.parse_args()
    repeat = options.repeat
    try:
        X = common.read(options.data / "netflix_incomplete.txt", ratings=True)
        Y = common.read(options.data / "netflix_complete.txt", ratings=True)
    except ValueError as error:
        parser.error(str(error))

    print(f"Python {platform.python_version()}, NumPy {np.__version__}, {blas()};")
    print(f"{os.cpu_count()} processors; medians of {repeat} repetitions\n")
    print("| what | target | measured |\n|---|---|---|")

    def row(what, target, measured):
        print(f"| {what} | {target} | {measured} |", flush=True)

    for K, target in [(12, 1.30), (1, 3.5), (4, 1.4), (30, 1.25)]:
        ratio, iterations = run_over_products(X, K, repeat)
        what = f"`em.run`, K = {K}, seed 1, over the products of its {iterations} iterations"
        row(what, f"<= {target:.2f}", f"{ratio:.2f}")

    for model, name, target in [
        (naive_em, '`GaussianMixture(covariance_type="spherical")`', 0.35),
        (kmeans, '`KMeans(algorithm="lloyd", n_init=1)`', 1.5),
    ]:
        what = f"`{model.__name__}.run`, K = 12, per iteration, over scikit-learn's {name}"
        if sklearn is None:
            row(what, f"<= {target:.2f}", "left out: scikit-learn is not installed")
        else:
            ratio, first, last = over_sklearn(model, Y, 12, repeat)
            what += f" {sklearn.__version__}, iterations {first} to {last}"
            row(what, f"<= {target:.2f}", f"{ratio:.2f}")

    row(
        "peak memory of `em.run` on 20,000 x 1200, over its data", "<= 1.30", f"{peak_memory():.2f}"
    )

    worst = 0
    for unit, small, large, times, limit in [
        ("user", (1200, 1200, 12), (40_000, 1200, 12), 40_000 / 1200, 60),
        ("movie", (1200, 300, 12), (1200, 4800, 12), 16, 25),
        ("component", (1200, 1200, 12), (1200, 1200, 96), 8, 0),
    ]:
        few, many = iteration(*small, 3 * repeat), iteration(*large, repeat)
        worst = max([worst, many[0] / many[1]] + [few[0] / few[1]] * (small[1] >= 1200))
        what = f"iteration per {unit}, from n, d, K = {small} to {large}"
        row(what, f"+{limit} % at most", f"{many[0] / few[0] / times - 1:+.0%}")
    row(
        "iteration over its products, the worst of these sizes with d >= 1200",
        "<= 1.30",
        f"{worst:.2f}",
    )

    with tempfile.TemporaryDirectory() as plots:
        everything = [sys.executable, ROOT / "main.py", "--plots", plots]
        imports = [sys.executable, "-c", "import numpy, matplotlib.pyplot"]
        ours, theirs = in_turn(
            min(repeat, 5),
            lambda: subprocess.run(everything, check=True, stdout=subprocess.DEVNULL),
            lambda: subprocess.run(imports, check=True),
        )
    row(
        f"`python main.py` on the shipped data ({ours:.1f} s) over importing NumPy and pyplot",
        "<= 10",
        f"{ours / theirs:.1f}",
    )


if __name__ == "__main__":
    main()
