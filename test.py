"""Tests: first the judge of the course's four modules, then what is ours beyond them.

    python test.py Em            judges em.py alone; so do Kmeans, NaiveEm and Common
    python test.py               runs everything

A right module passes, however it is written, if it leaves its arguments as they were: the judge
(class Contract to class Common) calls the course's functions with the course's arguments, on data
for which the course's text determines the answer. What it expects comes from
tools/make_reference.py (plain Python, 50 digits) or from paper.
"""

import argparse
import contextlib
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
from copy import deepcopy
from pathlib import Path
from unittest import mock

HERE = Path(__file__).resolve().parent


def leave(message):
    """End with one line and status 2."""
    print(f"test.py: {message}", file=sys.stderr)
    sys.exit(2)


def blame(error):
    """An exception, after the lines of the modules beside test.py that led to it."""
    frames = traceback.extract_tb(error.__traceback__)
    frames = [(Path(f.filename), f) for f in frames if Path(f.filename).parent == HERE]
    own = [frame for frame in frames if frame[0].name != "test.py"]
    if not own and not isinstance(error, SyntaxError):
        own = frames
    lines = [f"{path.name}, line {frame.lineno}: {frame.line}\n" for path, frame in own[-3:]]
    return "".join(lines + traceback.format_exception_only(error)).rstrip()


def load(name):
    """Import a module; an AssertionError says why it cannot be."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        why = f"cannot be imported: {error}"
        if error.name in ("matplotlib", "numpy", "scipy") and "No module" in str(error):
            why = f"needs {error.name}, which is not installed: pip install {error.name}"
    except (Exception, SystemExit) as error:
        why = f"cannot be imported:\n{blame(error)}"
    raise AssertionError(f"{name}.py {why}")


if sys.version_info < (3, 10):  # noqa: UP036
    leave(f"expected Python 3.10 or later, got {sys.version.split()[0]}")
for threads in ("OMP_NUM", "OPENBLAS_NUM", "MKL_NUM", "VECLIB_MAXIMUM"):
    os.environ[threads + "_THREADS"] = "1"  # as in main.py, and before NumPy is imported
os.environ["MPLBACKEND"] = "Agg"
sys.path[:0] = [str(HERE), str(HERE / "tools")]  # python -I leaves them out
try:
    common, make_reference = load("common"), load("make_reference")
    GaussianMixture = common.GaussianMixture
except (AssertionError, AttributeError) as error:
    leave(error)
import numpy as np  # noqa: E402

parser = argparse.ArgumentParser(
    description="Judge the course's modules, and test what is ours beyond them.",
    epilog="example: python test.py Em Kmeans -v (-v, -f and -kWORD are those of unittest)",
)
parser.add_argument("names", nargs="*", metavar="CLASS", help="Kmeans, NaiveEm, Em, Common, ...")
parser.add_argument("--data", type=Path, help="the course's own files: check published figures too")
options, flags = parser.parse_known_intermixed_args()
DATA = options.data or HERE
if not (DATA / "test_solutions.txt").is_file():
    leave(f"expected a folder with test_solutions.txt (--data), got {DATA}")
needs_course = unittest.skipUnless(options.data, "--data DIR, a folder of the course's own files")


class Result(unittest.TextTestResult):
    """Tells failures without the inside of test.py, in the order in which to mend them."""

    order = "terms", "estep", "mstep", "run", "fill", "in_place", "reference", "published"
    passed = 0

    def addSuccess(self, test):
        super().addSuccess(test)
        self.passed += 1

    def _exc_info_to_string(self, err, test):
        frame = traceback.extract_tb(err[2])[-1].filename
        told = isinstance(err[1], AssertionError) and Path(frame).name in ("test.py", "case.py")
        return str(err[1]) if told else blame(err[1])

    def printErrors(self):
        self.news, names = [], list(globals())
        for test, text in self.failures + self.errors:
            name = re.sub(r"\w+Class \(__main__\.(\w+)\)|__main__\.", r"\1", test.id())
            rank = next((i for i, step in enumerate(self.order) if f"test_{step}" in name), 9)
            self.news.append((names.index(re.match(r"\w+", name)[0]), rank, name, text))
        self.news.sort()
        self.stream.writeln()
        for _, _, name, text in self.news:
            self.stream.writeln("\n    ".join([f"FAIL {name}", *text.splitlines()]))


class Case(unittest.TestCase):
    """A test case whose comparisons name the entry that is wrong."""

    component, dimension = "component {0}", "in dimension {1}"

    def near(self, actual, expected, what, rtol=1e-9, atol=0.0):
        """Every entry of actual is near expected; 'what' may hold {0} and {1} for its indices."""
        actual, expected = np.asarray(actual, dtype=float), np.asarray(expected, dtype=float)
        if actual.shape != expected.shape:
            turned = ", transposed" if actual.T.shape == expected.shape else ""
            what = what.format("i", "j")
            self.fail(f"{what}: expected {kind(expected)}, got {kind(actual)}{turned}")
        wrong = np.argwhere(~np.isclose(actual, expected, rtol=rtol, atol=atol))
        if len(wrong):
            first = tuple(wrong[0].tolist())
            a, b = actual[first], expected[first]
            digits = next((k for k in (4, 6, 10) if f"{a:.{k}g}" != f"{b:.{k}g}"), 17)
            many = f" ({len(wrong)} of {actual.size} are wrong)" if actual.size > 1 else ""
            self.fail(f"{what.format(*first)} is {a:.{digits}g}, it should be {b:.{digits}g}{many}")

    def near_mixture(self, actual, expected, what, rtol=1e-9, atol=0.0):
        """The same for the three parts of a mixture; the variances, which need the means, last."""
        mean = f"{what}: the mean of {self.component} {self.dimension}"
        self.near(actual.p, expected.p, f"{what}: the weight of {self.component}", rtol, atol)
        self.near(actual.mu, expected.mu, mean, rtol, atol)
        self.near(actual.var, expected.var, f"{what}: the variance of {self.component}", rtol, atol)


def kind(value):
    """What a function returned, in a few words."""
    if hasattr(value, "mu") or value is None:
        return "None" if value is None else "a mixture"
    if isinstance(value, tuple):
        return f"({', '.join(map(kind, value))})"
    if isinstance(value, (int, float, np.number, np.ndarray)):
        return f"an array of shape {np.shape(value)}" if np.ndim(value) else "a number"
    return f"a {type(value).__name__}"


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


def start(X, K, seed):
    """What common.init returns."""
    mu = X[np.random.RandomState(seed).choice(len(X), K, replace=False)]
    var = np.array([((X - m) ** 2).mean() for m in mu])
    return GaussianMixture(mu, var, np.full(K, 1 / K)), np.full((len(X), K), 1 / K)


def mixture_for(X, K, seed):
    """A mixture of K components, no two alike, somewhere in the data."""
    draw = np.random.RandomState(seed)
    p = draw.rand(K) + 0.2
    mu = X.mean(axis=0) + X.std() * draw.randn(K, X.shape[1])
    return GaussianMixture(mu, 1 + 3 * draw.rand(K), p / p.sum())


def soft(n, K, seed):
    """(n, K) posteriors; the first columns have the larger sums."""
    post = (np.random.RandomState(seed).rand(n, K) ** 2 + 0.05) / np.arange(1, 2 * K, 2)
    return post / post.sum(axis=1, keepdims=True)


def exact(array):
    """An array as nested lists of Decimals."""
    return [exact(row) for row in array] if np.ndim(array) else make_reference.Decimal(float(array))


def literal(step, *arguments, least=0.25):
    """Call a step of tools/make_reference.py on arrays, and return arrays."""
    with mock.patch.object(make_reference, "MIN_VARIANCE", exact(least)):
        results = getattr(make_reference, step)(*map(exact, arguments))
    return [np.array(result, dtype=float) for result in results]


def arrays(value):
    """All arrays and floats in nested tuples."""
    return [a for part in value for a in arrays(part)] if isinstance(value, tuple) else [value]


# 1. The judge


def nearest(X, mu):
    """K-means' assignments."""
    return np.eye(len(mu))[((X[:, None] - mu) ** 2).sum(axis=2).argmin(axis=1)]


def same(got, expected, rtol):
    """Whether two mixtures, posteriors or scores are near, and of the same shape."""
    pairs = list(zip(arrays(got), arrays(expected)))
    return all(np.shape(a) == np.shape(b) and np.allclose(a, b, rtol, 1e-9) for a, b in pairs)


class Contract:
    """What the three models have in common; the test cases below name their module."""

    data, point, score, least = staticmethod(points), "point", "log-likelihood", 0
    rule = "as soon as new - old <= 1e-6 |new|, the log-likelihoods of two E-steps"
    returns = {"estep": "post, log-likelihood", "mstep": "mixture", "fill_matrix": "X_pred"}

    @classmethod
    def setUpClass(cls):
        cls.model = load(cls.module)

    def setUp(self):
        """End a test that hangs, after seconds of processor time; a slow model gets its time."""
        if hasattr(signal, "setitimer"):  # Windows has none
            signal.signal(signal.SIGPROF, self.hangs)
            signal.setitimer(signal.ITIMER_PROF, *[900 if "published" in self.id() else 10] * 2)
            self.addCleanup(signal.setitimer, signal.ITIMER_PROF, 0)

    def hangs(self, *_):
        should = f"; it should, {self.rule}" * (self.function == "run")
        self.fail(f"{self.module}.{self.function} does not stop{should}")

    def call(self, function, *arguments, **options):
        """What a function of the model makes of copies, if it is of the right kind."""
        self.function, self.copies = function, deepcopy(arguments)
        if not callable(getattr(self.model, function, None)):
            self.fail(f"{self.module}.py has no function {function}")
        result = getattr(self.model, function)(*self.copies, **options)
        should = self.returns.get(function, f"mixture, post, {self.score}")
        kinds = {"mixture": "a mixture", self.score: "a number"}
        expected = [kinds.get(name, "an array") for name in should.split(", ")]
        parts = result if kind(result)[0] == "(" and len(expected) > 1 else (result,)
        if [kind(part).split(" of")[0] for part in parts] != expected:
            got = f"{self.module}.{function} returns {kind(result)}"
            self.fail(f"{got}, it should return {f'({should})' if ',' in should else should}")
        return result

    def near_post(self, post, expected, what, *tolerances):
        what += f": the posterior of {self.point} {{0}} for {self.component.replace('0', '1')}"
        self.near(post, expected, what, *tolerances)

    def iterations(self, X, mixture, post, count):
        """(mixture, post, score) before the first iteration and after each of so many."""
        found = [(mixture, post, math.nan)]
        for _ in range(count):
            if self.module == "kmeans":
                post = nearest(X, mixture.mu)
            else:
                post, score = literal("estep", X, *mixture)
            mixture = GaussianMixture(*literal("mstep", X, post, mixture.mu, least=self.least))
            if self.module == "kmeans":
                score = ((X - post @ mixture.mu) ** 2).sum()
            found.append((mixture, post, float(score)))
        return found

    def test_run(self):
        """What run returns, however it is written, is that of the right iteration."""
        for X, K, seed, count in self.runs:
            mixture, post = start(X, K, seed)[0], np.eye(K)[np.arange(len(X)) % K]
            steps = self.iterations(X, mixture, post, count)
            got = self.call("run", X, mixture, post)
            scores = np.array([score for *_, score in steps])
            limit = 1e-4 if self.module == "kmeans" else 1e-6 * np.abs(scores[2:])
            right = 2 + int((np.abs(np.diff(scores[1:])) <= limit).argmax())
            m, p, s = (  # which iteration's mixture, posteriors and score run returns
                next((i for i, step in enumerate(steps) if same(got[k], step[k], rtol)), None)
                for k, rtol in enumerate((1e-7, 1e-7, 1e-10))
            )
            if None in (m, p, s):
                self.no_iteration(X, got, steps, right)
            elif m != p or p != s:
                late = "posteriors and score of an E-step after the last M-step"
                some = {
                    (1, 0): "posteriors newer than the score, of an E-step too many",
                    (0, 1): "a score newer than the posteriors, of an E-step too many",
                    (0, -1): "the score of the iteration before the last",
                    (1, 1): late if m == right else "the mixture before the last M-step",
                }.get((p - m, s - m), f"mixture, posteriors and score of iterations {m}, {p}, {s}")
                some = some.replace("score", self.score)
                self.fail(f"run returns {some}; of the last iteration, {right}, it needs all three")
            elif m != right:
                self.fail(f"run stops after iteration {m}, it should after {right}, {self.rule}")

    def no_iteration(self, X, got, steps, right):
        """Fail for what run returns, which is not of any right iteration."""
        mixture, post, _ = steps[0]
        with contextlib.suppress(ArithmeticError):  # K-means' clusters may be empty then
            new = GaussianMixture(*literal("mstep", X, post, mixture.mu, least=self.least))
            if any(same(got[2], s[2], 1e-10) for s in self.iterations(X, new, post, right)[1:]):
                self.fail("run makes an M-step of the given post before the first E-step")
        what = f"run returns what no iteration gives; compared with the last, the {right}th"
        self.near(got[2], steps[right][2], f"{what}: the {self.score}", 1e-10)
        self.near_post(got[1], steps[right][1], what, 1e-7, 1e-9)
        self.near_mixture(got[0], steps[right][0], what, 1e-7, 1e-9)

    def test_in_place(self):
        """Nothing that is passed in is changed: the caller may still need it."""
        X = self.data(1, n=40)
        given = {"X": X, "mixture": start(X, 3, 1)[0], "post": np.eye(3)[np.arange(40) % 3]}
        more = " mixture" * (self.module == "em")
        calls = {"estep": "X mixture", "mstep": f"X post{more}"}
        calls |= {"run": "X mixture post", "fill_matrix": "X mixture"}
        for function, names in calls.items():
            with contextlib.suppress(Exception):  # the other tests tell
                self.call(function, *(given[name] for name in names.split()))
            for name, has in zip(names.split(), self.copies):
                for part, a, b in zip((".mu", ".var", ".p"), arrays(given[name]), arrays(has)):
                    if not np.array_equal(a, b):
                        part = name + part * (name == "mixture")
                        hint = f"copy it first, {part.split('.')[-1]} = {part}.copy()"
                        hint = f"which it is given; its numbers may be right all the same: {hint}"
                        self.fail(f"{self.module}.{function} changes {part}, {hint}")


class EmContract(Contract):
    """What naive EM and EM have in common."""

    scales, wide = (1, 20), "points in 1,000 dimensions"

    def test_terms_of_f(self):
        """Each case leaves all the terms of f but one at a value that is known on paper."""
        x, unit = np.array([[5.0, 2.0, 4.0]]), 1 / (2 * math.pi)  # a variance: log(2 pi unit) = 0
        holes, constant = x * [1, 0, 1], math.log(4 * math.pi)
        cases = [
            ("the constant -d/2 log(2 pi var)", x, x, 2, -1.5 * constant),
            ("the squared distance over 2 var", x, x + [1, 2, 0], unit, -5 * math.pi),
            (f"a sum over the {self.point}s", x[[0, 0]], x + 1, unit, -6 * math.pi),
            ("the constant with |C_u| = 2 for d = 3", holes, holes, 2, -constant),
            ("the distance over rated movies only", holes, x + [1, 7, 0], unit, -math.pi),
        ]
        for term, X, mu, var, expected in cases[: 5 if self.module == "em" else 3]:
            mixture = GaussianMixture(mu[:1], np.array([1.0 * var]), np.ones(1))
            ll = self.call("estep", X, mixture)[1]
            self.near(ll, expected, f"E-step, {term}: the log-likelihood")
        for p in np.array([[0.25, 0.75], [0, 1]])[: 2 if self.module == "em" else 1]:
            mixture = GaussianMixture(x[[0, 0]], np.full(2, 2.0), p)
            post = self.call("estep", x, mixture)[0]
            self.near_post(post, [p + 1e-16], "E-step, log p_j and all else alike")

    def test_estep(self):
        cases, shift = [], 9 * (self.module == "naive_em")  # literal takes zeros as missing
        for seed, scale in itertools.product(range(3), self.scales):
            X = self.data(seed)
            mu, var, p = mixture_for(X, 2 + seed, seed)
            X[1] = 0  # a point at the origin, a user without ratings
            cases.append(("E-step", X * scale, GaussianMixture(mu * scale, var * scale**2, p)))
        X = self.data(0, n=3, d=1000)  # densities below the smallest float
        mixture = mixture_for(X, 2, 0)
        X[0], X[2] = mixture.mu  # their own f lie thousands apart, too
        X[1] *= 3 if self.module == "naive_em" else np.arange(1000) < 5
        cases.append((f"E-step, {self.wide}: subtract each row's largest f before exp", X, mixture))
        for what, data, mixture in cases:
            post, ll = self.call("estep", data, mixture)
            expected = literal("estep", data + shift, mixture.mu + shift, *mixture[1:])
            self.near(ll, expected[1], f"{what}: the log-likelihood")
            self.near_post(post, expected[0], what, 1e-8, 1e-290)

    def test_mstep(self):
        for seed, scale in itertools.product(range(3), self.scales):
            n = 3 if seed == 2 else 60
            X = self.data(seed, n, d=3) * scale
            post, mixture = soft(n, 2 + seed, seed), mixture_for(X, 2 + seed, seed)
            X[1] *= self.module != "em"  # a user without ratings
            # literal keeps means with a count below 1, as em does; naive EM's data come 99 times.
            many = [np.repeat(a, 99 if n == 3 and not self.least else 1, axis=0) for a in (X, post)]
            expected = literal("mstep", *many, mixture.mu, least=self.least)
            got = self.call("mstep", X, post, *[mixture] * (self.module == "em"))
            self.near_mixture(got, GaussianMixture(*expected), "M-step")


class Kmeans(Contract, Case):
    module, score = "kmeans", "cost"
    rule = "as soon as the cost falls by no more than 1e-4"
    returns = {"estep": "post", "mstep": "mixture, cost"}
    # So small that relative limits stop elsewhere; so long that an end after 20 iterations shows.
    runs = [(points(92, n=120) / 128, 3, 92, 16), (points(2326, n=150) / 128, 6, 2326, 30)]

    def test_estep(self):
        for seed in range(3):
            X = points(seed, n=60, d=3)
            mixture = mixture_for(X, 4, seed)
            post = self.call("estep", X, mixture)
            self.near_post(post, nearest(X, mixture.mu), "E-step, the nearest mean")

    def test_mstep(self):
        for seed in range(3):
            own = np.random.RandomState(seed).permutation(np.repeat(range(4), (3, 7, 15, 35)))
            X, post = points(seed, n=60, d=3) * (1 + own)[:, None], np.eye(4)[own]
            expected = GaussianMixture(*literal("mstep", X, post, np.zeros((4, 3)), least=0))
            got, cost = self.call("mstep", X, post)
            self.near_mixture(got, expected, "M-step")
            distances = ((X - expected.mu[own]) ** 2).sum()
            self.near(cost, distances, "M-step: the cost, squared distances to the new means,")


class NaiveEm(EmContract, Case):
    module, scales = "naive_em", (1, 20, 1 / 64)
    # Scaled so that a rise lies between 1e-6 |new| and 1e-6 |old|; X / 64 has a positive ll.
    runs = [(points(17, n=40) * scale, 3, 17, 45) for scale in (1.279878820751585, 1 / 64)]
    runs += [(points(887, n=24), 2, 887, 120)]  # 112 iterations


class Em(EmContract, Case):
    module, data, least, scales = "em", staticmethod(ratings), 0.25, (1, 20, 0.1)
    point, component, dimension, wide = "user", "type {0}", "at movie {1}", "users of 1,000 ratings"
    # Scaled likewise; in the second, means are kept and variances are the least.
    runs = [
        (0.7849125356704367 * ratings(0, n=40), 3, 0, 45),
        (0.7863283972501347 * ratings(15, n=24, d=6, missing=0.7), 4, 15, 45),
        (ratings(34, n=24, d=4), 2, 34, 60),  # 51 iterations
    ]

    def test_mstep_keeps_a_mean_with_a_soft_count_below_1(self):
        X = np.array([[5.0, 2, 0], [0, 4, 0], [0, 3, 0], [4, 0, 0], [0, 0, 3]])
        old = GaussianMixture(np.full((2, 3), 1.5), np.ones(2), np.full(2, 0.5))
        post = np.array([[0.9, 0.1], [0.7, 0.3], [0.5, 0.5], [0.15, 0.85], [1, 0]])
        got = self.call("mstep", X, post, old)  # counts: 1.05, 2.1 and 1; .95, .9 and 0
        expected = GaussianMixture(*literal("mstep", X, post, old.mu))
        self.near_mixture(got, expected, "M-step, a mean is kept where its soft count is below 1")

    def test_mstep_least_variance(self):
        old = GaussianMixture(np.array([[3.0]]), np.array([7.0]), np.ones(1))
        cases = (0.25, {}), (0.1, {"min_variance": 0.1}), (2, {"min_variance": 2.0})
        for (least, more), factor in itertools.product(cases, (0.9, 1.1, 0.0)):
            spread = math.sqrt(least * factor)  # two users at mean +- spread
            X = np.array([[3 - spread], [3 + spread]])
            var = self.call("mstep", X, np.ones((2, 1)), old, **more).var
            what = f"M-step: the variance, at least {least} and {least * factor:.4g} in the data,"
            self.near(var, [least * max(1, factor)], what)

    def test_fill_matrix(self):
        X, what = ratings(2), "fill_matrix: the rating of movie {1} by user {0}"
        X[1], X[:, 2] = 0, 0  # a user and a movie without ratings
        mixture = mixture_for(X, 3, 2)
        X_pred = self.call("fill_matrix", X, mixture)
        self.near(X_pred, literal("fill_matrix", X, *mixture), what + " (given ones stay)")

    def test_reference_outputs(self):
        """The numbers of test_solutions.txt, in its order, to the last digit that it prints."""
        text = (DATA / "test_solutions.txt").read_text(encoding="utf-8")
        numbers = r"(?m)^(X|K|Mu|Var|P|post|LL|X_pred):([-+.\d\se\[\]]+)"
        found = [re.sub(r"[\[\]]", " ", block).split() for _, block in re.findall(numbers, text)]
        X, (K,), *expected = [np.array(block, dtype=float) for block in found]
        X = X.reshape(-1, len(re.search(r"\[\[(.*?)\]", text)[1].split()))
        mixture, post = start(X, int(K), 0)
        first, first_ll = self.call("estep", X, mixture)
        second, run = self.call("mstep", X, first, mixture), self.call("run", X, mixture, post)
        results = [*mixture, first, first_ll, *second, *arrays(run)]
        results.append(self.call("fill_matrix", X, run[0]))
        names = "mu var p", "post ll", "mu var p", "mu var p post ll X_pred"
        steps = "start", "first E-step", "first M-step", "after a run"
        names = [f"{step}, {name}" for step, ns in zip(steps, names) for name in ns.split()]
        for name, got, block in zip(names, results, expected):
            name = f"test_solutions.txt, {name}"
            if np.size(got) != block.size:
                self.fail(f"{name}: expected {block.size} numbers, got {kind(got)}")
            self.near(got, block.reshape(np.shape(got)), name, 1e-8, 6e-9)

    @needs_course
    def test_published_figures(self):
        X, Y = (np.loadtxt(DATA / f"netflix_{name}.txt") for name in ("incomplete", "complete"))
        for K, seed, ll, rmse in [(1, 0, -1521060.9540, 0.4802), (12, 1, -1390234.4223, 0.4805)]:
            mixture, _, got = self.call("run", X, *start(X, K, seed))
            self.near(got, ll, f"published log-likelihood, K = {K}, seed {seed},", 0, 5.1e-5)
            error = math.sqrt(((self.call("fill_matrix", X, mixture) - Y) ** 2).mean())
            self.near(error, rmse, f"published RMSE, K = {K}, seed {seed},", 0, 5.1e-5)


class Common(Case):
    """common.py"""

    def test_init(self):
        X, rows = ratings(0, n=40) / 3, "np.random.RandomState(seed).choice(n, K, replace=False)"
        for seed, K in itertools.product((0, 1, 4, 12345, 2**32 - 1), (1, 3, 40)):
            result, expected = common.init(X.copy(), K, seed), start(X, K, seed)
            if kind(result) != kind(expected):
                self.fail(f"init returns {kind(result)}, it should return {kind(expected)}")
            mean = f"init, seed {seed}, whose rows are {rows}: mean {{0}} in column {{1}}"
            self.near(result[0].mu, expected[0].mu, mean, 0)
            self.near_mixture(result[0], expected[0], "init, over all entries")
            self.near(result[1], expected[1], "init: the posterior of row {0} for component {1}")
        self.near(common.init(X, 3)[0].mu, start(X, 3, 0)[0].mu, "init without a seed: mean {0}")

    def test_rmse(self):
        X, Y, true = np.array([[1.5, 0], [5, 4]]), np.array([[1.0, 2], [7, 0]]), math.sqrt(97 / 16)
        self.near([common.rmse(X, Y), common.rmse(X, Y)], [true] * 2, "rmse, over all entries,")

    def test_bic(self):
        X = ratings(0)
        X[3], X[:, 2] = 0, 0
        for K, P in [(2, 13), (4, 27)]:
            got, expected = common.bic(X, mixture_for(X, K, 0), -100.0), -100 - P / 2 * math.log(12)
            self.near(got, expected, f"bic, ll - P/2 ln n, P = K d + K + K - 1 = {P}, n = 12,")


# 2. What is ours beyond it: all our modules, with NumPy's warnings as errors

em = kmeans = main = naive_em = None  # imported by Ours: the judge needs none but its own


class Ours(Case):
    @classmethod
    def setUpClass(cls):
        globals().update({name: load(name) for name in ("em", "kmeans", "main", "naive_em")})
        main.plt.rcdefaults()

    def setUp(self):
        stack = contextlib.ExitStack()
        self.addCleanup(stack.close)
        stack.enter_context(np.errstate(all="raise", under="ignore"))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "Creating an ndarray from ragged")  # NumPy 1.23
        self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory())).resolve()

    def finite(self, result):
        self.assertTrue(all(np.isfinite(array).all() for array in arrays(result)), result)

    def refuses(self, words, function, *arguments):
        """The call ends with one line that matches words from its beginning to its end."""
        with self.assertRaises((ValueError, TypeError), msg=words) as caught:
            function(*arguments)
        self.assertRegex(str(caught.exception), f"^(?:{words})$")


def models(n=12):
    """The three models, and data for each."""
    return [(kmeans, points(1, n)), (naive_em, points(1, n)), (em, ratings(1, n))]


def calls(model, mixture, post):
    """The functions of a model, each with its arguments after X."""
    more = [(em.fill_matrix, mixture)] * (model is em)
    return [(model.estep, mixture), (model.mstep, post, mixture), (model.run, mixture, post), *more]


class Steps(Ours):
    """Degenerate data, exactness, predictions, and what the functions promise their callers."""

    def test_a_count_of_1_up_to_rounding_and_means_that_are_kept(self):
        X, mu = np.array([[5.0, 2.0], [0, 4], [0, 3]]), np.full((2, 2), 1.5)
        old = GaussianMixture(mu, np.ones(2), np.full(2, 0.5))
        for count, mean in [(1, 5), (1 - 1e-9, 5), (1 - 1.1e-9, 1.5), (0.0, 1.5)]:
            post = np.array([[count, 1 - count], [0.5, 0.5], [0.75, 0.25]])
            self.near(em.mstep(X, post, old).mu[0, 0], mean, f"a mean with a count of {count}")
        post = np.array([[0.2, 0.8], [0.1, 0.9]])
        var = em.mstep(np.array([[1.5, 3.5], [4.5, 1.5]]), post, old).var
        self.near(var[0], (0.2 * (0 + 4) + 0.1 * (9 + 0)) / 0.6, "small counts: the variance")

    def test_weights_of_0_and_far_tails(self):
        for model, X in models()[1:]:
            mixture = mixture_for(X, 3, 1)._replace(p=np.array([0.0, 0.4, 0.6]))
            for shift in (0, np.array([[300], [310], [-400]])):
                mixture = mixture._replace(mu=mixture.mu + shift)
                got, expected = model.estep(X, mixture), literal("estep", X, *mixture)
                self.near(got[0], expected[0], "the posterior", 1e-5, 1e-290)
                self.near(got[1], expected[1], "the log-likelihood")
                self.finite(model.run(X, mixture, got[0]))
        post, _ = common.post_and_ll(np.array([[0.0, -600.0, -689.5, -690.5, -1e6]]))
        self.near(post, [[1, math.exp(-600), math.exp(-689.5), 0, 0]], "the smallest posterior")

    def test_types_and_data_without_ratings(self):
        X, mixture = ratings(4), mixture_for(ratings(4), 3, 4)._replace(var=np.full(3, 0.125))
        X[3] = 0
        post = np.eye(3)[[0, 0, 0, 1] + [2, 0] * 4]  # type 1 has user 3 only
        self.near(em.mstep(X, post, mixture).var[1], 0.125, "a type without ratings: its variance")
        for K in (1, 2):
            _, post, ll = em.run(0 * X, *common.init(0 * X, K, 0))
            self.near(post, np.full((12, K), 1 / K), "no ratings at all: the posterior")
            self.near(ll, 0, "no ratings at all: the log-likelihood", atol=1e-12)

    def test_empty_and_collapsed_components(self):
        X = points(0)
        begin = mixture_for(X, 3, 0)
        begin.mu[1] = 1e3  # no point is near, and naive EM's posteriors there are 0
        for model in (kmeans, naive_em):
            got, post, _ = model.run(X, begin, soft(12, 3, 0))
            alone = arrays(model.mstep(X, post))  # without a mixture: of all the points
            self.near([*got.mu[1], *alone[0][1]], [*begin.mu[1], *X.mean(axis=0)], "its mean")
            variances = [begin.var[1], X.var(axis=0).mean()]
            self.near([got.var[1], alone[1][1]], variances, "an empty component: its variance")
            self.assertEqual(got.p[1], 0, "an empty component: its weight")
        equal = np.full((6, 2), 7e5 + 0.1)
        for X in (equal, np.array([[0.0, 1.0], [5e-324, 1.0]]), np.repeat(points(0, 7), 2, axis=0)):
            for model in (kmeans, naive_em, em):
                self.finite(model.run(X, *common.init(X, len(X), 0)))
        var = kmeans.mstep(equal, np.eye(2)[[0] * 6])[0].var
        self.near(var, [1e-100, 1e-100], "equal points: the least variance")
        thrice = np.repeat(np.arange(7), 3)
        costs = [kmeans.mstep(points(i, 7, 5)[thrice], np.eye(7)[thrice])[1] for i in range(9)]
        self.assertGreaterEqual(min(costs), 0, "every component has three equal points: the cost")

    def test_where_digits_are_lost(self):
        """Collapsed components, large ratings and offsets: to 1e-6 of |log-likelihood| + n."""
        draw = np.random.RandomState(0)
        for trial in range(30):
            scale, d = 10.0 ** draw.randint(-3, 7), draw.randint(2, 5)
            X = draw.randn(40, d) * scale / 100 + scale * draw.choice([0, 1], (40, 1))
            X[0], X[1:4] = 50 * scale, X[1] if trial % 3 else X[1:4]
            X += draw.choice([0, 1e3]) * scale
            mixture, _, _ = naive_em.run(X, *common.init(X, 1 + trial % 6, trial))
            ll, true = naive_em.estep(X, mixture)[1], literal("estep", X, *mixture)[1]
            self.near(ll, true, f"naive EM, data {trial}: ll", 0, 1e-6 * (abs(true) + 40))
            Y = (1 + 4 * draw.rand(40, 30)) * draw.choice([1, 100, 1.9e5])
            Y = (Y + draw.choice([0, 1e3, 1e6 - 5]) * (Y < 9)) * (draw.rand(40, 30) < 0.7)
            Y[1:4], least = Y[1] if trial % 3 else Y[1:4], 10.0 ** draw.randint(-6, 1)
            begin = common.init(Y, 1 + trial % 6, trial)
            for mixture in (begin[0], em.run(Y, *begin)[0]):
                post, ll = em.estep(Y, mixture)
                true, got = literal("estep", Y, *mixture)[1], em.mstep(Y, post, mixture, least)
                self.near(ll, true, f"EM, data {trial}: ll", 0, 1e-6 * (abs(true) + 40))
                var = literal("mstep", Y, post, mixture.mu, least=least)[1]
                self.near(got.var, var, f"EM, data {trial}: the variance", 1e-6)
            for model, two, var in [(naive_em, X[4:6], 1e-16 * scale**2), (em, Y[4:6], None)]:
                var = np.full(2, var or (two**2).sum(axis=1).max() / 4e7)  # f of two users at mu
                top = 2 * math.log(0.5) - (two != 0).sum() / 2 * math.log(2 * math.pi * var[0])
                ll = model.estep(two, GaussianMixture(two, var, np.full(2, 0.5)))[1]
                self.assertLessEqual(ll, top + 1e-12 * abs(top), "a squared distance below 0")

    def test_ties_go_to_the_lowest_index(self):
        for seed in range(20):  # whole numbers: these distances are exact, and many are equal
            X = np.random.RandomState(seed).randint(0, 6, (50, 4)) * 1.0
            mixture, _ = common.init(X, 8, seed)
            self.near(kmeans.estep(X, mixture), nearest(X, mixture.mu), "K-means: a tie", 0)
        centre, _, _, floor = common.prepare(np.roll(np.arange(14.0), 4).reshape(7, 2))
        self.near([*centre, floor], [6, 7, 1e-9 * 16], "the middle values, the least variance")

    def test_watch_sees_every_iteration_and_no_score_gets_worse(self):
        for model, X in models(60):
            trace = []
            got = model.run(X, *common.init(X, 4, 1), trace.append)
            rises = np.diff(trace) * (-1 if model is kmeans else 1)
            limit = 1e-4 if model is kmeans else 1e-6 * np.abs(trace[1:])
            self.assertEqual(list(rises > limit), [True] * (len(trace) - 2) + [False])
            self.assertEqual((trace[-1], rises.min() > -1e-9, len(trace) > 2), (got[2], True, True))

    def test_other_forms_of_data_give_the_same_and_nothing_given_is_changed_or_returned(self):
        for model, X in models():
            X = 20 * np.round(X)  # squares that no small type of integer holds
            mixture, post = mixture_for(X, 3, 3), soft(len(X), 3, 3)
            given, state = [X, *mixture, post], np.random.get_state()[1].copy()
            for array in given:
                array.flags.writeable = False  # who changes it raises an error
            module, other = (em, common) if model is em else (common, em)
            tried = [(common.init, 3), *[(em.predict, 2, [0])] * (model is em)]
            for function, *more in calls(model, mixture, post) + tried:
                forms = [X.astype(dtype) for dtype in (np.int16, np.longdouble, np.float32)]
                forms += [X, np.asfortranarray(X), X.tolist(), np.repeat(X, 2, axis=1)[:, ::2]]
                forms += [module.prepare(X)] * (function not in (em.predict, common.init))
                for form in forms:
                    for got, should in zip(*(arrays(function(x, *more)) for x in (form, X))):
                        self.near(got, should, f"{function.__name__}, another form", 1e-9, 1e-9)
                        self.assertEqual(np.asarray(got).dtype, np.float64)
                        shared = any(np.shares_memory(got, array) for array in given)
                        self.assertFalse(shared, f"{function.__name__} returns what it got")
                self.refuses("X: .* got a (Points|Ratings)", function, other.prepare(X), *more)
            self.near(np.random.get_state()[1], state, "NumPy's global random state", 0)
        self.assertIs(em.prepare(X).X, X, "float64 data are copied")

    def test_predict_is_what_its_formulas_say(self):
        for seed, K, shape in [(0, 2, (14, 6)), (1, 7, (9, 5)), (2, 1, (5, 12))]:
            X = ratings(seed, *shape)
            X[2], X[:, 3] = 0, 0  # a user and a movie without any rating
            got = em.predict(X, K, iter([3, 4]))
            self.near(got, make_reference.predict(exact(X), K, [3, 4]), "predict", 0, 1e-8)
            np.testing.assert_array_equal(got[X != 0], X[X != 0])
        np.testing.assert_array_equal(em.predict(X, 2), em.predict(X, 2, [0, 1, 2, 3, 4]))
        cross = np.array([[4.0, 2, 0], [2, 4, 0], [0, 0, 3]])  # one residual is exactly 0
        expected = make_reference.predict(exact(cross), 2, range(5))
        self.near(em.predict(cross, 2), expected, "predict", 1e-8)

    def test_predict_on_any_scale_and_equal_ratings(self):
        X = np.full((12, 8), -5.0)  # one user and one movie are far above; negative, too
        X[0], X[:, 0], X[0, 0] = -1, -1, 0
        self.assertEqual(em.predict(X, 1)[0, 0], -1, "the largest given rating")
        X, one = ratings(5, n=30), np.eye(3, 4) * [0, 2.5, 0, 0]
        for factor in (8, -1, 2.0**-90, 2.0**90, 1e-3, 1e6):
            self.near(em.predict(factor * X, 3) / factor, em.predict(X, 3), "another scale", 1e-7)
        for data, K in [(np.where(X > 0, 0.1, 0), 3), (one, 2), (one, 3)]:  # all ratings equal
            self.near(em.predict(data, K), np.full(data.shape, data.max()), "of equal ratings", 0)

    def test_hidden_tenths(self):
        for n, tenths, size in [(3, 0, 0), (20, 10, 20), (333, 4, 333), (1000, 1, 1000)]:
            X = ratings(0, n, 10 if tenths else 3, -1)
            hidden = common.hidden_tenths(X)
            self.assertEqual([len(tenth) for tenth in hidden], [size] * tenths)
            self.assertEqual(len(np.unique(hidden)), size * tenths, "a rating is hidden twice")
        order = np.random.RandomState(0).choice(np.flatnonzero(X), 1000, replace=False)
        np.testing.assert_array_equal(hidden[0], order)
        X, tenth = ratings(3, 30), np.arange(0, 150, 7)
        left = np.where(np.isin(np.arange(150), tenth).reshape(30, 5), 0, X)
        fits = [em.run(left, *common.init(left, 2, seed)) for seed in (0, 1)]
        course = em.fill_matrix(left, max(fits, key=lambda fit: fit[2])[0])
        for way, expected in ("course", course), ("em.predict", em.predict(left, 2, [0, 1])):
            got = main.predict(X, [0, 1], 2, (way, tenth))
            self.near(got, expected.flat[tenth], f"{way} on hidden ratings")

    def test_the_error_to_expect(self):
        noise = np.random.RandomState(0).randn(400)
        for shift, K in [(0, 2), (0.3, 4)]:  # K = 2 is hardly or clearly worse than K = 4
            rows = {1: noise + 1, 2: noise + shift + 0.02 * noise[::-1], 4: noise, 8: noise * 1.001}
            self.assertEqual(common.smallest_good({k: row**2 for k, row in rows.items()}), K)
        square, rmse = noise**2, math.sqrt((noise**2).mean())
        self.near(common.promise({7: square}), [rmse, square.std() / 20 / (2 * rmse)], "error, +-")
        squares = {1: 1.0 * (np.arange(20) % 10 == 0), 2: np.full(20, 0.02)}
        self.near(common.promise(squares)[0] ** 2, (2 + 18 * 0.02) / 20, "a tenth's K, by others")
        self.assertEqual(common.promise({1: np.zeros(20)}), (0, 0))


class Checks(Ours):
    """One line says what is wrong, and every public function has the check at its door."""

    def test_bad_arguments(self):
        X, mixture, post = points(0), mixture_for(points(0), 3, 0), soft(12, 3, 0)
        mu, var, p = mixture
        nan, huge = X.copy(), np.where(X == X[0, 1], -1.1e50, X)
        nan[0], nan[3, 0] = [1e6, np.nan], np.nan
        models = kmeans, naive_em, em

        def every(mixture, post):
            return [call for model in models for call in calls(model, mixture, post)]

        more = [(em.predict, 2), (common.init, 2), (common.bic, mixture, 1.0)]
        for words, bad in [
            (r"expected an array of shape \(any, any\), got \(2,\)", X[0]),
            (r"expected at least one number, got shape \(0, 2\)", X[:0]),
            (r"expected finite numbers .* got nan at index \(0, 1\)", nan),
            (r"expected finite numbers up to 1e\+(50|06) \(rescale .* got -1.1e\+50 at .*", huge),
            ("expected real numbers, got dtype <U.*", X.astype(str)),
            ("expected real numbers, got dtype complex128", X + 1j),
            ("expected a plain array .* got a MaskedArray", np.ma.masked_less(X, 0)),
            ("expected an array, got rows .*|expected real numbers.*object", [[1, 2], [3]]),
        ]:
            for function, *rest in [*every(mixture, post), *more]:
                self.refuses(f"X: (?:{words})", function, bad, *rest)
        for words, bad in [
            ("mixture: expected a GaussianMixture, got a int", 7),
            ("mixture: .* is the first.*, got a tuple", (mixture, post, 1.0)),
            (r"mixture.mu: .* shape \(any, 2\), got \(3, 1\)", mixture._replace(mu=mu[:, :1])),
            ("mixture.mu: expected finite.*", mixture._replace(mu=np.full((3, 2), np.inf))),
            (r"mixture.var: .* shape \(3\), got \(2,\)", mixture._replace(var=var[:2])),
            ("mixture.var: .* positive .* 9e-101", mixture._replace(var=var * 0 + 9e-101)),
            ("mixture.var: expected finite .*", mixture._replace(var=var * 0 + 1.1e150)),
            ("mixture.p: expected .* >= 0 .*got -0.*", mixture._replace(p=p - [0.5, -0.5, 0])),
            ("mixture.p: .* and 1 as the sum", mixture._replace(p=p * (1 + 2e-6))),
            ("mixture.p: .* and 0.999998 as the sum", mixture._replace(p=p * (1 - 2e-6))),
        ]:
            more = [(common.bic, bad, 1.0), (common.plot, bad, post, "")]
            for function, *rest in [*every(bad, post), *more]:
                self.refuses(words, function, X, *rest)
        for words, bad in [
            (r"post: .* shape \(12, 3\), got \(12, 2\)", post[:, :2]),
            (r"post: .* shape \(12, 3\), got \(11, 3\)", post[1:]),
            ("post: expected rows of numbers >= 0 that sum to 1, got -.*", post - [1, -1, 0]),
            ("post: .* and 2 as the sum", post * np.repeat([1, 2], 6)[:, None]),
            ("post: .* and 0.5 as the sum", post * np.repeat([1, 0.5], 6)[:, None]),
        ]:
            for model in models:
                self.refuses(words, model.mstep, X, bad, mixture)
            if bad.shape == post.shape:
                self.refuses(words, kmeans.mstep, X, bad)
            self.refuses(words, common.plot, X, mixture, bad, "")
        least, ones = "min_variance: expected (positive|finite) numbers.*", np.ones((12, 3))
        for words, function, *arguments in [
            (r"X: .* shape \(any, 2\), got \(12, 3\)", common.plot, ones, mixture, post, ""),
            *((f"K: .* from 1 to 12, got {K}", common.init, X, K) for K in (0, 13, 2.0, None)),
            *((f"seed: .* got {s}", common.init, X, 2, s) for s in (-1, 2**32, 0.5)),
            *((least, em.mstep, X, post, mixture, v) for v in (0.0, np.nan, np.inf, 1.1e150, -1)),
            ("log_likelihood: expected finite.*", common.bic, X, mixture, np.nan),
            (r"Y: .* shape \(12, 2\), got .*", common.rmse, X, X[1:]),
            ("Y: .*finite.*", common.rmse, X, nan),
            ("X: expected.*rows.*|X: expected real.*", common.rmse, [[1, 2], [3]], X),
            (r"X: .* up to 1e\+06 \(rescale.*", em.fill_matrix, 1.01e6 + X, mixture),
            *((f"K: .* from 1 to 12, got {K!r}", em.predict, X, K) for K in (13, "2")),
            ("seeds: expected at least one, got none", em.predict, X, 2, []),
            ("seeds: .* from 0 to 4294967295, got -1", em.predict, X, 2, [-1]),
            (r"X: expected at least one rating, got only zeros.*", em.predict, 0 * X, 2),
        ]:
            self.refuses(words, function, *arguments)

    def test_what_is_allowed(self):
        X, mixture = points(0), mixture_for(points(0), 3, 0)
        em.estep(X, mixture._replace(p=mixture.p * (1 + 0.9e-6)))  # as rounding leaves it
        em.mstep(X, soft(12, 3, 0).astype(np.float32), mixture)
        em.estep(X, mixture._replace(var=np.array([1e-100, 1, 1e150])))
        em.estep(X, em.mstep(X, soft(12, 3, 0), mixture, 1e150))
        for largest, model in ((1e50, kmeans), (1e50, naive_em), (1e6, em)):
            huge = largest * np.array([[-1.0, -1.0], [1.0, 1.0], [1.0, 1.0]])
            self.finite(model.run(huge, *common.init(huge, 2, 0)))
        self.assertIs(type(common.whole("K", np.uint8(2), 1, 2)), int)
        scores = common.rmse(X, X), common.bic(X, mixture, -1), em.estep(X, mixture)[1]
        self.assertEqual({type(x) for x in scores + kmeans.mstep(X, soft(12, 3, 0))[1:]}, {float})

    def test_files(self):
        path = self.folder / "some_data.txt"
        for text, expected, *ratings_only in [
            ("# x\n1 -2.5 # y\n\n 3\t4", [[1, -2.5], [3, 4]]),
            ("\ufeff1 2.5e0\r\n#\r\n+3 4.\r\n", [[1, 2.5], [3, 4]], True),
            ("0 0.5\n100 1e6\n", [[0, 0.5], [100, 1e6]], True),
            ("0 0e9\n0 -1e50\n", [[0, 0], [0, -1e50]]),
            ("0 0\n0 0\n", [[0, 0], [0, 0]]),
        ]:
            path.write_text(text, encoding="utf-8", newline="")
            np.testing.assert_array_equal(common.read(str(path), *ratings_only), expected)
        at = ", line 2, column 2: expected a"
        two = ": expected at least 2 rows and 2 columns, got shape "
        words = "four nan 1_0 1- 1,2 1e999 -1e51 \u0663 \ufffdPNG".split()
        for content, ends, *ratings_only in [
            *((f"1 2\n3 {word}\n", rf"{at} number up to 1e\+50, got '{word}'") for word in words),
            *((f"1 2\n3 {word}\n", f"{at} rating .*'{word}'", True) for word in ("-0.5", "1e-400")),
            ("1 2\n3 1.1e6\n", rf"{at} rating \(.* up to 1e\+06\), got '1.1e6'; .*README.*", True),
            ("1 2\n# c\nnan 3\n", ", line 3, column 1: .*, got 'nan'"),
            ("# a\n1 2\n3 4\n5\n", ", line 4: expected 2 numbers, got 1", True),
            ("# nothing\n\n# here\n", rf"{two}\(0,\)", True),
            *(("1 2 3\n", rf"{two}\(1, 3\)"), ("1\n2\n3\n", rf"{two}\(3, 1\)")),
            ("0 0\n0 0\n", r": expected at least one rating, got only zeros \(missing\)", True),
        ]:
            path.write_bytes(content.replace("\ufffd", "\udc89").encode(errors="surrogateescape"))
            self.refuses(rf"\S*some_data.txt{ends}", common.read, path, *ratings_only)
        X, guess = np.array([[4, 0, 0], [5, 1 / 3, 0]]), np.array([[0, 8 / 3, 0.33334], [0, 0, 5]])
        common.write_ratings(path, X, np.where(X != 0, X, guess))
        self.assertEqual(path.read_text(), "4 2.6667 0.3333333333333333\n5 0.3333333333333333 5\n")
        scales = [common.decimals(x * np.array([0, 5, 14])) for x in (1, 1e5, 1e-9, 1e-310)]
        self.assertEqual(scales + [common.decimals(np.array([0, 20, 20]))], [3, 0, 12, 300, 2])
        path.unlink()
        self.refuses(r"cannot read \S*some_data.txt: No such file or directory", common.read, path)


class Main(Ours):
    """main.py, as a user runs it on small data; what surrounds its process is CI's to try."""

    def setUp(self):
        super().setUp()
        self.small, self.plots = self.folder / "small", self.folder / "plots"
        self.small.mkdir()
        self.toy, self.X, Y = np.round(points(0, 15), 3), ratings(0, 20, 8), ratings(7, 20, 8, -1)
        self.Y = np.where(self.X == 0, Y, self.X)
        for name, array in zip(main.INPUTS, (self.toy, self.X, self.Y)):
            self.write(name, array)

    def write(self, name, array):
        np.savetxt(self.small / name, array, fmt="%.17g")

    def call(self, *arguments, terminal=False):
        """Run main.py in this process; return its exit status, output and errors."""
        words = ["main.py", "--data", self.small, "--plots", self.plots, *arguments]
        out, err, status = io.StringIO(), io.StringIO(), 0
        err.isatty = lambda: terminal
        argv = mock.patch.object(sys, "argv", list(map(str, words)))
        with argv, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                main.main()
            except (SystemExit, ValueError) as end:
                status = getattr(end, "code", 2)
                err.write(f"main.py: {end}\n" * isinstance(end, ValueError))
        return status, out.getvalue(), err.getvalue()

    def files(self):
        return {p: p.stat().st_mtime_ns for p in self.folder.rglob("*") if p.is_file()}

    def fails(self, words, *arguments):
        """The call ends with 2 and one line, and leaves every file as it was."""
        before, (status, out, err) = self.files(), self.call(*arguments)
        self.assertEqual((status, out, self.files()), (2, "", before), words)
        self.assertRegex(err, rf"^main\.py: {words}\n$")

    def test_tables_pictures_and_completed_matrix(self):
        fill = self.small / "filled.txt"  # beside the data, and written again by each run below
        options = [*"--seeds 1 0 --toy-k 3 1 2 --netflix-k 1 3 2 --fill".split(), fill]
        status, out, live = self.call(*options, terminal=True)
        rows = [list(map(float, row.split())) for row in re.findall(r"(?m)^ +\d+ .*$", out)]
        self.assertEqual((status, [row[0] for row in rows]), (0, [1, 2, 3] * 4))
        for model, X, row in [(kmeans, self.toy, 1), (naive_em, self.toy, 4), (em, self.X, 7)]:
            fits = [model.run(X, *common.init(X, 2, seed)) for seed in (0, 1)]
            scores = np.round([fit[2] for fit in fits], 9)
            seed = scores.argmin() if model is kmeans else scores.argmax()
            bic = scores[seed] - (2 * X.shape[1] + 3) / 2 * math.log(len(X))
            expected = [2, scores[seed], *[bic] * (model is not kmeans), seed]
            self.near(rows[row][: len(expected)], expected, f"{model.__name__}'s row", 0, 6e-5)
        error = common.rmse(em.fill_matrix(self.X, fits[seed][0]), self.Y)
        self.near(rows[7][5], error, "the course's RMSE", 0, 6e-5)
        saved = [Path(path) for path in re.findall("Saved (.*)", out)]
        self.assertEqual(saved, [self.plots / name for name in main.PICTURES] + [fill])
        best = int(re.search(r"within one standard error of the best: (\d)\.\n", out)[1])
        expected = np.where(self.X != 0, self.X, em.predict(self.X, best, [0, 1]).round(4))
        np.testing.assert_array_equal(common.read(fill), expected)
        for words in ("K-means: 6 of 6", "Naive EM: 1 of 6", "EM: 4 of 6", "Prediction: 9 of 60"):
            self.assertIn(f"\r{words} fits left", live)
        with mock.patch.object(main, "CORES", 3):  # the number of workers changes nothing
            self.assertEqual(self.call(*options)[1:], (out, ""))

    def test_ratings_of_ones_own(self):
        """Any scale, no toy data, few users, few ratings, and truths that are not known."""
        for name in ("netflix_complete.txt", "toy_data.txt"):
            (self.small / name).unlink()
        fill = self.folder / "filled.txt"
        for scale, words in ((0.1, r"0\.\d{4} \+- 0\.\d{4}"), (1e5, r"\d{4,6} \+- \d{3,5}")):
            own = np.round(scale * (1 + 9 * np.random.RandomState(0).rand(9, 5)), 8)
            own *= ratings(2, 9) != 0
            self.write("netflix_incomplete.txt", own)
            status, out, err = self.call("--seeds", 0, "--fill", fill)
            self.assertEqual((status, err), (0, ""))
            start = "There is no toy_data.txt: .*\nThere is no netflix_complete.txt: "
            self.assertRegex(out, f"(?s)^{start}.*\n  8 .*Expect {words} stars")
            counts = [len(row.split()) for row in re.findall(r"(?m)^ +(?:\d|K ).*", out)]
            self.assertEqual(counts, [6] * 6 + [3] * 6, "columns run together")
        for few, words in [
            ([[0.001, 0, 0.003], [0.002, 0.003, 0]], "2 entries of netflix_complete.txt are unk"),
            ([[5.0, 4, 1], [1, 2, 1]], "6 ratings are too few to hide a tenth; no error is known."),
        ]:
            for name in main.INPUTS[1:]:
                self.write(name, few)
            status, out, err = self.call("--seeds", 0, "--fill", fill)
            self.assertEqual((status, err, words in out), (0, "", True))

    def test_options_and_files_that_make_no_sense(self):
        (self.folder / "taken" / "netflix_user_types.png").mkdir(parents=True)
        (self.folder / "loop").symlink_to(self.folder / "loop")
        toy, old = self.small / "toy_data.txt", self.folder / "old"
        old.write_text("old")
        for words, *arguments in [
            ("--toy-k: invalid int value: 'two'", "--toy-k", "two"),
            ("--toy-k .toy_data.txt has 15 rows.: .* from 1 to 15, got 16", "--toy-k", 16),
            ("--netflix-k .* has 20 rows.: .* from 1 to 20, got 0", "--netflix-k", 0, 2),
            ("unrecognized arguments: --seed 3", "--seed", 3),
            ("cannot read /no/netflix_incomplete.txt: No such file.*", "--data", "/no"),
            ("--plots: cannot write .*toy_data.txt: File exists", "--plots", toy),
            ("--plots: cannot write .*png: it is not a file", "--plots", self.folder / "taken"),
            ("--fill: cannot write /dev/null: it is not a file", "--fill", "/dev/null"),
            ("--fill: cannot write .*/x: Not a directory", "--fill", toy / "x"),
            ("--fill: cannot write .*loop: Too many .*", "--fill", self.folder / "loop"),
            ("--fill: expected a file of its own, got .*", "--fill", toy),
            ("--fill: expected a file of its own.*", "--fill", self.plots / main.PICTURES[3]),
        ]:
            self.fails(words, *arguments)
        self.folder.chmod(0o1777)  # sticky: another's file in it can be written but not replaced
        with mock.patch.object(os, "geteuid", lambda: 54321):
            self.fails("--fill: cannot write .*old: it can be written but not.*", "--fill", old)
        triples = np.column_stack([np.arange(40) // 5 + 1, np.arange(40) + 1, self.Y.flat[:40]])
        for name, array, words in [
            ("netflix_complete.txt", self.Y[1:], r"expected shape .*8\), .*got \(19, 8\)"),
            ("netflix_complete.txt", self.Y * (self.Y != self.X[0, 0]), "row 1, column 1: .*got 0"),
            ("netflix_complete.txt", -self.Y, r"line 1, column 1: expected a rating .*, got '-\d'"),
            ("netflix_incomplete.txt", triples, "expected a user per line .*`user item rating`.*"),
            ("toy_data.txt", self.X, "expected 2 numbers a line, got 8"),
        ]:
            before = (self.small / name).read_bytes()
            self.write(name, array)
            self.fails(f".*{name}.*{words}")
            (self.small / name).write_bytes(before)
        (self.small / "netflix_complete.txt").unlink()
        (self.small / "netflix_complete.txt").symlink_to("nowhere")
        self.fails("cannot read .*netflix_complete.txt: No such file or directory")

    def test_files_are_written_whole(self):
        path = self.folder / ("x" * 250)
        path.write_text("old")
        path.chmod(0o640)
        for failure, ends in [(OSError(28, "full"), ValueError), (SystemExit(143), SystemExit)]:
            with self.assertRaisesRegex(ends, "143|cannot write .*xxx: full$"):
                main.write_whole(path, mock.Mock(side_effect=failure))
            self.assertEqual(path.read_text(), "old")
        with contextlib.redirect_stdout(io.StringIO()):
            main.write_whole(path, lambda temporary: temporary.write_text("new"))
        self.assertEqual((path.read_text(), path.stat().st_mode & 0o777), ("new", 0o640))
        self.assertEqual(set(self.folder.iterdir()), {path, self.small})

    def test_plot(self):
        for K in (1, 3, 9):
            X, post, ax = points(K), soft(12, K, K), main.plt.Figure().subplots()
            mixture = mixture_for(X, K, K)
            self.assertIs(common.plot(X, mixture, post, f"K is {K}", ax), ax)
            circles, (dots,) = [p for p in ax.patches if hasattr(p, "radius")], ax.collections
            self.near([c.center for c in circles], mixture.mu, "plot: the centre of a circle")
            self.near([c.radius for c in circles], np.sqrt(mixture.var), "plot: a radius")
            colours = np.array([c.get_edgecolor()[:3] for c in circles])
            self.assertEqual(len(np.unique(colours, axis=0)), min(K, 8), "plot: different colours")
            self.near(dots.get_offsets(), X, "plot: the place of a point")
            self.near(dots.get_facecolors()[:, :3], post @ colours, "plot: the colour of a point")
        for X in (np.array([[3.0, 4.0]]), points(0) + 1e7, np.zeros((4, 2)), points(0) * 1e-9):
            common.plot(X, *common.init(X, 1, 0), "title").figure.savefig(io.BytesIO())
        main.plt.close("all")

    def test_user_types(self):
        X = np.array([[5.0, 3, 1, 0]] * 60 + [[2, 2, 4, 0]] * 40 + [[3, 3, 3, 0]])
        post = np.eye(3)[[1] * 60 + [0] * 40 + [2]]
        mu = np.array([[2.0, 2, 4, 0], [5, 3, 1, 0], [3, 3, 0, 0]])
        fit = main.Fit(0, GaussianMixture(mu, np.ones(3), post.mean(axis=0)), post, [], 0, 0, 0)
        figure = main.draw_user_types(X, fit)
        self.assertIn("(1 left out, of one user", "".join(t.get_text() for t in figure.texts))
        above = mu[[1, 0], :3] - X[:, :3].mean(axis=0)  # the larger type first
        for ax, row, users in zip(figure.axes, above, (60, 40)):
            taste = (row - row.mean()) * users / (users + 15)
            self.near([bar.get_width() for bar in ax.patches], np.sort(taste)[::-2], "a taste")
        for few, K in ((X, 1), (X[[0, 70]], 2), (X[:1] * [1, 0, 0, 0], 1), (np.diag([1, 2.0]), 2)):
            main.draw_user_types(few, main.fit(em, few, K, 0)).savefig(io.BytesIO())

    @needs_course
    def test_published_tables(self):
        _, out, _ = self.call("--netflix-k", 1, 4, 12, "--data", DATA)
        for row in [
            *("1 5462.2975 0", "2 1684.9080 0", "3 1329.5949 3", "4 1035.4998 4"),
            *("1 -1307.2234 -1315.5056 0", "2 -1175.7146 -1195.0397 2"),
            *("3 -1138.8909 -1169.2589 0", "4 -1138.6012 -1180.0121 4"),
            *("1 -1521060.9540 -1525318.5451 0 3 0.4802", "1 0.951 0.872", "4 0.879 0.768"),
            "12 -1390234.4223 -1441364.5114 1 27 0.4805",
        ]:
            self.assertRegex(out, r"\n +" + " +".join(map(re.escape, row.split())) + r"\n")


if __name__ == "__main__":
    cases = {x.__name__: x for base in (Case, Ours) for x in base.__subclasses__() if x != Ours}
    tests = [f"{c}.{m}" for c, case in cases.items() for m in dir(case) if m.startswith("test_")]
    for name in options.names:
        if name not in [*cases, *tests]:
            leave(f"there is no test {name!r}: expected one of {', '.join(cases)}")
    runner = type("Runner", (unittest.TextTestRunner,), {"resultclass": Result})
    argv, quiet = ["test.py", *flags, *options.names], None if sys.warnoptions else "ignore"
    result = unittest.main(argv=argv, exit=False, testRunner=runner, warnings=quiet).result
    failed = len(result.news)
    for reason in sorted({reason for _, reason in result.skipped}):
        print(f"skipped: needs {reason}")
    if failed:
        print(f"\nMend this first: {result.news[0][3]}\n")
    elif result.passed:
        print("All is well: what was tested does what it should.")
    print(f"{result.passed} passed, {failed} failed, {len(result.skipped)} skipped")
    sys.exit(failed > 0 or not result.passed)
