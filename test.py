"""Tests: first the judge of the course's four modules, then what is ours beyond them.

    python test.py Em            judges em.py alone; so do Kmeans, NaiveEm and Common
    python test.py               judges all four, and tests what is ours if they pass

FAIL is what the course determines: on data like its own (points in the plane, more of them than
components; ratings from 1 to 5 of up to 1,200 movies, every user has rated something), with its
arguments, to 1e-6. What is right there and would break elsewhere is a note, which changes neither
the verdict nor the exit status. How a module is judged stands in tools/judge.py; what is expected
comes from tools/make_reference.py (plain Python, 50 digits) or from paper.
"""

import argparse
import contextlib
import csv
import importlib
import io
import itertools
import math
import os
import re
import signal
import sys
import tempfile
import traceback
import unittest
import warnings
from pathlib import Path
from unittest import mock

# One BLAS thread and no windows: both are read when NumPy and Matplotlib are imported.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["MKL_NUM_THREADS"] = "1"
os.environ["VECLIB_MAXIMUM_THREADS"] = "1"
os.environ["MPLBACKEND"] = "Agg"

HERE = Path(__file__).resolve().parent


def leave(message):
    """End with one line and status 2."""
    print(f"test.py: {message}", file=sys.stderr)
    sys.exit(2)


if sys.version_info < (3, 10):  # noqa: UP036
    leave(f"expected Python 3.10 or later, got {sys.version.split()[0]}")
sys.path[:0] = [str(HERE), str(HERE / "tools")]
try:
    import make_reference
    import numpy as np
    from judge import Judge, Mixture, Verdict, off_by
    from numpy.testing import assert_allclose, assert_array_equal
except ModuleNotFoundError as error:
    if error.name == "numpy":
        leave(f"this needs numpy, which is missing: {sys.executable} -m pip install numpy")
    leave(f"expected the folder tools beside test.py: {error}")


# 1. Random problems, and what plain Python makes of them


def ratings(seed, n=12, d=5, missing=0.3):
    """(n, d) ratings with holes; every user has rated movie 0, and user 0 every movie."""
    draw = np.random.RandomState(seed)
    X = draw.randint(1, 6, (n, d)) * (draw.rand(n, d) >= missing) * 1.0
    X[0, X[0] == 0] = 3
    X[X[:, 0] == 0, 0] = 3
    return X


def points(seed, n=12, d=2):
    """(n, d) points of three clusters, with three decimals."""
    draw = np.random.RandomState(seed)
    noise = 2 * draw.randn(n, d)
    middles = 6 * draw.randn(3, d)
    return (noise + middles[draw.randint(0, 3, n)]).round(3)


def start(X, K, seed):
    """What the course's init returns: mixture, post."""
    mu = X[np.random.RandomState(seed).choice(len(X), K, replace=False)]
    var = np.array([((X - mean) ** 2).mean() for mean in mu])
    return Mixture(mu, var, np.full(K, 1 / K)), np.full((len(X), K), 1 / K)


def mixture_for(X, K, seed):
    """A mixture of K components, no two alike, somewhere in the data."""
    draw = np.random.RandomState(seed)
    p = draw.rand(K) + 0.2
    mu = X.mean(axis=0) + X.std() * draw.randn(K, X.shape[1])
    return Mixture(mu, 1 + 3 * draw.rand(K), p / p.sum())


def soft(n, K, seed):
    """(n, K) posteriors; the first columns have the larger sums."""
    post = (np.random.RandomState(seed).rand(n, K) ** 2 + 0.05) / np.arange(1, 2 * K, 2)
    return post / post.sum(axis=1, keepdims=True)


def exact(array):
    """An array as nested lists of Decimals."""
    if np.ndim(array) == 0:
        return make_reference.Decimal(float(array))
    return [exact(row) for row in array]


def plain(*results):
    """Arrays of what tools/make_reference.py returns."""
    return [np.array(result, dtype=float) for result in results]


def exact_estep(X, mixture):
    """The E-step in plain Python; an X of 0 is missing."""
    post, ll = plain(*make_reference.estep(exact(X), *map(exact, mixture)))
    return {"post": post, "ll": ll}


def exact_mstep(X, post, mu, min_variance=0.25):
    """EM's M-step in plain Python; mu are the means before."""
    result = make_reference.mstep(exact(X), exact(post), exact(mu), exact(min_variance))
    return Mixture(*plain(*result))


def exact_naive_mstep(X, post):
    """The M-step of naive EM and K-means in plain Python: there are no means before, no limits."""
    no_means = [None] * post.shape[1]
    result = make_reference.mstep(exact(X), exact(post), no_means, 0, 0)
    return Mixture(*plain(*result))


def exact_nearest(X, mu):
    """K-means' E-step in plain Python; no coordinate may be 0, which would be missing."""
    means = exact(mu)
    nearest = []
    for row in exact(X):
        distances = [make_reference.distance(row, mean) for mean in means]
        nearest.append(distances.index(min(distances)))
    return np.eye(len(mu))[nearest]


# 2. What is asked of the course's modules. The tests of a module stand in the order in which its
# functions build on each other: what calls a function that has failed waits for it.


class Published(Judge):
    """What the four have in common: the figures that the course published."""

    data = None  # the folder of --data

    def course_data(self, name):
        """A matrix of the course's own, in the folder of --data."""
        self.seconds = 900  # loops over 1,200 x 1,200 ratings take their time
        if self.data is None or not (self.data / name).is_file():
            self.skipTest("--data DIR, a folder of the course's own files")
        return np.loadtxt(self.data / name)

    def check_published(self, function, what, got, figure):
        """A published figure, to the last of its four decimals."""
        if not abs(got - figure) <= 0.51e-4:
            full = f"{self.name}.{function}"
            self.wrong(full, f"{full}: {what} is {got:.4f}, the course published {figure:.4f}")


class Model(Published):
    """What the three models have in common: the M-step's check, and run's.

    A model has
    - score: the number that run returns with the mixture and post, cost or ll
    - stops: when run should stop, in words; stop(new, old): the same as a condition
    - iteration(X, mixture): what one E-step and one M-step give, from plain Python
    """

    def check_mstep(self, arguments, expected):
        """Where the means are off, variances and cost are, too: they are about the means."""
        got = self.call("mstep", *arguments)
        if off_by(got["mu"], expected["mu"]) > 1e-6:
            expected = {"mu": expected["mu"], "p": expected["p"]}
        self.compare("mstep", arguments, got, expected)

    def iterations(self, X, mixture, more):
        """What each iteration gives, and the number of the last: {1: parts, 2: parts, ...}, last.

        There are as many more than run makes as asked.
        """
        steps = {1: self.iteration(X, mixture)}
        number = 1
        last = math.inf
        while number < last + more:
            old = steps[number]
            number += 1
            steps[number] = self.iteration(X, Mixture(old["mu"], old["var"], old["p"]))
            if last == math.inf and self.stop(steps[number][self.score], old[self.score]):
                last = number
        return steps, last

    def found(self, got, steps, last):
        """The numbers of the iterations that gave the mixture, the post and the score; or None.

        Where K-means' last iterations give the same, it is the last.
        """
        numbers = []
        for parts in (["mu", "var", "p"], ["post"], [self.score]):
            errors = {}
            for number, step in steps.items():
                errors[number] = max(off_by(got[part], step[part]) for part in parts)
            nearest = min(errors, key=errors.get)
            if errors[last] <= errors[nearest] + 1e-12:
                nearest = last
            numbers.append(nearest if errors[nearest] <= 1e-6 else None)
        return numbers

    def check_run(self, X, K, seed):
        """Whatever run returns is that of the last iteration by the course's rule."""
        self.wait_for(f"{self.name}.estep", f"{self.name}.mstep")
        arguments = [X, *start(X, K, seed)]
        got = self.call("run", *arguments)
        steps, last = self.iterations(X, arguments[1], more=2)
        numbers = self.found(got, steps, last)
        if numbers != [last, last, last]:
            case = self.which_iterations(numbers, last) or self.why_of_none(got, arguments)
            # Iterations next to each other may differ by less than the 1e-6 of other checks.
            self.compare("run", arguments, got, steps[last], case, limit=1e-9)

    def which_iterations(self, numbers, last):
        """From which iterations the mixture, the post and the score are; "" if from none."""
        if None in numbers:
            return ""
        m, p, s = numbers
        if not m == p == s:
            words = f"it returns the mixture of iteration {m}, the post of {p} and the "
            words += f"{self.score} of {s}: all three should be of iteration {last}, the last"
            return words
        words = f"it stops after iteration {m}, it should after {last}"
        if m <= 2:
            words += ", so it seems not to compare new and old, or with the wrong sign"
        elif m % 5 == 0:
            words += ", so their number may be fixed"
        return f"{words}: it should {self.stops}"

    def why_of_none(self, got, arguments):
        """Why run may return what no iteration gives."""
        X, mixture, post = arguments
        if not math.isfinite(got[self.score]):
            words = "does it make an M-step before the first E-step?"
            return f"the {self.score} is {got[self.score]}: {words}"
        equal_means = mixture._replace(mu=mixture.mu[[0] * len(mixture.mu)])
        other = self.attempt("run", X, equal_means, post)
        if other and off_by(other[self.score], got[self.score]) < 1e-12:
            return "it ignores the mixture that is passed: start from it, not from one of its own"
        words = "it returns what no iteration gives: look at what it passes to estep and to mstep "
        return f"{words}({self.functions['mstep'][0]})"

    def run_is_right(self):
        """Whether run, and what it calls, has not failed: only then notes on it make sense."""
        return not self.has_failed("estep", "mstep", "run")


class Kmeans(Model):
    """kmeans.py"""

    name = "kmeans"
    words = {"row": "point", "column": "column", "component": "cluster"}
    functions = {
        "estep": ("X, mixture", "post"),
        "mstep": ("X, post", "mixture, cost"),
        "run": ("X, mixture, post", "mixture, post, cost"),
    }
    score = "cost"
    stops = "stop as soon as the cost falls by no more than 1e-4"
    why_endless = {"run": f": it should {stops}"}

    def stop(self, new, old):
        return old - new <= 1e-4

    def iteration(self, X, mixture):
        """One E-step and one M-step in plain Python."""
        post = exact_nearest(X, mixture.mu)
        return {"post": post, **self.expected_mstep(X, post)}

    def expected_mstep(self, X, post):
        """The variances are means over n_j d squares, so they give the cost as well."""
        mixture = exact_naive_mstep(X, post)
        cost = (mixture.var * post.sum(axis=0)).sum() * X.shape[1]
        return {**mixture._asdict(), "cost": cost}

    def test_estep(self):
        for seed, K in [(0, 3), (1, 4), (2, 1)]:
            X = points(seed, n=60)
            mixture = mixture_for(X, K, seed)
            self.check("estep", [X, mixture], {"post": exact_nearest(X, mixture.mu)})

    def test_mstep(self):
        for seed in range(3):
            X = points(seed, n=60)
            own = np.random.RandomState(seed).permutation(np.repeat(range(4), (3, 7, 15, 35)))
            post = np.eye(4)[own]
            self.check_mstep([X, post], self.expected_mstep(X, post))

    def test_run(self):
        self.check_run(points(92, n=60), K=3, seed=92)
        self.check_run(points(2272, n=90), K=4, seed=2272)  # its last fall is 2e-4 of the cost

    def test_published(self):
        X = self.course_data("toy_data.txt")
        for K, cost in [(1, 5462.2975), (2, 1684.9080), (3, 1329.5949), (4, 1035.4998)]:
            costs = [self.call("run", X, *start(X, K, seed))["cost"] for seed in range(5)]
            words = f"K = {K}: the lowest cost of seeds 0 to 4"
            self.check_published("run", words, min(costs), cost)

    def test_notes(self):
        """Ties, and points that lie close together."""
        X = np.array([[3.0, 3.0], [1.0, 5.0], [5.0, 1.0]])
        tie = Mixture(np.array([[3.0, 1.0], [1.0, 3.0], [3.0, 5.0]]), np.ones(3), np.ones(3) / 3)
        words = "of several nearest means the first should win, as with argmin"
        self.note_unless(words, "estep", [X, tie], {"post": np.eye(3)[[0, 1, 0]]})
        X = points(92, n=120) / 128
        mixture, post = start(X, 3, 92)
        if self.run_is_right():
            steps, last = self.iterations(X, mixture, more=1)
            got = self.attempt("run", X, mixture, post)
            if got is None or self.found(got, steps, last) != [last, last, last]:
                words = "where points lie close together it stops by another rule than the "
                self.note("run", words + "course's: compare the fall of the cost with 1e-4 itself")


class EmModel(Model):
    """What naive EM and EM have in common."""

    score = "ll"
    stops = "stop as soon as new - old <= 1e-6 * |new|, the log-likelihoods of two E-steps"
    why_endless = {"run": f": it should {stops} (|new|: 1e-6 * new is below 0, as ll is)"}

    def stop(self, new, old):
        return new - old <= 1e-6 * abs(new)

    def iteration(self, X, mixture):
        """One E-step and one M-step in plain Python."""
        expected = exact_estep(X, mixture)
        return {**expected, **self.next_mixture(X, expected["post"], mixture)._asdict()}

    def note_if_cut_short(self, X, K, seed):
        """Note a run that another iteration would have taken further; it needs more than 200."""
        if not self.run_is_right():
            return
        got = self.attempt("run", X, *start(X, K, seed))
        if got:
            another = exact_estep(X, Mixture(got["mu"], got["var"], got["p"]))["ll"]
        if not got or not self.stop(another, got["ll"]):
            words = "a limit on the number of iterations cuts long runs short: let the rule alone "
            self.note("run", words + "stop it")


class NaiveEm(EmModel):
    """naive_em.py"""

    name = "naive_em"
    functions = {
        "estep": ("X, mixture", "post, ll"),
        "mstep": ("X, post", "mixture"),
        "run": ("X, mixture, post", "mixture, post, ll"),
    }

    def next_mixture(self, X, post, mixture):
        return exact_naive_mstep(X, post)

    def test_estep(self):
        for seed, K in [(0, 3), (1, 2), (2, 4), (3, 1)]:
            X = points(seed)
            mixture = mixture_for(X, K, seed)
            self.check("estep", [X, mixture], exact_estep(X, mixture))

    def test_estep_of_many_points(self):
        X = points(4, n=250)
        mixture, _ = start(X, 2, 4)
        case = "250 points, whose densities multiplied underflow to 0: log-likelihoods are added"
        self.check("estep", [X, mixture], exact_estep(X, mixture), case)

    def test_mstep(self):
        for seed, n, K, spread in [(0, 60, 3, 1), (1, 60, 2, 1), (2, 12, 4, 1), (3, 60, 1, 0.124)]:
            X = points(seed, n) * spread  # the last variance is 0.35, about the toy data's least
            post = soft(n, K, seed)
            self.check_mstep([X, post], exact_naive_mstep(X, post)._asdict())

    def test_run(self):
        self.check_run(points(3, n=30), K=2, seed=3)
        self.check_run(points(6, n=40), K=3, seed=6)

    def test_published(self):
        X = self.course_data("toy_data.txt")
        for K, ll in [(1, -1307.2234), (2, -1175.7146), (3, -1138.8909), (4, -1138.6012)]:
            lls = [self.call("run", X, *start(X, K, seed))["ll"] for seed in range(5)]
            self.check_published("run", f"K = {K}: the best ll of seeds 0 to 4", max(lls), ll)

    def test_notes(self):
        """Other numbers of columns, underflow, long runs."""
        X = points(0, d=3)
        mixture = mixture_for(X, 2, 0)
        words = "it holds for points in the plane only: take d from X.shape"
        self.note_unless(words, "estep", [X, mixture], exact_estep(X, mixture))
        post = soft(12, 2, 0)
        self.note_unless(words, "mstep", [X, post], exact_naive_mstep(X, post)._asdict())
        X = points(0, n=3, d=1000)
        mixture = mixture_for(X, 2, 0)
        X[0] = mixture.mu[0]
        X[2] = mixture.mu[1]
        words = "densities underflow to 0 in many dimensions and far from every mean: add their "
        words += "logarithms, and subtract each row's largest before np.exp"
        self.note_unless(words, "estep", [X, mixture], exact_estep(X, mixture))
        self.note_if_cut_short(points(3430, n=40), K=2, seed=3430)


class Common(Published):
    """common.py"""

    name = "common"
    words = {"row": "row", "column": "column", "component": "component"}
    functions = {
        "init": ("X, K, seed", "mixture, post"),
        "rmse": ("X, Y", "rmse"),
        "bic": ("X, mixture, log_likelihood", "bic"),
    }

    def test_init(self):
        for X in (points(0, n=60), ratings(0, n=40)):
            for seed, K in [(0, 3), (1, 4), (2, 1), (4, 12)]:
                got = self.call("init", X, K, seed)
                mixture, post = start(X, K, seed)
                if off_by(got["mu"], mixture.mu) > 1e-6:  # then the variances are off, too
                    case = "it needs the rows that np.random.seed(seed) and "
                    case += "np.random.choice(n, K, replace=False) draw"
                    self.compare("init", [X, K, seed], got, {"mu": mixture.mu}, case)
                expected = {**mixture._asdict(), "post": post}
                self.compare("init", [X, K, seed], got, expected)

    def test_rmse(self):
        X = np.array([[1.5, 0.0], [5.0, 4.0], [3.0, 3.0]])
        Y = np.array([[1.0, 2.0], [7.0, 0.0], [3.0, 4.0]])
        self.check("rmse", [X, Y], {"rmse": math.sqrt(25.25 / 6)})

    def test_bic(self):
        X = ratings(0)
        for K, P in [(2, 13), (4, 27), (1, 6)]:
            expected = {"bic": -100 - P / 2 * math.log(12)}
            self.check("bic", [X, mixture_for(X, K, 0), -100.0], expected)

    def test_published(self):
        X = self.course_data("toy_data.txt")
        for K, ll, bic in [(1, -1307.2234, -1315.5056), (3, -1138.8909, -1169.2589)]:
            got = self.call("bic", X, start(X, K, 0)[0], ll)["bic"]
            self.check_published("bic", f"K = {K}, of a log-likelihood of {ll}", got, bic)

    def test_notes(self):
        """A default seed, as the course's newer starter files have it."""
        X = points(0)
        mixture, post = start(X, 3, 0)
        words = "there is no default seed: init(X, K, seed=0), as in the course's newer files"
        self.note_unless(words, "init", [X, 3], {**mixture._asdict(), "post": post})


class Em(EmModel):
    """em.py"""

    name = "em"
    words = {"row": "user", "column": "movie", "component": "type"}
    functions = {
        "estep": ("X, mixture", "post, ll"),
        "mstep": ("X, post, mixture, min_variance", "mixture"),
        "run": ("X, mixture, post", "mixture, post, ll"),
        "fill_matrix": ("X, mixture", "X_pred"),
    }

    def next_mixture(self, X, post, mixture):
        return exact_mstep(X, post, mixture.mu)

    def test_estep(self):
        for seed, K in [(0, 3), (1, 2), (2, 4), (3, 1)]:
            X = ratings(seed)
            mixture = mixture_for(X, K, seed)
            self.check("estep", [X, mixture], exact_estep(X, mixture))

    def test_estep_of_many_ratings(self):
        X = ratings(0, n=4, d=1200, missing=0.2)
        X[1, 270:] = 0
        mixture, _ = start(X, 3, 0)
        case = "users with up to 1,200 ratings, whose densities underflow to 0: stay in "
        case += "logarithms, and subtract each user's largest f before np.exp"
        self.check("estep", [X, mixture], exact_estep(X, mixture), case)

    def test_mstep(self):
        for seed, K in [(0, 3), (1, 2), (2, 4), (3, 1)]:
            X = ratings(seed, n=60)
            post = soft(60, K, seed)
            old = mixture_for(X, K, seed)
            self.check_mstep([X, post, old], exact_mstep(X, post, old.mu)._asdict())

    def test_mstep_keeps_a_mean_with_a_soft_count_below_1(self):
        X = np.array([[5.0, 2, 0], [1, 4, 0], [0, 3, 0], [4, 0, 0], [0, 0, 3]])
        post = np.array([[0.9, 0.1], [0.7, 0.3], [0.5, 0.5], [0.15, 0.85], [0.8, 0.2]])
        # The counts of type 1 are 1.75, 2.1 and 0.8, those of type 2 1.25, 0.9 and 0.2.
        old = Mixture(np.full((2, 3), 1.5), np.array([1.0, 2.0]), np.full(2, 0.5))
        self.check_mstep([X, post, old], exact_mstep(X, post, old.mu)._asdict())

    def test_mstep_min_variance(self):
        old = Mixture(np.full((3, 1), 2.0), np.full(3, 7.0), np.full(3, 1 / 3))
        post = np.eye(3)[[0, 0, 1, 1, 2, 2]]
        for least in (0.1, 2.0):
            var = least * np.array([1.5, 0.3, 0])  # of two users of each type, at 3 -+ its root
            X = 3 + np.repeat(np.sqrt(var), 2)[:, None] * np.array([[-1], [1]] * 3)
            expected = {"mu": np.full((3, 1), 3.0), "var": np.maximum(var, least), "p": old.p}
            self.check_mstep([X, post, old, least], expected)
        var = self.call("mstep", np.full((6, 1), 3.0), post, old)["var"]
        if off_by(var, np.full(3, 0.25)) > 1e-6:
            words = f"em.mstep: the default of min_variance is {var[0]:.4g}, it should be 0.25"
            self.wrong("em.mstep", words)

    def test_run(self):
        self.check_run(ratings(0, n=40), K=3, seed=0)
        self.check_run(ratings(1, n=24, d=6, missing=0.6), K=4, seed=1)  # some means are kept

    def test_fill_matrix(self):
        self.wait_for("em.estep")
        for seed, K in [(2, 3), (3, 2)]:
            X = ratings(seed)
            mixture = mixture_for(X, K, seed)
            (X_pred,) = plain(make_reference.fill_matrix(exact(X), *map(exact, mixture)))
            self.check("fill_matrix", [X, mixture], {"X_pred": X_pred})

    def test_reference_outputs(self):
        """The numbers of test_solutions.txt, in its order."""
        self.wait_for("em.estep", "em.mstep", "em.run", "em.fill_matrix")
        blocks = read_solutions((self.data or HERE) / "test_solutions.txt")
        X = blocks[0][1]
        K = int(blocks[1][1][0])
        mixture, post = start(X, K, 0)  # the next three blocks
        first = self.call("estep", X, mixture)
        second = self.call("mstep", X, first["post"], mixture)
        run = self.call("run", X, mixture, post)
        last = Mixture(run["mu"], run["var"], run["p"])
        filled = self.call("fill_matrix", X, last)
        steps = [
            ("estep", first, ["post", "ll"]),
            ("mstep", second, ["mu", "var", "p"]),
            ("run", run, ["mu", "var", "p", "post", "ll"]),
            ("fill_matrix", filled, ["X_pred"]),
        ]
        wanted = iter([block for block in blocks[5:] if block[0] != "X_gold"])
        for function, got, parts in steps:
            for part in parts:
                label, block = next(wanted)
                if label.lower() != part.lower():
                    self.fail(f"test_solutions.txt: expected {part}, found {label}")
                value = got[part]
                if np.size(value) != block.size:
                    words = f"{part} has shape {np.shape(value)}, not {block.size} numbers"
                elif off_by(value, block.reshape(np.shape(value))) > 1e-6:
                    words = self.entry(part, value, block.reshape(np.shape(value)))
                else:
                    continue
                self.wrong(f"em.{function}", f"em.{function}, on test_incomplete.txt: {words}")

    def test_published(self):
        X = self.course_data("netflix_incomplete.txt")
        Y = self.course_data("netflix_complete.txt")
        for K, seed, ll, rmse in [(1, 0, -1521060.9540, 0.4802), (12, 1, -1390234.4223, 0.4805)]:
            got = self.call("run", X, *start(X, K, seed))
            self.check_published("run", f"K = {K}, seed {seed}: ll", got["ll"], ll)
            mixture = Mixture(got["mu"], got["var"], got["p"])
            X_pred = self.call("fill_matrix", X, mixture)["X_pred"]
            found = math.sqrt(((X_pred - Y) ** 2).mean())
            self.check_published("fill_matrix", f"K = {K}, seed {seed}: the RMSE", found, rmse)

    def test_notes(self):
        """What the course's data do not show."""
        X = ratings(4)
        mixture = mixture_for(X, 3, 4)
        post = soft(12, 3, 4)

        alike = np.repeat(X[:1], 12, axis=0)
        rare = Mixture(X[[0, 1]], np.full(2, 0.05), np.array([0.0, 1.0]))
        words = "log p is taken without the 1e-16 that the course advises, which is -inf for a "
        words += "weight of 0: np.log(p + 1e-16)"
        self.note_unless(words, "estep", [alike, rare], exact_estep(alike, rare))

        words = "a mean with a soft count of exactly 1 keeps its old value: it needs >= 1, not > 1"
        whole = np.eye(3)[[0, 1, 2] + [1, 2] * 4 + [2]]  # type 1 has one user
        self.note_unless_mstep(words, X, whole, mixture)

        below = X - 6 * (X != 0)
        nobody = X.copy()
        nobody[3] = 0
        unseen = X.copy()
        unseen[:, 2] = 0
        for words, odd in [
            ("ratings below 0 are taken for missing: the mask should be X != 0, not X > 0", below),
            ("a user without ratings gives nan or an error: let an empty sum be 0", nobody),
            (
                "a movie without ratings gives nan or an error: divide only where the count is "
                ">= 1",
                unseen,
            ),
        ]:
            self.note_unless(words, "estep", [odd, mixture], exact_estep(odd, mixture))
            self.note_unless_mstep(words, odd, post, mixture)
        if not self.has_failed("estep"):
            (X_pred,) = plain(make_reference.fill_matrix(exact(nobody), *map(exact, mixture)))
            words = "a user without ratings gives nan or an error: let an empty sum be 0"
            self.note_unless(words, "fill_matrix", [nobody, mixture], {"X_pred": X_pred})
        self.note_if_cut_short(ratings(2154, n=40), K=3, seed=2154)

    def note_unless_mstep(self, words, X, post, mixture):
        expected = exact_mstep(X, post, mixture.mu)._asdict()
        self.note_unless(words, "mstep", [X, post, mixture], expected)


def read_solutions(path):
    """[(label, array)] of test_solutions.txt; X is a matrix, the others are flat."""
    blocks = []
    for line in path.read_text(encoding="utf-8").splitlines():
        label, colon, rest = line.rpartition(":")
        if colon:
            blocks.append((label, []))
        with contextlib.suppress(ValueError):  # a heading
            row = [float(word) for word in rest.replace("[", " ").replace("]", " ").split()]
            if row:
                blocks[-1][1].append(row)
    found = []
    for label, rows in blocks:
        if label == "X":
            found.append((label, np.array(rows)))
        elif rows:
            found.append((label, np.array([number for row in rows for number in row])))
    return found


COURSE = [Kmeans, NaiveEm, Common, Em]


# 3. What is ours beyond the course: our own modules where data are odd, em.predict, and main.py.
# A student's modules need not pass these; the judge needs none of them.


def reference(step, X, *arguments, least=0.25):
    """What a step of tools/make_reference.py makes of arrays."""
    limits = [exact(least)] if step == "mstep" else []
    return plain(*getattr(make_reference, step)(exact(X), *map(exact, arguments), *limits))


def arrays_of(result):
    """The arrays and numbers of a result, which may be nested tuples."""
    if not isinstance(result, tuple):
        return [result]
    return [array for part in result for array in arrays_of(part)]


class Ours:
    """Imports our modules, and makes warnings errors, NumPy's among them."""

    @classmethod
    def setUpClass(cls):
        global common, em, kmeans, naive_em, program
        common = importlib.import_module("common")
        em = importlib.import_module("em")
        kmeans = importlib.import_module("kmeans")
        naive_em = importlib.import_module("naive_em")
        program = importlib.import_module("main")

    def setUp(self):
        errors = np.errstate(all="raise", under="ignore")
        self.enter(errors)
        self.enter(warnings.catch_warnings())
        warnings.simplefilter("error")
        if hasattr(signal, "setitimer"):  # a student's run may never end
            signal.signal(signal.SIGPROF, self.end)
            signal.setitimer(signal.ITIMER_PROF, 30, 30)
            self.addCleanup(signal.setitimer, signal.ITIMER_PROF, 0)

    def end(self, *_):
        self.fail("it takes more than 30 seconds")

    def enter(self, context):
        result = context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)
        return result

    def assert_finite(self, result):
        for array in arrays_of(result):
            self.assertTrue(np.isfinite(array).all(), result)


class Steps(Ours, unittest.TestCase):
    """Degenerate data, exactness, and what the functions promise their callers."""

    def models(self, n=12):
        return [(kmeans, points(1, n)), (naive_em, points(1, n)), (em, ratings(1, n))]

    def test_init_refuses(self):
        X = points(0)
        infinite = X.copy()
        infinite[3, 0] = np.inf
        for bad, K, words in [
            (X[0], 1, "X: expected"),
            (infinite, 1, "X: expected"),
            (X, 0, "K: expected 1 to 12, the number of rows of X, got 0"),
            (X, 13, "K: expected 1 to 12, the number of rows of X, got 13"),
        ]:
            with self.assertRaisesRegex(ValueError, words):
                common.init(bad, K, 0)
        state = np.random.get_state()[1].copy()
        common.init(X, 12, 2**32 - 1)
        assert_array_equal(np.random.get_state()[1], state)  # NumPy's global random state
        assert_array_equal(common.init(X, 3)[0].mu, common.init(X, 3, 0)[0].mu)

    def test_a_soft_count_of_1_up_to_rounding(self):
        X = np.array([[5.0, 2], [0, 4], [0, 3]])
        old = common.GaussianMixture(np.full((2, 2), 1.5), np.ones(2), np.full(2, 0.5))
        for count, mean in [(1, 5), (1 - 1e-9, 5), (1 - 1.1e-9, 1.5), (0, 1.5)]:
            post = np.array([[count, 1 - count], [0.5, 0.5], [0.75, 0.25]])
            self.assertAlmostEqual(em.mstep(X, post, old).mu[0, 0], mean, msg=f"count {count}")

    def test_weights_of_0_and_far_tails(self):
        for model, X in self.models()[1:]:
            mixture = mixture_for(X, 3, 1)._replace(p=np.array([0.0, 0.4, 0.6]))
            far = mixture._replace(mu=mixture.mu + [[300], [310], [-400]])
            for tried in (mixture, far):
                post, ll = model.estep(X, common.GaussianMixture(*tried))
                true_post, true_ll = reference("estep", X, *tried)
                assert_allclose(post, true_post, rtol=1e-5, atol=1e-290)
                assert_allclose(ll, true_ll, rtol=1e-9)

    def test_types_and_data_without_ratings(self):
        X = ratings(4)
        X[3] = 0
        mixture = mixture_for(X, 3, 4)._replace(var=np.full(3, 0.75))
        post = np.eye(3)[[0, 0, 0, 1, 2, 0, 2, 0, 2, 0, 2, 0]]  # type 1 has user 3 only
        self.assertEqual(em.mstep(X, post, mixture).var[1], 0.75)
        for K in (1, 2):
            _, post, ll = em.run(0 * X, *common.init(0 * X, K, 0))
            assert_allclose(post, np.full((12, K), 1 / K))
            assert_allclose(ll, 0, atol=1e-12)

    def test_empty_components(self):
        X = points(0)
        post = soft(12, 3, 0)
        post[:, 1] = 0
        post[:, 0] = 1 - post[:, 2]
        for model in (kmeans, naive_em):
            mixture = arrays_of(model.mstep(X, post))[:3]
            mu, var, p = mixture
            assert_allclose(mu[1], X.mean(axis=0))
            self.assertEqual(p[1] < 1e-99, True)
            self.assert_finite((mu, var, p))

    def test_equal_and_repeated_rows(self):
        equal = np.full((6, 2), 7e5 + 0.1)
        repeated = np.repeat(points(0, 7), 2, axis=0)
        for X in (equal, np.full((6, 2), 3.0), repeated):
            for model, K in itertools.product((kmeans, naive_em, em), (1, len(X))):
                self.assert_finite(model.run(X, *common.init(X, K, 0)))
        assert_array_equal(common.init(equal, 2, 0)[0].var, [1e-100, 1e-100])
        X = points(3)
        alone = np.eye(12)  # every point has a component of its own
        assert_allclose(naive_em.mstep(X, alone).var, np.full(12, 1e-9 * X.var(axis=0).mean()))

    def test_nan_ends_a_run(self):
        for model, X in self.models():
            X[2, 1] = np.nan
            mixture = mixture_for(np.nan_to_num(X), 3, 0)
            with np.errstate(all="ignore"):
                model.run(X, common.GaussianMixture(*mixture), soft(12, 3, 0))

    def test_log_likelihoods_of_collapsed_components(self):
        draw = np.random.RandomState(0)
        for trial in range(20):
            scale = 10.0 ** draw.randint(-3, 7)
            X = draw.randn(40, 3) * scale / 100 + scale * draw.choice([0, 1], (40, 1))
            X[0] = 50 * scale
            X[1:4] = X[1]
            X += draw.choice([0, 1000]) * scale
            mixture, _, _ = naive_em.run(X, *common.init(X, 1 + trial % 6, trial))
            true = reference("estep", X, *mixture)[1]
            ll = naive_em.estep(X, mixture)[1]
            assert_allclose(ll, true, rtol=0, atol=1e-6 * (abs(true) + 40))

    def test_log_likelihoods_of_large_ratings(self):
        draw = np.random.RandomState(0)
        for largest, spread, limit in [(1000, 5, 1e-6), (1e6, 5, 1e-4), (1e6, 0.01, 1e-4)]:
            for trial in range(10):
                X = (largest - spread * draw.rand(40, 30)) * (draw.rand(40, 30) < 0.7)
                X[1:4] = X[1]
                start = common.init(X, 1 + trial % 6, trial)
                for mixture in (start[0], em.run(X, *start)[0]):
                    post, ll = em.estep(X, mixture)
                    true = reference("estep", X, *mixture)[1]
                    assert_allclose(ll, true, rtol=0, atol=limit * (abs(true) + 40))
                    new = em.mstep(X, post, mixture)
                    true = reference("mstep", X, post, mixture.mu)[1]
                    seen = new.p > 1e-50
                    assert_allclose(new.var[seen], true[seen], rtol=1000 * limit)

    def test_distances_are_never_below_0(self):
        X = 1e6 - 5 * np.random.RandomState(0).rand(6, 30)
        mixture = common.GaussianMixture(X, np.full(6, 0.25), np.full(6, 1 / 6))
        top = 6 * (math.log(1 / 6) - 15 * math.log(2 * math.pi * 0.25))  # all distances 0
        self.assertLessEqual(em.estep(X, mixture)[1], top + 1e-9)

    def test_ties_go_to_the_lowest_index(self):
        for seed in range(20):  # whole numbers: the distances are exact, and many are equal
            X = np.random.RandomState(seed).randint(1, 7, (50, 4)) * 1.0
            mixture, _ = common.init(X, 8, seed)
            assert_array_equal(kmeans.estep(X, mixture), exact_nearest(X, mixture.mu))

    def test_kmeans_stops_where_the_cost_falls_by_1e_4(self):
        X = points(92, n=120) / 128  # so fine that costs fall by about that
        mixture, post = common.init(X, 3, 92)
        costs = [np.inf]
        while len(costs) < 3 or costs[-2] - costs[-1] > 1e-4:
            mixture, cost = kmeans.mstep(X, kmeans.estep(X, mixture))
            costs.append(cost)
        falls = -np.diff(costs[1:])
        self.assertLess(falls[:-1].min(), 2e-4)  # a limit of that would stop earlier
        self.assertEqual(kmeans.run(X, *common.init(X, 3, 92))[2], costs[-1])

    def test_watch_sees_every_iteration(self):
        X = ratings(1, 60)
        trace = []
        got = em.run(X, *common.init(X, 4, 1), trace.append)
        rises = np.diff(trace)
        self.assertGreater(len(trace), 3)
        self.assertEqual(trace[-1], got[2])
        assert_array_equal(rises > 1e-6 * np.abs(trace[1:]), [True] * (len(rises) - 1) + [False])
        self.assertGreater(rises.min(), -1e-9)

    def test_nothing_given_is_changed_or_returned(self):
        for model, X in self.models():
            mixture = common.GaussianMixture(*mixture_for(X, 3, 3))
            post = soft(12, 3, 3)
            given = [X, *mixture, post]
            for array in given:
                array.flags.writeable = False  # who changes it raises an error
            results = [common.init(X, 3, 0), model.estep(X, mixture), model.run(X, mixture, post)]
            if model is em:
                results.append(em.mstep(X, post, mixture))
                results.append(em.fill_matrix(X, mixture))
                results.append(em.predict(X, 2, [0]))
            else:
                results.append(model.mstep(X, post))
            for result in arrays_of(tuple(results)):
                shared = [np.shares_memory(result, array) for array in given]
                self.assertEqual(shared, [False] * 5)


class Predict(Ours, unittest.TestCase):
    """em.predict"""

    def test_is_what_its_formulas_say(self):
        for seed, K, shape in [(0, 2, (14, 6)), (1, 7, (9, 5)), (2, 1, (5, 12)), (3, 2, (4, 150))]:
            X = ratings(seed, *shape)
            X[2] = 0  # a user and a movie without any rating
            X[:, 3] = 0
            got = em.predict(X, K, iter([3, 4]))
            assert_allclose(got, plain(make_reference.predict(exact(X), K, [3, 4]))[0], atol=1e-8)
            assert_array_equal(got[X != 0], X[X != 0])
        assert_array_equal(em.predict(X), em.predict(X, 4, range(10)))
        cross = np.array([[4.0, 2, 0], [2, 4, 0], [0, 0, 3]])  # one residual is exactly 0
        liked = cross.copy()
        liked[2, 2] += 3.75e-9  # 1.5e-9 of the range above the mean: more than rounding
        for X in (cross, liked):
            expected = plain(make_reference.predict(exact(X), 2, range(5)))[0]
            assert_allclose(em.predict(X, 2, range(5)), expected, atol=1e-8)

    def test_on_any_scale(self):
        X = ratings(5, n=30)
        with_mean = X.copy()
        with_mean[X != 0] += 3 - X[X != 0].mean()  # the mean is 3, and a rating
        with_mean[0, 0] = 3
        with_mean[1, 0] += 3 * np.count_nonzero(X) - with_mean[X != 0].sum()
        for ratings_on_1 in (X, with_mean):
            expected = em.predict(ratings_on_1, 3)
            for factor in (8, 2.0**-90, 2.0**90, 1e-3, 1e6, 1 / 3):
                got = em.predict(factor * ratings_on_1, 3)
                assert_allclose(got / factor, expected, rtol=1e-7)

    def test_stays_in_the_range_of_what_is_given(self):
        X = np.full((12, 8), -5.0)  # one user and one movie are far above; negative, too
        X[0] = -1
        X[:, 0] = -1
        X[0, 0] = 0
        self.assertEqual(em.predict(X, 1)[0, 0], -1)

    def test_equal_ratings(self):
        one = np.zeros((3, 4))
        one[1, 1] = 2.5
        for X in (np.where(ratings(5) > 0, 0.1, 0), one):
            assert_allclose(em.predict(X, 3), np.full(X.shape, X.max()), rtol=1e-12)

    def test_refuses(self):
        X = ratings(0)
        not_finite = []
        for x in (np.nan, np.inf, -np.inf):
            not_finite.append(X.copy())
            not_finite[-1][1, 2] = x
        for words, *arguments in [
            ("X: expected", X[0], 2),
            ("X: expected finite numbers, got nan at X.1, 2.", not_finite[0], 2),
            ("X: expected finite numbers, got inf at X.1, 2.", not_finite[1], 2),
            ("X: expected finite numbers, got -inf at X.1, 2.", not_finite[2], 2),
            ("X: expected at least one rating", 0 * X, 2),
            ("K: expected at least 1", X, 0),
            ("seeds: expected at least one", X, 2, []),
        ]:
            with self.assertRaisesRegex(ValueError, f"^{words}.*$"):
                em.predict(*arguments)
        self.assert_finite(em.predict(X, 100))  # more types than rows

    def test_posteriors_of_thousands_of_ratings(self):
        self.assert_finite(em.predict(ratings(0, 4, 4000), 2, [0]))

    def test_just_above_the_mean_is_liked(self):
        X = ratings(5, n=30)
        X[0, 0] = 0
        X[0, 0] = X.sum() / np.count_nonzero(X) + 1e-3
        far = np.where(X == 0, 0, X + 1e6)  # 1e-9 of its range is not of its numbers
        got = np.where(X == 0, em.predict(far, 3) - 1e6, X)
        assert_allclose(got, em.predict(X, 3), atol=1e-6)


class Main(Ours, unittest.TestCase):
    """main.py on small data: matrices, lines of ratings, and what is wrong with them."""

    def setUp(self):
        super().setUp()
        program.plt.rcdefaults()
        self.folder = Path(self.enter(tempfile.TemporaryDirectory())).resolve()
        self.small = self.folder / "small"
        self.small.mkdir()
        self.toy = points(0, 15)
        self.X = ratings(0, 20, 8)
        self.Y = np.where(self.X == 0, ratings(7, 20, 8, missing=0), self.X)
        self.write("toy_data.txt", self.toy)
        self.write("netflix_incomplete.txt", self.X)
        self.write("netflix_complete.txt", self.Y)

    def write(self, name, content):
        path = self.small / name
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif isinstance(content, str):
            path.write_text(content, encoding="utf-8")
        else:
            np.savetxt(path, content, fmt="%.17g")
        return path

    def call(self, *arguments):
        """Run main.py in this process; return its exit status, output and errors."""
        out = io.StringIO()
        err = io.StringIO()
        status = 0
        words = ["main.py", *map(str, arguments)]
        with mock.patch.object(sys, "argv", words):
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                try:
                    program.main()
                except SystemExit as end:
                    status = end.code
        return status, out.getvalue(), err.getvalue()

    def files(self):
        return {path: path.stat().st_mtime_ns for path in self.folder.rglob("*")}

    def assert_refused(self, words, *arguments):
        """The call ends with 2 and one line, and leaves every file as it was."""
        before = self.files()
        status, out, err = self.call(*arguments)
        self.assertEqual((status, out), (2, ""), err)
        self.assertRegex(err, rf"^main\.py: .*{words}.*\n$")
        self.assertEqual(self.files(), before)

    def test_tables_pictures_and_the_completed_matrix(self):
        filled = self.folder / "filled.txt"
        options = ["--data", self.small, "--fill", filled]
        options += "--seeds 1 0 --toy-k 3 1 2 --netflix-k 1 3 2".split()
        status, out, err = self.call(*options)
        self.assertEqual((status, err), (0, ""))
        rows = [row.split() for row in re.findall(r"(?m)^ +\d+ .*$", out)]
        rows = [[float(word) for word in row] for row in rows]
        self.assertEqual([row[0] for row in rows], [1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3, 4])
        for model, X, row in [(kmeans, self.toy, 1), (naive_em, self.toy, 4), (em, self.X, 7)]:
            fits = [model.run(X, *common.init(X, 2, seed)) for seed in (0, 1)]
            scores = np.round([fit[2] for fit in fits], 9)
            seed = scores.argmax()
            expected = [2, scores[seed], common.bic(X, fits[seed][0], scores[seed]), seed]
            if model is kmeans:
                seed = scores.argmin()
                expected = [2, scores[seed], seed]
            assert_allclose(rows[row][: len(expected)], expected, atol=6e-5)
        error = common.rmse(em.fill_matrix(self.X, fits[seed][0]), self.Y)
        self.assertAlmostEqual(rows[7][5], error, places=4)
        self.assertIn("20 users x 8 movies, ", out)
        pictures = sorted(path.name for path in (self.small / "plots").iterdir())
        self.assertEqual(len(pictures), 7, pictures)
        for name in pictures:
            self.assertIn(name, out)
        expected = np.where(self.X == 0, em.predict(self.X).round(4), self.X)
        assert_array_equal(np.loadtxt(filled), expected)

    def test_the_error_on_hidden_ratings(self):
        """Step 4's figures are those of predictions from the other ratings alone."""
        _, out, _ = self.call("--data", self.small, "--netflix-k", 2, "--seeds", 0, 1)
        tenths = program.hidden_tenths(self.X)
        self.assertEqual(len(tenths), 10)
        self.assertEqual(len(np.unique(tenths)), 10 * len(tenths[0]))
        course = []
        ours = []
        truth = []
        for tenth in tenths:
            X_left = self.X.copy()
            X_left.flat[tenth] = 0
            fits = [em.run(X_left, *common.init(X_left, 2, seed)) for seed in (0, 1)]
            best = max(fits, key=lambda fit: fit[2])
            course.append(em.fill_matrix(X_left, best[0]).flat[tenth])
            ours.append(em.predict(X_left, 2).flat[tenth])
            truth.append(self.X.flat[tenth])
        errors = [common.rmse(np.array(guess), np.array(truth)) for guess in (course, ours)]
        row = re.findall(r"(?m)^ +2 .*$", out)[-1]
        self.assertEqual(row.split(), ["2", f"{errors[0]:.3f}", f"{errors[1]:.3f}"])
        four = re.findall(r"(?m)^ +4 .*$", out)[-1]  # not among --netflix-k, and there all the same
        self.assertIn(f"Expect {four.split()[2]} +- 0.", out)

    def test_hidden_tenths(self):
        for n, tenths, size in [(2, 0, 0), (20, 10, 20), (333, 4, 333), (1000, 1, 1000)]:
            X = ratings(0, n, 10, missing=0)
            if n == 2:
                X[:, 4:] = 0  # 8 ratings
            hidden = program.hidden_tenths(X)
            self.assertEqual([len(tenth) for tenth in hidden], [size] * tenths)
            self.assertEqual(len(np.unique(hidden)), size * tenths)
        order = np.random.RandomState(0).choice(np.flatnonzero(X), 1000, replace=False)
        assert_array_equal(hidden[0], order)

    def test_matrices_of_ones_own(self):
        """Any scale, nan for missing, no toy data, few users, few ratings."""
        (self.small / "netflix_complete.txt").unlink()
        (self.small / "toy_data.txt").unlink()
        for scale, words in [(0.1, r"0\.\d{4} \+- 0\.\d{4}"), (1e5, r"\d{4,6} \+- \d{3,5}")]:
            own = scale * (1 + 9 * np.random.RandomState(0).rand(9, 5))
            own[ratings(2, 9) == 0] = np.nan
            self.write("netflix_incomplete.txt", own)
            status, out, err = self.call("--data", self.small, "--seeds", 0)
            self.assertEqual((status, err), (0, ""))
            self.assertIn("There is no toy_data.txt: ", out)
            self.assertRegex(out, f"(?s)\n  8 .*Expect {words} stars")
            self.assertNotIn("  RMSE\n", out)
        self.write("netflix_incomplete.txt", "0.001 0 0.003\n0.002 0.003 0\n")
        status, out, err = self.call("--data", self.small, "--fill", self.folder / "filled.txt")
        self.assertEqual((status, err), (0, ""))
        self.assertIn("4 ratings are too few to hide a tenth; no error is known.", out)

    def test_lines_of_ratings(self):
        """The same ratings in every format: the same predictions, the ids as they came."""
        users = ["7", "Zoë", "a b", 'x"y']
        items = ["10", "2", "30", "4 & 5", "6"]
        lines = []
        for u, user in enumerate(users):
            for l, item in enumerate(items):
                if (u + l) % 3 > 0:
                    lines.append([user, item, str(1 + (3 * u + 5 * l) % 9 / 2), "99"])
        expected = None
        for separator, header, quoted, bom in [
            ("\t", False, False, False),
            ("::", False, False, False),
            (";", True, True, True),
            (",", True, True, False),
            (",", False, False, False),
            (" ", False, True, False),
        ]:
            rows = lines
            if header:
                rows = [["userId", "movieId", "rating", "time"], *lines]
            if quoted:
                quote = '"{}"'.format
                rows = [[quote(word.replace('"', '""')) for word in row] for row in rows]
            text = "\r\n".join(separator.join(row) for row in rows) + "\r\n"
            encoding = "utf-8-sig" if bom else "utf-8"
            path = self.write("ratings.csv", text.encode(encoding))
            filled = self.folder / "out.csv"
            status, out, err = self.call("--ratings", path, "--fill", filled, "--netflix-k", 1)
            self.assertEqual((status, err), (0, ""))
            self.assertIn(f"4 users x 5 items, {len(lines)} ratings (", out)
            self.assertEqual("Header: userId" in out, header)
            with open(filled, encoding="utf-8", newline="") as file:
                got = list(csv.reader(file))
            if expected is None:
                expected = got
            self.assertEqual(got, expected, separator)
        self.assertEqual(got[0], ["user", "item", "prediction"])
        pairs = {(user, item) for user in users for item in items}
        pairs -= {(user, item) for user, item, _, _ in lines}
        self.assertEqual({(user, item) for user, item, _ in got[1:]}, pairs)

        inputs = program.read_ratings(path)
        X_pred = em.predict(inputs.X)
        for user, item, prediction in got[1:]:
            value = X_pred[inputs.users.index(user), inputs.items.index(item)]
            self.assertEqual(prediction, f"{value:.4f}")
        order = [(inputs.users.index(user), -float(prediction)) for user, _, prediction in got[1:]]
        self.assertEqual(order, sorted(order))

    def test_ties_and_repeated_pairs(self):
        text = "u a 5\nu b 1\nv b 5\nv c 5\nw c 5\nw b 5\nu b 5\nx a 5\n"  # all 5 in the end
        filled = self.folder / "out.csv"
        path = self.write("$\\foo$.txt", "\n" + text)  # no formula, and an empty line
        _, out, _ = self.call("--ratings", path, "--fill", filled, "--netflix-k", 1)
        self.assertIn("Pairs that stand more than once: 1; the last rating of a pair counts", out)
        self.assertIn("need a K above 1: they are left out", out)
        pairs = [line.removesuffix(",5.0000") for line in filled.read_text().splitlines()]
        self.assertEqual(pairs[1:], ["u,c", "v,a", "w,a", "x,b", "x,c"])

    def test_bad_lines_of_ratings(self):
        for content, words in [
            (b"1 2\n3 4\n", "bad.csv, line 1: expected `user item rating`, got '1 2'"),
            (b"a,b,3\na,c\n", "bad.csv, line 2: expected a user, an item and a rating, got 'a,c'"),
            (b"a,b,3\n,c,4\n", "line 2: expected a user, an item and a rating, got ',c,4'"),
            (b"u,i,r\na,b,3\na,c,0\n", r"line 3: .*, got '0' \(it would mean missing: .*\)"),
            (b"a,b,3\na,c,-1\n", "line 2: expected a rating above 0 and up to 1000000, got '-1'"),
            (b"a::b::3\na::c::2e6\n", "line 2: expected a rating above 0 .*, got '2e6'"),
            (b"a,b,3\na,c,1_0\n", "line 2: expected a rating above 0 .*, got '1_0'"),
            (b"a,b,nan\na,c,3\n", "line 1: expected a rating above 0 .*, got 'nan'"),
            (b"a,b,3\na,c,inf\n", "line 2: expected a rating above 0 .*, got 'inf'"),
            (b"a,b,3\na,c,good\n", "line 2: expected a rating above 0 .*, got 'good'"),
            (b"u,i,r\n", "bad.csv: expected at least one rating, got none"),
            (b"", "line 1: expected `user item rating`, got ''"),
            (b"a,b,3\na,c,4\n", "expected at least 2 users and 2 items, got 1 and 2"),
            (b"a,b,3\nc,b,4\n", "expected at least 2 users and 2 items, got 2 and 1"),
            (b"a,b,3\n\xe9,c,4\n", "line 2: expected text in UTF-8"),
            (b"\x7fELF\x02\x01\x01\x00\xff\xfe,,,", "line 1: expected text in UTF-8"),
            (b'a,b,3\n"a,c,4\nd,e,5\n', "bad.csv, line 3: expected `user item rating`"),
        ]:
            self.assert_refused(words, "--ratings", self.write("bad.csv", content))
        self.assert_refused("cannot read .*: No such file", "--ratings", self.small / "none.csv")
        path = self.write("bad.csv", "a,b,3\nc,b,4\nc,d,4\n")
        with mock.patch.object(program, "memory", lambda: 200):
            self.assert_refused("to fit into memory, got 2 x 2, which take", "--ratings", path)

    def test_bad_matrices(self):
        triples = np.column_stack([np.arange(40) // 5 + 1, np.arange(40) % 5 + 1, self.Y.flat[:40]])
        ids = triples * [1, 1000001, 1]
        for name, content, words in [
            ("netflix_incomplete.txt", triples, "`user item rating` lines use --ratings"),
            ("netflix_incomplete.txt", ids, "line 1, column 2: .*'1000001'.* use --ratings"),
            ("netflix_incomplete.txt", "1,2,3\n4,5,6\n", "line 1, column 1: .* use --ratings"),
            ("netflix_incomplete.txt", "# a\n1 2\n\n3 x\n", "line 4, column 2: .*, got 'x'"),
            ("netflix_incomplete.txt", "1 2\n3 -1\n", "line 2, column 2: .* got '-1'"),
            ("netflix_incomplete.txt", "1 2\n3 4 5\n", "line 2: expected 2 numbers .*, got 3"),
            ("netflix_incomplete.txt", "1 2 3\n", "expected at least 2 rows .*1, 3"),
            ("netflix_incomplete.txt", "0 0\n0 nan\n", "expected at least one rating"),
            ("netflix_incomplete.txt", "# nothing\n", "expected numbers .*, got none"),
            ("netflix_incomplete.txt", b"\xff\xfe1 2\n", "line 1: expected text in UTF-8"),
            ("netflix_complete.txt", self.Y[1:], "expected the ratings of netflix_incomplete.txt"),
            ("netflix_complete.txt", 6 - self.Y, "expected the ratings of netflix_incomplete.txt"),
            ("toy_data.txt", self.X, "expected 2 numbers a line, got 8"),
            ("toy_data.txt", "1 2\nnan 4\n", "line 2, column 1: expected a finite number"),
        ]:
            before = (self.small / name).read_bytes()
            self.write(name, content)
            self.assert_refused(f"{name}.*{words}", "--data", self.small)
            (self.small / name).write_bytes(before)

    def test_options_that_make_no_sense(self):
        toy = self.small / "toy_data.txt"
        lines = self.write("lines.txt", "a b 1\nc d 2\n")
        (self.folder / "x.part").touch()
        for words, *arguments in [
            ("--toy-k: invalid int value: 'two'", "--toy-k", "two"),
            ("--toy-k: expected 1 to 15, the number of rows, got 16", "--toy-k", 16),
            ("--netflix-k: expected 1 to 20, the number of rows, got 0", "--netflix-k", 0, 2),
            ("--seeds: expected whole numbers from 0", "--seeds", -1),
            ("unrecognized arguments: --seed 3", "--seed", 3),
            ("cannot read .*incomplete.txt: No such file", "--data", self.folder / "none"),
            ("--ratings: expected in place of --data", "--ratings", lines),
            ("--plots: expected a folder to write into", "--plots", toy),
            ("--plots: expected a folder to write into", "--plots", toy / "x"),
            ("--fill: expected a file of its own", "--fill", toy),
            ("--fill: expected a file to write", "--fill", self.folder),
            ("--fill: expected a folder to write into", "--fill", self.folder / "none" / "x"),
            ("--fill: expected no file .*x.part: the result", "--fill", self.folder / "x"),
        ]:
            self.assert_refused(words, "--data", self.small, *arguments)
        for words, *arguments in [
            ("--fill: expected a file of its own", "--fill", lines),
            ("--toy-k: expected without --ratings", "--toy-k", 2),
        ]:
            self.assert_refused(words, "--ratings", lines, *arguments)
        with mock.patch.object(os, "access", lambda path, mode: False):
            self.assert_refused("--plots: expected a folder", "--data", self.small)

    def test_an_error_of_a_module_keeps_its_traceback(self):
        def broken(X, mixture, post, watch=None):
            return np.ones(3) + np.ones(2)

        with mock.patch.object(em, "run", broken):
            try:
                self.call("--data", self.small, "--netflix-k", 1)
            except ValueError as error:
                trace = traceback.extract_tb(error.__traceback__)
        self.assertEqual(trace[-1].name, "broken")

    def test_the_number_of_workers_changes_nothing(self):
        outputs = set()
        for number in (1, 3):
            with mock.patch.object(program, "workers", lambda X, number=number: number):
                outputs.add(self.call("--data", self.small, "--toy-k", 2, "--netflix-k", 2))
        self.assertEqual(len(outputs), 1)

    def test_fits_side_by_side_fit_into_memory(self):
        for memory, most in [(math.inf, 1000), (1e4, 1), (2.5e5, 2)]:
            with mock.patch.object(program, "memory", lambda memory=memory: memory):
                number = program.workers(np.zeros((40, 40)))
            self.assertIn(number, range(1, most + 1))

    def test_plot(self):
        for K in (1, 3, 9):
            X = points(K)
            post = soft(12, K, K)
            mixture = mixture_for(X, K, K)
            ax = program.plt.Figure().subplots()
            self.assertIs(common.plot(X, mixture, post, f"K is {K}", ax), ax)
            circles = [patch for patch in ax.patches if hasattr(patch, "radius")]
            assert_allclose([circle.center for circle in circles], mixture.mu)
            assert_allclose([circle.radius for circle in circles], np.sqrt(mixture.var))
            colours = np.array([circle.get_edgecolor()[:3] for circle in circles])
            self.assertEqual(len(np.unique(colours, axis=0)), min(K, 8))
            dots = ax.collections[0]
            assert_allclose(dots.get_offsets(), X)
            assert_allclose(dots.get_facecolors()[:, :3], post @ colours)

    def test_user_types(self):
        """Two types and a user of their own, who is left out; movie 3 has no ratings."""
        X = np.array([[5.0, 3, 1, 0]] * 60 + [[2, 2, 4, 0]] * 40 + [[3, 3, 3, 0]])
        post = np.eye(3)[[1] * 60 + [0] * 40 + [2]]
        mu = np.array([[2.0, 2, 4, 0], [5, 3, 1, 0], [3, 3, 0, 0]])
        mixture = common.GaussianMixture(mu, np.ones(3), post.mean(axis=0))
        fit = program.Fit(0, mixture, post, 0.0, [])
        figure = program.draw_user_types(X, fit, list("abcd"), "movie", "K = 3")
        texts = [text.get_text() for text in figure.texts]
        self.assertIn("User types (K = 3; 1 left out, of one user or under 1 %)", texts)
        for ax, row, users in zip(figure.axes, mu[[1, 0], :3], [60, 40]):
            above = row - X[:, :3].mean(axis=0)
            generosity = above.mean()
            expected = generosity + (above - generosity) * users / (users + 15)
            widths = [bar.get_width() for bar in ax.patches]
            assert_allclose(widths, np.sort(expected)[[2, 0]])  # the most and the least
            names = [label.get_text() for label in ax.get_yticklabels()]
            self.assertEqual(names, ["abc"[expected.argmax()], "abc"[expected.argmin()]])


OURS = [Steps, Predict, Main]


# 4. The command line


def tests_of(name):
    """The tests that a name on the command line asks for: Em, em.py and em mean the same."""
    first, _, method = name.removesuffix(".py").partition(".")
    for case in COURSE + OURS:
        if case.__name__.lower() == first.lower().replace("_", ""):
            tests = [key for key in vars(case) if key.startswith("test")]  # in their order
            if method in tests:
                return [case(method)]
            if not method:
                return [case(test) for test in tests]
    expected = ", ".join(case.__name__ for case in COURSE + OURS)
    leave(f"there is no test {name!r}: expected one of {expected}, or Em.test_run")


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description="Judge the course's modules: Kmeans, NaiveEm, Common and Em. Without a name, "
        "all four, and then what is ours beyond them (Steps, Predict, Main).",
        epilog="examples: python test.py Em; python test.py naive_em.py --data FOLDER",
    )
    help_names = "Kmeans, NaiveEm, Common or Em; also em.py, or one test of it: Em.test_run"
    parser.add_argument("names", nargs="*", metavar="NAME", help=help_names)
    help_data = "the course's own files: check the published figures, too"
    parser.add_argument("--data", type=Path, metavar="DIR", help=help_data)
    parser.add_argument("-v", "--verbose", action="store_true", help="a line for every test")
    parser.add_argument("-f", "--failfast", action="store_true", help="stop at the first failure")
    parser.error = leave
    options = parser.parse_intermixed_args(arguments)

    if not ((options.data or HERE) / "test_solutions.txt").is_file():
        leave(f"expected a folder with test_solutions.txt (--data), got {options.data or HERE}")
    tests = []
    for name in options.names or [case.__name__ for case in COURSE + OURS]:
        tests += tests_of(name)
    judged = [test for test in tests if isinstance(test, Judge)]
    ours = [test for test in tests if not isinstance(test, Judge)]
    if options.data:
        print("The published figures take seconds with matrix products, and minutes with loops.")

    Published.data = options.data
    Judge.failed.clear()
    Judge.notes.clear()
    all_well = True
    if judged:
        verdict = Verdict(options.verbose)
        verdict.failfast = options.failfast
        with np.errstate(all="ignore"):  # of what a student's function returned, nan say
            unittest.TestSuite(judged).run(verdict)
        verdict.tell()
        all_well = not verdict.wrong
    if ours and not all_well:
        print("What is ours beyond the course is not tested before that is mended.")
    elif ours:
        print("\nNow what is ours beyond the course, which a student's modules need not pass:")
        runner = unittest.TextTestRunner(
            stream=sys.stdout,
            verbosity=2 if options.verbose else 1,
            failfast=options.failfast,
        )
        all_well = runner.run(unittest.TestSuite(ours)).wasSuccessful()
    sys.exit(0 if all_well else 1)


if __name__ == "__main__":
    main()
