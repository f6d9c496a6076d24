"""Tests: first the course's contract, a class a module, then what is ours beyond it.

    python test.py [--data DIR] [unittest's own arguments]
    python test.py Em            judges em.py and nothing else; so do NaiveEm, Kmeans and Common

A failure says in words which term is wrong. The expected numbers come from the plain-Python steps
of tools/make_reference.py, or from paper. DIR holds the data and test_solutions.txt (default: the
folder of test.py); with the course's own files in it, the published figures are checked as well.
"""

import argparse
import contextlib
import faulthandler
import hashlib
import importlib
import io
import itertools
import math
import os
import re
import signal
import subprocess
import sys
import tempfile
import unittest
import warnings
from copy import deepcopy
from decimal import Decimal
from functools import partial
from pathlib import Path
from unittest import mock

os.environ.setdefault("OMP_NUM_THREADS", "1")  # as in main.py, and before NumPy is imported
os.environ.setdefault("VECLIB_MAXIMUM_THREADS", "1")

import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402
from matplotlib.colors import to_rgb  # noqa: E402
from matplotlib.patches import Circle  # noqa: E402

import common  # noqa: E402
from common import GaussianMixture  # noqa: E402

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE / "tools"))
import make_reference  # noqa: E402

parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
parser.add_argument("--data", type=Path, default=HERE)
options, sys.argv[1:] = parser.parse_known_args()
DATA = options.data
if not (DATA / "test_solutions.txt").is_file():
    print(
        f"test.py: --data: expected a folder with test_solutions.txt, got {DATA}", file=sys.stderr
    )
    sys.exit(2)
plt.switch_backend("Agg")

COURSE_SHA256 = {
    "toy_data.txt": "a558ed25342d216d432fc8fa80870ef5fca43f45aeebd9350c32529b39d492d7",
    "netflix_incomplete.txt": "7a81ae26f41725a5deeec079dceec27d06949e1b82795803d42ec68c0e00408c",
    "netflix_complete.txt": "30c27318115235e50d6124ecbead6241d2376fc7c2116106834bf558d175dc35",
}


def is_course(name):
    path = DATA / name
    text = path.read_bytes().replace(b"\r\n", b"\n") if path.is_file() else b""
    return hashlib.sha256(text).hexdigest() == COURSE_SHA256[name]


COURSE = all(is_course(name) for name in COURSE_SHA256)
needs_course = unittest.skipUnless(COURSE, "the data folder does not hold the course's own files")


def netflix(name):
    return common.read(DATA / f"netflix_{name}.txt", ratings=True)


class Case(unittest.TestCase):
    """A test case whose comparisons name the entry that is wrong."""

    def setUp(self):
        """End a test that hangs, saying where it does; a slow model gets its time."""
        faulthandler.dump_traceback_later(900, exit=True)
        self.addCleanup(faulthandler.cancel_dump_traceback_later)
        self.addCleanup(plt.close, "all")

    def near(self, actual, expected, what, rtol=1e-9, atol=0.0):
        """Every entry of actual is near expected; 'what' may hold {0} and {1} for its indices."""
        actual, expected = np.asarray(actual, dtype=float), np.asarray(expected, dtype=float)
        if actual.shape != expected.shape:
            self.fail(f"{what}: the shape is {actual.shape}, it should be {expected.shape}")
        wrong = np.argwhere(~np.isclose(actual, expected, rtol=rtol, atol=atol))
        if len(wrong):
            first = tuple(map(int, wrong[0]))
            many = f" ({len(wrong)} of {actual.size} entries are wrong)" if actual.ndim else ""
            got, should = f"{actual[first]:.10g}", f"{expected[first]:.10g}"
            self.fail(f"{what.format(*first)} is {got}, it should be {should}{many}")

    def near_mixture(self, actual, expected, what, rtol=1e-9, atol=0.0):
        """The same for the three parts of a mixture; the variances, which need the means, last."""
        self.near(actual.p, expected.p, what + ": the weight of type {0}", rtol, atol)
        self.near(actual.mu, expected.mu, what + ": the mean of type {0} at movie {1}", rtol, atol)
        self.near(actual.var, expected.var, what + ": the variance of type {0}", rtol, atol)

    def enter(self, context):
        """Enter a context for the rest of the test (enterContext, for Python 3.10)."""
        self.addCleanup(context.__exit__, None, None, None)
        return context.__enter__()

    def finite(self, result):
        for array in arrays(result):
            self.assertTrue(np.isfinite(array).all(), f"not finite: {array}")


# Random problems, and what plain Python makes of them


def ratings(seed, n=12, d=5, missing=0.3):
    """(n, d) ratings with holes; everybody has rated movie 0, and user 0 has rated every movie."""
    draw = np.random.RandomState(seed)
    X = draw.randint(1, 6, (n, d)) * (draw.rand(n, d) >= missing)
    return np.where((X == 0) & ((np.arange(d) == 0) | (np.arange(n) == 0)[:, None]), 3, X) * 1.0


def points(seed, n=12, d=2):
    """(n, d) points of three clusters."""
    draw = np.random.RandomState(seed)
    return 2 * draw.randn(n, d) + 6 * draw.randn(3, d)[draw.randint(0, 3, n)]


def mixture_for(X, K, seed):
    """A mixture of K components, no two alike, somewhere in the data."""
    draw = np.random.RandomState(seed)
    p = draw.rand(K) + 0.2
    mu = X.mean(axis=0) + X.std() * draw.randn(K, X.shape[1])
    return GaussianMixture(mu, 1 + 3 * draw.rand(K), p / p.sum())


def soft(n, K, seed):
    """(n, K) posteriors."""
    post = np.random.RandomState(seed).rand(n, K) ** 2 + 0.05
    return post / post.sum(axis=1, keepdims=True)


def exact(array):
    """An array as nested lists of Decimals."""
    return [exact(row) for row in array] if np.ndim(array) else Decimal(float(array))


def literal(step, *arguments):
    """Call a step of tools/make_reference.py on arrays, and return arrays."""
    results = getattr(make_reference, step)(*map(exact, arguments))
    return [np.array(result, dtype=float) for result in results]


def arrays(value):
    """All arrays and floats in nested tuples."""
    return [a for part in value for a in arrays(part)] if isinstance(value, tuple) else [value]


# 1. The course's contract: the course's arguments only, and inputs for which its text determines
# the answer. Any correct solution passes, beside our modules or beside others.


class Contract:
    """What the three models have in common; the test cases below name their module."""

    data = staticmethod(points)

    @classmethod
    def setUpClass(cls):
        cls.model = importlib.import_module(cls.module)

    def guarded(self, function):
        """A function of the model; a run that never stops fails with a message."""

        def counted(*arguments, steps=itertools.count(), estep=self.model.estep):  # noqa: B008
            if next(steps) >= 1000:
                self.fail(f"{self.module}.run does not stop within 1000 iterations")
            return estep(*arguments)

        def call(*arguments, **options):
            with mock.patch.object(self.model, "estep", counted):
                return getattr(self.model, function)(*arguments, **options)

        return call if function == "run" else getattr(self.model, function)

    def call(self, function, *arguments, **options):
        """Call a function of the model on copies: only one test tells if it changes its input."""
        return self.guarded(function)(*deepcopy(arguments), **options)

    def next_mstep(self, X, post, mixture):
        """The model's own M-step; only EM's needs the mixture before."""
        result = self.call("mstep", X, post, *([mixture] if self.module == "em" else []))
        return result if self.module == "kmeans" else (result, None)

    def test_nothing_given_is_changed(self):
        X = self.data(1, n=40)
        mixture, post = common.init(X, 3, 1)[0], soft(40, 3, 1)
        if self.module == "kmeans":
            post = np.eye(3)[np.arange(40) % 3]
        cases = [("estep", X, mixture), ("run", X, mixture, post)]
        cases += [("mstep", X, post, mixture) if self.module == "em" else ("mstep", X, post)]
        cases += [("fill_matrix", X, mixture)] * (self.module == "em")
        for name, *arguments in cases:
            with self.subTest(function=name):
                copies = deepcopy(arguments)
                self.guarded(name)(*copies)
                for had, has in zip(arrays(tuple(arguments)), arrays(tuple(copies))):
                    self.near(has, had, f"{self.module}.{name} changes its input: entry {{0}}", 0)

    def test_run_returns_the_last_steps(self):
        """The last M-step's mixture, and the posteriors and the score that belong before it."""
        X = self.data(3, n=40)
        mixture, post = common.init(X, 3, 3)
        got, got_post, got_score = self.call("run", X, mixture, post)
        for iterations in range(1, 1001):
            post = self.call("estep", X, mixture)
            post, score = (post, None) if self.module == "kmeans" else post
            mixture, cost = self.next_mstep(X, post, mixture)
            if np.isclose(cost if score is None else score, got_score, rtol=1e-13):
                break
        else:
            self.fail(f"run returns the score {got_score}, which none of its iterations has")
        what = f"run, after {iterations} iterations (E-step, then M-step)"
        self.near(got_post, post, what + ": the posterior of {0} for type {1}", 1e-7, 1e-9)
        self.near_mixture(got, mixture, what, 1e-7, 1e-9)

    def stops(self, step, result, cases, rule):
        """A step announces given scores; run must stop at the one before the last."""
        X = self.data(0)
        mixture, post = common.init(X, 2, 0)
        for scores in cases:
            asked = []

            def announce(*_, scores=scores, asked=asked, **__):
                asked.append(scores[min(len(asked), len(scores) - 1)])
                if len(asked) > len(scores) + 3:
                    self.fail(f"run goes on after {scores}; {rule}")
                return result(mixture, post.copy(), asked[-1])

            fakes = {"mstep": lambda *_, **__: mixture, step: announce}
            with self.subTest(scores=scores), mock.patch.multiple(self.model, **fakes):
                _, _, score = self.model.run(*deepcopy((X, mixture, post)))
                if asked and (score, len(asked)) != (scores[-2], len(scores) - 1):
                    self.fail(
                        f"run calls {step} {len(asked)} times and returns {score}, where {step} "
                        f"finds {scores}; it should call it {len(scores) - 1} times: {rule}"
                    )


class EmContract(Contract):
    """What naive EM and EM have in common."""

    def test_each_term_of_f(self):
        """Each case leaves all the terms of f but one at a value that is known on paper."""
        x, unit = np.array([[5.0, 2.0, 4.0]]), 1 / (2 * math.pi)  # a variance: log(2 pi unit) = 0
        cases = [
            ("the normalising constant, d/2 log(2 pi var)", x, x, 2, -1.5 * math.log(4 * math.pi)),
            ("the squared distance over 2 var", x, x + 1, unit, -3 * math.pi),
            ("a sum over the users", x[[0, 0]], x + 1, unit, -6 * math.pi),
        ]
        if self.module == "em":
            holes, far = x * [1, 0, 1], x + [0, 7, 0]
            constant = (
                "the normalising constant over the |C_u| = 2 movies that are rated, not d = 3"
            )
            distance = "the squared distance over the movies that are rated, and 2 var"
            cases += [
                (constant, holes, holes, 2, -math.log(4 * math.pi)),
                (distance, holes, far + [1, 0, 0], unit, -math.pi),
            ]
        for term, X, mu, var, expected in cases:
            with self.subTest(term=term):
                mixture = GaussianMixture(mu[:1], np.array([1.0 * var]), np.ones(1))
                _, ll = self.call("estep", X, mixture)
                self.near(ll, expected, f"E-step, {term}: the log-likelihood")
        with self.subTest(term="log p"):
            mixture = GaussianMixture(x[[0, 0]], np.full(2, 2.0), np.array([0.25, 0.75]))
            post, _ = self.call("estep", x, mixture)
            self.near(post, [mixture.p], "E-step, log p_j of two types alike: post[{0}, {1}]")

    def test_estep(self):
        for seed in range(3):
            X = self.data(seed)
            mixture = mixture_for(X, 2 + seed, seed)
            expected_post, expected = literal("estep", X, *mixture)
            post, ll = self.call("estep", X, mixture)
            self.near(post, expected_post, "E-step: the posterior of user {0} for type {1}", 1e-8)
            self.near(ll, expected, "E-step: the log-likelihood")

    def test_mstep(self):
        for seed in range(3):
            X = self.data(seed)
            post, mixture = soft(len(X), 2 + seed, seed), mixture_for(X, 2 + seed, seed)
            mu, var, p = literal("mstep", X, post, mixture.mu)
            got, _ = self.next_mstep(X, post, mixture)
            self.near_mixture(got, GaussianMixture(mu, var, p), "M-step")

    def test_where_run_stops(self):
        rule = "it stops as soon as new - old <= 1e-6 |new|, the log-likelihoods of two E-steps"
        cases = [
            # A rise of 1.0000005 is more than 1e-6 of the new value, less than that of the old.
            [-1e6 - 9, -1e6 - 1.0000005, -1e6, -1e6 + 0.5, -1.0],
            [-10.0, -9.0, -9 + 1e-5, -9 + 1.5e-5, -1.0],
            [1e6, 1e6 + 2, 1e6 + 2.9, 2e6],
        ]
        self.stops("estep", lambda mixture, post, ll: (post, ll), cases, rule)


class NaiveEm(EmContract, Case):
    """naive_em.py"""

    module = "naive_em"

    def test_no_least_variance(self):
        X, post = points(0), soft(12, 2, 0)
        var, small = (self.call("mstep", x, post).var for x in (X, X / 64))
        self.near(small, var / 64**2, "M-step: the variance of type {0}, of data with a small one,")


class Em(EmContract, Case):
    """em.py"""

    module = "em"
    data = staticmethod(ratings)

    def test_mean_needs_a_soft_count_of_1(self):
        X = np.array([[5.0, 2.0], [0.0, 4.0], [0.0, 3.0]])  # only user 0 rated movie 0
        old = GaussianMixture(np.full((2, 2), 1.5), np.ones(2), np.full(2, 0.5))
        post = np.array([[0.6, 0.4], [0.3, 0.7], [0.4, 0.6]])  # movie 1: counts 1.3 and 1.7
        mu = self.call("mstep", X, post, old).mu
        what = "M-step: the mean of type {0} at a movie with a count"
        self.near(mu[:, 0], [1.5, 1.5], f"{what} below 1, which it keeps,")
        self.near(mu[:, 1], [3.6 / 1.3, 5.4 / 1.7], f"{what} above 1")

    def test_least_variance(self):
        old = GaussianMixture(np.array([[3.0]]), np.array([7.0]), np.ones(1))
        for least, options in [
            (0.25, {}),
            (0.1, {"min_variance": 0.1}),
            (2, {"min_variance": 2.0}),
        ]:
            for factor in (0.9, 1.1, 0.0):
                spread = math.sqrt(least * factor)  # two users at mean +- spread
                X = np.array([[3 - spread], [3 + spread]])
                var = self.call("mstep", X, np.ones((2, 1)), old, **options).var
                what = f"M-step: the variance, at least {least} and {least * factor} in the data,"
                self.near(var, [least * max(1, factor)], what)

    def test_fill_matrix(self):
        X = ratings(2)
        mixture = mixture_for(X, 3, 2)
        post, _ = self.call("estep", X, mixture)
        X_pred = self.call("fill_matrix", X, mixture)
        what = "fill_matrix: the rating of movie {1} by user {0}"
        self.near(np.where(X != 0, X_pred, 0), X, f"{what}, which is given,", 0)
        self.near(np.where(X == 0, X_pred, X), np.where(X == 0, post @ mixture.mu, X), what)

    def test_reference_outputs(self):
        """The numbers of test_solutions.txt, in its order, to the last digit that it prints."""
        text = (DATA / "test_solutions.txt").read_text(encoding="utf-8")
        numbers = r"(?m)^(X|K|Mu|Var|P|post|LL|X_gold|X_pred|RMSE):([-+.\d\se\[\]]+)"
        found = [re.sub(r"[\[\]]", " ", block).split() for _, block in re.findall(numbers, text)]
        X, K, *expected = [np.array(block, dtype=float) for block in found]
        expected = iter(expected)
        X = X.reshape(-1, len(re.search(r"\[\[(.*?)\]", text)[1].split()))

        def check(actual, what):
            self.near(actual, next(expected).reshape(np.shape(actual)), what, 1e-8, 6e-9)

        def check_mixture(mixture, when):
            check(mixture.mu, f"{when}: the mean of type {{0}} at movie {{1}}")
            check(mixture.var, f"{when}: the variance of type {{0}}")
            check(mixture.p, f"{when}: the weight of type {{0}}")

        mixture, post = common.init(X, int(K[0]), 0)
        check_mixture(mixture, "init")
        first, ll = self.call("estep", X, mixture)
        check(first, "first E-step: the posterior of user {0} for type {1}")
        check([ll], "first E-step: the log-likelihood of entry {0}")
        check_mixture(self.call("mstep", X, first, mixture), "first M-step")
        mixture, post, ll = self.call("run", X, mixture, post)
        check_mixture(mixture, "run")
        check(post, "run: the posterior of user {0} for type {1}")
        check([ll], "run: the log-likelihood")
        gold = next(expected).reshape(X.shape)
        X_pred = self.call("fill_matrix", X, mixture)
        check(X_pred, "fill_matrix: the rating of movie {1} by user {0}")
        check([common.rmse(X_pred, gold)], "rmse of the completed matrix")

    @needs_course
    def test_published_figures(self):
        X, Y = netflix("incomplete"), netflix("complete")
        for K, seed, ll, rmse in [(1, 0, -1521060.9540, 0.4802), (12, 1, -1390234.4223, 0.4805)]:
            mixture, _, got = self.call("run", X, *common.init(X, K, seed))
            self.near(got, ll, f"published log-likelihood, K = {K}, seed {seed},", 0, 5.1e-5)
            error = common.rmse(self.call("fill_matrix", X, mixture), Y)
            self.near(error, rmse, f"published RMSE, K = {K}, seed {seed},", 0, 5.1e-5)


class Kmeans(Contract, Case):
    """kmeans.py"""

    module = "kmeans"

    def test_nearest_mean(self):
        mu = np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]])
        mixture = GaussianMixture(mu, np.array([1.0, 9.0, 1.0]), np.full(3, 1 / 3))
        X = np.array([[1.9, 0.0], [3.0, 1.0], [0.5, 3.0], [-9.0, -8.0]])
        post = self.call("estep", X, mixture)
        self.near(post, np.eye(3)[[0, 1, 2, 0]], "E-step, the nearest mean: post[{0}, {1}]")

    def test_mstep_and_cost(self):
        for seed in range(3):
            X = points(seed, n=20)
            post = np.eye(4)[np.random.RandomState(seed).permutation(20) % 4]
            mu, var, p = literal("mstep", X, post, np.zeros((4, 2)))
            got, cost = self.call("mstep", X, post)
            self.near_mixture(got, GaussianMixture(mu, var, p), "M-step")
            distances = ((X - mu[post.argmax(axis=1)]) ** 2).sum()
            self.near(cost, distances, "M-step: the cost, squared distances to the new means,")

    def test_where_run_stops(self):
        rule = "it stops as soon as the cost falls by no more than 1e-4"
        cases = [[9.0, 8.0, 8 - 1.5e-4, 8 - 2.1e-4, 0.0], [2e4, 1e4, 1e4 - 0.5, 9e3, 9e3, 0.0]]
        self.stops("mstep", lambda mixture, post, cost: (mixture, cost), cases, rule)


class Common(Case):
    """common.py"""

    def test_init(self):
        X = ratings(0, n=40)
        for seed, K in itertools.product((0, 1, 4, 12345, 2**32 - 1), (1, 3, 40)):
            rows = np.random.RandomState(seed).choice(len(X), K, replace=False)
            mixture, post = common.init(X.copy(), K, seed)
            self.near(mixture.mu, X[rows], f"init, seed {seed}: mean {{0}} at movie {{1}}", 0)
            var = [((X - mu) ** 2).mean() for mu in X[rows]]
            self.near(mixture.var, var, "init: the variance of type {0}, zeros included,")
            self.near(mixture.p, np.full(K, 1 / K), "init: the weight of type {0}")
            self.near(post, np.full((len(X), K), 1 / K), "init: the posterior of user {0}")
        self.near(common.init(X, 3)[0].mu, common.init(X, 3, 0)[0].mu, "init, no seed: mean {0}")

    def test_rmse(self):
        X, Y = np.array([[1.0, 2], [3, 4]]), np.array([[1.0, 2], [3, 0]])
        self.near(common.rmse(X, Y), 2, "rmse")

    def test_bic(self):
        """P = K d + K + K - 1: with d = 5 and K = 2 it is 13, with K = 4 it is 27; n = 12."""
        X = ratings(0)
        for K, P in [(2, 13), (4, 27)]:
            expected = -100 - P / 2 * math.log(12)
            self.near(common.bic(X, mixture_for(X, K, 0), -100.0), expected, f"bic, K = {K},")


# 2. What is ours beyond it


em = kmeans = main = naive_em = None  # imported by Ours: the classes above need none but their own


class Ours(Case):
    """All our modules."""

    @classmethod
    def setUpClass(cls):
        for name in ("em", "kmeans", "main", "naive_em"):
            globals()[name] = importlib.import_module(name)


def models():
    return [(kmeans, points), (naive_em, points), (em, ratings)]


class Steps(Ours):
    """Degenerate data, exactness, and what the steps promise their callers."""

    def setUp(self):
        super().setUp()
        self.enter(np.errstate(all="raise", under="ignore"))
        self.enter(warnings.catch_warnings())
        warnings.simplefilter("error")

    def test_count_of_1_up_to_rounding(self):
        X, old = np.array([[5.0, 2.0], [0, 4], [0, 3]]), np.full((2, 2), 1.5)
        old = GaussianMixture(old, np.ones(2), np.full(2, 0.5))
        for count, mean in [(1, 5), (1 - 1e-9, 5), (1 - 1.1e-9, 1.5), (0.0, 1.5)]:
            post = np.array([[count, 1e-3], [0.5, 0.5], [0.75, 0.25]])
            mu = em.mstep(X, post, old).mu
            self.near(mu[0, 0], mean, f"M-step: a mean with a count of {count}")

    def test_means_that_are_kept_and_small_counts_are_part_of_the_variance(self):
        X = np.array([[1.0, 4.0], [5.0, 2.0]])
        old = GaussianMixture(np.array([[2.0, 2.0]]), np.ones(1), np.ones(1))
        var = em.mstep(X, np.array([[0.2], [0.1]]), old).var
        self.near(var, [(0.2 * (1 + 4) + 0.1 * (9 + 0)) / 0.6], "M-step: the variance")

    def test_weight_of_0_counts_as_1e_16(self):
        for model, data in models()[1:]:
            X = data(1)
            mixture = mixture_for(X, 3, 1)._replace(p=np.array([0.0, 0.4, 0.6]))
            expected, _ = literal("estep", X, *mixture)
            self.near(model.estep(X, mixture)[0], expected, "E-step: the posterior of {0} for {1}")

    def test_users_types_and_movies_without_ratings(self):
        X = ratings(4)
        X[3], X[:, 2] = 0, 0
        mixture, post = mixture_for(X, 3, 4), soft(12, 3, 4)
        self.near(em.estep(X, mixture)[0][3], mixture.p, "no rating: the posterior for type {0}")
        X_pred = em.fill_matrix(X, mixture)
        self.near(X_pred[3], mixture.p @ mixture.mu, "no rating: the prediction for movie {0}")
        got, others = em.mstep(X, post, mixture), np.arange(12) != 3
        without = em.mstep(X[others], post[others], mixture)
        self.near(got.mu, without.mu, "a user without ratings changes the mean of {0} at {1}")
        self.near(got.var, without.var, "a user without ratings changes the variance of {0}")
        self.near(got.mu[:, 2], mixture.mu[:, 2], "nobody rated it: the mean of type {0}")
        post = np.eye(3)[[0, 0, 0, 1] + [2, 0] * 4]  # type 1 has user 3 only
        mixture = mixture._replace(var=np.full(3, 0.125))
        var = em.mstep(X, post, mixture).var
        self.near(var[1], 0.125, "the variance of a type without ratings")
        _, post, ll = em.run(np.zeros((4, 3)), *common.init(np.zeros((4, 3)), 2, 0))
        self.near(post, np.full((4, 2), 0.5), "no ratings: the posterior of {0} for {1}")
        self.near(ll, 0, "no ratings: the log-likelihood", atol=1e-12)

    def test_far_tails(self):
        for model, data in models()[1:]:
            X = data(2)
            mixture = mixture_for(X, 3, 2)
            mixture = mixture._replace(mu=mixture.mu + np.array([[300], [310], [-400]]))
            post, ll = model.estep(X, mixture)
            expected, expected_ll = literal("estep", X, *mixture)
            self.near(post, expected, "E-step: the posterior of {0} for {1}", 1e-5, 1e-290)
            self.near(ll, expected_ll, "E-step: the log-likelihood")
            self.finite(model.run(X, mixture, post))
        post, ll = common.post_and_ll(np.array([[0.0, -600.0, -689.5, -690.5, -1e6]]))
        self.near(post, [[1, math.exp(-600), math.exp(-689.5), 0, 0]], "the posterior {1}", 1e-9)

    def test_empty_component(self):
        X = points(0)
        start = mixture_for(X, 3, 0)
        start.mu[1] = 1e3  # no point is near, and naive EM's posteriors there are 0
        for model in (kmeans, naive_em):
            got, post, _ = model.run(X, start, soft(12, 3, 0))
            self.near(got.mu[1], start.mu[1], "empty component: its mean in dimension {0}")
            self.near(got.var[1], start.var[1], "empty component: its variance")
            self.assertEqual(got.p[1], 0, "empty component: its weight")
            alone = model.mstep(X, post)
            alone = alone[0] if model is kmeans else alone
            self.near(alone.mu[1], X.mean(axis=0), "without a mixture: its mean in dimension {0}")
            self.near(alone.var[1], X.var(axis=0).mean(), "without a mixture: its variance")

    def test_equal_points_and_as_many_components_as_points(self):
        for X in (np.full((6, 2), 7e5 + 0.1), np.array([[0.0, 1.0], [5e-324, 1.0]])):
            for model in (kmeans, naive_em, em):
                start = common.init(X, 2, 0)
                self.near(start[0].var, [start[0].var.max()] * 2, "equal points: variance {0}")
                self.finite(model.run(X, *start))
        X = np.full((5, 4), 3.0)
        var = kmeans.mstep(X, np.eye(2)[[0] * 5])[0].var
        self.near(var, [1e-100, 1e-100], "equal points: the least variance")
        var = em.run(X, *common.init(X, 2, 0))[0].var
        self.near(var, [0.25, 0.25], "equal ratings: the variance of type {0}")
        X = np.repeat(points(0, n=7), 2, axis=0)
        for model in (kmeans, naive_em, em):
            self.finite(model.run(X, *common.init(X, 14, 0)))
        for seed in range(9):
            thrice = np.repeat(np.arange(7), 3)
            cost = kmeans.mstep(points(seed, n=7, d=5)[thrice], np.eye(7)[thrice])[1]
            self.assertGreaterEqual(cost, 0, "every component has three equal points: the cost")

    def test_collapsed_components(self):
        """The log-likelihood is that of the mixture, to 1e-6 of |ll| + n, in long doubles."""
        draw, least = np.random.RandomState(0), []
        for trial in range(60):
            scale, d = 10.0 ** draw.randint(-3, 7), draw.randint(2, 5)
            X = draw.randn(40, d) * scale / 100 + scale * draw.choice([0, 1], (40, 1))
            X[0], X[1:4] = 50 * scale, X[1] if trial % 3 else X[1:4]
            X += draw.choice([0, 1e3]) * scale
            mixture, _, _ = naive_em.run(X, *common.init(X, 1 + trial % 6, trial))
            _, ll = naive_em.estep(X, mixture)
            mean_square = ((X - np.partition(X, 20, axis=0)[20]) ** 2).mean()
            least.append(mixture.var.min() / mean_square)
            mu, var, p = (part.astype(np.longdouble) for part in mixture)
            f = np.log(p + 1e-16) - d / 2 * np.log(2 * np.pi * var)
            f = f - ((X[:, None] - mu) ** 2).sum(axis=2) / (2 * var)
            true = np.logaddexp.reduce(f, axis=1).sum()
            self.near(ll, true, f"data {trial}: the log-likelihood", 0, 1e-6 * (abs(true) + 40))
            mixture = GaussianMixture(X[4:6], np.full(2, 1e-16 * scale**2), np.full(2, 0.5))
            top = 2 * math.log(0.5) - d * math.log(2 * math.pi * mixture.var[0])
            ll = naive_em.estep(X[4:6], mixture)[1]
            self.assertLessEqual(ll, top + 1e-9 * abs(top), "a squared distance below 0")
        self.near(min(least), 1e-9, "the least variance, over the mean square")

    def test_ties_go_to_the_lowest_index(self):
        for seed in range(20):  # whole numbers: these distances are exact, and many are equal
            X = np.random.RandomState(seed).randint(0, 6, (50, 4)) * 1.0
            mixture, _ = common.init(X, 8, seed)
            nearest = ((X[:, None, :] - mixture.mu) ** 2).sum(axis=2).argmin(axis=1)
            self.near(kmeans.estep(X, mixture), np.eye(8)[nearest], "K-means: post[{0}, {1}]", 0)

    def test_watch_sees_every_iteration_and_no_score_gets_worse(self):
        for model, data in models():
            X, trace = data(1, n=60), []
            got = model.run(X, *common.init(X, 4, 1), trace.append)
            self.assertEqual(trace[-1], got[2])
            self.assertGreater(len(trace), 2)
            rises = np.diff(trace) * (-1 if model is kmeans else 1)
            limit = 1e-4 if model is kmeans else 1e-6 * np.abs(trace[1:])
            self.assertEqual(list(rises > limit), [True] * (len(trace) - 2) + [False])
            self.assertGreater(rises.min(), -1e-9)

    def test_em_without_holes_is_naive_em(self):
        X = ratings(6, n=40, missing=-1)
        full, holes = (model.run(X, *common.init(X, 2, 6)) for model in (naive_em, em))
        self.near_mixture(holes[0], full[0], "EM's mixture, by naive EM,", 1e-8)
        self.near(holes[2], full[2], "EM's log-likelihood, by naive EM,")

    def test_what_a_model_has_prepared(self):
        for model, data in models():
            X, prepare, other = data(3), em.prepare, common.centred
            if model is not em:
                prepare, other = other, prepare
            mixture, post = mixture_for(X, 3, 3), soft(len(X), 3, 3)
            calls = [(model.estep, mixture), (model.mstep, post, mixture)]
            calls += [(model.run, mixture, post)] + [(em.fill_matrix, mixture)] * (model is em)
            for function, *more in calls:
                got, expected = function(prepare(X), *more), function(X, *more)
                for has, should in zip(arrays(got), arrays(expected)):
                    np.testing.assert_array_equal(has, should)
                with self.assertRaisesRegex(TypeError, "^X: .* got a (Points|Ratings)$"):
                    function(other(X), *more)

    def test_any_real_dtype_and_layout_gives_float64(self):
        X = 20 * ratings(3)  # squares that no small type of integer holds
        mixture, post = mixture_for(X, 3, 3), soft(12, 3, 3)
        others = [X.astype(dtype) for dtype in (np.int8, np.uint16, np.longdouble)]
        others += [(X / 7).astype(np.float32), np.asfortranarray(X), X.tolist()]
        for other in [*others, np.repeat(X, 2, axis=1)[:, ::2]]:
            plain = np.array(other, dtype=np.float64, order="C")
            calls = [(model.run, mixture, post) for model in (kmeans, naive_em, em)]
            for function, *more in [*calls, (em.predict, 2, [0]), (common.init, 3, 0)]:
                expected = arrays(function(plain, *more))
                for got, should in zip(arrays(function(other, *more)), expected):
                    self.near(got, should, f"{function.__name__}, another dtype: {{0}}", 1e-7, 1e-7)
                    self.assertEqual(np.asarray(got).dtype, np.float64)

    def test_nothing_given_is_changed_or_returned(self):
        X = np.round(points(3, n=40), 1)
        X[::4, 1] = 0  # holes, for EM
        mixture, post = mixture_for(X, 3, 3), soft(40, 3, 3)
        given = [X, *mixture, post]
        for array in given:
            array.flags.writeable = False  # who changes it raises an error
        calls = [(common.init, X, 3), (common.bic, X, mixture, -1.0), (common.rmse, X, X)]
        calls += [(common.plot, X, mixture, post, ""), (common.centred, X), (em.predict, X, 2)]
        calls += [(common.post_and_ll, post), (em.fill_matrix, X, mixture)]
        for model in (kmeans, naive_em, em):
            calls += [(model.estep, X, mixture), (model.mstep, X, post, mixture)]
            calls += [(model.run, X, mixture, post)]
        state = np.random.get_state()[1].copy()
        for function, *arguments in calls:
            for result in arrays(function(*arguments)):
                shared = [np.shares_memory(result, a) for a in given if type(result) is type(a)]
                self.assertFalse(any(shared), f"{function.__name__} returns what it was given")
        self.near(np.random.get_state()[1], state, "NumPy's global random state", 0)


def literal_averages(X):
    """The first lines of em.predict, one entry at a time: m (d,), b (n,), rest (n, d) and s."""
    n, d = X.shape
    given = [(u, l) for u in range(n) for l in range(d) if X[u, l]]
    mean = sum(X[u, l] for u, l in given) / len(given)
    m, b, rest = np.zeros(d), np.zeros(n), np.zeros((n, d))
    for l in range(d):
        mine = [X[u, l] for u in range(n) if X[u, l]]
        m[l] = (sum(mine) + 5 * mean) / (len(mine) + 5)
    for u in range(n):
        mine = [X[u, l] - m[l] for l in range(d) if X[u, l]]
        b[u] = sum(mine) / (len(mine) + 5)
    for u, l in given:
        rest[u, l] = X[u, l] - m[l] - b[u]
    return m, b, rest, math.sqrt(sum(rest[u, l] ** 2 for u, l in given) / len(given))


class Predict(Ours):
    """em.predict"""

    def test_is_averages_and_em_on_what_they_leave_over(self):
        for seed, K, shape in [(0, 2, (14, 6)), (1, 7, (9, 5)), (2, 1, (5, 12))]:
            X = ratings(seed, *shape)
            m, b, rest, s = literal_averages(X)
            rest = np.where(X != 0, rest / s, 0)
            extra = np.zeros(shape)
            for table, out in [(rest, extra), (rest.T, extra.T)]:
                for start in (3, 4, 5):
                    mixture, post = common.init(table, min(K, len(table)), start)
                    mixture = mixture._replace(var=np.ones(len(mixture.p)))
                    mixture, _, _ = em.run(table, mixture, post)
                    out += em.estep(table, mixture)[0] @ mixture.mu / 6
            expected = m + b[:, None] + s * extra
            expected = np.clip(expected, X[X != 0].min(), X.max())
            got = em.predict(X, K, seeds=iter([3, 4, 5]))
            self.near(got, np.where(X != 0, X, expected), "predict: movie {1} of user {0}")
            np.testing.assert_array_equal(got[X != 0], X[X != 0])
        X = ratings(0)
        np.testing.assert_array_equal(em.predict(X, 2), em.predict(X, 2, [0, 1, 2, 3, 4]))

    def test_tastes_that_averages_cannot_tell_apart(self):
        """Half of the users give 5 to the even movies and 1 to the odd ones, half the reverse."""
        draw = np.random.RandomState(0)
        Y = 3.0 + 2 * (-1) ** np.add.outer(np.arange(60) % 2, np.arange(30))
        hidden = draw.rand(60, 30) < 0.3
        X = np.where(hidden, 0, Y)
        errors = [common.rmse(em.predict(X, K)[hidden], Y[hidden]) for K in (1, 2)]
        self.assertGreater(errors[0], 1.9, "K = 1 cannot know")
        self.assertLess(errors[1], 0.5, "K = 2 finds the tastes")

    def test_any_scale_of_ratings(self):
        X = ratings(5, n=30)
        for factor in (8, 0.125, 2.0**-60, 2.0**90):
            np.testing.assert_array_equal(em.predict(factor * X, 3), factor * em.predict(X, 3))

    def test_special_cases(self):
        X = ratings(5, n=30)
        X[3], X[:, 2] = 0, 0  # a user and a movie without any rating
        one = np.zeros((3, 4))
        one[1, 2] = 2.5
        cross = np.array([[4.0, 2, 0], [2, 4, 0], [0, 0, 3]])  # whose rest is exactly 0 somewhere
        for data, K in [(X, 4), (np.where(X > 0, 0.1, 0), 3), (one, 2), (one, 3), (cross, 3)]:
            with warnings.catch_warnings(), np.errstate(all="raise", under="ignore"):
                warnings.simplefilter("error")
                X_pred = em.predict(data, K)
            low, high = data[data > 0].min(), data.max()
            self.assertTrue(((X_pred >= low) & (X_pred <= high)).all(), f"off the scale: {X_pred}")
        # A rest of exactly 0 is a rating all the same: the run must not take it for a missing one.
        with mock.patch.object(em, "run", wraps=em.run) as run:
            em.predict(one, 2)
            self.assertEqual([call.args[0].rated.sum() for call in run.call_args_list], [1.0] * 10)

    def test_arguments_that_make_no_sense(self):
        X = ratings(0)
        for arguments, words in [
            ((X, 13), "K: expected a whole number from 1 to 12, got 13"),
            ((X, "2"), "K: expected a whole number from 1 to 12, got '2'"),
            ((X, 2, []), "seeds: expected at least one, got none"),
            ((X, 2, [-1]), "seed: expected a whole number from 0 to 4294967295, got -1"),
            ((0 * X, 2), "X: expected at least one rating, got only zeros (missing)"),
            ((X[0], 1), "X: expected an array of shape (any, any), got (5,)"),
        ]:
            with self.assertRaisesRegex((ValueError, TypeError), f"^{re.escape(words)}$"):
                em.predict(*arguments)


class Checks(Ours):
    """One line says what is wrong, and every public function has the check at its door."""

    def refuses(self, words, function, *arguments):
        with self.subTest(function=function.__name__, words=words):
            with self.assertRaisesRegex((ValueError, TypeError), f"^{words}") as caught:
                function(*arguments)
            self.assertNotIn("\n", str(caught.exception))

    def test_bad_arguments(self):
        X, mixture, post = points(0), mixture_for(points(0), 3, 0), soft(12, 3, 0)
        nan, huge = np.where(X == X[0, 1], np.nan, X), np.where(X == X[0, 1], -1.1e50, X)
        for words, bad in [
            (r"expected an array of shape \(any, any\), got \(2,\)", X[0]),
            ("expected an array of shape", X[:0]),
            (r"expected finite numbers .* got nan at index \(0, 1\)", nan),
            (r"expected finite numbers up to 1e\+50 .* got -1.1e\+50 at", huge),
            ("expected real numbers, got dtype <U", X.astype(str)),
            ("expected real numbers, got dtype complex128", X + 1j),
            ("expected a plain array .* got a MaskedArray", np.ma.masked_less(X, 0)),
            ("expected an array, got rows|expected real numbers", [[1, 2], [3]]),
        ]:
            for model in (kmeans, naive_em, em):
                self.refuses(f"X: ({words})", model.estep, bad, mixture)
            self.refuses(f"X: ({words})", common.init, bad, 2)
            self.refuses(f"X: ({words})", common.bic, bad, mixture, 1.0)
        mu, var, p = mixture
        for words, bad in [
            ("mixture: expected a GaussianMixture, got a NoneType", None),
            ("mixture: .* is the first.*, got a tuple", (mixture, post, 1.0)),
            (r"mixture.mu: .* shape \(any, 2\), got \(3, 1\)", mixture._replace(mu=mu[:, :1])),
            ("mixture.mu: expected finite", mixture._replace(mu=np.full((3, 2), np.inf))),
            (r"mixture.var: .* shape \(3\), got \(2,\)", mixture._replace(var=var[:2])),
            ("mixture.var: expected positive numbers, got 0", mixture._replace(var=0 * var)),
            ("mixture.var: .* 9e-101", mixture._replace(var=np.array([1, 0.9e-100, 1]))),
            ("mixture.p: expected weights >= 0 .*got -0", mixture._replace(p=p - [0.5, -0.5, 0])),
            ("mixture.p: .* and 1 as the sum", mixture._replace(p=p * (1 + 2e-6))),
            ("mixture.p: .* and 0.999998 as", mixture._replace(p=p * (1 - 2e-6))),
        ]:
            for model in (kmeans, naive_em, em):
                self.refuses(words, model.estep, X, bad)
            for function, more in [
                (common.bic, (1.0,)),
                (common.plot, (post, "")),
                (em.run, (post,)),
            ]:
                self.refuses(words, function, X, bad, *more)
            if bad is not None:
                self.refuses("mixture", kmeans.mstep, X, post, bad)
            self.refuses("mixture", em.mstep, X, post, bad)
        for function in (kmeans.mstep, naive_em.mstep, em.mstep):
            shape = r"post: .* shape \(12, 3\), got \(12, 2\)"
            self.refuses(shape, function, X, post[:, :2], mixture)
            self.refuses("post: expected numbers >= 0, got -0", function, X, -post, mixture)
        self.refuses(r"post: .* shape \(12, 3\)", common.plot, X, mixture, post[1:], "")
        self.refuses(r"X: .* shape \(any, 2\)", common.plot, np.ones((12, 3)), mixture, post, "")
        for K in (0, 13, 2.0, None):
            self.refuses(f"K: expected a whole number from 1 to 12, got {K}", common.init, X, K)
        for seed in (-1, 2**32, 0.5):
            self.refuses(f"seed: .* 0 to 4294967295, got {seed}", common.init, X, 2, seed)
        for least in (0.0, np.nan):
            self.refuses(f"min_variance: .* got {least}", em.mstep, X, post, mixture, least)
        self.refuses("log_likelihood: expected finite", common.bic, X, mixture, np.nan)
        for words, Y in [("Y: .* shape", X[1:]), ("Y: .* finite", nan), ("Y: .* real", X * 1j)]:
            self.refuses(words, common.rmse, X, Y)
        self.refuses("X: expected a plain array", common.rmse, np.ma.array(X), X)
        self.refuses("X: expected an array of shape", common.rmse, np.zeros(0), np.zeros(0))

    def test_what_is_allowed(self):
        X, mixture = points(0), mixture_for(points(0), 3, 0)
        em.estep(
            X, mixture._replace(p=mixture.p * (1 + 0.9e-6))
        )  # as printing or rounding leaves it
        em.estep(X, mixture._replace(var=np.full(3, 1e-100)))
        huge = np.array([[-1e50, -1e50], [1e50, 1e50], [1e50, 1e50]])
        for model in (kmeans, naive_em, em):
            self.finite(model.run(huge, *common.init(huge, 2, 0)))
        self.assertEqual(common.init(X, np.int64(2), np.uint8(1))[0].mu.shape, (2, 2))
        self.assertIs(em.prepare(X).X, X, "float64 data are copied")


class Reader(Ours):
    """common.read"""

    def setUp(self):
        super().setUp()
        self.path = Path(self.enter(tempfile.TemporaryDirectory())) / "some_data.txt"

    def test_numbers_and_comments(self):
        for text, ratings_only, expected in [
            ("1 2.5\n3 4\n", [], [[1, 2.5], [3, 4]]),
            ("# x\n1 -2.5 # y\n\n 3\t4", [], [[1, -2.5], [3, 4]]),
            ("\ufeff1 2.5e0\r\n#\r\n+3 4.\r\n", [True], [[1, 2.5], [3, 4]]),
            ("0 0.5\n100 1e50\n", [True], [[0, 0.5], [100, 1e50]]),
            ("0 0\n0 -1e50\n", [], [[0, 0], [0, -1e50]]),
            ("0 0\n0 0\n", [], [[0, 0], [0, 0]]),
        ]:
            self.path.write_text(text, encoding="utf-8", newline="")
            np.testing.assert_array_equal(common.read(str(self.path), *ratings_only), expected)

    def test_one_line_says_what_is_wrong(self):
        for content, words, ratings_only in FILE_FAULTS:
            with self.subTest(content=content):
                self.path.write_bytes(content)
                with self.assertRaises(ValueError) as caught:
                    common.read(self.path, ratings=ratings_only)
                self.assertRegex(str(caught.exception), f"^\\S*some_data.txt{words}$")
        self.path.unlink()
        for _ in range(2):
            with self.assertRaisesRegex(
                ValueError, r"^cannot read \S*some_data.txt: (No such|Is a)"
            ):
                common.read(self.path)
            self.path.mkdir(exist_ok=True)


# What a data file may hold, how the message goes on after its name, and whether it holds ratings
FILE_FAULTS = [
    (b"", ": expected rows of numbers, got none", True),
    (b"# nothing\n\n# here\n", ": expected rows of numbers, got none", False),
    (b"# a\n1 2\n3 4\n5\n", ", line 4: expected 2 numbers, got 1", True),
    (b"1 2\n\n3 4 5 # c\n", ", line 3: expected 2 numbers, got 3", False),
    (b"1 2\n3 four\n", ", line 2, column 2: expected a number, got 'four'", False),
    (b"1 2\n# c\nnan 3\n", ", line 3, column 1: expected a number, got 'nan'", False),
    (b"1 2\n1_0 3\n", ", line 2, column 1: expected a number, got '1_0'", False),
    (b"1 2\n3 1-\n", ", line 2, column 2: expected a number, got '1-'", False),
    ("1 ٣\n3 4\n".encode(), ", line 1, column 2: expected a number, got '٣'", False),
    (b"1 2\n3 -1e51\n", ", line 2, column 2: expected a number up to 1e\\+50, got '-1e51'", False),
    (b"1 2\n3 1e999\n", ", line 2, column 2: expected a number up to 1e\\+50, got '1e999'", False),
    (b"1,2\n3,4\n", ", line 1, column 1: expected a number, got '1,2'", False),
    (b"\x89PNG\r\n\x1a\n\0\0", ", line 1, column 1: expected a number, got '\ufffdPNG'", False),
    (b"1 2 3\n", r": expected at least 2 rows and 2 columns, got \(1, 3\)", False),
    (b"1\n2\n3\n", r": expected at least 2 rows and 2 columns, got \(3, 1\)", False),
    (b"1 2\n3 -0.5\n", r", line 2, column 2: expected a rating \(.*\), got '-0.5'", True),
    (b"1 2\n3 inf\n", r", line 2, column 2: expected a rating \(.*\), got 'inf'", True),
    (b"0 0\n0 0\n", r": expected at least one rating, got only zeros \(missing\)", True),
]


class Pictures(Ours):
    """What common.plot and main.py draw."""

    def test_plot(self):
        for K in (1, 3, 9):
            X, post = points(K), soft(12, K, K)
            mixture = mixture_for(X, K, K)
            _, axes = plt.subplots(1, 2)
            self.assertIs(common.plot(X, mixture, post, f"K is {K}", axes[1]), axes[1])
            ax = common.plot(X, mixture, post, f"K is {K}")
            self.assertEqual((ax.get_title(), ax.get_aspect()), (f"K is {K}", 1))
            circles = [patch for patch in ax.patches if isinstance(patch, Circle)]
            self.near([c.center for c in circles], mixture.mu, "plot: the centre of circle {0}")
            self.near([c.radius for c in circles], np.sqrt(mixture.var), "plot: radius {0}")
            colours = np.array([to_rgb(common.COLOURS[j % 8]) for j in range(K)])
            self.near([to_rgb(c.get_edgecolor()) for c in circles], colours, "plot: colour {0}")
            self.assertEqual([text.get_text() for text in ax.texts], [str(j + 1) for j in range(K)])
            self.near([text.xy for text in ax.texts], mixture.mu, "plot: the place of number {0}")
            (dots,) = ax.collections
            self.near(dots.get_offsets(), X, "plot: the place of point {0}")
            self.near(dots.get_facecolors()[:, :3], post @ colours, "plot: the colour of point {0}")
            ax.figure.canvas.draw()
        for X in (np.array([[3.0, 4.0]]), points(0) + 1e7, np.zeros((4, 2)), points(0) * 1e-9):
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                common.plot(X, *common.init(X, 1, 0), "title").figure.canvas.draw()

    def test_selection_and_convergence(self):
        X = ratings(0, 30, 8)
        with contextlib.redirect_stderr(io.StringIO()):
            table = dict(main.sweep("EM", em, X, [1, 2, 4], [0, 1, 2], np.where(X > 0, X, 2)))
        best = {K: main.best_of(fits) for K, fits in table.items()}
        panels = zip(main.draw_selection("What K", table, best, 2).axes, ["score", "bic", "rmse"])
        for ax, field in panels:
            *dots, line, mark = [np.array(artist.get_xydata()) for artist in ax.lines]
            expected = [(K, getattr(fit, field)) for K, fits in table.items() for fit in fits]
            self.near(np.vstack(dots), expected, f"{field}: dot {{0}}")
            expected = [(K, getattr(fit, field)) for K, fit in best.items()]
            self.near(line, expected, f"{field}: the line at {{0}}")
            self.near(mark[:, 0], [2, 2], "the K that is marked")
        (ax,) = main.draw_convergence(table[4], best[4]).axes
        for line, fit in zip(ax.lines, sorted(table[4], key=lambda fit: -fit.score)):
            self.near(line.get_xydata(), list(enumerate(fit.trace, 1)), "convergence: point {0}")
        self.assertIn(f"seed {best[4].seed}: {best[4].score:,.1f}", ax.texts[0].get_text())

    def test_user_types(self):
        X = np.array([[5.0, 3, 1, 0]] * 6 + [[2, 2, 4, 0]] * 4 + [[3, 3, 3, 0]])
        mu = np.array([[2.0, 2, 4, 0], [5, 3, 1, 0], [3, 3, 0, 0]])
        mixture = GaussianMixture(mu, np.ones(3), np.array([4, 6, 1]) / 11)
        figure = main.draw_user_types(X, mixture)
        left, right, _ = figure.axes
        above = mu[[1, 0], :3] - X[:, :3].mean(
            axis=0
        )  # the larger type first; movie 3 has no rating
        level = above.mean(axis=1, keepdims=True)
        self.near([[bar.get_width()] for bar in left.patches], level, "generosity of type {0}")
        self.near(right.images[0].get_array(), above - level, "taste of type {0}, movie {1}")
        self.assertIn("left out: 1 that no two users share", figure.texts[0].get_text())
        mixture = GaussianMixture(mu[:2], np.ones(2), np.full(2, 0.5))
        for few in (X[[0, 6]], X[:1] * [1, 0, 0, 0]):  # every type has one user
            main.draw_user_types(few, mixture).canvas.draw()
        none = mixture._replace(mu=0 * mixture.mu)  # no mean was ever estimated
        main.draw_user_types(X, none).canvas.draw()

    def test_predictions(self):
        draw = np.random.RandomState(0)
        for levels in (np.arange(1, 6), np.arange(0.5, 5.5, 0.5), np.arange(1.0, 101)):
            truth = draw.choice(levels, 2000)
            predicted, errors = truth + draw.randn(2000), {1: [1.5, 1.25], 4: [1.0, 0.5]}
            left, right = main.draw_predictions(errors, 4, truth, predicted).axes
            lines = [line.get_ydata() for line in left.lines[:2]]
            self.near(lines, [[1.5, 1], [1.25, 0.5]], "error of way {0} at {1}")
            groups, middles = [truth == level for level in levels], levels
            if len(levels) > 10:
                groups = [(truth > low) & (truth <= low + 10) for low in range(0, 100, 10)]
                middles = 1 + 9.9 * (np.arange(10) + 0.5)
            self.near(right.get_xticks(), middles, "the middle of group {0}")
            drawn = [line.get_ydata()[0] for line in right.lines if line.get_color() == "black"]
            medians = [np.median(predicted[group]) for group in groups]
            self.assertTrue(all(np.isclose(median, drawn).any() for median in medians))


class Main(Ours):
    """main.py, as a user runs it."""

    def setUp(self):
        super().setUp()
        self.folder = Path(self.enter(tempfile.TemporaryDirectory())).resolve()
        self.small, self.plots = self.folder / "small", self.folder / "plots"
        self.small.mkdir()
        self.toy, self.X, Y = np.round(points(0, 15), 3), ratings(0, 20, 8), ratings(7, 20, 8, -1)
        self.Y = np.where(self.X == 0, Y, self.X)
        self.write("toy_data.txt", self.toy)
        self.write("netflix_incomplete.txt", self.X)
        self.write("netflix_complete.txt", self.Y)

    def write(self, name, array):
        np.savetxt(self.small / name, array, fmt="%.10g")

    def call(self, *arguments, terminal=False):
        """Run main.py in this process; return its exit status, output and errors."""
        words = ["main.py", "--data", self.small, "--plots", self.plots, *arguments]
        out, err, status = io.StringIO(), io.StringIO(), 0
        err.isatty = lambda: terminal
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            with mock.patch.object(sys, "argv", list(map(str, words))):
                try:
                    main.main()
                except SystemExit as end:
                    status = end.code
                except ValueError as error:
                    status = 2
                    print(f"main.py: {error}", file=err)
        return status, out.getvalue(), err.getvalue()

    def popen(self, *arguments, **options):
        command = [sys.executable, HERE / "main.py", "--data", self.small, "--plots", self.plots]
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
        return subprocess.Popen(list(map(str, [*command, *arguments])), **options)

    def expected_rows(self, Ks, seeds):
        """The rows of the four tables, from the modules; and the K that the BIC picks, twice."""
        rows, picks = [], []
        for model, data in [(kmeans, self.toy), (naive_em, self.toy), (em, self.X)]:
            bics = []
            for K in Ks:
                traces = [[] for _ in seeds]
                starts = [common.init(data, K, seed) for seed in seeds]
                fits = [model.run(data, *start, t.append) for start, t in zip(starts, traces)]
                scores = [round(-fit[2] if model is kmeans else fit[2], 9) for fit in fits]
                at = int(np.argmax(scores))
                mixture, _, score = fits[at]
                bics.append(score - (K * data.shape[1] + 2 * K - 1) / 2 * math.log(len(data)))
                rows.append([K, score, *[bics[-1]] * (model is not kmeans), seeds[at]])
                if model is em:
                    error = common.rmse(em.fill_matrix(data, mixture), self.Y)
                    rows[-1] += [len(traces[at]), error]
            picks.append(Ks[int(np.argmax(bics))])
        given = np.flatnonzero(self.X)
        hidden = np.random.RandomState(0).choice(given, int(0.1 * len(given)), replace=False)
        left, truth = self.X.copy(), self.X.flat[hidden]
        left.flat[hidden] = 0
        for K in Ks:
            fits = [em.run(left, *common.init(left, K, seed)) for seed in seeds]
            course = em.fill_matrix(left, max(fits, key=lambda fit: fit[2])[0])
            ours = em.predict(left, K, seeds)
            rows.append([K, *(common.rmse(way.flat[hidden], truth) for way in (course, ours))])
        return rows, picks[1:]

    def test_tables_pictures_and_completed_matrix(self):
        fill = self.small / "filled.txt"  # beside the data, and written again by each run below
        options = "--seeds 1 0 --toy-k 3 1 2 --netflix-k 1 3 2 --fill".split() + [fill]
        status, out, live = self.call(*options, terminal=True)
        self.assertEqual(status, 0)
        rows, picks = self.expected_rows([1, 2, 3], [0, 1])
        printed = [list(map(float, row.split())) for row in re.findall(r"(?m)^ +\d+ .*$", out)]
        self.assertEqual(len(printed), len(rows))
        for got, expected in zip(printed, rows):
            self.near(got, expected, f"printed {got}: number {{0}}", 0, 6e-5)
        self.assertEqual(re.findall(r"BIC picks K = (\d)", out), list(map(str, picks)))
        best = min(rows[-3:], key=lambda row: round(row[2], 4))
        for words in (
            f"{np.sum(self.X != 0)} ({100 * np.mean(self.X != 0):.1f}% of the entries)",
            f"The best is em.predict with K = {best[0]}{', the largest' * (best[0] == 3)}",
            f"em.predict with K = {best[0]}; expect an error of about {best[2]:.4f} stars.",
        ):
            self.assertIn(words, out)
        saved = [Path(path) for path in re.findall("Saved (.*)", out)]
        self.assertEqual(saved, [self.plots / name for name in main.PICTURES] + [fill])
        for path in saved[:-1]:
            image = plt.imread(path)[:, :, :3]
            dark = [image[at].min() for at in (np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1])]
            self.assertGreater(min(dark), 0.9, f"{path.name} is cut off at an edge")
        pairs = zip(self.X.flat, em.predict(self.X, best[0], [0, 1]).flat)
        expected = [f"{x:.0f}" if x else f"{prediction:.4f}" for x, prediction in pairs]
        self.assertEqual(fill.read_text().split(), expected)
        for words in ("K-means: 6 of 6", "Naive EM: 1 of 6", "EM: 4 of 6", "Prediction: 9 of 9"):
            self.assertIn(f"\r{words} fits left", live)
        self.assertNotIn("\n", live)
        for cores in (1, 3):  # the number of workers changes nothing
            with mock.patch.object(main, "cores", lambda cores=cores: cores):
                self.assertEqual(self.call(*options)[1], out)

    def test_ratings_of_ones_own(self):
        """Any scale, no toy data, few users, few ratings, and truths that are not known."""
        own = np.round(0.1 + 0.9 * np.random.RandomState(0).rand(9, 5), 8) * (ratings(2, 9) != 0)
        self.write("netflix_incomplete.txt", own)
        (self.small / "netflix_complete.txt").unlink()
        (self.small / "toy_data.txt").unlink()
        fill = self.folder / "filled.txt"
        status, out, err = self.call("--seeds", 0, "--fill", fill)
        self.assertEqual((status, err), (0, ""))
        self.assertIn("netflix_incomplete.txt has 9 rows: K above 9 is left out.", out)
        self.assertIn("There is no toy_data.txt: K-means and naive EM are left out.", out)
        self.assertIn("RMSE: not known, there is no netflix_complete.txt", out)
        filled = common.read(fill, ratings=True)
        np.testing.assert_array_equal(filled[own != 0], own[own != 0])
        self.assertEqual((filled.min(), filled.max()), (own[own != 0].min(), own.max()))
        for name in ("netflix_incomplete.txt", "netflix_complete.txt"):
            self.write(name, [[0.001, 0, 0.003], [0.002, 0.003, 0]])
        status, out, err = self.call("--seeds", 0, "--fill", fill)
        self.assertEqual((status, err), (0, ""))
        self.assertIn("(2 of its entries are unknown, and count as 0 stars", out)
        self.assertIn("4 ratings are too few to hide a tenth of them", out)
        self.assertIn("em.predict with K = 1; no error is known.", out)
        expected = r"^0\.001 0\.00\d{4} 0\.003\n0\.002 0\.003 0\.00\d{4}\n$"
        self.assertRegex(fill.read_text(), expected)

    def fails(self, words, *arguments):
        """The call ends with 2 and one line, and leaves every file as it was."""
        with self.subTest(arguments=arguments, words=words):
            before = self.files()
            status, out, err = self.call(*arguments)
            self.assertEqual((status, out), (2, ""))
            self.assertRegex(err, rf"^main\.py: {words}\n$")
            self.assertEqual(self.files(), before)

    def files(self):
        files = (path for path in self.folder.rglob("*") if path.is_file())
        return sorted((path, path.stat().st_mtime_ns) for path in files)

    def test_options_that_make_no_sense(self):
        (self.folder / "taken" / "netflix_user_types.png").mkdir(parents=True)
        (self.folder / "loop").symlink_to(self.folder / "loop")
        toy, long = self.small / "toy_data.txt", self.folder / ("x" * 300)
        for words, *arguments in [
            ("--toy-k: invalid int value: 'two'", "--toy-k", "two"),
            ("--toy-k .toy_data.txt has 15 rows.: .* from 1 to 15, got 16", "--toy-k", 16),
            ("--netflix-k .* has 20 rows.: .* from 1 to 20, got 0", "--netflix-k", 0, 2),
            ("--seeds: expected .* from 0 to 4294967295, got -1", "--seeds", -1),
            ("--seeds: expected at least one argument", "--seeds"),
            ("unrecognized arguments: --seed 3", "--seed", 3),
            ("cannot read /no/netflix_incomplete.txt: No such file.*", "--data", "/no"),
            ("--plots: cannot make .*toy_data.txt: File exists", "--plots", toy),
            ("--plots: cannot make /no/such: No such file.*", "--plots", "/no/such"),
            ("--plots: cannot make .*xxx: File name too long", "--plots", long),
            ("--plots: cannot write .*png: it is not a file", "--plots", self.folder / "taken"),
            ("--fill: cannot write .*small: it is not a file", "--fill", self.small),
            ("--fill: cannot write /dev/null: it is not a file", "--fill", "/dev/null"),
            ("--fill: cannot write /no/such: No such file.*", "--fill", "/no/such"),
            ("--fill: cannot write .*/x: Not a directory", "--fill", toy / "x"),
            ("--fill: cannot write .*xxx: File name too long", "--fill", long),
            ("--fill: cannot write .*loop: Too many .*", "--fill", self.folder / "loop"),
            ("--fill: expected a file of its own, got .*", "--fill", toy),
            ("--fill: expected a file of its own.*", "--fill", self.plots / main.PICTURES[3]),
        ]:
            self.fails(words, *arguments)

    def test_files_that_make_no_sense(self):
        path = self.small / "netflix_complete.txt"
        for Y, words in [
            (self.Y[1:], r"expected the shape of .*, \(20, 8\), got \(19, 8\)"),
            (self.Y * (self.Y != self.Y[0, 0]), r"row 1, column 1: expected \d as in .*, got 0"),
            (-self.Y, r"line 1, column 1: expected a rating .*, got '-\d'"),
        ]:
            self.write(path.name, Y)
            self.fails(f".*netflix_complete.txt.*{words}")
        path.unlink()
        path.symlink_to("nowhere")
        self.fails("cannot read .*netflix_complete.txt: No such file or directory")
        path.unlink()
        self.write("toy_data.txt", self.X)
        self.fails(".*toy_data.txt: expected 2 numbers a line, got 8")
        (self.small / "netflix_incomplete.txt").unlink()
        self.fails("cannot read .*netflix_incomplete.txt: No such file or directory")

    def test_failing_write_keeps_the_old_file(self):
        path = self.folder / ("x" * 250)
        path.write_text("old")

        def write(temporary, failure):
            temporary.write_text("half of the new")
            raise failure

        for failure, ends in [(OSError(28, "full"), ValueError), (SystemExit(143), SystemExit)]:
            with self.assertRaisesRegex(ends, "143|cannot write .*xxx: full$"):
                main.write_whole(path, partial(write, failure=failure))
            self.assertEqual(path.read_text(), "old")
            self.assertEqual(set(self.folder.iterdir()), {path, self.small})

    @unittest.skipIf(os.name == "nt", "Windows has no SIGINT to send, and no /dev/full")
    def test_interrupts_and_outputs_that_end(self):
        for number, status in [(signal.SIGINT, 130), (signal.SIGTERM, 143)]:
            process = self.popen("--seeds", *range(3000), "--toy-k", 1, 2)
            lines = [process.stdout.readline() for _ in range(4)]
            process.send_signal(number)
            _, err = process.communicate(timeout=20)
            self.assertEqual((process.returncode, err), (status, "main.py: interrupted\n"))
            self.assertRegex(lines[3], r"  1 +\d+\.\d{4} +0")
        process = self.popen("--seeds", 0)
        process.stdout.readline()
        process.stdout.close()
        self.assertEqual((process.stderr.read(), process.wait()), ("", 141))
        process.stderr.close()
        with open("/dev/full", "w") as full:
            process = self.popen(stdout=full)
            _, err = process.communicate(timeout=120)
        self.assertEqual(err, "main.py: standard output: No space left on device\n")
        self.assertEqual(process.returncode, 2)


@needs_course
class Published(Ours):
    """The other figures that are known of the course's data."""

    def test_toy_figures(self):
        X = common.read(DATA / "toy_data.txt")
        for K, cost, ll, bic in [
            (1, 5462.2975, -1307.2234, -1315.5056),
            (2, 1684.9080, -1175.7146, -1195.0397),
            (3, 1329.5949, -1138.8909, -1169.2589),
            (4, 1035.4998, -1138.6012, -1180.0121),
        ]:
            starts = [common.init(X, K, seed) for seed in range(5)]
            got = min(kmeans.run(X, *start)[2] for start in starts)
            self.near(got, cost, f"K-means cost, K = {K}", 0, 5.1e-5)
            mixture, _, got = max((naive_em.run(X, *s) for s in starts), key=lambda fit: fit[2])
            self.near(got, ll, f"naive EM log-likelihood, K = {K}", 0, 5.1e-5)
            self.near(common.bic(X, mixture, got), bic, f"BIC, K = {K}", 0, 5.1e-5)

    def test_a_count_of_one_does_not_hang_on_rounding(self):
        """K = 20, seed 0 would end elsewhere if 1 - 1e-16 did not count as 1."""
        X = netflix("incomplete")
        mixture, post = common.init(X, 20, 0)
        for users in (np.arange(1200), np.random.RandomState(0).permutation(1200)):
            _, _, ll = em.run(X[users], mixture, post)
            self.near(ll, -1374162.7527, "EM log-likelihood, K = 20, seed 0", 0, 5.1e-5)

    def test_errors_on_hidden_ratings(self):
        X = netflix("incomplete")
        given = np.flatnonzero(X)
        hidden = np.random.RandomState(0).choice(given, int(0.1 * len(given)), replace=False)
        left = X.copy()
        left.flat[hidden] = 0
        for K, error in [(1, 0.872), (4, 0.829)]:
            got = common.rmse(em.predict(left, K).flat[hidden], X.flat[hidden])
            self.near(got, error, f"the error of predict with K = {K}", 0, 0.003)


if __name__ == "__main__":
    result = unittest.main(exit=False).result
    failed = len({getattr(test, "test_case", test) for test, _ in result.failures + result.errors})
    skipped = len(result.skipped)
    for reason in sorted({reason for _, reason in result.skipped}):
        print(f"skipped: {reason}")
    print(
        f"{max(result.testsRun - failed - skipped, 0)} passed, {failed} failed, {skipped} skipped"
    )
    if result.testsRun == 0 and not failed:
        print("test.py: expected at least one test, got none that has this name", file=sys.stderr)
    sys.exit(failed > 0 or result.testsRun == 0)
