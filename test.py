"""Tests of the three models and of main.py; a failure says in words which term is wrong.

    python test.py [--data DIR] [unittest's own arguments]

DIR holds the data files and their reference outputs, test_solutions.txt (default: the folder of
test.py). With the course's own files in it, its published figures are checked as well.
"""

import argparse
import contextlib
import hashlib
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
from pathlib import Path
from unittest import mock

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Circle

import common
import em
import kmeans
import main
import naive_em
from common import GaussianMixture

HERE = Path(__file__).resolve().parent
parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
parser.add_argument("--data", type=Path, default=HERE)
options, sys.argv[1:] = parser.parse_known_args()
DATA = options.data
if not (DATA / "test_solutions.txt").is_file():
    print(f"test.py: --data: wanted a folder with test_solutions.txt, came {DATA}", file=sys.stderr)
    sys.exit(2)

plt.switch_backend("Agg")

COURSE_SHA256 = {
    "toy_data.txt": "a558ed25342d216d432fc8fa80870ef5fca43f45aeebd9350c32529b39d492d7",
    "netflix_incomplete.txt": "7a81ae26f41725a5deeec079dceec27d06949e1b82795803d42ec68c0e00408c",
    "netflix_complete.txt": "30c27318115235e50d6124ecbead6241d2376fc7c2116106834bf558d175dc35",
}


def is_course(name):
    path = DATA / name
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == COURSE_SHA256[name]


COURSE = all(is_course(name) for name in COURSE_SHA256)
OURS = (HERE / "netflix_incomplete.txt").read_text(encoding="utf-8").startswith("# Synthetic")


class Case(unittest.TestCase):
    """A test case whose comparisons name the entry that is wrong."""

    def setUp(self):
        """Have a run that never stops fail its test instead of hanging it."""
        steps = itertools.count(1)
        for model in (kmeans, naive_em, em):

            def estep(*arguments, model=model, real=model.estep, **options):
                if next(steps) > 20_000:
                    self.fail(f"{model.__name__}.run does not stop")
                return real(*arguments, **options)

            patch = mock.patch.object(model, "estep", estep)
            patch.start()
            self.addCleanup(patch.stop)

    def near(self, actual, expected, what, rtol=1e-10, atol=0.0):
        """Every entry of actual is near expected; 'what' may hold {0} and {1} for its indices."""
        actual, expected = np.asarray(actual, dtype=float), np.asarray(expected, dtype=float)
        if actual.shape != expected.shape:
            self.fail(f"{what}: the shape is {actual.shape}, it should be {expected.shape}")
        wrong = np.argwhere(~np.isclose(actual, expected, rtol=rtol, atol=atol))
        if len(wrong):
            first = tuple(map(int, wrong[0]))
            self.fail(
                f"{what.format(*first)} is {actual[first]!s}, it should be {expected[first]!s}"
                f" ({len(wrong)} of {actual.size} entries are wrong)"
            )

    def near_mixture(self, actual, expected, what, rtol=1e-10, atol=0.0):
        """The same for the three parts of a mixture."""
        self.near(actual.mu, expected.mu, what + ": the mean of type {0} at movie {1}", rtol, atol)
        self.near(actual.var, expected.var, what + ": the variance of type {0}", rtol, atol)
        self.near(actual.p, expected.p, what + ": the weight of type {0}", rtol, atol)


# A second, literal implementation: one user and one type at a time, as the lecture writes it.


def literal_f(x, known, mixture, j):
    """log(p_j + 1e-16) + log N(x_C; mu_j, var_j I) over the entries C that are known."""
    distance = sum((x[l] - mixture.mu[j][l]) ** 2 for l in known)
    var = mixture.var[j]
    return (
        math.log(mixture.p[j] + 1e-16)
        - len(known) / 2 * math.log(2 * math.pi * var)
        - distance / (2 * var)
    )


def known_entries(x, holes):
    return [l for l in range(len(x)) if x[l] != 0 or not holes]


def literal_estep(X, mixture, holes):
    K, post, ll = len(mixture.p), [], 0.0
    for x in X:
        f = [literal_f(x, known_entries(x, holes), mixture, j) for j in range(K)]
        logsumexp = max(f) + math.log(sum(math.exp(v - max(f)) for v in f))
        post.append([math.exp(v - logsumexp) for v in f])
        ll += logsumexp
    return np.array(post), ll


def literal_mstep(X, post, mixture, holes, min_variance):
    """The M-step with holes (EM) or without (naive EM: every mean is updated)."""
    n, d, K = len(X), len(X[0]), len(post[0])
    mu, var, p = np.array(mixture.mu, dtype=float), np.zeros(K), np.zeros(K)
    known = [known_entries(x, holes) for x in X]
    for j in range(K):
        p[j] = sum(post[u][j] for u in range(n)) / n
        for l in range(d):
            users = [u for u in range(n) if l in known[u]]
            count = sum(post[u][j] for u in users)
            if not holes or count >= 1 - 1e-9:
                mu[j, l] = sum(post[u][j] * X[u][l] for u in users) / count
        sse = sum(post[u][j] * sum((X[u][l] - mu[j, l]) ** 2 for l in known[u]) for u in range(n))
        var[j] = max(min_variance, sse / sum(post[u][j] * len(known[u]) for u in range(n)))
    return GaussianMixture(mu, var, p)


def expected_ll(X, post, mixture, holes):
    """The expected complete-data log-likelihood, which the M-step maximises."""
    return sum(
        post[u][j] * literal_f(x, known_entries(x, holes), mixture, j)
        for u, x in enumerate(X)
        for j in range(len(mixture.p))
    )


# Random problems


def ratings(seed, n=30, d=8, missing=0.3):
    """(n, d) ratings with holes; user 0 has rated nothing, and nobody has rated movie 0."""
    draw = np.random.RandomState(seed)
    X = draw.randint(1, 6, (n, d)) * (draw.rand(n, d) >= missing)
    X[0], X[:, 0] = 0, 0
    return X.astype(float)


def points(seed, n=40, d=3):
    """(n, d) points of three clusters."""
    draw = np.random.RandomState(seed)
    return draw.randn(n, d) * draw.rand(n, 1) + 3 * draw.randn(3, d)[draw.randint(0, 3, n)]


def mixture_for(X, K, seed):
    """A mixture of K components, no two alike, somewhere in the data."""
    draw = np.random.RandomState(seed)
    d = X.shape[1]
    mu = X.mean(axis=0) + X.std() * draw.randn(K, d)
    p = draw.rand(K) + 0.2
    return GaussianMixture(mu, 0.5 + 2 * draw.rand(K), p / p.sum())


def soft(n, K, seed):
    """(n, K) posteriors."""
    post = np.random.RandomState(seed).rand(n, K) ** 3 + 0.01
    return post / post.sum(axis=1, keepdims=True)


MODELS = [("naive EM", naive_em, points, False), ("EM", em, ratings, True)]


class Reference(Case):
    """The numbers of test_solutions.txt, which tools/make_reference.py or the course computed."""

    def setUp(self):
        super().setUp()
        self.X = common.read(DATA / "test_incomplete.txt", ratings=True)
        self.gold = common.read(DATA / "test_complete.txt", ratings=True)
        self.want = self.sections((DATA / "test_solutions.txt").read_text(encoding="utf-8"))
        self.mixture, self.post = common.init(self.X, int(self.want["Input"]["K"]), 0)

    @staticmethod
    def sections(text):
        """{heading: {name: number or array}} of the reference file."""
        found = {}
        for line in text.splitlines():
            if re.match(r"(Input|After [-\w ]+):?$", line):
                section = found.setdefault(line.rstrip(":"), {})
            elif match := re.match(r"(\w+):(.*)", line):
                name = match[1]
                section[name] = match[2]
            elif line.strip():
                section[name] += line
        for section in found.values():
            for name, words in section.items():
                rows = [row.split() for row in words.replace("[", "").split("]") if row.strip()]
                array = np.array(rows, dtype=float)
                section[name] = (
                    array if "[[" in words else array[0] if "[" in words else array.item()
                )
        return found

    def printed(self, actual, section, name, what):
        """An array agrees with the reference to the last of the 8 decimals that NumPy prints."""
        expected = self.want[section][name]
        least = expected[expected > 0].min()  # NumPy's rule for printing an array with exponents:
        exponents = least < 1e-4 or expected.max() / least > 1000
        exponent = np.floor(np.log10(np.maximum(expected, least))) if exponents else 0
        unit = 10.0 ** (exponent - 8)
        self.near((actual - expected) / unit, np.zeros_like(expected), what, atol=0.51)

    def printed_mixture(self, actual, section):
        for name, part in [("Mu", "mu"), ("Var", "var"), ("P", "p")]:
            what = f"{section}: {part} of type {{0}}" + (", movie {1}," if name == "Mu" else "")
            self.printed(getattr(actual, part), section, name, what + " times 1e8, less expected,")

    def test_input(self):
        np.testing.assert_array_equal(self.X, self.want["Input"]["X"])
        self.printed_mixture(self.mixture, "Input")

    def test_first_steps(self):
        post, ll = em.estep(self.X, self.mixture)
        what = "E-step: the posterior of user {0} for type {1}, less expected, in 1e-8"
        self.printed(post, "After first E-step", "post", what)
        want = self.want["After first E-step"]["LL"]
        self.near(ll, want, "E-step: the log-likelihood")
        self.printed_mixture(em.mstep(self.X, post, self.mixture), "After first M-step")

    def test_run_and_completed_matrix(self):
        mixture, post, ll = em.run(self.X, self.mixture, self.post)
        self.printed_mixture(mixture, "After a run")
        what = "run: the posterior of user {0} for type {1}, less expected, in the 9th digit"
        self.printed(post, "After a run", "post", what)
        want = self.want["After a run"]
        self.near(ll, want["LL"], "run: the log-likelihood")
        X_pred = em.fill_matrix(self.X, mixture)
        what = "fill_matrix: the rating of movie {1} by user {0}, less expected, in 1e-8"
        self.printed(X_pred, "After a run", "X_pred", what)
        np.testing.assert_array_equal(self.gold, want["X_gold"])
        self.near(common.rmse(X_pred, self.gold), want["RMSE"], "rmse of the completed matrix")

    def test_reference_is_what_the_tool_derives(self):
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "solutions.txt"
            tool = [sys.executable, HERE / "tools" / "make_reference.py", "--data", DATA]
            subprocess.run([*tool, "--out", out], check=True)
            derived = self.sections(out.read_text(encoding="utf-8"))
        self.assertEqual(list(derived), list(self.want))
        for heading, section in self.want.items():
            self.assertEqual(list(derived[heading]), list(section))
            for name, expected in section.items():
                if isinstance(expected, float):
                    self.near(derived[heading][name], expected, f"{heading}, {name}")
                else:
                    np.testing.assert_array_equal(derived[heading][name], expected)


class EStep(Case):
    def test_is_the_formula(self):
        for name, model, data, holes in MODELS:
            for seed in range(5):
                with self.subTest(model=name, seed=seed):
                    X = data(seed)
                    mixture = mixture_for(X, 1 + seed, seed)
                    post, ll = model.estep(X, mixture)
                    expected_post, expected = literal_estep(X, mixture, holes)
                    what = f"{name} E-step: the posterior of user {{0}} for type {{1}}"
                    self.near(post, expected_post, what, rtol=1e-9)
                    self.near(ll, expected, f"{name} E-step: the log-likelihood")

    def test_weight_of_zero_counts_as_1e_16(self):
        for name, model, data, holes in MODELS:
            X = data(1)
            mixture = mixture_for(X, 3, 1)._replace(p=np.array([0.0, 0.4, 0.6]))
            expected, _ = literal_estep(X, mixture, holes)
            what = f"{name} E-step: the posterior of user {{0}} for type {{1}} (weight 0 is type 0)"
            self.near(model.estep(X, mixture)[0], expected, what, rtol=1e-9)

    def test_user_without_rating_has_the_weights_as_posterior(self):
        X = ratings(0)
        mixture = mixture_for(X, 4, 0)
        post, _ = em.estep(X, mixture)
        self.near(
            post[0], mixture.p, "E-step: the posterior for type {0} of a user who rated nothing"
        )

    def test_far_tails(self):
        X = points(2)
        X[3] += 5e4  # thousands of standard deviations from every mean
        R = ratings(2)
        far = mixture_for(R, 3, 2)
        far = far._replace(mu=far.mu + 3e4)
        for name, model, data, mixture in [
            ("naive EM", naive_em, X, mixture_for(X, 3, 2)),
            ("EM", em, R, far),
        ]:
            with warnings.catch_warnings(), np.errstate(all="raise"):
                warnings.simplefilter("error")
                post, ll = model.estep(data, mixture)
                model.run(data, mixture, post)
            self.assertLess(ll, -1e6)
            self.near(
                post.sum(axis=1), np.ones(len(data)), name + ": the posteriors of user {0}, summed,"
            )
            expected, expected_ll = literal_estep(data, mixture, model is em)
            what = f"{name} E-step: the posterior of user {{0}} for type {{1}}"
            self.near(post, expected, what, rtol=1e-5, atol=1e-290)
            self.near(ll, expected_ll, f"{name} E-step: the log-likelihood")

    def test_small_posteriors_are_exact_and_the_smallest_are_zero(self):
        post, ll = common.normalise(np.array([[0.0, -600.0, -700.0, -744.0, -1e6]]))
        self.near(post, [[1.0, math.exp(-600), 0, 0, 0]], "normalise: the posterior of type {1}")
        self.near(ll, 0.0, "normalise: the log-likelihood", atol=1e-12)

    def test_log_likelihood_of_a_standard_normal(self):
        """Two ratings of 2, mean 1, variance 4: 2 (-1/2 log(8 pi) - 1/8), on paper."""
        mixture = GaussianMixture(np.ones((1, 2)), np.array([4.0]), np.ones(1))
        for model, X in [(naive_em, [[2, 2]]), (em, [[2, 2]]), (em, [[2, 0], [0, 2]])]:
            expected = -math.log(8 * math.pi) - 0.25
            self.near(
                model.estep(X, mixture)[1], expected, "E-step: the log-likelihood", rtol=1e-14
            )


class MStep(Case):
    def test_is_the_formula(self):
        for name, model, data, holes in MODELS:
            for seed in range(5):
                with self.subTest(model=name, seed=seed):
                    X, K = data(seed), 2 + seed
                    mixture, post = mixture_for(X, K, seed), soft(len(X), K, seed)
                    expected = literal_mstep(X, post, mixture, holes, 0.25 if holes else 0)
                    self.near_mixture(model.mstep(X, post, mixture), expected, f"{name} M-step")

    def test_is_the_maximum(self):
        for name, model, data, holes in MODELS:
            X = data(7)
            start, post = mixture_for(X, 3, 7), soft(len(X), 3, 7)
            best = model.mstep(X, post, start)
            top = expected_ll(X, post, best, holes)
            for part, values in best._asdict().items():
                for index in np.ndindex(values.shape):
                    for step in (-1e-3, 1e-3):
                        changed = values.copy()
                        changed[index] += step
                        if part == "p":
                            changed /= changed.sum()
                        worse = expected_ll(X, post, best._replace(**{part: changed}), holes)
                        self.assertLessEqual(
                            worse,
                            top + 1e-12 * abs(top),
                            f"{name} M-step: another {part}{list(index)} is more likely",
                        )

    def test_mean_is_updated_from_a_count_of_1_on(self):
        X = np.array([[5.0, 2.0], [0.0, 4.0], [0.0, 3.0]])  # only user 0 rated movie 0
        old = GaussianMixture(np.array([[1.5, 1.5], [1.5, 1.5]]), np.ones(2), np.full(2, 0.5))
        for count, updated in [
            (1.0, True),
            (1 + 1e-6, True),
            (1 - 0.9e-9, True),  # a count of 1, up to the last bits
            (1 - 1e-9, True),
            (1 - 1.1e-9, False),
            (0.5, False),
            (0.0, False),
        ]:
            post = np.array([[count, 1e-3], [0.5, 0.5], [0.75, 0.25]])
            mu = em.mstep(X, post, old).mu
            what = f"M-step: the mean of type 0 at a movie with a count of {count!r}"
            self.near(mu[0, 0], 5.0 if updated else 1.5, what)
            self.near(
                mu[1], [1.5, 1.5], "M-step: the mean of type 1, whose counts are below 1, at {0}"
            )

    def test_variance_counts_means_that_were_not_updated(self):
        X = np.array([[5.0, 2.0], [0.0, 4.0], [0.0, 3.0]])
        old = GaussianMixture(np.array([[1.5, 1.5]]), np.ones(1), np.ones(1))
        post = np.array([[0.6], [0.7], [0.8]])  # movie 0: count 0.6, movie 1: count 2.1
        mu1 = (0.6 * 2 + 0.7 * 4 + 0.8 * 3) / 2.1
        sse = 0.6 * (3.5**2 + (2 - mu1) ** 2) + 0.7 * (4 - mu1) ** 2 + 0.8 * (3 - mu1) ** 2
        self.near(em.mstep(X, post, old).var, [sse / (0.6 * 2 + 0.7 + 0.8)], "M-step: the variance")

    def test_variance_of_a_type_with_a_fraction_of_a_rating(self):
        X = np.array([[1.0, 4.0], [5.0, 2.0]])
        old = GaussianMixture(np.array([[2.0, 2.0]]), np.ones(1), np.ones(1))
        expected = (0.2 * (1 + 4) + 0.1 * (9 + 0)) / 0.6
        var = em.mstep(X, np.array([[0.2], [0.1]]), old).var
        self.near(var, [expected], "M-step: the variance of a type with 0.6 of a rating")

    def test_least_variance(self):
        for least in (None, 0.25, 0.1, 2.0):
            options = {} if least is None else {"min_variance": least}
            least = 0.25 if least is None else least
            for factor in (0.98, 1.02, 0.0):
                spread = math.sqrt(least * factor)  # two users at mean +- spread
                X = np.array([[3 - spread], [3 + spread]])
                old = GaussianMixture(np.array([[2.0]]), np.array([7.0]), np.ones(1))
                var = em.mstep(X, np.ones((2, 1)), old, **options).var
                what = f"M-step: the variance, at least {least} and {least * factor} in the data,"
                self.near(var, [least * max(1, factor)], what)

    def test_users_without_ratings_count_only_in_the_weight(self):
        X, post = ratings(4), soft(30, 3, 4)
        mixture = mixture_for(X, 3, 4)
        without = em.mstep(X[1:], post[1:], mixture)
        got = em.mstep(X, post, mixture)
        self.near(got.mu, without.mu, "M-step: the mean of type {0} at movie {1}")
        self.near(got.var, without.var, "M-step: the variance of type {0}")
        self.near(got.p, post.mean(axis=0), "M-step: the weight of type {0}")

    def test_type_of_users_without_ratings_keeps_mean_and_variance(self):
        X = np.array([[0.0, 0.0], [3.0, 5.0], [4.0, 4.0]])
        old = GaussianMixture(
            np.array([[1.0, 2.0], [3.0, 3.0]]), np.array([0.125, 1.0]), np.ones(2) / 2
        )
        new = em.mstep(X, np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]), old)
        self.near(new.mu[0], [1, 2], "M-step: the mean at {0} of a type without ratings")
        self.near(new.var[0], 0.125, "M-step: the variance of a type without ratings")
        self.near(new.p, [1 / 3, 2 / 3], "M-step: the weight of type {0}")

    def test_one_type_is_the_observed_mean_and_variance(self):
        X, seen = ratings(5), ratings(5)[1:, 1:]
        mixture, _, _ = em.run(X, *common.init(X, 1, 0))
        mean = [seen[:, l][seen[:, l] > 0].mean() for l in range(seen.shape[1])]
        self.near(mixture.mu[0, 1:], mean, "EM with K = 1: the mean of movie {0}")
        var = ((seen - mean) ** 2)[seen > 0].mean()
        self.near(mixture.var, [var], "EM with K = 1: the variance")
        X = points(5)
        for mixture in (
            naive_em.run(X, *common.init(X, 1, 0))[0],
            kmeans.mstep(X, np.ones((40, 1)))[0],
        ):
            self.near(mixture.mu[0], X.mean(axis=0), "K = 1: the mean in dimension {0}")
            self.near(mixture.var, [X.var(axis=0).mean()], "K = 1: the variance")
            self.near(mixture.p, [1], "K = 1: the weight")


class Run(Case):
    def test_log_likelihood_never_falls_and_the_rule_stops_it(self):
        for name, model, data, _ in MODELS:
            for seed in range(8):
                X, trace = data(seed, n=60), []
                _, _, ll = model.run(X, *common.init(X, 4, seed), trace.append)
                gains = np.diff(trace) / np.abs(trace[1:])
                self.assertGreater(len(trace), 2)
                self.assertGreater(gains.min(), -1e-12, f"{name}: the log-likelihood falls")
                self.assertGreater(gains[:-1].min(), 1e-6, f"{name} should have stopped earlier")
                self.assertLessEqual(gains[-1], 1e-6, f"{name} stopped too early")
                self.assertEqual(ll, trace[-1])

    def test_stops_at_the_threshold_itself(self):
        """The steps are replaced by ones that announce given log-likelihoods and costs."""
        X, (mixture, post) = points(0), common.init(points(0), 2, 0)
        em_cases = [  # the last is where it must stop; the one after must not be asked for
            [-1e6 - 5, -1e6 - 1, -1e6, -1.0],  # a gain of 1 is a millionth of a million
            [-1e6 - 9, -1e6 - 1.0000005, -1e6, -1e6 + 1e-3, -1.0],  # a bit more than one is not
            [-5.0, -6.0, -1.0],  # a fall
            [-1.0, 0.0, 0.0, 1.0],
            [1e6, 1e6 + 2, 1e6 + 3, 2e6],  # log-likelihoods may be positive
        ]
        cost_cases = [[3e-4, 1e-4, 0.0, -9.0], [4e-4, 2e-4, 0.99e-4, 0.9e-4, 0.0], [1.0, 2.0, 0.0]]
        for name, model, cases in [
            ("K-means", kmeans, cost_cases),
            ("naive EM", naive_em, em_cases),
            ("EM", em, em_cases),
        ]:
            for values in cases:
                told, trace = iter(values), []
                if model is kmeans:
                    steps = {"mstep": lambda *a, **k: (mixture, next(told))}  # noqa: B023
                else:
                    steps = {"estep": lambda *a, **k: (post, next(told))}  # noqa: B023
                with mock.patch.multiple(model, **steps):
                    _, _, last = model.run(X, mixture, post, trace.append)
                self.assertEqual(trace, values[:-1], f"{name}: where it stops")
                self.assertEqual(last, values[-2])

    def test_returns_the_last_m_step_and_the_e_step_before_it(self):
        for name, model, data, _ in MODELS:
            X, trace = data(3), []
            mixture, post = common.init(X, 3, 3)
            got = model.run(X, mixture, post, trace.append)
            for _ in trace:
                post, ll = model.estep(X, mixture)
                mixture = model.mstep(X, post, mixture)
            self.near_mixture(got[0], mixture, f"{name} run")
            self.near(
                got[1], post, name + " run: the posterior of user {0} for type {1}", atol=1e-12
            )
            self.near(got[2], ll, f"{name} run: the log-likelihood")
        X, trace = points(3), []
        mixture, post = common.init(X, 3, 3)
        got = kmeans.run(X, mixture, post, trace.append)
        for _ in trace:
            post = kmeans.estep(X, mixture)
            mixture, cost = kmeans.mstep(X, post, mixture)
        self.near_mixture(got[0], mixture, "K-means run")
        np.testing.assert_array_equal(got[1], post)
        self.assertEqual([got[2], got[2]], [cost, trace[-1]])

    def test_em_without_holes_is_naive_em(self):
        X = ratings(6, missing=-1)[1:, 1:]
        mixture, post = common.init(X, 2, 6)
        for step in ("estep", "run"):
            arguments = [X, mixture] + [post] * (step == "run")
            full, holes = (getattr(model, step)(*arguments) for model in (naive_em, em))
            what = f"{step}: EM's posterior of user {{0}} for type {{1}}, by naive EM,"
            self.near(holes[-2], full[-2], what, rtol=1e-8, atol=1e-12)
            self.near(holes[-1], full[-1], f"{step}: EM's log-likelihood, by naive EM,")
        self.near_mixture(holes[0], full[0], "run: EM's mixture, by naive EM,", rtol=1e-8)

    def test_order_of_types_and_users_does_not_matter(self):
        for name, model, data, _ in MODELS:
            X = data(9)
            mixture, post = common.init(X, 3, 9)
            got, got_post, ll = model.run(X, mixture, post)
            types = np.array([2, 0, 1])
            other = GaussianMixture(*(part[types] for part in mixture))
            new, new_post, new_ll = model.run(X, other, post)
            expected = GaussianMixture(*(part[types] for part in got))
            self.near_mixture(new, expected, f"{name}, types reordered", rtol=1e-8)
            self.near(
                new_post, got_post[:, types], f"{name}, types reordered: posterior", atol=1e-8
            )
            users = np.random.RandomState(0).permutation(len(X))
            new, new_post, newer_ll = model.run(X[users], mixture, post)
            self.near_mixture(new, got, f"{name}, users reordered", rtol=1e-8)
            self.near(new_post, got_post[users], f"{name}, users reordered: posterior", atol=1e-8)
            self.near([new_ll, newer_ll], [ll, ll], f"{name}: the log-likelihood of order {{0}}")

    def test_points_far_from_the_origin(self):
        X = common.read(DATA / "toy_data.txt")
        for model in (kmeans, naive_em):
            near, near_post, score = model.run(X, *common.init(X, 3, 0))
            far, far_post, far_score = model.run(X + 1e6, *common.init(X + 1e6, 3, 0))
            name = model.__name__ + ", data shifted by 1e6"
            self.near_mixture(far._replace(mu=far.mu - 1e6), near, name, rtol=1e-6)
            self.near(far_post, near_post, name + ": the posterior of {0} for {1}", 1e-6, 1e-9)
            self.near(far_score, score, name + ": the cost or log-likelihood", rtol=1e-6)


class KMeans(Case):
    def test_nearest_mean_and_the_lowest_index_on_a_tie(self):
        mu = np.array([[0.0, 0.0], [4.0, 0.0], [4.0, 0.0], [0.0, 4.0]])
        mixture = GaussianMixture(mu, np.ones(4), np.full(4, 0.25))
        X = np.array([[2.0, 0.0], [2.0, 2.0], [3.0, 0.0], [0.0, 3.0], [-9.0, -8.0]])
        np.testing.assert_array_equal(kmeans.estep(X, mixture).argmax(axis=1), [0, 0, 1, 3, 0])
        for seed in range(20):  # whole numbers: literal distances are exact, and many are equal
            X = ratings(seed, n=50, d=4)
            mixture, _ = common.init(X, 8, seed)
            distances = ((X[:, None, :] - mixture.mu) ** 2).sum(axis=2)
            expected = np.eye(8)[distances.argmin(axis=1)]
            np.testing.assert_array_equal(kmeans.estep(X, mixture), expected)

    def test_means_variances_weights_and_cost(self):
        for seed in range(5):
            X = points(seed)
            mixture, _ = common.init(X, 4, seed)
            post = kmeans.estep(X, mixture)
            got, cost = kmeans.mstep(X, post)
            expected = literal_mstep(X, post, mixture, holes=False, min_variance=1e-12)
            self.near_mixture(got, expected, "K-means M-step", rtol=1e-9)
            own = got.mu[post.argmax(axis=1)]
            self.near(cost, ((X - own) ** 2).sum(), "K-means: the cost, to the new means,")

    def test_cost_never_rises(self):
        for seed in range(5):
            X, trace = points(seed, n=200), []
            kmeans.run(X, *common.init(X, 6, seed), trace.append)
            self.assertGreater(len(trace), 2)
            self.assertTrue(all(np.diff(trace) < 1e-9), f"the cost rises: {trace}")
            falls = -np.diff(trace)
            self.assertTrue(
                all(falls[:-1] > 1e-4) and falls[-1] <= 1e-4, f"where it stops: {falls}"
            )

    def test_empty_component(self):
        X = points(0)
        start = mixture_for(X, 3, 0)
        start.mu[1] = 1e3  # no point is near, and naive EM's posteriors there are 0
        for model in (kmeans, naive_em):
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                got, post, _ = model.run(X, start, np.full((40, 3), 1 / 3))
                alone = model.mstep(X, post)
            self.near(got.mu[1], start.mu[1], "empty component: its mean in dimension {0}")
            self.near(got.var[1], start.var[1], "empty component: its variance")
            self.assertEqual(got.p[1], 0, "empty component: its weight")
            alone = alone[0] if model is kmeans else alone
            self.near(alone.mu[1], X.mean(axis=0), "without a mixture: its mean in dimension {0}")
            self.near(alone.var[1], X.var(axis=0).mean(), "without a mixture: its variance")
            self.near(alone.p, got.p, "without a mixture: the weight of component {0}")

    def test_identical_points(self):
        X = np.full((6, 2), 0.1) + 7e5
        for model in (kmeans, naive_em):
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                mixture, post, score = model.run(X, *common.init(X, 3, 0))
            for array in (*mixture, post, score):
                self.assertTrue(np.isfinite(array).all())
            held = mixture.p > 0
            self.near(
                mixture.var[held], np.full(held.sum(), 1e-12), "identical points: variance {0}"
            )
            self.near(mixture.mu, X[:3], "identical points: the mean of {0} in dimension {1}")
            self.near(post.sum(axis=1), np.ones(6), "identical points: posteriors of {0}, summed,")

    def test_as_many_components_as_points(self):
        X = points(0, n=7)
        mixture, post, cost = kmeans.run(X, *common.init(X, 7, 0))
        self.near(np.sort(mixture.mu, axis=0), np.sort(X, axis=0), "K = n: the sorted means")
        self.near(cost, 0, "K = n: the cost", atol=1e-12)
        np.testing.assert_array_equal(post.sum(axis=0), np.ones(7))
        naive_em.run(X, mixture, post)  # what K-means returns is a start for EM
        X = ratings(0, n=7)
        self.assertTrue(np.isfinite(em.run(X, *common.init(X, 7, 0))[2]))


class Centred(Case):
    def test_moves_points_near_the_origin_by_exact_steps(self):
        X = points(0) * [1e-5, 1.0, 1e5] + [1e3, -7.0, 1e9]
        centre, moved, squares = common.centred(X)
        span = np.ptp(X, axis=0)
        self.assertTrue((abs(moved.mean(axis=0)) < span / 1000).all(), "centred: it is not")
        np.testing.assert_array_equal(moved, X - centre)
        self.near(squares, [(x**2).sum() for x in moved], "centred: squared length of {0}")
        steps = centre / 2.0 ** np.floor(np.log2(span / 512))
        np.testing.assert_array_equal(steps, np.rint(steps))


class Init(Case):
    def test_draws_the_rows_that_the_course_draws(self):
        X = points(0)
        state = np.random.get_state()
        try:
            for seed in (0, 1, 2, 3, 4, 12345, 2**32 - 1):
                for K in (1, 2, 3, 12, 40):
                    np.random.seed(seed)
                    rows = np.random.choice(len(X), K, replace=False)
                    mixture, post = common.init(X, K, seed)
                    np.testing.assert_array_equal(mixture.mu, X[rows])
                    var = [((X - mu) ** 2).mean() for mu in X[rows]]
                    self.near(mixture.var, var, "init: the variance of component {0}")
                    np.testing.assert_array_equal(mixture.p, np.full(K, 1 / K))
                    np.testing.assert_array_equal(post, np.full((len(X), K), 1 / K))
        finally:
            np.random.set_state(state)
        np.testing.assert_array_equal(common.init(X, 3)[0].mu, common.init(X, 3, 0)[0].mu)

    def test_counts_missing_ratings_as_zeros(self):
        X = ratings(0)
        mixture, _ = common.init(X, 2, 0)
        self.near(mixture.var, [((X - mu) ** 2).mean() for mu in mixture.mu], "init: variance {0}")

    def test_rejects_what_is_no_number_of_components_or_seed(self):
        X = points(0)
        for K in (0, -1, 41):
            with self.assertRaisesRegex(ValueError, f"^K: wanted .* 1 to 40, came {K}$"):
                common.init(X, K)
        for K in (2.0, "2", None):
            with self.assertRaisesRegex(TypeError, "^K: wanted a whole number"):
                common.init(X, K)
        for seed in (-1, 2**32):
            with self.assertRaisesRegex(ValueError, f"^seed: wanted .*, came {seed}$"):
                common.init(X, 2, seed)
        self.assertEqual(common.init(X, np.int64(2), np.uint8(1))[0].mu.shape, (2, 3))


class Calls(Case):
    """How the functions treat what they are given."""

    def calls(self, X, mixture, post):
        """Every public function on data without holes, as (name, call)."""
        yield "init", lambda: common.init(X, 3, 1)
        yield "normalise", lambda: common.normalise(post)
        yield "centred", lambda: common.centred(X)
        yield "bic", lambda: common.bic(X, mixture, -1.0)
        yield "rmse", lambda: common.rmse(X, X)
        yield "plot", lambda: common.plot(X, mixture, post, "title") and plt.close()
        yield "fill_matrix", lambda: em.fill_matrix(X, mixture)
        for model in (kmeans, naive_em, em):
            name = model.__name__
            yield f"{name}.estep", lambda: model.estep(X, mixture)  # noqa: B023
            yield f"{name}.mstep", lambda: model.mstep(X, post, mixture)  # noqa: B023
            yield f"{name}.run", lambda: model.run(X, mixture, post)  # noqa: B023

    def problem(self):
        X = np.round(points(3, d=2), 1)
        X[::4, 1] = 0  # holes, for EM
        return X, mixture_for(X, 3, 3), soft(len(X), 3, 3)

    def arrays(self, value):
        if isinstance(value, np.ndarray):
            yield value
        elif isinstance(value, tuple):
            for part in value:
                yield from self.arrays(part)

    def test_nothing_given_is_changed_or_returned_nor_numpys_random_state_touched(self):
        X, mixture, post = self.problem()
        given = [X, *mixture, post]
        copies = [array.copy() for array in given]
        for array in given:
            array.flags.writeable = False
        state = np.random.get_state()[1].copy()
        for name, call in self.calls(X, mixture, post):
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                returned = call()
            self.assertEqual(printed.getvalue(), "", f"{name} prints")
            for result in self.arrays(returned):
                for array in given:
                    self.assertFalse(np.shares_memory(result, array), f"{name} returns a view")
        for array, copy in zip(given, copies):
            np.testing.assert_array_equal(array, copy)
        np.testing.assert_array_equal(np.random.get_state()[1], state)

    def test_any_real_dtype_and_layout_gives_float64(self):
        X = 20 * ratings(3)  # squares that no small type of integer holds
        mixture, post = mixture_for(X, 3, 3), soft(30, 3, 3)
        for other in (
            X.astype(np.int8),
            X.astype(np.uint16),
            (X / 7).astype(np.float32),
            X.astype(np.longdouble),
            np.asfortranarray(X),
            np.repeat(X, 2, axis=1)[:, ::2],
            X.tolist(),
        ):
            plain = np.array(other, dtype=np.float64, order="C")
            for model in (kmeans, naive_em, em):
                expected = list(self.arrays(model.run(plain, mixture, post)))
                for got, want in zip(self.arrays(model.run(other, mixture, post)), expected):
                    self.assertEqual(got.dtype, np.float64)
                    self.near(got, want, f"{model.__name__}, another dtype: {{0}}", 1e-9, 1e-9)
        self.assertIs(common.check(X)[0], X, "float64 data are copied")
        common.check(np.array([[-1e100, 1e100]]))
        X = ratings(3)
        whole = GaussianMixture(np.full((1, 8), 100, np.int8), [np.float32(2)], [1])
        expected, _ = literal_estep(X, whole, holes=True)
        self.near(em.estep(X, whole)[0], expected, "int8 means: the posterior of {0}")

    def test_duplicate_users_and_equal_ratings(self):
        X = np.repeat(ratings(1, n=5), 4, axis=0)
        self.assertTrue(np.isfinite(em.run(X, *common.init(X, 4, 0))[2]))
        X = np.full((5, 4), 3.0)
        mixture, _, _ = em.run(X, *common.init(X, 2, 0))
        self.near(mixture.mu, np.full((2, 4), 3), "all ratings 3: the mean of {0} at {1}")
        self.near(mixture.var, [0.25, 0.25], "all ratings 3: the variance of {0}")

    def test_no_rating_at_all(self):
        X = np.zeros((4, 3))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            mixture, post, ll = em.run(X, *common.init(X, 2, 0))
        self.near(post, np.full((4, 2), 0.5), "no ratings: the posterior of {0} for {1}")
        self.near(ll, 0, "no ratings: the log-likelihood", atol=1e-12)

    def test_one_line_says_what_is_wrong(self):
        X, mixture, post = self.problem()
        mu, var, p = mixture

        def changed(array, value):
            array = array.copy()
            array.flat[1] = value
            return array

        bad_X = [
            (X[0], "X: wanted an array of shape"),
            (X[None], "X: wanted an array of shape"),
            (X[:0], "X: wanted an array of shape"),
            (changed(X, np.nan), "X: wanted finite numbers .* came nan at index \\(0, 1\\)"),
            (changed(X, -np.inf), "X: wanted finite numbers .* came -inf"),
            (changed(X, 1e101), "X: wanted finite numbers .* came 1e\\+101"),
            (X.astype(str), "X: wanted real numbers"),
            (X + 1j, "X: wanted real numbers"),
            (np.ma.masked_equal(X, 0), "X: wanted a plain array"),
        ]
        bad_mixture = [
            (mixture._replace(mu=mu[:, :1]), "mixture.mu: wanted an array of shape \\(any, 2\\)"),
            (mixture._replace(mu=mu[0]), "mixture.mu: wanted an array of shape"),
            (mixture._replace(mu=changed(mu, np.nan)), "mixture.mu: wanted finite"),
            (mixture._replace(var=var[:2]), "mixture.var: wanted an array of shape \\(3\\)"),
            (mixture._replace(var=changed(var, 0.0)), "mixture.var: wanted positive .* came 0"),
            (mixture._replace(var=changed(var, -1.0)), "mixture.var: wanted positive .* came -1"),
            (mixture._replace(var=changed(var, np.inf)), "mixture.var: wanted finite"),
            (mixture._replace(p=p[:2]), "mixture.p: wanted an array of shape"),
            (mixture._replace(p=np.array([-0.5, 0.5, 1])), "mixture.p: wanted weights >= 0"),
            (mixture._replace(p=p * (1 + 1e-5)), "mixture.p: wanted weights >= 0 that sum to 1"),
        ]
        bad_post = [
            (post[1:], "post: wanted an array of shape \\(40, 3\\), came \\(39, 3\\)"),
            (post[:, :2], "post: wanted an array of shape \\(40, 3\\), came \\(40, 2\\)"),
            (changed(post, np.nan), "post: wanted finite"),
            (changed(post, -0.1), "post: wanted numbers >= 0"),
        ]
        cases = [(0, *case) for case in bad_X]
        cases += [(1, *case) for case in bad_mixture] + [(2, *case) for case in bad_post]
        for place, bad, words in cases:
            arguments = [X, mixture, post]
            arguments[place] = bad
            for name, call in self.calls(*arguments):
                takes = "X" if name == "init" else "Xm" if "estep" in name else "Xmp"
                takes = "Xm" if name in ("bic", "fill_matrix") else takes
                if place < len(takes) and name not in ("rmse", "normalise", "centred"):
                    with self.subTest(call=name, words=words):
                        with self.assertRaisesRegex((ValueError, TypeError), "^" + words) as caught:
                            call()
                        self.assertNotIn("\n", str(caught.exception))
        with self.assertRaisesRegex(ValueError, "^X: wanted 2 columns to draw, came 3"):
            common.plot(points(0), mixture_for(points(0), 2, 0), soft(40, 2, 0), "")
        for Y in (X[1:], X[:, :1], X.T):
            with self.assertRaisesRegex(ValueError, "^Y: wanted .* the shape of X"):
                common.rmse(X, Y)
        with self.assertRaisesRegex(ValueError, "^Y: wanted at least one entry"):
            common.rmse([], [])
        for bad in (np.nan, np.inf):
            with self.assertRaisesRegex(ValueError, "^X, Y: wanted finite numbers"):
                common.rmse([1.0, bad], [1.0, 2.0])
        for bad in (0.0, -1.0, np.nan):
            with self.assertRaisesRegex(ValueError, f"^min_variance: .* positive .* came {bad}$"):
                em.mstep(X, post, mixture, bad)
        em.estep(X, mixture._replace(var=np.full(3, 1e-100)))
        with self.assertRaisesRegex(ValueError, "^mixture.var: wanted positive"):
            em.estep(X, mixture._replace(var=np.full(3, 0.99e-100)))
        for factor in (1 + 1.5e-6, 1 - 1.5e-6):
            with self.assertRaisesRegex(ValueError, "^mixture.p: wanted weights"):
                em.estep(X, mixture._replace(p=p * factor))
        # A sum of the weights that is off by rounding or printing is none of these.
        em.estep(X, mixture._replace(p=p * (1 + 1e-8)))

    def test_checked_once_per_run_and_not_in_every_iteration(self):
        for model, X in [(kmeans, points(0)), (naive_em, points(0)), (em, ratings(0))]:
            mixture, post = common.init(X, 3, 0)
            with mock.patch.object(common, "check", wraps=common.check) as check:
                model.run(X, mixture, post)
            self.assertEqual(check.call_count, 1, model.__name__)


class Scores(Case):
    def test_bic(self):
        """P = K d + K + K - 1: with d = 3, K = 2 it is 9; n = 40."""
        X = points(0)
        expected = -100 - 9 / 2 * math.log(40)
        self.near(common.bic(X, mixture_for(X, 2, 0), -100.0), expected, "BIC", rtol=1e-14)
        expected = -7 - (5 * 8 + 5 + 4) / 2 * math.log(30)
        self.near(common.bic(ratings(0), mixture_for(ratings(0), 5, 0), -7), expected, "BIC")

    def test_rmse(self):
        self.assertEqual(common.rmse([[1, 2], [3, 4]], [[1, 2], [3, 0]]), 2.0)
        self.near(common.rmse(np.uint8([1, 5]), np.uint8([4, 1])), math.sqrt(12.5), "rmse")

    def test_fill_matrix(self):
        X = ratings(2)
        mixture = mixture_for(X, 3, 2)
        X_pred = em.fill_matrix(X, mixture)
        np.testing.assert_array_equal(X_pred[X != 0], X[X != 0])
        post, _ = literal_estep(X, mixture, holes=True)
        for u, l in np.argwhere(X == 0):
            expected = sum(post[u][j] * mixture.mu[j, l] for j in range(3))
            self.near(X_pred[u, l], expected, f"fill_matrix: the rating of movie {l} by user {u}")
        expected = mixture.p @ mixture.mu
        self.near(X_pred[0], expected, "fill_matrix: movie {0}, for a user who rated nothing,")


class Reader(Case):
    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name) / "some_data.txt"

    def test_reads_numbers_and_skips_comments(self):
        for text in (
            "1 2.5\n3 4\n",
            "# x\n1 2.5 # y\n\n 3\t4",
            "\ufeff1 2.5\r\n3 4\r\n",
            "1 2.5e0\n#\n+3 4.\n",
        ):
            self.path.write_text(text, encoding="utf-8", newline="")
            np.testing.assert_array_equal(common.read(self.path), [[1, 2.5], [3, 4]])
        self.path.write_text("0 5\n1 0\n")
        np.testing.assert_array_equal(common.read(self.path, ratings=True), [[0, 5], [1, 0]])
        self.path.write_text("0 0\n1e100 -1e100\n")
        np.testing.assert_array_equal(common.read(str(self.path)), [[0, 0], [1e100, -1e100]])

    def test_one_line_says_what_is_wrong(self):
        for content, words in FILE_FAULTS + RATING_FAULTS:
            with self.subTest(content=content):
                self.path.write_bytes(content)
                ratings_only = (content, words) in RATING_FAULTS
                with warnings.catch_warnings(), self.assertRaises(ValueError) as caught:
                    warnings.simplefilter("error")
                    common.read(self.path, ratings=ratings_only)
                self.assertRegex(str(caught.exception), "some_data.txt" + words + "$")
                self.assertNotIn("\n", str(caught.exception))

    def test_file_that_cannot_be_read(self):
        with self.assertRaisesRegex(ValueError, "some_data.txt: .* came 'No such file"):
            common.read(self.path)
        self.path.mkdir()
        with self.assertRaisesRegex(ValueError, "some_data.txt: wanted a readable file, came '"):
            common.read(self.path)


# What a data file may hold, and how the message about it goes on after the file's name.
FILE_FAULTS = [
    (b"", ": wanted rows of numbers, came an empty file or only comments"),
    (b"# nothing\n\n# here\n", ": wanted rows of numbers, came an empty file or only comments"),
    (b"# a\n1 2\n3 4\n5\n", ", line 4: wanted 2 numbers, came 1"),
    (b"1 2\n\n3 4 5 # c\n", ", line 3: wanted 2 numbers, came 3"),
    (b"1 2\n3 four\n", ", line 2: wanted numbers up to 1e\\+100, came 'four'"),
    (b"1 2\n# c\n3 nan\n", ", line 3: wanted numbers .*, came 'nan'"),
    (b"1 2\n-inf 4\n", ", line 2: wanted numbers .*, came '-inf'"),
    (b"1 2\n3 1e101\n", ", line 2: wanted numbers .*, came '1e101'"),
    (b"\xef\xbb\xbf1 2\n3 x\n", ", line 2: wanted numbers .*, came 'x'"),
    (b"1,2\n3,4\n", ", line 1: wanted numbers .*, came '1,2'"),
    (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", ", line 1: wanted numbers .*PNG'"),
    (b"1 2\n\0\0 3\n", ", line 2: wanted numbers .*"),
    (b"1 2 3\n", ": wanted at least 2 rows and 2 columns, came 1 x 3"),
    (b"1\n2\n3\n", ": wanted at least 2 rows and 2 columns, came 3 x 1"),
]
RATING_FAULTS = [
    (b"1 2\n3 6\n", ", row 2, column 2: wanted a whole rating 1 to 5, .* came 6"),
    (b"1 -2\n3 6\n", ", row 1, column 2: wanted a whole rating 1 to 5, .* came -2"),
    (b"1 2\n# c\n3.5 2\n", ", row 2, column 1: wanted a whole rating 1 to 5, .* came 3.5"),
    (b"0 0\n0 0\n", ": wanted at least one rating, came only zeros \\(missing\\)"),
]


def small_data(folder):
    """Write small files of the three kinds into a folder; return the points and both matrices."""
    X, Y = ratings(0, n=16, d=6)[1:, 1:], ratings(0, n=16, d=6, missing=-1)[1:, 1:]
    Y = np.where(X == 0, Y, X)
    toy = np.round(points(0, n=15, d=2), 3)
    np.savetxt(folder / "toy_data.txt", toy, fmt="%.3f")
    np.savetxt(folder / "netflix_incomplete.txt", X, fmt="%d")
    np.savetxt(folder / "netflix_complete.txt", Y, fmt="%d")
    return toy, X, Y


class Plot(Case):
    def test_any_mixture(self):
        for K in range(1, 13):
            X, post = points(K, d=2), soft(40, K, K)
            mixture = mixture_for(X, K, K)
            ax = common.plot(X, mixture, post, f"K is {K}")
            self.addCleanup(plt.close, ax.figure)
            ax.figure.canvas.draw()
            self.assertEqual(ax.get_title(), f"K is {K}")
            circles = [patch for patch in ax.patches if isinstance(patch, Circle)]
            self.near([c.center for c in circles], mixture.mu, "plot: the centre of circle {0}")
            colours = [plt.matplotlib.colors.to_hex(c.get_edgecolor()) for c in circles]
            self.assertEqual(colours, [common.COLOURS[j % 8].lower() for j in range(K)])
            self.assertFalse(any(circle.get_fill() for circle in circles))
            radii = [c.radius for c in circles]
            self.near(radii, np.sqrt(mixture.var), "plot: the radius of circle {0}")
            self.assertEqual([text.get_text() for text in ax.texts], [str(j + 1) for j in range(K)])
            means = [line.get_xydata()[0] for line in ax.lines]
            self.near(means, mixture.mu, "plot: the cross at the mean of {0}, coordinate {1},")
            for j, text in enumerate(ax.texts):
                x, y = (np.array(text.xy) - mixture.mu[j]) / math.sqrt(mixture.var[j])
                self.near(math.hypot(x, y), 1, f"plot: label {j + 1}, on its circle,")
                clock = (math.atan2(x, y) / (2 * math.pi) - j / K + 0.5) % 1
                self.near(clock, 0.5, f"plot: label {j + 1}, round the clock,")
            reach = np.sqrt(mixture.var)[:, None]
            low = np.vstack([X, mixture.mu - reach]).min(axis=0)
            high = np.vstack([X, mixture.mu + reach]).max(axis=0)
            margin = 0.05 * (high - low).max()
            limits = np.transpose([low - margin, high + margin])
            self.near([ax.get_xlim(), ax.get_ylim()], limits, "plot: limit {1} of axis {0}")
            self.assertEqual(ax.get_aspect(), 1, "plot: circles are not round")
            self.check_pies(ax, X, post)

    def check_pies(self, ax, X, post):
        """Each slice has its point's share, its component's colour, and its place in the pie."""
        self.assertEqual(len(ax.collections), post.shape[1])
        for j, slices in enumerate(ax.collections):
            colour = plt.matplotlib.colors.to_rgb(common.COLOURS[j % 8])
            np.testing.assert_allclose(slices.get_facecolor()[0, :3], colour)
            shown = np.flatnonzero(post[:, j] > 0.005)
            self.near(slices.get_offsets(), X[shown], "plot: the place of pie {0}")
            scale = slices.get_transform().frozen().get_matrix()
            self.near(scale, np.eye(3), "plot: pies have a size in points, not in units of data")
            self.assertEqual(
                len(slices.get_paths()), len(shown), "plot: soft counts that are shown"
            )
            for u, path in zip(shown, slices.get_paths()):
                x, y = path.to_polygons(closed_only=False)[0].T
                area = abs(np.dot(x[:-1], y[1:]) - np.dot(x[1:], y[:-1])) / 2
                what = f"plot: the share of component {j} in the pie of point {u}"
                self.near(area / np.pi, post[u, j], what, rtol=0, atol=0.01)
                turn = np.arctan2(y[1], x[1]) / (2 * np.pi) - post[u, :j].sum()
                what = f"plot: the start of slice {j} of point {u}, in turns from its place,"
                self.near((turn + 0.5) % 1 - 0.5, 0, what, atol=1e-6)

    def test_one_point_and_points_far_away(self):
        for X in (
            np.array([[3.0, 4.0]]),
            points(0, d=2) + 1e7,
            np.zeros((4, 2)),
            points(0, d=2) * 1e-9,
        ):
            mixture, post = common.init(X, 1, 0)
            ax = common.plot(X, mixture, post, "title")
            self.addCleanup(plt.close, ax.figure)
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                ax.figure.canvas.draw()
            self.assertTrue((np.diff([ax.get_xlim(), ax.get_ylim()]) > 0).all())

    def test_draws_on_the_axes_it_is_given(self):
        X = points(0, d=2)
        figure, axes = plt.subplots(1, 2)
        self.addCleanup(plt.close, figure)
        self.assertIs(common.plot(X, mixture_for(X, 2, 0), soft(40, 2, 0), "b", axes[1]), axes[1])
        self.assertEqual([len(ax.patches) for ax in axes], [0, 2])


class Pictures(Case):
    """What main.py draws from given fits."""

    def setUp(self):
        super().setUp()
        self.X, self.Y = ratings(0)[1:, 1:], ratings(0, missing=-1)[1:, 1:]
        self.Y = np.where(self.X == 0, self.Y, self.X)
        self.unknown = np.flatnonzero(self.X == 0)
        self.table = {}
        for K in (1, 2, 4):
            fits = []
            for seed in range(3):
                trace = []
                mixture, post, ll = em.run(self.X, *common.init(self.X, K, seed), trace.append)
                fit = main.Fit(seed, mixture, post, trace, ll, common.bic(self.X, mixture, ll))
                fits.append(main.with_rmse(fit, self.X, self.Y, self.unknown))
            self.table[K] = fits
        self.best = {K: max(fits, key=lambda fit: fit.score) for K, fits in self.table.items()}
        self.addCleanup(plt.close, "all")

    def labelled(self, figure, title, *axes):
        """A figure has its title; its axes have titles and labels that begin like these."""
        self.assertEqual([text.get_text()[: len(title)] for text in figure.texts], [title])
        for ax, words in zip(figure.axes, axes):
            labels = [ax.get_title(), ax.get_xlabel(), ax.get_ylabel()]
            self.assertEqual([label[: len(w)] for label, w in zip(labels, words)], list(words))

    def test_labels_and_legends(self):
        colours = {main.LL_COLOUR, main.BIC_COLOUR, main.ALL_COLOUR, main.MISSING_COLOUR}
        self.assertEqual(len(colours), 4)
        mixture = self.best[4].mixture
        fields = ["score", "bic", "rmse_all", "rmse_missing"]
        figure = main.draw_selection("What K", self.table, self.best, 2, fields)
        panels = [("Log-likelihood", "K", "nats"), ("BIC", "K", "nats")]
        panels += [("RMSE over every", "K", "stars"), ("RMSE over the missing", "K", "stars")]
        self.labelled(figure, "What K", *panels)
        words = [text.get_text() for text in figure.legends[0].get_texts()]
        self.assertEqual(words[1:], ["other seeds", "K = 2, picked by BIC"])

        figure = main.draw_convergence(self.table[4], self.best[4])
        figure.suptitle("its axes have one")
        self.labelled(
            figure,
            "its axes have one",
            ("EM with K = 4 from 3 seeds", "EM iteration", "log-likelihood"),
        )
        self.assertEqual(len(figure.axes[0].get_legend().get_texts()), 3)

        figure = main.draw_user_types(self.X, mixture)
        panels = [("All users", "", "mean rating"), ("4 user types", "movies, from the least", "")]
        self.labelled(figure, "What distinguishes", *panels, ("", "", "difference from"))

        figure = main.draw_predictions(self.X, self.Y, self.unknown, self.best[1].mixture, mixture)
        left = ("Predicted against true", "true rating (stars)", "predicted rating (stars)")
        right = ("Error for users with few", "ratings given", "RMSE over their missing")
        self.labelled(figure, "Predictions of the ratings", left, right)
        legends = [[t.get_text() for t in ax.get_legend().get_texts()] for ax in figure.axes]
        self.assertEqual(legends, [["perfect prediction"], ["K = 4, picked by BIC", "K = 1"]])

    def test_selection(self):
        fields = ["score", "bic", "rmse_all", "rmse_missing"]
        figure = main.draw_selection("title", self.table, self.best, 2, fields)
        self.assertEqual(len(figure.axes), len(fields))
        for ax, field in zip(figure.axes, fields):
            *dots, line, mark = [np.array(artist.get_xydata()) for artist in ax.lines]
            expected = [(K, getattr(fit, field)) for K, fits in self.table.items() for fit in fits]
            self.near(np.vstack(dots), expected, f"{field}: dot {{0}}")
            expected = [(K, getattr(fit, field)) for K, fit in self.best.items()]
            self.near(line, expected, f"{field}: the line at {{0}}")
            self.near(mark[:, 0], [2, 2], "the K that is marked")
            self.assertEqual(list(ax.get_xticks()), [1, 2, 4])
        wide = dict(zip([1, 2, 200], self.table.values()))
        figure = main.draw_selection("title", wide, {K: f[0] for K, f in wide.items()}, 2, fields)
        self.assertGreater(np.diff(figure.axes[0].get_xticks()).min(), 10, "ticks overlap")

    def test_convergence(self):
        fits = self.table[4]
        (ax,) = main.draw_convergence(fits, self.best[4]).axes
        self.assertEqual(len(ax.lines), len(fits))
        order = sorted(fits, key=lambda fit: fit.score, reverse=True)
        for line, fit in zip(ax.lines, order):
            expected = [(i + 1, ll) for i, ll in enumerate(fit.trace)]
            self.near(line.get_xydata(), expected, "convergence: iteration {0}")
            self.assertRegex(line.get_label(), f"seed {fit.seed}: .* after {len(fit.trace)} iter")
        low, best = min(fit.trace[2] for fit in fits), self.best[4].score
        self.near(ax.get_ylim(), [low, best + 0.05 * (best - low)], "convergence: limit {0}")
        self.assertEqual(ax.lines[0].get_color(), main.LL_COLOUR)
        self.assertEqual({line.get_color() for line in ax.lines[1:]}, {main.GREY})

    def test_user_types(self):
        mixture = self.best[4].mixture
        mixture.mu[0, 3] = 0  # never estimated
        top, bottom, _ = main.draw_user_types(self.X, mixture).axes
        overall = np.array([x[x > 0].mean() for x in self.X.T])
        movies, types = np.argsort(overall), np.argsort(mixture.p)[::-1]
        self.near(top.lines[0].get_ydata(), overall[movies], "user types: mean of movie {0}")
        shown = bottom.images[0].get_array()
        for row, j in enumerate(types):
            label = bottom.get_yticklabels()[row].get_text()
            sd = math.sqrt(mixture.var[j])
            self.assertEqual(label, f"type {row + 1}: {100 * mixture.p[j]:.1f}%, sd {sd:.2f}")
            for column, l in enumerate(movies):
                if (j, l) == (0, 3):
                    self.assertTrue(shown.mask[row, column], "no estimate, but a colour")
                else:
                    expected = mixture.mu[j, l] - overall[l]
                    self.near(shown[row, column], expected, f"user types: {j}, movie {l}")

    def test_predictions(self):
        plain, mixture = self.best[1].mixture, self.best[4].mixture
        unknown = self.unknown[self.Y.take(self.unknown) != 2]  # as if no 2 were among them
        left, right = main.draw_predictions(self.X, self.Y, unknown, mixture, mixture).axes
        self.assertEqual(len(right.lines), 1)
        predicted = {K: em.fill_matrix(self.X, m) for K, m in [(4, mixture), (1, plain)]}
        drawn = [line.get_xydata() for line in left.lines if line.get_color() == "black"]
        drawn = [ends for ends in drawn if np.ptp(ends[:, 1]) == 0 and len(ends) == 2]
        for star in (1, 3, 4, 5):
            median = np.median(predicted[4][(self.X == 0) & (self.Y == star)])
            at = [ends[:, 0].mean() for ends in drawn if np.isclose(ends[0, 1], median)]
            self.near(at, [star], f"predictions: where the median of the true {star} is")

        figure = main.draw_predictions(self.X, self.Y, self.unknown, plain, mixture)
        left, right = figure.axes
        self.assertEqual(len(right.lines), 2)
        count = (self.X != 0).sum(axis=1)
        for line, K in zip(right.lines, (4, 1)):
            self.assertRegex(line.get_label(), f"K = {K}")
            labels = [tick.get_text() for tick in right.get_xticklabels()]
            users = np.argsort(count, kind="stable")
            users = users[(self.X[users] == 0).any(axis=1)]
            groups = np.array_split(users, 5)
            self.assertEqual((len(labels), len(line.get_xydata())), (5, 5))
            for label, (_, error), group in zip(labels, line.get_xydata(), groups):
                self.assertEqual(label, f"{count[group].min()}\nto {count[group].max()}")
                holes = self.X[group] == 0
                expected = common.rmse(predicted[K][group][holes], self.Y[group][holes])
                self.near(error, expected, f"predictions: RMSE of the users with {label!r} ratings")

    def test_any_size_can_be_saved(self):
        with tempfile.TemporaryDirectory() as folder:
            for size in [(9, 3), (900, 0.5)]:
                path = main.save(plt.figure(figsize=size), Path(folder) / "picture.png")
                self.assertEqual(plt.imread(path).shape[1], min(100 * size[0], 60_000))
        self.assertEqual(plt.get_fignums(), [])

    def test_toy(self):
        toy = points(0, d=2)
        fits = {}
        for K in (1, 3):
            mixture, post = mixture_for(toy, K, 1), soft(40, K, 1)
            fits[K] = main.Fit(0, mixture, post, [7.25], 7.25)
        figure = main.draw_toy(toy, fits, fits)
        self.assertEqual(len(figure.axes), 4)
        for ax, title in zip(
            figure.axes, ["K-means, K = 1\ncost 7.2", "K-means, K = 3", "EM, K = 1\nlog"]
        ):
            self.assertIn(title, ax.get_title())
        order = np.argsort(fits[3].mixture.mu[:, 0])
        for ax in figure.axes[1::2]:
            means = [line.get_xydata()[0] for line in ax.lines]
            self.near(means, fits[3].mixture.mu[order], "components from left to right: {0}")
            Plot.check_pies(self, ax, toy, fits[3].post[:, order])


class Main(Case):
    """main.py, as a user runs it."""

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = Path(folder.name)
        (cls.folder / "small").mkdir()
        cls.toy, cls.X, cls.Y = small_data(cls.folder / "small")

    def popen(self, *arguments, **options):
        """Start main.py in a folder that is neither its own nor that of the data."""
        warn = [f"-W{option}" for option in sys.warnoptions]
        command = [sys.executable, *warn, HERE / "main.py", *map(str, arguments)]
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
        return subprocess.Popen(command, cwd=self.folder, stdin=subprocess.DEVNULL, **options)

    def call(self, *arguments, data="small", plots="plots"):
        """Run main.main() in this process; return its exit status, output and errors."""
        folders = ["--data", self.folder / data, "--plots", self.folder / plots]
        words = ["main.py", *map(str, folders + list(arguments))]
        out, err, status, flushed = io.StringIO(), io.StringIO(), 0, set()
        out.flush = lambda: flushed.add(out.tell())
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            with mock.patch.object(sys, "argv", words):
                try:
                    main.main()
                except SystemExit as end:
                    status = end.code
        self.assertEqual(plt.get_fignums(), [], "figures are left open")
        for row in re.finditer(r"(?m)^ {0,2}\d+ .*\n", out.getvalue()):
            self.assertIn(row.end(), flushed, f"this row appears late: {row[0]!r}")
        return status, out.getvalue(), err.getvalue()

    def tables(self, text):
        """The three tables, each a list of rows of numbers; NaN for '-'."""
        found = []
        for line in text.splitlines():
            if line.startswith("  K "):
                found.append([])
            elif re.match(r" {0,2}\d+ ", line) and found:
                found[-1].append(
                    [math.nan if word == "-" else float(word) for word in line.split()]
                )
        return found

    def check_tables(self, text, toy, X, Y, seeds, toy_k, netflix_k):
        """The printed numbers are the modules' own; returns the mixture that the BIC picks."""
        first, second, third = self.tables(text)
        self.assertEqual([row[0] for row in first], toy_k)
        for K, cost, seed in first:
            costs = [kmeans.run(toy, *common.init(toy, int(K), s))[2] for s in seeds]
            self.near(cost, min(costs), f"printed: the cost for K = {K:.0f}", 0, 6e-5)
            self.assertEqual(seed, seeds[np.argmin(costs)])
        picks = []
        for model, data, rows, Ks in [(naive_em, toy, second, toy_k), (em, X, third, netflix_k)]:
            self.assertEqual([row[0] for row in rows], Ks)
            bics, mixtures = [], []
            for K, ll, bic, seed, *more in rows:
                traces = [[] for _ in seeds]
                starts = [common.init(data, int(K), s) for s in seeds]
                fits = [model.run(data, *s, t.append) for s, t in zip(starts, traces)]
                best = int(np.argmax([fit[2] for fit in fits]))
                mixtures.append(fits[best][0])
                n, d = data.shape
                bics.append(fits[best][2] - (K * d + 2 * K - 1) / 2 * math.log(n))
                what = f"printed: K = {K:.0f}, {{0}}"
                self.near([ll, bic], [fits[best][2], bics[-1]], what, 0, 6e-5)
                self.assertEqual(seed, seeds[best])
                if more:
                    X_pred, miss = em.fill_matrix(X, mixtures[-1]), (X == 0) & (Y != 0)
                    both = [((X_pred - Y) ** 2).mean(), ((X_pred - Y)[miss] ** 2).mean()]
                    self.assertEqual(more[0], len(traces[best]), "printed: iterations")
                    self.near(more[1:], np.sqrt(both), "printed: RMSE {0}", 0, 6e-5)
            picks.append(int(np.argmax(bics)))
            self.assertIn(f"BIC picks K = {Ks[picks[-1]]}.", text)
        said = re.findall(r"BIC picks K = (\d+)", text)
        self.assertEqual(said, [str(toy_k[picks[0]]), str(netflix_k[picks[1]])])
        return mixtures[picks[1]]

    def test_tables_pictures_and_completed_matrix(self):
        plots, fill = self.folder / "pictures", self.folder / "filled.txt"
        options = "--seeds 1 0 --toy-k 3 1 2 --netflix-k 3 1".split()
        process = self.popen("--data", DATA.resolve(), "--plots", plots, "--fill", fill, *options)
        out, err = process.communicate(timeout=120)
        self.assertEqual((process.returncode, err), (0, ""))

        toy = common.read(DATA / "toy_data.txt")
        X, Y = (
            common.read(DATA / f"netflix_{name}.txt", True) for name in ("incomplete", "complete")
        )
        mixture = self.check_tables(out, toy, X, Y, [0, 1], [1, 2, 3], [1, 3])
        self.assertIn(f"{len(X)} users x {X.shape[1]} movies, best of 2 seeds", out)
        self.assertIn(f"given: {np.sum(X != 0)} ({100 * np.mean(X != 0):.1f}% of the entries)", out)
        self.assertIn(f"over the {np.sum((X == 0) & (Y != 0))} entries that are missing here", out)
        steps, files = out.split("\nWritten:\n")
        self.assertLessEqual(max(map(len, steps.splitlines())), 80)
        self.assertEqual(steps.count("\n\n"), 2, "one blank line between the steps")

        written = [self.folder / name.strip() for name in files.splitlines()]
        self.assertEqual([path.name for path in written], [*main.PICTURES, "filled.txt"])
        self.assertEqual(sorted(plots.iterdir()), sorted(written[:-1]))
        for path in written[:-1]:
            image = plt.imread(path)[:, :, :3]
            self.assertGreater(image.shape[1], 600)
            self.assertGreater(np.count_nonzero(image.std(axis=2) > 0.05), 500, "no colour in it")
            dark = [image[at].min() for at in (np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1])]
            self.assertGreater(min(dark), 0.9, f"{path.name} is cut off at an edge")

        X_pred = em.fill_matrix(X, mixture)
        lines = fill.read_text().splitlines()
        self.assertEqual(len(lines), len(X))
        for u in range(0, len(X), 50):
            words = lines[u].split(" ")
            given = [f"{x:.0f}" for x in X[u] if x]
            self.assertEqual([w for w, x in zip(words, X[u]) if x], given)
            self.assertTrue(
                all(re.fullmatch(r"\d\.\d{4}", w) for w, x in zip(words, X[u]) if not x)
            )
        self.near(np.loadtxt(fill), X_pred, "--fill: movie {1} of user {0}", 0, 5.1e-5)

    def test_without_complete_matrix(self):
        folder = self.folder / "own"
        folder.mkdir()
        small_data(folder)
        (folder / "netflix_complete.txt").unlink()
        status, out, err = self.call(
            *"--seeds 0 --toy-k 2 --netflix-k 1 2".split(), data="own", plots="own"
        )
        self.assertEqual((status, err), (0, ""))
        self.assertIn("there is no netflix_complete.txt", out)
        self.assertIn("netflix_predictions.png is left out", out)
        self.assertTrue(np.isnan([row[5:] for row in self.tables(out)[2]]).all())
        self.assertNotIn("nan", out)
        self.assertFalse((folder / "netflix_predictions.png").exists())

    def test_complete_matrix_may_have_unknown_ratings_itself(self):
        for name, Y in [("some", np.where(self.X == 0, 0, self.X)), ("half", self.Y.copy())]:
            if name == "half":
                Y[::2][self.X[::2] == 0] = 0
            folder = self.folder / name
            folder.mkdir()
            small_data(folder)
            np.savetxt(folder / "netflix_complete.txt", Y, fmt="%d")
            options = "--seeds 0 3 --toy-k 1 15 --netflix-k 1 15".split()  # up to K = n
            status, out, err = self.call(*options, data=name)
            self.assertEqual((status, err), (0, ""))
            if name == "half":
                self.check_tables(out, self.toy, self.X, Y, [0, 3], [1, 15], [1, 15])
            else:
                self.assertTrue(np.isnan([row[6] for row in self.tables(out)[2]]).all())

    def fails(self, words, *arguments, data="small", plots="plots"):
        """The call ends with 2 and one line, and leaves every file as it was."""
        before = self.snapshot()
        status, out, err = self.call(*arguments, data=data, plots=plots)
        with self.subTest(arguments=arguments, words=words):
            self.assertEqual((status, out), (2, ""))
            self.assertRegex(err, rf"^main\.py: .*{words}\n$")
            self.assertEqual(err.count("\n"), 1)
            self.assertEqual(self.snapshot(), before)

    def snapshot(self):
        files = sorted(path for path in self.folder.rglob("*") if path.is_file())
        return [(path, path.read_bytes()) for path in files]

    def test_options_that_make_no_sense(self):
        for option in ("--toy-k", "--netflix-k"):
            for bad in ("0", "-1", "1.5", "two", "", "1e1"):
                self.fails(
                    f"{option}: wanted whole numbers from 1 up, came '{bad}'", option, 2, bad
                )
            self.fails(f"{option}: wanted at least one number, came none", option)
        for bad in ("-1", "x", str(2**32)):
            self.fails(f"--seeds: wanted .* 0 to 4294967295, came '{bad}'", "--seeds", bad)
        self.fails("--seeds: wanted at least one number, came none", "--seeds")
        self.fails("--toy-k: wanted at most 15, .* toy_data.txt, came 16", "--toy-k", 1, 16)
        self.fails("--netflix-k: wanted at most 15, .*incomplete.txt, came 16", "--netflix-k", 16)
        self.fails("unrecognized arguments: --colour", "--colour")
        self.fails("unrecognized arguments: --seed 3", "--seed", 3)
        self.fails("--data: wanted a folder, came .*nowhere", data="nowhere")
        self.fails("--data: wanted a folder, came .*toy_data.txt", data="small/toy_data.txt")

    def test_places_that_cannot_be_written(self):
        self.fails("--plots: wanted a folder, came .*toy_data.txt .*", plots="small/toy_data.txt")
        self.fails("--plots: wanted a folder, came .*no/such .*", plots="no/such")
        (self.folder / "taken" / "netflix_user_types.png").mkdir(parents=True)
        self.fails("--plots: wanted a file .*, came .*user_types.png.*", plots="taken")
        for bad in ("small", "no/such/file.txt", "small/toy_data.txt/x", ""):
            self.fails(
                "--fill: wanted a file that can be written, came .*", "--fill", self.folder / bad
            )
        for name in ("toy_data.txt", "netflix_incomplete.txt", "netflix_complete.txt"):
            bad = self.folder / "small" / ".." / "small" / name
            self.fails("--fill: wanted a file that is no input, came .*", "--fill", bad)
        self.fails("--fill: wanted a file that can be written, .* no file", "--fill", os.devnull)

    def test_places_without_permission(self):
        locked = self.folder / "locked"
        locked.mkdir(mode=0o500)
        if os.access(locked, os.W_OK):
            self.skipTest("this user, root perhaps, may write everywhere")
        self.fails("--plots: wanted a file .*denied.*", plots="locked")
        self.fails("--plots: wanted a folder, .*denied.*", plots="locked/below")
        self.fails("--fill: wanted a file .*denied.*", "--fill", locked / "file")
        readonly = self.folder / "readonly.txt"
        readonly.touch(mode=0o400)
        self.fails("--fill: wanted a file .*read-only", "--fill", readonly)

    def test_files_that_make_no_sense(self):
        names = ["toy_data.txt", "netflix_incomplete.txt", "netflix_complete.txt"]
        folder = self.folder / "bad"
        folder.mkdir()
        for name in names:
            faults = FILE_FAULTS if name == names[0] else FILE_FAULTS + RATING_FAULTS
            for content, words in faults:
                small_data(folder)
                (folder / name).write_bytes(content)
                self.fails(name + words, data="bad")
            (folder / name).unlink()
            if name != "netflix_complete.txt":
                self.fails(f"{name}: wanted a readable file, came 'No such file.*", data="bad")
            (folder / name).mkdir()
            self.fails(f"{name}: wanted a readable file, came '.*", data="bad")
            (folder / name).rmdir()
        small_data(folder)
        (folder / "toy_data.txt").write_text("1 2 3\n4 5 6\n")
        self.fails("toy_data.txt: wanted 2 numbers a line, came 3", data="bad")
        small_data(folder)
        np.savetxt(folder / "netflix_complete.txt", self.Y[1:], fmt="%d")
        self.fails(r"complete.txt: wanted the \(15, 5\) entries .* came \(14, 5\)", data="bad")
        u, l = np.argwhere(self.X)[-1]
        for other in (0, self.X[u, l] % 5 + 1):
            Y = self.Y.copy()
            Y[u, l] = other
            np.savetxt(folder / "netflix_complete.txt", Y, fmt="%d")
            words = (
                f"row {u + 1}, column {l + 1}: wanted {self.X[u, l]:.0f} as in .*, came {other:.0f}"
            )
            self.fails(f"netflix_complete.txt, {words}", data="bad")

    def test_failing_write_keeps_the_old_file(self):
        path = self.folder / "old.txt"
        path.write_text("old")

        def write(temporary):
            temporary.write_text("half of the new")
            raise failure

        for failure, ends, words in [
            (
                OSError(28, "full"),
                SystemExit,
                f"main.py: {path}: wanted to write it, came 'full'\n",
            ),
            (KeyboardInterrupt(), KeyboardInterrupt, ""),
        ]:
            with contextlib.redirect_stderr(io.StringIO()) as err:
                with self.assertRaises(ends):
                    main.replace(path, write)
            self.assertEqual((type(failure), err.getvalue()), (type(failure), words))
            self.assertEqual(path.read_text(), "old")
            self.assertEqual(list(self.folder.glob(".old*")), [])

    def test_help_explains_every_option_with_its_default(self):
        out, _ = self.popen("--help").communicate(timeout=120)
        text = " ".join(out.split())
        for option, default in [
            ("--data", "the folder of main.py"),
            ("--plots", "plots beside main.py"),
            ("--seeds", "0 1 2 3 4"),
            ("--toy-k", "1 2 3 4"),
            ("--netflix-k", "1 2 4 6 8 12"),
            ("--fill", "do not"),
        ]:
            self.assertRegex(text, rf"{option} [^-].*?\(default: {default}\)")
        with mock.patch.object(sys, "argv", ["main.py"]):
            options = main.arguments()
        self.assertEqual((options.data, options.plots), (HERE, HERE / "plots"))
        self.assertEqual(options.seeds, [0, 1, 2, 3, 4])
        self.assertEqual((options.toy_k, options.netflix_k), ([1, 2, 3, 4], [1, 2, 4, 6, 8, 12]))
        self.assertIsNone(options.fill)

    @unittest.skipIf(os.name == "nt", "Windows has no SIGINT to send")
    def test_interrupt(self):
        options = ["--data", "small", "--plots", "late", "--toy-k", 1, 2, "--netflix-k", 2]
        # What a shell starts in the background ignores SIGINT, and so would what that starts.
        process = self.popen(
            *options,
            "--seeds",
            *range(3000),
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        lines = [process.stdout.readline() for _ in range(4)]
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 130)
        self.assertRegex(err, r"^main\.py: interrupted.*\n$")
        self.assertRegex(lines[3], r"  1 +\d+\.\d{4} +0")

    def test_reader_that_leaves(self):
        process = self.popen("--data", "small", "--plots", "late", "--seeds", 0)
        process.stdout.readline()
        process.stdout.close()
        err = process.stderr.read()
        self.assertEqual((process.wait(), err), (141, ""))
        process.stderr.close()

    @unittest.skipUnless(os.path.exists("/dev/full"), "there is no /dev/full here")
    def test_output_that_is_full(self):
        with open("/dev/full", "w") as full:
            process = self.popen("--data", "small", "--plots", "late", stdout=full)
            _, err = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 2)
        self.assertRegex(err, r"^main\.py: standard output: No space left on device\n$")

    @unittest.skipUnless(hasattr(os, "openpty"), "there are no pseudo-terminals here")
    def test_progress_on_a_terminal(self):
        ours, theirs = os.openpty()
        options = ["--data", "small", "--plots", "late", "--seeds", 7, 8, "--toy-k", 2, 3]
        backend = {**os.environ, "MPLBACKEND": "svg"}  # which main.py has no use for
        process = self.popen(*options, "--netflix-k", 1, stderr=theirs, env=backend)
        out = process.communicate(timeout=120)[0]
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):
            while part := os.read(ours, 4096):
                shown += part
        os.close(ours)
        self.assertIn("Written:", out)
        steps = [line.strip() for line in shown.decode().split("\r") if line]
        expected = []
        for name, Ks in [("K-means", [2, 3]), ("Naive EM", [2, 3]), ("EM", [1])]:
            left = iter(range(2 * len(Ks), 0, -1))
            for K in Ks:
                expected += [
                    f"{name}: K = {K}, seed {seed}; {next(left)} fits left" for seed in (7, 8)
                ]
                expected += [""]  # wiped away before the row is printed
            expected += ["drawing"] * (name != "K-means")
        self.assertEqual(steps, [*expected, ""])
        self.assertNotIn(b"\n", shown)


@unittest.skipUnless(COURSE, "the data folder does not hold the course's own files")
class Course(Case):
    """The figures published for the course's data: the best of the seeds 0 to 4."""

    def best(self, model, X, K):
        fits = [model.run(X, *common.init(X, K, seed)) for seed in range(5)]
        scores = [fit[2] for fit in fits]
        at = int(np.argmin(scores) if model is kmeans else np.argmax(scores))
        return fits[at][0], scores[at], at

    def test_toy_figures(self):
        X = common.read(DATA / "toy_data.txt")
        for K, cost, ll, bic in [
            (1, 5462.2975, -1307.2234, -1315.5056),
            (2, 1684.9080, -1175.7146, -1195.0397),
            (3, 1329.5949, -1138.8909, -1169.2589),
            (4, 1035.4998, -1138.6012, -1180.0121),
        ]:
            _, got, _ = self.best(kmeans, X, K)
            self.near(got, cost, f"K-means cost, K = {K}", 0, 5.1e-5)
            mixture, got, _ = self.best(naive_em, X, K)
            self.near(got, ll, f"naive EM log-likelihood, K = {K}", 0, 5.1e-5)
            self.near(common.bic(X, mixture, got), bic, f"BIC, K = {K}", 0, 5.1e-5)

    def test_netflix_figures(self):
        X, Y = (
            common.read(DATA / f"netflix_{name}.txt", True) for name in ("incomplete", "complete")
        )
        unknown = (X == 0) & (Y != 0)
        for K, ll, seed, rmse_all, rmse_missing in [
            (1, -1521060.9540, 0, 0.4802, 0.9610),
            (12, -1390234.4223, 1, 0.4805, 0.9639),
        ]:
            mixture, got, at = self.best(em, X, K)
            self.near(got, ll, f"EM log-likelihood, K = {K}", 0, 5.1e-5)
            self.assertTrue(at == seed or K == 1)
            X_pred = em.fill_matrix(X, mixture)
            self.near(common.rmse(X_pred, Y), rmse_all, f"RMSE, K = {K}", 0, 5.1e-5)
            got = common.rmse(X_pred[unknown], Y[unknown])
            self.near(got, rmse_missing, f"RMSE over the missing entries, K = {K}", 0, 5.1e-5)

    def test_a_count_of_one_does_not_hang_on_rounding(self):
        """K = 20, seed 0 would end elsewhere if 1 - 1e-16 did not count as 1."""
        X = common.read(DATA / "netflix_incomplete.txt", ratings=True)
        mixture, post = common.init(X, 20, 0)
        for users in (np.arange(1200), np.random.RandomState(0).permutation(1200)):
            _, _, ll = em.run(X[users], mixture, post)
            self.near(ll, -1374162.7527, "EM log-likelihood, K = 20, seed 0", 0, 5.1e-5)


@unittest.skipUnless(OURS and DATA.samefile(HERE), "the data folder does not hold the shipped data")
class Shipped(Case):
    """The stand-ins for the course's data are like them, and have something to be found."""

    def best(self, model, X, K):
        fits = [model.run(X, *common.init(X, K, seed)) for seed in range(5)]
        return max(fits, key=lambda fit: -fit[2] if model is kmeans else fit[2])

    def test_statistics(self):
        X, toy = (
            common.read(HERE / "netflix_incomplete.txt", True),
            common.read(HERE / "toy_data.txt"),
        )
        self.assertEqual((X.shape, toy.shape), ((1200, 1200), (250, 2)))
        given, users, movies = X[X > 0], (X > 0).sum(axis=1), (X > 0).sum(axis=0)
        shares = [np.mean(given == stars) for stars in range(1, 6)]
        means = [np.std([x[x > 0].mean() for x in Z]) for Z in (X, X.T)]
        lls = [self.best(em, X, K)[2] / len(given) for K in (1, 12)]
        for what, got, wanted, tolerance in [
            ("share observed", [np.mean(X > 0)], [0.772], 0.1),
            ("shares of 1 to 5", shares, [0.039, 0.104, 0.315, 0.343, 0.199], 0.1),
            ("mean and deviation", [given.mean(), given.std()], [3.56, 1.04], 0.1),
            ("deviations of the users' and the movies' means", means, [0.37, 0.42], 0.1),
            ("least and median per user", [users.min(), np.median(users)], [269, 975], 0.25),
            ("least and median per movie", [movies.min(), np.median(movies)], [856, 911], 0.25),
            ("most per user and movie", [users.max(), movies.max()], [1194, 1194], 0.1),
            ("log-likelihood per rating, K = 1 and 12", lls, [-1.368, -1.250], 0.1),
            ("toy: least", toy.min(axis=0), [-8.0, -6.9], 0.1),
            ("toy: most", toy.max(axis=0), [10.9, 5.3], 0.1),
            ("toy: deviation", toy.std(axis=0), [4.3, 1.9], 0.1),
        ]:
            self.near(got, wanted, f"{what}, {{0}}", rtol=tolerance)

    def test_default_sweep_has_something_to_tell(self):
        X, Y = (
            common.read(HERE / f"netflix_{name}.txt", True) for name in ("incomplete", "complete")
        )
        self.assertTrue((Y > 0).all())
        Ks, unknown = [1, 2, 4, 6, 8, 12], X == 0
        fits = [self.best(em, X, K) for K in Ks]
        at = int(np.argmax([common.bic(X, mixture, ll) for mixture, _, ll in fits]))
        self.assertNotIn(at, (0, len(Ks) - 1), "the BIC picks an end of the range")
        X_preds = [em.fill_matrix(X, fits[i][0]) for i in (0, at)]
        plain, picked = [common.rmse(X_pred[unknown], Y[unknown]) for X_pred in X_preds]
        self.assertLess(picked, 0.92 * plain)

    def test_toy_data_have_three_clusters_that_k_means_misses(self):
        X = common.read(HERE / "toy_data.txt")
        fits = [self.best(naive_em, X, K) for K in (1, 2, 3, 4)]
        bics = [common.bic(X, mixture, ll) for mixture, _, ll in fits]
        self.assertEqual(int(np.argmax(bics)), 2)
        owners = []
        for mixture, post, _ in (fits[2], self.best(kmeans, X, 3)):
            owners.append(post[:, mixture.mu[:, 0].argsort()].argmax(axis=1))
        self.assertGreater(np.mean(owners[0] != owners[1]), 0.05)


if __name__ == "__main__":
    result = unittest.main(exit=False).result
    failed = len({getattr(test, "test_case", test) for test, _ in result.failures + result.errors})
    skipped = len(result.skipped)
    for reason in sorted({reason for _, reason in result.skipped}):
        print(f"skipped: {reason}")
    print(f"{result.testsRun - failed - skipped} passed, {failed} failed, {skipped} skipped")
    sys.exit(failed > 0)
