"""Tests: first the judge of the course's four modules, then what is ours beyond them.

    python test.py Em            judges em.py alone; so do Kmeans, NaiveEm and Common
    python test.py               judges all four, and tests what is ours if they pass

FAIL is what the course determines: on data like its own (points in the plane, more of them than
components; ratings from 1 to 5 of up to 1,200 movies, every user has rated something), with its
arguments, to 1e-6. What is right there and would break elsewhere is a note, which changes neither
the verdict nor the exit status. How a module is judged stands in judge/judge.py; what is expected
comes from judge/exact.py (plain Python, 50 digits) or from paper.
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
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest
import warnings
from functools import partial
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
sys.path.insert(0, str(HERE))
try:
    import numpy as np
    from numpy.testing import assert_allclose, assert_array_equal

    from judge.exact import (
        exact_estep,
        exact_fill_matrix,
        exact_mstep,
        exact_naive_mstep,
        exact_nearest,
    )
    from judge.judge import Judge, Verdict, off_by, time_limit
    from judge.mistakes import Mixture
    from judge.problems import mixture_for, points, ratings, soft, start
except ModuleNotFoundError as error:
    if error.name == "numpy":
        leave(f"this needs numpy, which is missing: {sys.executable} -m pip install numpy")
    leave(f"expected the folder judge beside test.py: {error}")


# 1. What is asked of the course's modules. The tests of a module stand in the order in which its
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
            X = np.flip(ratings(seed)).copy()  # the first user has not rated every movie
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
        X = np.array([[5.0, 0, 2], [1, 0, 4], [0, 0, 3], [4, 0, 0], [0, 3, 0]])
        post = np.array([[0.1, 0.9], [0.3, 0.7], [0.5, 0.5], [0.7, 0.3], [0.2, 0.8]])
        # The counts of type 1 are 1.1, 0.2 and 0.9, those of type 2 1.9, 0.8 and 2.1.
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
        # The first user and movie, or the last ones, have something to fill.
        for seed, K, X in [(2, 3, ratings(2)), (3, 2, np.flip(ratings(3)).copy())]:
            mixture = mixture_for(X, K, seed)
            self.check("fill_matrix", [X, mixture], exact_fill_matrix(X, mixture))

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
            words = "a user without ratings gives nan or an error: let an empty sum be 0"
            expected = exact_fill_matrix(nobody, mixture)
            self.note_unless(words, "fill_matrix", [nobody, mixture], expected)
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


# 2. What is ours beyond the course: our own modules where data are odd, em.predict, and main.py.
# A student's modules need not pass these; the judge needs none of them.


class Ours(unittest.TestCase):
    """Our modules, with warnings as errors, NumPy's among them, and a time limit for each test."""

    @classmethod
    def setUpClass(cls):
        cls.common = importlib.import_module("common")
        cls.kmeans = importlib.import_module("kmeans")
        cls.naive_em = importlib.import_module("naive_em")
        cls.em = importlib.import_module("em")
        cls.main = importlib.import_module("main")

    def setUp(self):
        self.enter(np.errstate(all="raise", under="ignore"))
        self.enter(warnings.catch_warnings())
        warnings.simplefilter("error")
        self.enter(time_limit(30))

    def enter(self, context):
        """What a context manager gives, until the test ends (Python 3.11 has enterContext)."""
        result = context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)
        return result

    def assert_finite(self, result):
        for part in flat(result):
            self.assertTrue(np.isfinite(part).all(), result)


def flat(result):
    """The arrays and numbers of a result, which may be nested tuples."""
    if not isinstance(result, tuple):
        return [result]
    return [part for element in result for part in flat(element)]


class Steps(Ours):
    """Degenerate data, exactness, and what the functions promise their callers."""

    def models(self):
        return [(self.kmeans, points(1)), (self.naive_em, points(1)), (self.em, ratings(1))]

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
                self.common.init(bad, K, 0)
        state = np.random.get_state()[1].copy()
        self.common.init(X, 12, 2**32 - 1)
        assert_array_equal(np.random.get_state()[1], state)  # NumPy's global random state
        assert_array_equal(self.common.init(X, 3)[0].mu, self.common.init(X, 3, 0)[0].mu)

    def test_a_soft_count_of_1_up_to_rounding(self):
        X = np.array([[5.0, 2], [0, 4], [0, 3]])
        old = self.common.GaussianMixture(np.full((2, 2), 1.5), np.ones(2), np.full(2, 0.5))
        for count, mean in [(1, 5), (1 - 1e-9, 5), (1 - 1.1e-9, 1.5), (0, 1.5)]:
            post = np.array([[count, 1 - count], [0.5, 0.5], [0.75, 0.25]])
            self.assertAlmostEqual(self.em.mstep(X, post, old).mu[0, 0], mean, msg=f"{count}")

    def test_weights_of_0_and_far_tails(self):
        for model, X in self.models()[1:]:
            mixture = mixture_for(X, 3, 1)._replace(p=np.array([0.0, 0.4, 0.6]))
            far = mixture._replace(mu=mixture.mu + [[300], [310], [-400]])
            for tried in (mixture, far):
                post, ll = model.estep(X, self.common.GaussianMixture(*tried))
                true = exact_estep(X, tried)
                assert_allclose(post, true["post"], rtol=1e-5, atol=1e-290)
                assert_allclose(ll, true["ll"], rtol=1e-9)

    def test_types_and_data_without_ratings(self):
        X = ratings(4)
        X[3] = 0
        mixture = mixture_for(X, 3, 4)._replace(var=np.full(3, 0.75))
        post = np.eye(3)[[0, 0, 0, 1, 2, 0, 2, 0, 2, 0, 2, 0]]  # type 1 has user 3 only
        self.assertEqual(self.em.mstep(X, post, mixture).var[1], 0.75)
        for K in (1, 2):
            _, post, ll = self.em.run(0 * X, *self.common.init(0 * X, K, 0))
            assert_allclose(post, np.full((12, K), 1 / K))
            assert_allclose(ll, 0, atol=1e-12)

    def test_empty_components(self):
        X = points(0)
        post = soft(12, 3, 0)
        post[:, 1] = 0
        post[:, 0] = 1 - post[:, 2]
        for model in (self.kmeans, self.naive_em):
            mu, var, p = flat(model.mstep(X, post))[:3]
            assert_allclose(mu[1], X.mean(axis=0))
            self.assertLess(p[1], 1e-99)
            self.assert_finite((mu, var, p))

    def test_equal_and_repeated_rows(self):
        equal = np.full((6, 2), 7e5 + 0.1)
        repeated = np.repeat(points(0, 7), 2, axis=0)
        for X in (equal, np.full((6, 2), 3.0), repeated):
            for model, K in itertools.product((self.kmeans, self.naive_em, self.em), (1, len(X))):
                self.assert_finite(model.run(X, *self.common.init(X, K, 0)))
        assert_array_equal(self.common.init(equal, 2, 0)[0].var, [1e-100, 1e-100])
        X = points(3)
        var = self.naive_em.mstep(X, np.eye(12)).var  # every point has a component of its own
        assert_allclose(var, np.full(12, 1e-9 * X.var(axis=0).mean()))

    def test_nan_ends_a_run(self):
        for model, X in self.models():
            X[2, 1] = np.nan
            mixture = mixture_for(np.nan_to_num(X), 3, 0)
            with np.errstate(all="ignore"):
                _, _, score = model.run(X, self.common.GaussianMixture(*mixture), soft(12, 3, 0))
            self.assertTrue(math.isnan(score))

    def test_log_likelihoods_of_collapsed_components(self):
        draw = np.random.RandomState(0)
        for trial in range(20):
            scale = 10.0 ** draw.randint(-3, 7)
            X = draw.randn(40, 3) * scale / 100 + scale * draw.choice([0, 1], (40, 1))
            X[0] = 50 * scale
            X[1:4] = X[1]
            X += draw.choice([0, 1000]) * scale
            mixture, _, _ = self.naive_em.run(X, *self.common.init(X, 1 + trial % 6, trial))
            true = exact_estep(X, mixture)["ll"]
            ll = self.naive_em.estep(X, mixture)[1]
            assert_allclose(ll, true, rtol=0, atol=1e-6 * (abs(true) + 40))

    def test_log_likelihoods_of_large_ratings(self):
        # The expanded distance is a difference of numbers of the size of X^2 |C_u|. It loses its
        # digits where ratings hardly differ: of ratings within 0.01 of 1e6 the error is 1e-3.
        draw = np.random.RandomState(0)
        for largest, limit in [(1000, 1e-6), (1e6, 1e-4)]:
            for trial in range(10):
                X = (largest - 5 * draw.rand(40, 30)) * (draw.rand(40, 30) < 0.7)
                X[1:4] = X[1]
                begin = self.common.init(X, 1 + trial % 6, trial)
                for mixture in (begin[0], self.em.run(X, *begin)[0]):
                    post, ll = self.em.estep(X, mixture)
                    true = exact_estep(X, mixture)["ll"]
                    assert_allclose(ll, true, rtol=0, atol=limit * (abs(true) + 40))
                    new = self.em.mstep(X, post, mixture)
                    true = exact_mstep(X, post, mixture.mu).var
                    seen = new.p > 1e-50
                    assert_allclose(new.var[seen], true[seen], rtol=1000 * limit)

    def test_distances_are_never_below_0(self):
        X = 1e6 - 5 * np.random.RandomState(0).rand(6, 30)
        mixture = self.common.GaussianMixture(X, np.full(6, 0.25), np.full(6, 1 / 6))
        # Every user stands on the mean of one type, far from the others.
        top = 6 * (math.log(1 / 6) - 15 * math.log(2 * math.pi * 0.25))
        self.assertLessEqual(self.em.estep(X, mixture)[1], top + 1e-9)

    def test_ties_go_to_the_lowest_index(self):
        for seed in range(20):  # whole numbers: the distances are exact, and many are equal
            X = np.random.RandomState(seed).randint(1, 7, (50, 4)) * 1.0
            mixture, _ = self.common.init(X, 8, seed)
            assert_array_equal(self.kmeans.estep(X, mixture), exact_nearest(X, mixture.mu))

    def test_kmeans_stops_where_the_cost_falls_by_1e_4(self):
        X = points(92, n=120) / 128  # so fine that costs fall by about that
        mixture, post = self.common.init(X, 3, 92)
        costs = [np.inf]
        while len(costs) < 3 or costs[-2] - costs[-1] > 1e-4:
            mixture, cost = self.kmeans.mstep(X, self.kmeans.estep(X, mixture))
            costs.append(cost)
        falls = -np.diff(costs[1:])
        self.assertLess(falls[:-1].min(), 2e-4)  # a limit of that would stop earlier
        self.assertEqual(self.kmeans.run(X, *self.common.init(X, 3, 92))[2], costs[-1])

    def test_nothing_given_is_changed_or_returned(self):
        for model, X in self.models():
            mixture = self.common.GaussianMixture(*mixture_for(X, 3, 3))
            post = soft(12, 3, 3)
            given = [X, *mixture, post]
            for part in given:
                part.flags.writeable = False  # who changes it raises an error
            results = [
                self.common.init(X, 3, 0),
                model.estep(X, mixture),
                model.run(X, mixture, post),
            ]
            if model is self.em:
                results.append(model.mstep(X, post, mixture))
                results.append(model.fill_matrix(X, mixture))
                results.append(model.predict(X, 2, [0]))
            else:
                results.append(model.mstep(X, post))
            for result in flat(tuple(results)):
                shared = [np.shares_memory(result, part) for part in given]
                self.assertEqual(shared, [False] * 5)

    def test_plot(self):
        for K, d in [(1, 2), (3, 2), (9, 2), (3, 5)]:  # of five columns it draws the first two
            X = points(K, d=d)
            post = soft(12, K, K)
            mixture = mixture_for(X, K, K)
            ax = self.main.plt.Figure().subplots()
            self.assertIs(self.common.plot(X, mixture, post, f"K is {K}", ax), ax)
            circles = [patch for patch in ax.patches if hasattr(patch, "radius")]
            assert_allclose([circle.center for circle in circles], mixture.mu[:, :2])
            assert_allclose([circle.radius for circle in circles], np.sqrt(mixture.var))
            colours = np.array([circle.get_edgecolor()[:3] for circle in circles])
            self.assertEqual(len(np.unique(colours, axis=0)), min(K, 8))
            dots = ax.collections[0]
            assert_allclose(dots.get_offsets(), X[:, :2])
            assert_allclose(dots.get_facecolors()[:, :3], post @ colours)


# em.predict once more, from the formulas of its docstring: a mixture, a row, a value at a time


def slow_predict(X, K, seeds):
    draws = [np.random.RandomState(seed) for seed in seeds]
    rated = X != 0
    x_hat = np.full(X.shape, X[rated].mean())
    early = []
    for number in range(1, 13):
        if number <= 2:
            early.append(np.where(rated, X - x_hat, 0))
        for turned in (lambda A: A, lambda A: A.T):  # rows are users, then movies
            residuals = turned(np.where(rated, X - x_hat, 0))
            if number <= 8:
                seen = (residuals, turned(rated), K, 15)
            elif number <= 10:
                seen = (turned(rated * 1.0), np.full(residuals.shape, True), 24, 1)
            else:
                seen = (turned(early[number - 11]), turned(rated), 24, 1)
            guesses = []
            for draw in draws:
                post = slow_types(*seen, draw)
                guesses.append(post @ slow_means(residuals, turned(rated), post, 15))
            x_hat = x_hat + turned(np.mean(guesses, axis=0))
    return np.where(rated, X, np.clip(x_hat, X[rated].min(), X[rated].max()))


def slow_types(values, counts, K, pull, draw):
    n = len(values)
    var = math.fsum(value**2 for value in values[counts]) / counts.sum() + 1e-100
    mu = values[draw.choice(n, min(K, n), replace=False)] / (1 + pull)
    for estep in range(3):
        post = []
        for i in range(n):
            f = []
            for mean in mu:
                terms = [m * (v - m / 2) for m, v, c in zip(mean, values[i], counts[i]) if c]
                f.append(math.fsum(terms) / var)
            parts = [math.exp(x - max(f)) for x in f]
            post.append([part / math.fsum(parts) for part in parts])
        post = np.array(post)
        if estep < 2:
            mu = slow_means(values, counts, post, pull)
    return post


def slow_means(values, counts, post, pull):
    mu = np.zeros((post.shape[1], values.shape[1]))
    for j, l in np.ndindex(mu.shape):
        rows = np.flatnonzero(counts[:, l])
        total = math.fsum(post[i, j] * values[i, l] for i in rows)
        mu[j, l] = total / (math.fsum(post[i, j] for i in rows) + pull)
    return mu


class Predict(Ours):
    """em.predict"""

    def test_is_what_its_formulas_say(self):
        for seed, K, shape in [(0, 2, (14, 6)), (1, 7, (9, 5)), (2, 1, (5, 12)), (3, 4, (30, 8))]:
            X = ratings(seed, *shape)
            X[2] = 0  # a user and a movie without any rating
            X[:, 3] = 0
            got = self.em.predict(X, K, iter([3, 4]))
            assert_allclose(got, slow_predict(X, K, [3, 4]), rtol=0, atol=1e-10)
            assert_array_equal(got[X != 0], X[X != 0])
        assert_array_equal(self.em.predict(X), self.em.predict(X, 4, range(10)))
        cross = np.array([[4.0, 2, 0], [2, 4, 0], [0, 0, 3]])  # a residual of 0 is still a rating
        expected = slow_predict(cross, 2, range(5))
        assert_allclose(self.em.predict(cross, 2, range(5)), expected, rtol=0, atol=1e-10)

    def test_on_any_scale(self):
        X = ratings(5, n=30)
        with_mean = X.copy()
        with_mean[X != 0] += 3 - X[X != 0].mean()  # the mean is 3, and a rating
        with_mean[0, 0] = 3
        with_mean[1, 0] += 3 * np.count_nonzero(X) - with_mean[X != 0].sum()
        for ratings_on_1 in (X, with_mean):
            expected = self.em.predict(ratings_on_1, 3)
            for factor in (8, 2.0**-90, 2.0**90, 1e-3, 1e6, 1 / 3):
                got = self.em.predict(factor * ratings_on_1, 3)
                assert_allclose(got / factor, expected, rtol=1e-7)

    def test_stays_in_the_range_of_what_is_given(self):
        X = np.full((12, 8), -5.0)  # one user and one movie are far above; negative, too
        X[0] = -1
        X[:, 0] = -1
        X[0, 0] = 0
        self.assertEqual(self.em.predict(X, 1)[0, 0], -1)
        self.assertEqual(self.em.predict(-X, 1)[0, 0], 1)

    def test_equal_ratings(self):
        one = np.zeros((3, 4))
        one[1, 1] = 2.5
        for X in (np.where(ratings(5) > 0, 0.1, 0), one):
            assert_allclose(self.em.predict(X, 3), np.full(X.shape, X.max()), rtol=1e-12)

    def test_refuses(self):
        X = ratings(0)
        not_finite = []
        for x in (np.nan, np.inf, -np.inf):
            not_finite.append(X.copy())
            not_finite[-1][1, 2] = x
        for words, *arguments in [
            ("X: expected", X[0], 2),
            ("X: expected a 2-D array of numbers, got a list", [["a"]], 2),
            ("X: expected finite numbers, got nan at X.1, 2.", not_finite[0], 2),
            ("X: expected finite numbers, got inf at X.1, 2.", not_finite[1], 2),
            ("X: expected finite numbers, got -inf at X.1, 2.", not_finite[2], 2),
            ("X: expected at least one rating", 0 * X, 2),
            ("K: expected at least 1", X, 0),
            ("seeds: expected at least one", X, 2, []),
        ]:
            with self.assertRaisesRegex(ValueError, f"^{words}.*$"):
                self.em.predict(*arguments)
        self.assert_finite(self.em.predict(X, 100))  # more types than rows

    def test_posteriors_of_thousands_of_ratings(self):
        self.assert_finite(self.em.predict(ratings(0, 4, 4000), 2, [0]))


class Program(Ours):
    """main.py on small data, in this process and as one of its own."""

    def setUp(self):
        super().setUp()
        self.main.plt.rcdefaults()
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
            path.write_bytes(content.encode())
        else:
            np.savetxt(path, content, fmt="%.17g")
        return path

    def call(self, *arguments, save=False):
        """Run main.py in this process; return its exit status, output and errors.

        Unless save is true no picture is saved, which would take most of the time.
        """
        out = io.StringIO()
        err = io.StringIO()
        status = 0
        with contextlib.ExitStack() as stack:
            words = ["main.py", *map(str, arguments)]
            stack.enter_context(mock.patch.object(sys, "argv", words))
            stack.enter_context(contextlib.redirect_stdout(out))
            stack.enter_context(contextlib.redirect_stderr(err))
            if not save:
                stack.enter_context(mock.patch.object(self.main, "save"))
                stack.enter_context(mock.patch.object(self.main, "save_animation"))
            try:
                self.main.main()
            except SystemExit as end:
                status = end.code
        return status, out.getvalue(), err.getvalue()

    def process(self, *arguments, folder=HERE):
        """Run Python on the arguments in a process of its own."""
        command = [sys.executable, *map(str, arguments)]
        notebook = {**os.environ, "MPLBACKEND": "module://of_a_notebook"}
        return subprocess.run(
            command, cwd=folder, env=notebook, capture_output=True, text=True, timeout=120
        )

    def files(self):
        """{path: when it was changed} of all files; a folder's time tells of a probe in it, too."""
        found = {}
        for path in self.folder.rglob("*"):
            found[path] = None if path.is_dir() else path.lstat().st_mtime_ns
        return found

    def assert_refused(self, words, *arguments):
        """The call ends with 2 and one line, and leaves every file as it was."""
        before = self.files()
        status, out, err = self.call(*arguments)
        self.assertEqual((status, out), (2, ""), err)
        self.assertRegex(err, rf"^main\.py: .*{words}.*\n$")
        self.assertEqual(self.files(), before)


# Students' modules, with the course's functions and parameters alone, on copies of ours
STUDENTS = {
    "kmeans": "from our_kmeans import *",
    "naive_em": "from our_naive_em import *",
    "em": "from our_em import estep, mstep, run, fill_matrix",
    "common": """
from our_common import GaussianMixture, rmse, bic
import our_common
def init(X, K, seed): return our_common.init(X, K, seed)
def plot(X, mixture, post, title): our_common.plot(X, mixture, post, title)
""",
}


class Main(Program):
    """main.py: its tables, options, and end."""

    def test_tables_pictures_and_the_completed_matrix(self):
        filled = self.folder / "filled.txt"
        options = ["--data", self.small, "--fill", filled]
        options += "--seeds 1 0 --toy-k 3 1 2 --netflix-k 1 3 2".split()
        status, out, err = self.call(*options, save=True)
        self.assertEqual((status, err), (0, ""))
        rows = [row.split() for row in re.findall(r"(?m)^ +\d+ .*$", out)]
        rows = [[float(word) for word in row] for row in rows]
        self.assertEqual([row[0] for row in rows], [1, 2, 3, 1, 2, 3, 1, 2, 3])
        for model, X, row in [
            (self.kmeans, self.toy, rows[1]),
            (self.naive_em, self.toy, rows[4]),
            (self.em, self.X, rows[7]),
        ]:
            fits = [model.run(X, *self.common.init(X, 2, seed)) for seed in (0, 1)]
            scores = np.round([fit[2] for fit in fits], 9)
            seed = scores.argmax()
            expected = [2, scores[seed], self.common.bic(X, fits[seed][0], scores[seed]), seed]
            if model is self.kmeans:
                seed = scores.argmin()
                expected = [2, scores[seed], seed]
            assert_allclose(row[: len(expected)], expected, atol=6e-5)
        error = self.common.rmse(self.em.fill_matrix(self.X, fits[seed][0]), self.Y)
        self.assertAlmostEqual(rows[7][4], error, places=4)
        count = np.count_nonzero(self.X)
        words = f"20 users x 8 movies, {count} ratings ({count / 1.6:.1f} %) from 1 to 5"
        self.assertIn(words, out)
        pictures = sorted(path.name for path in (self.small / "plots").iterdir())
        self.assertEqual(len(pictures), 7, pictures)
        for name in pictures:
            self.assertIn(name, out)
        expected = np.where(self.X == 0, self.em.predict(self.X).round(4), self.X)
        assert_array_equal(np.loadtxt(filled), expected)

    def test_the_errors_on_hidden_ratings(self):
        """Step 4's figures are those of predictions from the other ratings alone."""
        _, out, _ = self.call("--data", self.small, "--netflix-k", 2, "--seeds", 0, 1)
        tenths = self.main.hidden_tenths(self.X)
        guesses = {
            "mean of all ratings": [],
            "averages of users and movies": [],
            "em.fill_matrix, K =  2": [],
            "em.predict": [],
        }
        for tenth in tenths:
            left = self.X.copy()
            left.flat[tenth] = 0
            mean = left.sum() / np.count_nonzero(left)
            averages = self.slow_averages(left, mean)
            fits = [self.em.run(left, *self.common.init(left, 2, seed)) for seed in (0, 1)]
            best = max(fits, key=lambda fit: fit[2])
            course = self.em.fill_matrix(left, best[0])
            ours = self.em.predict(left)
            for parts, X_pred in zip(guesses.values(), [0 * left + mean, averages, course, ours]):
                parts.append(X_pred.flat[tenth])
        truth = self.X.flat[np.concatenate(tenths)]
        for name, parts in guesses.items():
            error = self.common.rmse(np.concatenate(parts), truth)
            self.assertIn(f"\n{name:28}{error:10.3f}\n", out)
        squares = (np.concatenate(guesses["em.predict"]) - truth) ** 2
        uncertainty = squares.std() / math.sqrt(len(truth)) / 2 / error
        self.assertIn(f"em.predict expects {error:.3f} +- {uncertainty:.3f} stars on ratings", out)
        self.assertIn("Not better than averages: ", out)  # of random numbers

    def slow_averages(self, X, mean):
        """mean + b_l + b_u, a movie and a user at a time."""
        n, d = X.shape
        b_movie = []
        for l in range(d):
            residuals = [X[u, l] - mean for u in range(n) if X[u, l]]
            b_movie.append(sum(residuals) / (len(residuals) + 10))
        b_user = []
        for u in range(n):
            residuals = [X[u, l] - mean - b_movie[l] for l in range(d) if X[u, l]]
            b_user.append(sum(residuals) / (len(residuals) + 15))
        return mean + np.array(b_movie) + np.array(b_user)[:, None]

    def test_better_than_averages(self):
        draw = np.random.RandomState(0)
        taste = np.array([[1.0, 5] * 15, [5.0, 1] * 15])[draw.randint(0, 2, 60)]
        self.write("netflix_incomplete.txt", taste * (draw.rand(60, 30) < 0.7))
        (self.small / "netflix_complete.txt").unlink()
        _, out, _ = self.call("--data", self.small, "--netflix-k", 2, "--seeds", 0)
        self.assertIn("em.predict expects ", out)
        self.assertNotIn("Not better", out)

    def test_hidden_tenths(self):
        for n, tenths, size in [(2, 0, 0), (20, 10, 20), (333, 4, 333), (1000, 1, 1000)]:
            X = ratings(0, n, 10, missing=0)
            if n == 2:
                X[:, 4:] = 0  # 8 ratings
            hidden = self.main.hidden_tenths(X)
            self.assertEqual([len(tenth) for tenth in hidden], [size] * tenths)
            self.assertEqual(len(np.unique(hidden)), size * tenths)
        for split in (0, 3):
            order = np.random.RandomState(split).choice(np.flatnonzero(X), 1000, replace=False)
            assert_array_equal(self.main.hidden_tenths(X, split)[0], order)

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
            self.assertRegex(out, f"(?s)\n  8 .*expects {words} stars")
            self.assertNotIn("  RMSE\n", out)
            self.assertEqual("The ratings' variance is 0.0" in out, scale == 0.1)
        self.write("netflix_incomplete.txt", "0.001 0 0.003\n0.002 0.003 0\n")
        status, out, err = self.call("--data", self.small, "--fill", self.folder / "filled.txt")
        self.assertEqual((status, err), (0, ""))
        self.assertIn("4 ratings are too few to hide a tenth; no error is known.", out)

    @unittest.skipUnless(os.name == "posix", "for the messages of Linux and macOS")
    def test_options_that_make_no_sense(self):
        toy = self.small / "toy_data.txt"
        lines = self.write("lines.txt", "a b 1\nc d 2\n")
        link = self.folder / "link"
        link.symlink_to(toy)
        loop = self.folder / "loop"
        loop.symlink_to(loop)
        long = self.folder / ("x" * 300)
        for words, *arguments in [
            ("--toy-k: expected whole numbers of at least 1, got 'two'", "--toy-k", "two"),
            ("--toy-k: expected 1 to 15, the number of rows, got 16", "--toy-k", 16),
            ("--netflix-k: expected whole numbers of at least 1, got '0'", "--netflix-k", 0, 2),
            ("--netflix-k: .* of at least 1, separated by spaces, got '1,2'", "--netflix-k", "1,2"),
            ("--seeds: expected whole numbers from 0 to 4294967295, got '-1'", "--seeds", -1),
            ("unrecognized arguments: --seed 3", "--seed", 3),
            ("--ratings: not allowed with argument --data", "--ratings", lines),
            ("--plots: cannot write into .*: ", "--plots", toy),
            ("--plots: cannot write into .*: Not a directory", "--plots", toy / "x"),
            ("--plots: cannot write into .*: File name too long", "--plots", long),
            ("--plots: cannot write into .*: ", "--plots", loop),
            ("--fill: expected a file of its own, got the input", "--fill", toy),
            ("--fill: expected a file of its own, got the input", "--fill", link),
            ("--fill: expected a file to write, got ", "--fill", self.folder),
            ("--fill: expected a file in a folder", "--fill", self.folder / "none" / "x"),
            ("--fill: cannot write .*: Not a directory", "--fill", toy / "x"),
            ("--fill: cannot write .*: File name too long", "--fill", long),
            ("--fill: cannot write .*: Too many levels", "--fill", loop),
            ("--top: expected with --ratings and --fill", "--top", 3),
        ]:
            self.assert_refused(words, "--data", self.small, *arguments)
        for words, *arguments in [
            ("--fill: expected a file of its own", "--fill", lines),
            ("--toy-k: expected without --ratings", "--toy-k", 2),
            ("--top: expected with --ratings and --fill", "--top", 3),
            ("--top: expected whole numbers of at least 1", "--top", 0, "--fill", link),
        ]:
            self.assert_refused(words, "--ratings", lines, *arguments)
        for path, words in [
            (self.folder / "none", "No such file"),
            (long, "File name too long"),
            (loop, "Too many levels"),
        ]:
            self.assert_refused(f"cannot read .*incomplete.txt: {words}", "--data", path)
            self.assert_refused(f"cannot read .*: {words}", "--ratings", path)

    def test_the_number_of_workers_changes_nothing(self):
        outputs = set()
        for number in (1, 3):
            with mock.patch.object(self.main, "workers", lambda *_, number=number: number):
                outputs.add(self.call("--data", self.small, "--toy-k", 2, "--netflix-k", 2))
        self.assertEqual([status for status, _, _ in outputs], [0])

    def test_fits_side_by_side_fit_into_memory(self):
        X = np.zeros((1000, 1000))
        cpus = set(range(8))
        with mock.patch.object(os, "sched_getaffinity", lambda _: cpus, create=True):
            for gigabytes, number in [(math.inf, 8), (1, 8), (0.16, 4), (0.05, 1)]:
                with mock.patch.object(self.main, "memory", lambda g=gigabytes: 1e9 * g):
                    self.assertEqual(self.main.workers(X, 1), number)

    def test_a_students_modules(self):
        """Beside ours and all four, in a copy of main.py's folder; then with mistakes."""
        shutil.copy(HERE / "main.py", self.folder)
        for name in STUDENTS:
            shutil.copy(HERE / f"{name}.py", self.folder / f"our_{name}.py")
        run = partial(self.process, "main.py", "--data", self.small, "--seeds", 0)
        run = partial(run, "--toy-k", 2, "--netflix-k", 2, folder=self.folder)
        run = partial(run, "--plots", self.folder / "plots")
        for theirs, n_pictures, lacks in [
            (["em"], 7, "^em.predict"),
            (["kmeans", "naive_em", "common"], 5, "^common.plot.s parameter ax .*toy_em.gif.[.]$"),
            (list(STUDENTS), 5, "common.plot's parameter ax .*em.predict"),
        ]:
            shutil.rmtree(self.folder / "plots", ignore_errors=True)
            for name in STUDENTS:
                text = STUDENTS[name] if name in theirs else f"from our_{name} import *"
                (self.folder / f"{name}.py").write_text(text)
            done = run()
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertEqual(len(list((self.folder / "plots").iterdir())), n_pictures)
            left_out = re.findall("Left out, because your modules have no: (.*)", done.stdout)
            self.assertRegex("".join(left_out), lacks)
        done = run("--fill", self.folder / "filled.txt")
        self.assertEqual(done.returncode, 2)
        self.assertIn("--fill: expected an em.py with a function predict", done.stderr)
        for mistake, words in [
            ("import no_library", "No module named 'no_library'"),
            ("def run(X, mixture, post): return 1 / 0", "ZeroDivisionError"),
        ]:
            (self.folder / "kmeans.py").write_text(mistake)
            done = run()
            self.assertEqual(done.returncode, 1)
            self.assertIn("Traceback", done.stderr)
            self.assertRegex(done.stderr, r'(?s)kmeans.py", line .*' + words)
            self.assertNotIn("pip install", done.stderr)

    def test_a_log_likelihood_of_one_element(self):
        """Students' functions may return an array of shape (1,): main.py takes the number out."""

        def one_element(function):
            return lambda *given: (*function(*given)[:-1], np.array(function(*given)[-1:]))

        fits = [self.main.fit(self.em, self.X, 2, 0, None)]
        traces = [self.main.trace(self.em, self.X, 2, 0)]
        run = one_element(self.em.run)
        estep = one_element(self.em.estep)
        with mock.patch.multiple(self.em, run=run, estep=estep):
            fits.append(self.main.fit(self.em, self.X, 2, 0, None))
            traces.append(self.main.trace(self.em, self.X, 2, 0))
        self.assertEqual(fits[0][-2:], fits[1][-2:])  # the score and the BIC
        self.assertEqual(traces[0], traces[1])
        self.assertEqual(traces[0][-1], fits[0].score)
        self.assertEqual({type(fits[1].score), type(traces[1][-1])}, {float})

    @unittest.skipUnless(os.name == "posix", "for signals as Linux and macOS have them")
    def test_the_end_of_a_process(self):
        old = "import runpy, sys; sys.version_info, sys.version = (3, 9), '3.9.1 x'; "
        old += "runpy.run_path(sys.argv[1], None, '__main__')"
        for name in ("main.py", "test.py"):
            done = self.process("-c", old, name)
            self.assertEqual(done.returncode, 2)
            self.assertEqual(done.stderr, f"{name}: expected Python 3.10 or later, got 3.9.1\n")
        done = self.process("test.py", "Emm")
        self.assertEqual(done.returncode, 2)
        self.assertRegex(done.stderr, "^test.py: there is no test 'Emm': expected one of .*\n$")
        command = [sys.executable, HERE / "main.py", "--data", self.small, "--seeds"]
        command += map(str, range(3000))
        for interrupted, status, words in [(True, 130, "main.py: interrupted\n"), (False, 141, "")]:
            with subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            ) as process:
                process.stdout.readline()
                if interrupted:
                    process.send_signal(signal.SIGINT)
                process.stdout.close()
                self.assertEqual(process.stderr.read(), words)
            self.assertEqual(process.returncode, status)

    def test_user_types(self):
        """Two types and a user of their own, who is left out; movie 3 has no ratings."""
        X = np.array([[5.0, 3, 1, 0]] * 60 + [[2, 2, 4, 0]] * 40 + [[3, 3, 3, 0]])
        post = np.eye(3)[[1] * 60 + [0] * 40 + [2]]
        mu = np.array([[2.0, 2, 4, 0], [5, 3, 1, 0], [3, 3, 0, 0]])
        mixture = self.common.GaussianMixture(mu, np.ones(3), post.mean(axis=0))
        fit = self.main.Fit(0, mixture, post, 0.0, 0.0)
        data = self.main.Data("", X, list("abcd"), "movie", "stars", [])
        figure = self.main.draw_user_types(data, fit, "K = 3")
        texts = [text.get_text() for text in figure.texts]
        title = "User types (K = 3; 1 left out, of one user or under 1 %): "
        self.assertIn(title + "their ratings, above or below everyone's", texts)
        for ax, row, users in zip(figure.axes, mu[[1, 0], :3], [60, 40]):
            above = row - X[:, :3].mean(axis=0)
            generosity = above.mean()
            expected = generosity + (above - generosity) * users / (users + 15)
            widths = [bar.get_width() for bar in ax.patches]
            assert_allclose(widths, np.sort(expected)[[2, 0]])  # the most and the least
            names = [label.get_text() for label in ax.get_yticklabels()]
            self.assertEqual(names, ["abc"[expected.argmax()], "abc"[expected.argmin()]])


class Files(Program):
    """Files of one's own: ratings in lines, with what surrounds them, and matrices."""

    def read(self, content, name="ratings.csv"):
        """What read_ratings makes of a file: {(user, item): rating}, and its report."""
        data = self.main.read_ratings(self.write(name, content))
        given = {}
        for u, l in np.argwhere(data.X):
            given[data.users[u], data.items[l]] = data.X[u, l]
        return given, "\n".join(data.report)

    def test_columns_by_the_names_of_a_header(self):
        """The same three ratings under other names, and in another order."""
        expected = {("101", "11"): 2.0, ("101", "12"): 3.0, ("102", "11"): 4.0}
        lines = [list(pair) + [f"{value:g}"] for pair, value in expected.items()]
        for header, order in [
            ("user,item,rating", "uir"),
            ("item,user,rating", "iur"),
            ("user_id,rating,item_id", "uri"),
            ("Cust_Id,Rating,Movie_Id", "uri"),
            ("asin,reviewerID,overall,unixReviewTime", "iurx"),
            ("User-ID,ISBN,Book-Rating", "uir"),
            ("userid,movieid,rating,timestamp", "uirx"),
            ("USERID,ITEMID,RATING", "uir"),
            ("user/name,film.title,score", "uir"),
            (",user,item,rating", "xuir"),
            ("Unnamed: 0,rating,user,item", "xrui"),
            ("index,user,item,rating,rating_count", "xuirx"),
            ("review_id,user_id,business_id,stars,useful,text,date", "xuirxxx"),
            ("rating_id,user,joke,rating", "xuir"),
            ("userID,placeID,rating,food_rating,service_rating", "uirxx"),
            ("user,game,operating_system,rating", "uixr"),
            ("user_id,hotel_id,city,rating", "uixr"),
            ("user,hotel,rating", "uir"),
            ("user_id,user_age,title,isbn,stars", "uxxir"),
            ("rating,title,parent_asin,user_id,timestamp", "rxiux"),
            ("ISBN10,User-ID,Book-Title,Book-Rating", "iuxr"),
            ("book,reader,average_rating,rating,year", "iuxrx"),
            ("user,movie,rating_date,rating", "uixr"),
            ("who,what,stars", "uir"),
            ("what,person,points", "iur"),
            ("userID,artistID,weight", "uir"),
            ("кто,что,оценка", "uir"),
            ("who,what,value,when", "uirx"),
            (",who,what,value", "xuir"),
            ("# item,user,rating", "iur"),
        ]:
            rows = []
            for number, line in enumerate(lines):
                fields = {**dict(zip("uir", line)), "x": f"9{number}"}
                rows.append(",".join(fields[column] for column in order))
            given, report = self.read("\n".join([header, *rows]))
            self.assertEqual(given, expected, header)
            names = header.removeprefix("# ").split(",")
            columns = [names[order.index(column)] for column in "uir"]
            self.assertIn("Header: user = {}, item = {}, rating = {}\n".format(*columns), report)
            self.assertIn("First rating: user 101, item 11, rating 2", report)

    def test_headers_that_say_too_little(self):
        for header, words in [
            ("Date,Name,Year,URI,Rating", "no user .looked for user, username, "),
            ("Date,Name,Rating", "no user "),
            ("user,hotel,city,rating", "no item .looked for item, movie, "),
            ("user,item,price,shop", "no rating .looked for rating, ratings, "),
            ("user,item,food_rating,service_rating", "several for the rating: food_rating, serv"),
            ("user_name,user_age,item,rating", "several for the user: user_name, user_age"),
            ("user,food_rating,rating_count", "no item "),
            ("a,b,c,d,e", "no user "),
        ]:
            path = self.write("bad.csv", header + "\n" + ",".join("1x345"[: header.count(",") + 1]))
            words = rf"bad\.csv: expected a header that .*rename .* user,item,rating.*, {words}"
            self.assert_refused(words, "--ratings", path)

    def test_lines_without_a_header(self):
        for first in ["u1,Star Wars,5", "user_1,The Reader,5", "u1,11,5,1,2020-01-01"]:
            given, report = self.read(f"{first}\nu2,Heat,4\nu2,Ronin,3\n")
            self.assertEqual(len(given), 3)
            self.assertNotIn("Header", report)
        _, report = self.read("101,11,3,1,5,2020-01-01\n102,12,3,1,4,2020-01-01\n")
        self.assertIn("First rating: user 101, item 11, rating 3", report)

    def test_a_matrix_is_no_lines(self):
        empty = "".join(f"{u},3,,,{u % 5 + 1}\n" for u in range(12))
        for content in [
            "user,i1,i2,i3,i4\n101,3,5,1,2\n",
            "user,i1,i2,i3,i4\n" + empty,
            "userId,1,2,3,4\n" + empty,
            "userId,1,2,3,4\n" + empty.replace(",,", ",0,"),
            "name,Heat,Ronin,Thief,Collateral\n" + empty,
            "user,Star Trek,Movie 43,Heat,Up\n" + empty,
            empty,
        ]:
            words = "expected lines of user, item, rating, got a matrix, .*melt.*--data"
            self.assert_refused(words, "--ratings", self.write("wide.csv", content))
        words = "line 1, column 1: expected a rating .* all separated by spaces .*, got "
        self.write("netflix_incomplete.txt", empty)
        self.assert_refused(words, "--data", self.small)

    def test_what_surrounds_ratings(self):
        """Missing ratings, comments, blanks, quotes, repeated pairs."""
        given, report = self.read("a,b,\na,c,nan\na,d,3\nb,d,4\nb,c,NULL\nb,e,2\nb,e,5\nb,g,N/A\n")
        self.assertEqual(given, {("a", "d"): 3, ("b", "d"): 4, ("b", "e"): 5})
        self.assertIn("8 lines, separated by ','", report)
        self.assertIn("Lines whose rating is missing: 4, left out", report)
        self.assertIn("Pairs that stand more than once: 1; the last rating of a pair", report)
        given, report = self.read("# comment\n\n% another, longer one\n1 2 3\n\n1 3 4\n2 2 5\n")
        self.assertEqual(given, {("1", "2"): 3, ("1", "3"): 4, ("2", "2"): 5})
        self.assertIn("Lines at the start that begin with # or %: 2", report)
        given, _ = self.read('"1 ",11,4\n 1, 12 ,3\n"a ""b"", c",11 ,5\n')
        self.assertEqual(given, {("1", "11"): 4, ("1", "12"): 3, ('a "b", c', "11"): 5})
        given, _ = self.read("101\t11 \t4\n101 \t12\t3\n102\t11\t5\n")
        self.assertEqual(given, {("101", "11"): 4, ("101", "12"): 3, ("102", "11"): 5})

    def test_remarks(self):
        for content, words in [
            ("a,b,3\na,c,3\nb,c,3\n", "All ratings are equal: there is nothing to learn"),
            ("a,b,3\na,c,4\nb,c,3\nb,b,5\n", "No rating is missing: there is nothing to predict."),
            ("a,b,.2\na,c,1\nb,c,.3\n", "The ratings' variance is 0.13, below 0.25, the least"),
        ]:
            path = self.write("ratings.csv", content)
            filled = self.folder / "out.csv"
            _, out, _ = self.call("--ratings", path, "--fill", filled, "--netflix-k", 1)
            remarks = [line for line in out.splitlines() if line.startswith(words)]
            self.assertEqual(len(remarks), 1, out)
            self.assertEqual(filled.read_text().splitlines()[0], "user,item,prediction")

    def test_every_format_gives_the_same(self):
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
            path = self.write("ratings.csv", text.encode("utf-8-sig" if bom else "utf-8"))
            filled = self.folder / "out.csv"
            status, out, err = self.call("--ratings", path, "--fill", filled, "--netflix-k", 1)
            self.assertEqual((status, err), (0, ""))
            self.assertIn(f"4 users x 5 items, {len(lines)} ratings (", out)
            self.assertEqual("Header: user = userId, item = movieId" in out, header)
            self.assertRegex(out, r"em.predict expects [.\d]+ \+- [.\d]+ on ratings given")
            with open(filled, encoding="utf-8", newline="") as file:
                got = list(csv.reader(file))
            if expected is None:
                expected = got
            self.assertEqual(got, expected, separator)
        self.assertEqual(got[0], ["user", "item", "prediction"])
        pairs = {(user, item) for user in users for item in items}
        pairs -= {(user, item) for user, item, _, _ in lines}
        self.assertEqual({(user, item) for user, item, _ in got[1:]}, pairs)

        data = self.main.read_ratings(path)
        X_pred = self.em.predict(data.X)
        for user, item, prediction in got[1:]:
            value = X_pred[data.users.index(user), data.items.index(item)]
            self.assertEqual(prediction, f"{value:.4f}")
        order = [(data.users.index(user), -float(prediction)) for user, _, prediction in got[1:]]
        self.assertEqual(order, sorted(order))
        self.call("--ratings", path, "--fill", filled, "--netflix-k", 1, "--top", 1)
        with open(filled, encoding="utf-8", newline="") as file:
            top = list(csv.reader(file))
        firsts = [row for row, before in zip(got[1:], got) if row[0] != before[0]]
        self.assertEqual(top[1:], firsts)

    def test_ties(self):
        text = "u a 5\nu b 1\nv b 5\nv c 5\nw c 5\nw b 5\nu b 5\nx a 5\n"  # all 5 in the end
        filled = self.folder / "out.csv"
        path = self.write("$\\foo$.txt", "\n" + text)  # no formula, and an empty line
        _, out, _ = self.call("--ratings", path, "--fill", filled, "--netflix-k", 1)
        self.assertIn("need a K above 1: they are left out", out)
        pairs = [line.removesuffix(",5.0000") for line in filled.read_text().splitlines()]
        self.assertEqual(pairs[1:], ["u,c", "v,a", "w,a", "x,b", "x,c"])

    def test_bad_lines_of_ratings(self):
        for content, words in [
            ("1 2\n3 4\n", "bad.csv: expected lines of user, item, rating, sep.*, got '1 2'"),
            ("", "bad.csv: expected lines of user, item, rating, .*, got ''"),
            ('[{"user": 1, "item": 2, "rating": 3}]', "expected lines of user, item, rating, "),
            ("a,b,3\na,c\n", "bad.csv, line 2: expected a user, an item and a rating, got 'a c'"),
            ("a,b,3\n,c,4\n", "line 2: expected a user, an item and a rating, got user '', item"),
            ("u,i,r\na,b,3\na,c,0\n", r"line 3: .*, got '0': leave the line out .* add 1 to all"),
            ("# x\n\na,b,3\na,c,-1\n", "line 4: .*, got '-1': leave the line out .* add 2 to all"),
            ("a::b::3\na::c::2e6\n", "line 2: .* above 0 and up to 1000000, got '2e6'"),
            ("a,b,3\na,c,1_0\n", "line 2: expected a rating above 0 .*, got '1_0'"),
            ("a,b,3\na,c,inf\n", "line 2: expected a rating above 0 .*, got 'inf'"),
            ("a,b,3\na,c,good\n", "line 2: .*, got 'good': is the rating in column 3?"),
            ("a,b,2024-01-01,5\n", "line 1: .*, got '2024-01-01': is the rating in column 3?"),
            ("u1;i1;4,5\nu1;i2;3\n", "line 1: .*, got '4,5': write 4.5"),
            ("user item rating\n1 7 11 3\n2 7 12 4\n", "line 2: expected 3 fields as .*, got 4: "),
            ("5 4 0 3 1 2\n3 2 1 0 4 5\n", "line 1: .*, got '0': is it a matrix. --data takes one"),
            ('a\tb\t3\tx\na\tc\t4\t"x\nb\tc\t4\t"\n', "line 2: .*quotation mark"),
            ("game,userscore,platform\na,9,PC\n", "line 2: .*'PC': is .* in the column platform?"),
            ("u,i,r\n", "bad.csv: expected at least one rating, got none"),
            ("a,b,3\na,c,4\n", "expected at least 2 users and 2 items, got 1 and 2"),
            ("a,b,3\nc,b,4\n", "expected at least 2 users and 2 items, got 2 and 1"),
            (b"a,b,3\n\xe9,c,4\n", "line 2: expected text in UTF-8, .*: save the file as UTF-8"),
            (b"\x7fELF\x02\x01\x01\x00\xff\xfe,,,", "line 1: expected text in UTF-8"),
            ('a,b,3\n"a,c,4\nd,e,5\n', "line 2: expected lines of user, item, .*quotation"),
        ]:
            self.assert_refused(words, "--ratings", self.write("bad.csv", content))
        path = self.write("bad.csv", "a,b,3\nc,b,4\nc,d,4\n")
        with mock.patch.object(self.main, "memory", lambda: 200):
            words = "to fit into memory, got 2 x 2, which take .*: leave out users and items"
            self.assert_refused(words, "--ratings", path)

    def test_bad_matrices(self):
        triples = np.column_stack([np.arange(40) // 5 + 1, np.arange(40) % 5 + 1, self.Y.flat[:40]])
        ids = triples * [1, 1000001, 1]
        for name, content, words in [
            ("netflix_incomplete.txt", triples, "lines of user, item, rating use --ratings"),
            ("netflix_incomplete.txt", ids, "line 1, column 2: .* use --ratings.*'1000001'"),
            ("netflix_incomplete.txt", "1,2,3\n4,5,6\n", "line 1, column 1: .* use --ratings"),
            ("netflix_incomplete.txt", "# a\n1 2\n\n3 x\n", "line 4, column 2: .*, got 'x'"),
            ("netflix_incomplete.txt", "1 2\n3 1_0\n", "line 2, column 2: .* got '1_0'"),
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
            ("toy_data.txt", "1 2\n3 inf\n", "line 2, column 2: expected a finite number"),
        ]:
            before = (self.small / name).read_bytes()
            self.write(name, content)
            self.assert_refused(f"{name}.*{words}", "--data", self.small)
            (self.small / name).write_bytes(before)


OURS = [Steps, Predict, Main, Files]


# 3. The command line


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
        "all four, and then what is ours beyond them (Steps, Predict, Main, Files).",
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
    try:
        main()
    except KeyboardInterrupt:
        print("test.py: interrupted", file=sys.stderr)
        os._exit(130)
    except BrokenPipeError:  # the output's reader has left, as `| head` does
        os._exit(141)
