"""Tests: first the judge of the course's four modules, then what is ours beyond them.

    python test.py Em            judges em.py alone; so do Kmeans, NaiveEm and Common
    python test.py               runs everything

FAIL is what the course determines: on data like its own (points in the plane; ratings from 1 to 5
of up to 1,200 movies, every user has rated something), with its arguments, to 1e-6. What is right
there and would break elsewhere is a note, which changes neither the verdict nor the exit status.
What the judge expects comes from tools/make_reference.py (plain Python, 50 digits) or from paper.
"""

import argparse
import contextlib
import copy
import csv
import importlib
import inspect
import io
import itertools
import math
import os
import re
import signal
import sys
import tempfile
import traceback
import types
import unittest
import warnings
from collections import namedtuple
from pathlib import Path
from unittest import mock

# One BLAS thread and no windows: both are read when NumPy and Matplotlib are imported.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["MKL_NUM_THREADS"] = "1"
os.environ["VECLIB_MAXIMUM_THREADS"] = "1"
os.environ["MPLBACKEND"] = "Agg"

HERE = Path(__file__).resolve().parent
LIBRARIES = ["matplotlib", "numpy", "scipy"]


def leave(message):
    """End with one line and status 2."""
    print(f"test.py: {message}", file=sys.stderr)
    sys.exit(2)


def leave_for_library(name, wanted_by):
    leave(f"{wanted_by} needs {name}, which is missing: {sys.executable} -m pip install {name}")


if sys.version_info < (3, 10):  # noqa: UP036
    leave(f"expected Python 3.10 or later, got {sys.version.split()[0]}")
sys.path[:0] = [str(HERE), str(HERE / "tools")]
try:
    import make_reference
    import mistakes
    import numpy as np
    from numpy.testing import assert_allclose, assert_array_equal
except ModuleNotFoundError as error:
    if error.name not in LIBRARIES:
        leave(f"expected the folder tools beside test.py: {error}")
    leave_for_library(error.name, "this")


# 1. The judge: what a failure is, and how a student's function is called

UNCALLABLE = 0  # a missing function, a wrong signature, an exception
RULE = 1  # a mistake that is known by what it gives
ENTRY = 2  # a number that is off
EXAMPLE = 3  # a number of test_solutions.txt that is off: the other tests are nearer to the cause

STEPS = ["import", "init", "estep", "mstep", "run", "fill_matrix", "rmse", "bic"]
NEEDS = {"run": ["estep", "mstep"], "fill_matrix": ["estep"]}  # whose mistakes show there, too

Mixture = namedtuple("Mixture", "mu var p")  # the judge's own: common.py may be a student's


class Wrong(AssertionError):
    """A failure of one function, in words of which the first line names the cause."""

    def __init__(self, words, function, rank, cause=None):
        super().__init__(words)
        self.function = function
        self.rank = rank  # mend what has the lowest first
        self.cause = cause or words.splitlines()[0]  # what has the same is told once


@contextlib.contextmanager
def quiet():
    """Let a student's code print into nothing, and read nothing."""
    with contextlib.ExitStack() as stack:
        nowhere = stack.enter_context(open(os.devnull, "w", encoding="utf-8"))
        stack.enter_context(contextlib.redirect_stdout(nowhere))
        stack.enter_context(contextlib.redirect_stderr(nowhere))
        stack.enter_context(mock.patch.object(sys, "stdin", None))
        yield


def own_frames(error):
    """Where an exception passed through the modules beside test.py, innermost last."""
    frames = traceback.extract_tb(error.__traceback__)
    beside = [frame for frame in frames if Path(frame.filename).parent == HERE]
    return [frame for frame in beside if Path(frame.filename).name != "test.py"]


def first_line(error):
    """An exception as Python tells it, without what may follow."""
    lines = str(error).splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}".rstrip(": ")


def wrong_from(error, call, function):
    """An exception of a student's code, with the file and the line of their code."""
    if isinstance(error, SyntaxError) and error.filename:
        place = f"{Path(error.filename).name}, line {error.lineno}"
        words = f"{place}: {type(error).__name__}: {error.msg}\n{(error.text or '').strip()}"
        return Wrong(words, function, UNCALLABLE)
    frames = own_frames(error)
    if not frames:
        words = f"{call} does not work: {first_line(error)}"
        return Wrong(words, function, UNCALLABLE)
    last = frames[-1]
    place = f"{Path(last.filename).name}, line {last.lineno}"
    if isinstance(error, NotImplementedError):
        words = f"{Path(last.filename).stem}.{last.name} is not written yet ({place})"
    elif isinstance(error, SystemExit):
        words = f"{place} ends Python: take it out\n{last.line}"
    else:
        words = f"{place}: {first_line(error)} (in {call})\n{last.line}"
    rank = UNCALLABLE
    for frame in frames:
        if frame.name in STEPS and frame.name != function:
            rank = ENTRY  # run called it: what another function gave may be why
    # The shapes in a message may differ from test to test, the place and the kind do not.
    return Wrong(words, function, rank, (place, type(error)))


LOADED = {}  # modules, or why they cannot be imported


def load(name):
    """Import a module once; raise Wrong where it cannot be."""
    if name not in LOADED:
        try:
            with quiet():
                LOADED[name] = importlib.import_module(name)
        except Wrong as wrong:  # it takes too long
            LOADED[name] = wrong
        except (Exception, SystemExit) as error:
            missing = error.name if isinstance(error, ModuleNotFoundError) else None
            if missing in LIBRARIES:
                leave_for_library(missing, f"{name}.py")
            if missing == name:
                LOADED[name] = Wrong(f"there is no {name}.py beside test.py", "import", UNCALLABLE)
            else:
                LOADED[name] = wrong_from(error, f"the import of {name}.py", "import")
    if isinstance(LOADED[name], Wrong):
        raise LOADED[name]
    return LOADED[name]


def describe(value):
    """What a function returned, in a few words."""
    if value is None:
        return "None"
    if hasattr(value, "mu"):
        return "a mixture"
    if isinstance(value, tuple):
        return f"({', '.join(describe(part) for part in value)})"
    if is_number(value):
        return "a number"
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    return f"a {type(value).__name__}"


def is_number(value):
    return isinstance(value, (int, float, np.number, np.ndarray)) and np.ndim(value) == 0


def arrays(value):
    """All arrays and numbers in nested tuples."""
    if not isinstance(value, tuple):
        return [value]
    return [array for part in value for array in arrays(part)]


def off_by(got, expected):
    """The largest error of any entry, as a share of the largest entry that is expected."""
    if np.shape(got) != np.shape(expected):
        return math.inf
    largest = np.abs(expected).max(initial=0) or 1.0
    worst = np.abs(np.subtract(got, expected)).max(initial=0) / largest
    return math.inf if math.isnan(worst) else worst


class Judge(unittest.TestCase):
    """What the four test cases of the course have in common."""

    data = None  # the folder of --data
    seconds = 10  # of processor time for one test
    notes = {}  # what would break elsewhere: {(module, words): functions}
    hung = {}  # {(module, function): Wrong}, so that it is waited for once
    row = "point"
    column = "column"
    component = "component"
    score = "ll"
    why_endless = ""

    def setUp(self):
        """Import the module; end what hangs."""
        self.function = "import"
        self.changed = []
        if hasattr(signal, "setitimer"):  # Windows has none
            signal.signal(signal.SIGPROF, self.end)
            signal.setitimer(signal.ITIMER_PROF, self.seconds, self.seconds)
            self.addCleanup(signal.setitimer, signal.ITIMER_PROF, 0)
        try:
            self.GaussianMixture = load("common").GaussianMixture
        except AttributeError:
            words = "common.py has no GaussianMixture"
            raise Wrong(words, "import", UNCALLABLE) from None
        self.module = load(self.name)
        before = np.seterr(divide="warn", over="warn", under="ignore", invalid="warn")
        self.addCleanup(np.seterr, **before)  # whatever the module set

    def end(self, *_):
        """End a function that does not."""
        words = f"{self.name}.{self.function} does not stop within {self.seconds} seconds"
        rank = UNCALLABLE
        if self.function == "run":
            words = f"{words}: it should {self.stops}{self.why_endless}"
            rank = ENTRY  # a right run does not stop either where its steps give nan
        if self.function == "import":
            words = f"the import of {self.name}.py or common.py does not end within {self.seconds} "
            words += "seconds: a module should define functions, and run nothing"
        wrong = Wrong(words, self.function, rank)
        self.hung[self.name, self.function] = wrong
        raise wrong

    def note(self, function, words):
        functions = self.notes.setdefault((self.name, words), [])
        if function not in functions:
            functions.append(function)

    def call(self, function, *arguments):
        """What a function of the module returns for copies of the arguments, part by part."""
        if (self.name, function) in self.hung:
            raise self.hung[self.name, function]
        if not callable(getattr(self.module, function, None)):
            raise Wrong(f"{self.name}.py has no function {function}", function, UNCALLABLE)
        self.check_signature(function, len(arguments))
        self.function = function
        copies = [self.fresh(argument) for argument in arguments]
        try:
            with quiet():
                result = getattr(self.module, function)(*copies)
        except Wrong:  # it hangs
            raise
        except (Exception, SystemExit) as error:
            raise wrong_from(error, f"{self.name}.{function}", function) from None
        self.compare_arguments(function, arguments, copies)
        return self.parts(function, result)

    def check_signature(self, function, count):
        """Fail for a function that does not take the course's arguments."""
        try:
            parameters = inspect.signature(getattr(self.module, function)).parameters.values()
        except ValueError:  # not written in Python
            return
        if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters):
            return  # *arguments takes them all
        places = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        needed = [p for p in places if p.default is p.empty]
        course = self.takes[function]
        names = [p.name for p in places]
        in_other_order = names != course.split(", ") and sorted(names) == sorted(course.split(", "))
        if in_other_order or len(needed) > count or len(places) < len(course.split(", ")):
            takes = ", ".join(names)
            words = f"{self.name}.{function} takes ({takes}), it should take ({course})"
            raise Wrong(words, function, UNCALLABLE)

    def fresh(self, argument):
        """A copy of an argument, as the course's code would pass it."""
        if isinstance(argument, Mixture):
            return self.GaussianMixture(*copy.deepcopy(tuple(argument)))
        return copy.deepcopy(argument)

    def compare_arguments(self, function, arguments, copies):
        """Note what a function changed of its arguments."""
        self.changed = []
        names = self.takes[function].split(", ")
        for name, before, after in zip(names, arguments, copies):
            for part, a, b in zip(("mu", "var", "p"), arrays(before), arrays(after)):
                if not np.array_equal(a, b, equal_nan=True):
                    self.changed.append(f"{name}.{part}" if isinstance(before, Mixture) else name)
        if self.changed:
            first = self.changed[0]
            words = f"{', '.join(self.changed)} changed in place, which the caller may still need: "
            words += f"copy it first, {first.split('.')[-1]} = {first}.copy()"
            self.note(function, words)

    def parts(self, function, result):
        """{name: array or number} of what a function returned, if it is of the right kind."""
        names = self.returns[function]
        values = [result]
        if len(names) > 1:
            values = list(result) if type(result) in (tuple, list) else []
        kinds = [self.kind(value) for value in values]
        expected = [self.kind_of(name) for name in names]
        if kinds != expected:
            self.wrong_kind(function, result, values, kinds, expected)
        parts = {}
        for name, value in zip(names, values):
            if name == "mixture":
                for part in ("mu", "var", "p"):
                    parts[part] = self.array(function, part, getattr(value, part))
            elif self.kind_of(name) == "number":
                parts[name] = value
            else:
                parts[name] = self.array(function, name, value)
        return parts

    def kind_of(self, name):
        if name == "mixture":
            return "mixture"
        return "number" if name in ("ll", "cost", "rmse", "bic") else "array"

    def kind(self, value):
        if all(hasattr(value, part) for part in ("mu", "var", "p")):
            return "mixture"
        if is_number(value):
            return "number"
        return "array" if isinstance(value, (np.ndarray, list)) else "other"

    def wrong_kind(self, function, result, values, kinds, expected):
        """Fail for what a function returned."""
        names = self.returns[function]
        should = f"({', '.join(names)})" if len(names) > 1 else names[0]
        returns = f"{self.name}.{function} returns {describe(result)}, it should return {should}"
        if result is None:
            words = f"{returns}: there is no return, or nothing behind it"
        elif sorted(kinds) == sorted(expected):
            words = f"{returns}: the order is wrong"
        else:
            words = returns
            for name, value, kind, right in zip(names, values, kinds, expected):
                if right == "number" and kind == "array" and len(kinds) == len(expected):
                    words = f"{self.name}.{function}: {name} has to be one number, it is an array "
                    words += f"of shape {np.shape(value)}"
                    if np.size(value) > 1 and name == "ll":
                        words += f": add up what the {self.row}s give"
        raise Wrong(words, function, UNCALLABLE)

    def array(self, function, name, value):
        """An array of what may be a list or a matrix."""
        if type(value) is not np.ndarray and not is_number(value):
            words = f"{name} is a {type(value).__name__}, with which products and sums mean "
            self.note(function, words + "something else: np.array(...) makes an array of it")
        if isinstance(value, np.ma.MaskedArray):
            value = value.filled(np.nan)
        try:
            array = np.asarray(value)
        except ValueError:  # rows of different lengths
            array = np.array(None)
        if array.dtype.kind not in "fiu":
            words = f"{self.name}.{function}: {name} is no array of real numbers"
            raise Wrong(words, function, UNCALLABLE)
        return array

    def check(self, function, got, expected, rules=(), given=None, case=None, hint=None):
        """Every part of what a function returned is what is expected, or a rule says why not.

        rules are (words, function of given): what a typical mistake makes of the same inputs, in
        the parts that it is about. case and hint are words for what no rule explains: case is the
        cause, since other inputs were right; hint says where to look.
        """
        errors = {part: off_by(got[part], expected[part]) for part in expected}
        wrong = [part for part in expected if errors[part] > 1e-6]
        worst = max(errors.values())
        if worst > 1e-9:
            self.check_precision(function, got)
        if not wrong:
            if worst > 1e-9:
                words = "the last digits are off, by 1e-9 to 1e-6 of the largest entry: look for a "
                words += "rounded constant, or for one that is added against 0/0"
                self.note(function, words)
            return
        told = self.entry(wrong[0], got[wrong[0]], expected[wrong[0]])
        for words, rule in rules:
            with np.errstate(all="ignore"):
                would = rule(given)
            same = all(off_by(got[part], would[part]) <= 1e-6 for part in would)
            about = [part for part in wrong if part in would]
            if same and about:
                told = self.entry(about[0], got[about[0]], expected[about[0]])
                words = words.format(row=self.row, column=self.column, component=self.component)
                raise Wrong(f"{self.name}.{function}: {words}\n{told}", function, RULE)
        if "X" in self.changed:
            words = f"{self.name}.{function} changes X in place while it still needs it: compute "
            raise Wrong(f"{words}with a copy, X - mu and not X -= mu\n{told}", function, RULE)
        if case:
            raise Wrong(f"{self.name}.{function}, {case}\n{told}", function, RULE)
        where = f", {hint}" if hint else ""
        raise Wrong(f"{self.name}.{function}{where}: {told}", function, ENTRY)

    def check_precision(self, function, got):
        for part, value in got.items():
            kind = np.asarray(value).dtype
            if kind in (np.float16, np.float32):
                words = f"{self.name}.{function} computes {part} in {kind}, which has too few "
                words += "digits for the course's figures: use float64"
                raise Wrong(words, function, RULE)

    def entry(self, part, got, expected):
        """The first entry of a part that is off, and what it should be."""
        got = np.asarray(got, dtype=float)
        expected = np.asarray(expected, dtype=float)
        if got.shape != expected.shape:
            turned = ", so it is transposed" if got.T.shape == expected.shape else ""
            return f"{part} has shape {got.shape}, it should be {expected.shape}{turned}"
        right = np.abs(got - expected) <= 1e-6 * np.abs(expected).max()
        at = tuple(np.argwhere(~right)[0].tolist())
        name = part
        if at:
            labels = zip(self.labels(part), at)
            words = ", ".join(f"{label} {index + 1}" for label, index in labels)
            name = f"{part}[{', '.join(map(str, at))}] ({words})"
        digits = 4
        while digits < 17 and f"{got[at]:.{digits}g}" == f"{expected[at]:.{digits}g}":
            digits += 2
        told = f"{name} is {got[at]:.{digits}g}, it should be {expected[at]:.{digits}g}"
        if got.size > 1:
            told += f" ({(~right).sum()} of {got.size} are off)"
        return told

    def labels(self, part):
        """What the indices of an array count."""
        labels = {
            "mu": [self.component, self.column],
            "post": [self.row, self.component],
            "X_pred": [self.row, self.column],
        }
        return labels.get(part, [self.component])

    def attempt(self, function, *arguments):
        """What call gives, or None where it fails."""
        hung_before = dict(self.hung)
        try:
            return self.call(function, *arguments)
        except Wrong:
            Judge.hung = hung_before  # what is slow here need not be slow in the tests
            return None

    def note_unless(self, words, function, arguments, expected=None):
        """Note the words if a call does not give what is expected: if None, finite numbers."""
        got = self.attempt(function, *arguments)
        if got is None:
            good = False
        elif expected is None:
            good = all(np.isfinite(value).all() for value in got.values())
        else:
            good = all(off_by(got[part], expected[part]) <= 1e-6 for part in expected)
        if not good:
            self.note(function, words)

    def published(self, function, what, got, figure):
        """A published figure, to the last of its four decimals."""
        if not abs(got - figure) <= 0.51e-4:
            words = f"{what} is {got:.4f}, the course published {figure:.4f}"
            raise Wrong(f"{self.name}.{function}: {words}", function, EXAMPLE)

    def course_data(self, name):
        """A matrix of the course's own, in the folder of --data."""
        self.seconds = 900  # loops over 1,200 x 1,200 ratings take their time
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_PROF, self.seconds, self.seconds)
        if self.data is None or not (self.data / name).is_file():
            self.skipTest("--data DIR, a folder of the course's own files")
        return np.loadtxt(self.data / name)


# Random problems, and what plain Python makes of them


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


def exact_mstep(X, post, mu, least):
    """The M-step in plain Python; mu are the means before."""
    with mock.patch.object(make_reference, "MIN_VARIANCE", exact(least)):
        result = make_reference.mstep(exact(X), exact(post), exact(mu))
    return Mixture(*plain(*result))


def exact_nearest(X, mu):
    """K-means' E-step in plain Python; no coordinate may be 0, which would be missing."""
    means = exact(mu)
    nearest = []
    for row in exact(X):
        distances = [make_reference.distance(row, mean) for mean in means]
        nearest.append(distances.index(min(distances)))
    return np.eye(len(mu))[nearest]


class Model(Judge):
    """What the three models have in common: the M-step's check, and run's."""

    def check_mstep(self, got, expected, rules, given):
        """The rest is explained about the student's own means: where they are off, so is it."""
        if "mu" in expected and off_by(got["mu"], expected["mu"]) > 1e-6:
            expected = {"mu": expected["mu"], "p": expected["p"]}
        else:
            given.mu = got["mu"]
        given.smallest_var = got["var"].min()
        self.check("mstep", got, expected, rules, given)

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
        """The numbers of the iterations that gave got's mixture, post and score, or None.

        K-means' last two give the same: then it is the last.
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
        """Whatever run returns is that of the right iteration."""
        mixture, post = start(X, K, seed)
        got = self.call("run", X, mixture, post)
        changed = self.changed
        steps, last = self.iterations(X, mixture, more=4)
        numbers = self.found(got, steps, last)
        if numbers == [last, last, last]:
            return
        if None in numbers:  # of a much later iteration?
            steps, last = self.iterations(X, mixture, more=200)
            numbers = self.found(got, steps, last)
        if None not in numbers:
            words = self.which_iteration(*numbers, steps, last)
            raise Wrong(f"{self.name}.run {words}", "run", RULE)
        words = self.explain(got, X, mixture, post, steps)
        if words:  # or a step is wrong
            raise Wrong(f"{self.name}.run {words}", "run", ENTRY)
        self.changed = changed
        hint = "which no iteration gives: look at what it passes to estep and to mstep "
        hint += f"({self.takes['mstep']})"
        self.check("run", got, steps[last], hint=hint)

    def which_iteration(self, m, p, s, steps, last):
        """What is wrong where run returns the mixture, post and score of iterations m, p and s."""
        all_three = f"all three should be of iteration {last}, the last"
        if m == p == s:
            return self.why_there(m, steps, last)
        if (m, p, s) == (last, last + 1, last + 1):
            return (
                f"makes an E-step after the last M-step and returns its post and {self.score}: "
                f"{all_three}"
            )
        if p == s == m + 1:
            return f"returns the mixture before the last M-step: {all_three}"
        if m == s:
            return f"returns the post of iteration {p}, not of {m}: {all_three}"
        if m == p:
            return f"returns the {self.score} of iteration {s}, not of {m}: {all_three}"
        return (
            f"returns the mixture of iteration {m}, the post of {p} and the {self.score} of {s}: "
            f"{all_three}"
        )

    def why_there(self, stopped, steps, last):
        """Why run stopped after an iteration that is not the last."""
        words = f"stops after iteration {stopped}, it should after {last}"
        scores = {number: step[self.score] for number, step in steps.items()}
        for why, rule in self.stop_rules:
            stops = [i for i in scores if i > 1 and rule(scores[i], scores[i - 1])]
            if stops and stops[0] == stopped:
                return f"{words}: {why}"
        if stopped <= 2:
            words += f", so it seems not to compare {self.difference}, or with the wrong sign"
        elif stopped == last + 1:
            words += ", one iteration too many"
        elif stopped == last - 1:
            words += ", one iteration too few"
        elif stopped % 5 == 0:
            words += ", so their number may be fixed"
        return f"{words}: it should {self.stops}"

    def explain(self, got, X, mixture, post, steps):
        """Why run returns something that belongs to no iteration, or None."""
        with contextlib.suppress(ArithmeticError):  # K-means' clusters may be empty
            first = self.first_mstep(X, post, mixture)
            if self.found(got, *self.iterations(X, first, more=1))[2] is not None:
                return "makes an M-step before the first E-step: the E-step comes first"
        if not math.isfinite(got[self.score]):
            return None
        again = self.call("run", X, mixture, post)[self.score]
        if off_by(again, got[self.score]) > 1e-9:
            return "gives another result each time: start from the mixture that is passed"
        equal_means = mixture._replace(mu=mixture.mu[[0] * len(mixture.mu)])
        other = self.attempt("run", X, equal_means, post)
        if other is not None and off_by(other[self.score], again) < 1e-12:
            return "ignores the mixture that is passed: start from it, not from one of its own"
        if self.score == "cost":
            for number in range(2, len(steps) + 1):
                old_means = steps[number]["post"] @ steps[number - 1]["mu"]
                if off_by(got["cost"], ((X - old_means) ** 2).sum()) <= 1e-6:
                    return "returns the cost about the old means: it needs that of the M-step"
        return None

    def note_if_cut_short(self, X, K, seed):
        """Note a run that another iteration would have taken further; it needs more than 200."""
        got = self.attempt("run", X, *start(X, K, seed))
        if got is not None:
            another = exact_estep(X, Mixture(got["mu"], got["var"], got["p"]))["ll"]
        if got is None or not self.stop(another, got["ll"]):
            words = "a limit on the number of iterations cuts long runs short: let the rule alone"
            self.note("run", f"{words} stop it")

    def note_unless_run(self, words, X, K, seed):
        """Note the words where run does not return what the right iteration gives."""
        mixture, post = start(X, K, seed)
        steps, last = self.iterations(X, mixture, more=1)
        got = self.attempt("run", X, mixture, post)
        if got is None or self.found(got, steps, last) != [last, last, last]:
            self.note("run", words)


class Kmeans(Model):
    """kmeans.py"""

    name = "kmeans"
    component = "cluster"
    score = "cost"
    stops = "stop as soon as the cost falls by no more than 1e-4"
    takes = {"estep": "X, mixture", "mstep": "X, post", "run": "X, mixture, post"}
    returns = {"estep": ["post"], "mstep": ["mixture", "cost"], "run": ["mixture", "post", "cost"]}
    difference = "old - new"
    stop_rules = mistakes.STOPS_COST

    def stop(self, new, old):
        return old - new <= 1e-4

    def iteration(self, X, mixture):
        """One E-step and one M-step in plain Python."""
        post = exact_nearest(X, mixture.mu)
        mixture, cost = self.expected_mstep(X, post)
        return {"cost": cost, "post": post, **mixture._asdict()}

    def first_mstep(self, X, post, mixture):
        return self.expected_mstep(X, post)[0]

    def expected_mstep(self, X, post):
        """mixture, cost; the cost is that of the variances, which are means over n_j d numbers."""
        mixture = exact_mstep(X, post, np.zeros((post.shape[1], X.shape[1])), 0)
        return mixture, (mixture.var * post.sum(axis=0)).sum() * X.shape[1]

    def test_estep(self):
        for seed, K in [(0, 3), (1, 4), (2, 1)]:
            X = points(seed, n=60)
            mixture = mixture_for(X, K, seed)
            given = mistakes.terms(X, mixture, np.ones(X.shape))
            expected = {"post": exact_nearest(X, mixture.mu)}
            got = self.call("estep", X, mixture)
            self.check("estep", got, expected, mistakes.KMEANS_ESTEP, given)

    def test_mstep(self):
        for seed in range(3):
            own = np.random.RandomState(seed).permutation(np.repeat(range(4), (3, 7, 15, 35)))
            X = points(seed, n=60)
            post = np.eye(4)[own]
            mixture, cost = self.expected_mstep(X, post)
            given = mistakes.sums(X, post, np.ones(X.shape), None, 0)
            expected = {**mixture._asdict(), "cost": cost}
            self.check_mstep(self.call("mstep", X, post), expected, mistakes.KMEANS_MSTEP, given)

    def test_run(self):
        self.check_run(points(92, n=60), K=3, seed=92)
        self.check_run(points(2272, n=90), K=4, seed=2272)  # its last fall is 2e-4 of the cost

    def elsewhere(self):
        """Notes: ties, empty clusters, points that lie close together."""
        X = np.array([[3.0, 3.0], [1.0, 5.0], [5.0, 1.0]])
        tie = Mixture(np.array([[3.0, 1.0], [1.0, 3.0], [3.0, 5.0]]), np.ones(3), np.ones(3) / 3)
        self.note_unless(
            "of several nearest means the first should win, as with argmin",
            "estep",
            [X, tie],
            {"post": np.eye(3)[[0, 1, 0]]},
        )
        self.note_unless(
            "a cluster without points gives nan, 0/0: give it any mean, that of all points say",
            "mstep",
            [X, np.eye(2)[[0, 0, 0]]],
        )
        self.note_unless_run(
            "where points lie close together it stops by another rule than the course's: "
            "compare the fall of the cost with 1e-4 itself",
            points(92, n=120) / 128,
            K=3,
            seed=92,
        )

    def test_published(self):
        X = self.course_data("toy_data.txt")
        for K, cost in [(1, 5462.2975), (2, 1684.9080), (3, 1329.5949), (4, 1035.4998)]:
            costs = [self.call("run", X, *start(X, K, seed))["cost"] for seed in range(5)]
            self.published("run", f"K = {K}: the lowest cost of seeds 0 to 4", min(costs), cost)


class EmModel(Model):
    """What naive EM and EM have in common."""

    stops = "stop as soon as new - old <= 1e-6 * |new|, the log-likelihoods of two E-steps"
    difference = "new - old"
    stop_rules = mistakes.STOPS_LL
    why_endless = " (|new|: 1e-6 * new is below 0 as ll is)"

    def stop(self, new, old):
        return new - old <= 1e-6 * abs(new)

    def iteration(self, X, mixture):
        """One E-step and one M-step in plain Python."""
        expected = exact_estep(X, mixture)
        mixture = self.first_mstep(X, expected["post"], mixture)
        return {"ll": expected["ll"], "post": expected["post"], **mixture._asdict()}


class NaiveEm(EmModel):
    """naive_em.py"""

    name = "naive_em"
    takes = {"estep": "X, mixture", "mstep": "X, post", "run": "X, mixture, post"}
    returns = {"estep": ["post", "ll"], "mstep": ["mixture"], "run": ["mixture", "post", "ll"]}

    def first_mstep(self, X, post, mixture):
        return self.expected_mstep(X, post)

    def expected_mstep(self, X, post):
        # make_reference keeps means with a count below 1, as em does: so few points come 99 times.
        times = 99 if len(X) < 10 else 1
        X = np.repeat(X, times, axis=0)
        post = np.repeat(post, times, axis=0)
        return exact_mstep(X, post, np.zeros((post.shape[1], X.shape[1])), 0)

    def test_estep(self):
        for seed, K in [(0, 3), (1, 2), (2, 4), (3, 1)]:
            X = points(seed)
            mixture = mixture_for(X, K, seed)
            given = mistakes.terms(X, mixture, np.ones(X.shape))
            got = self.call("estep", X, mixture)
            self.check("estep", got, exact_estep(X, mixture), mistakes.ESTEP, given)
        X = points(4, n=250)
        mixture, _ = start(X, 2, 4)
        case = "250 points, whose densities multiplied underflow to 0: log-likelihoods are added"
        self.check("estep", self.call("estep", X, mixture), exact_estep(X, mixture), case=case)

    def test_mstep(self):
        for seed, n, K, spread in [(0, 60, 3, 1), (1, 60, 2, 1), (2, 3, 4, 1), (3, 60, 1, 0.124)]:
            X = points(seed, n) * spread  # the last variance is 0.35, about the toy data's least
            post = soft(n, K, seed)
            given = mistakes.sums(X, post, np.ones(X.shape), None, 0)
            expected = self.expected_mstep(X, post)._asdict()
            self.check_mstep(self.call("mstep", X, post), expected, mistakes.NAIVE_MSTEP, given)

    def test_run(self):
        self.check_run(points(3, n=30), K=2, seed=3)
        self.check_run(points(6, n=40), K=3, seed=6)

    def elsewhere(self):
        """Notes: other numbers of columns, underflow, empty components, long runs."""
        X = points(0, d=3)
        mixture = mixture_for(X, 2, 0)
        words = "it holds for points in the plane only: take d from X.shape"
        self.note_unless(words, "estep", [X, mixture], exact_estep(X, mixture))
        post = soft(12, 2, 0)
        self.note_unless(words, "mstep", [X, post], self.expected_mstep(X, post)._asdict())
        X = points(0, n=3, d=1000)
        mixture = mixture_for(X, 2, 0)
        X[0] = mixture.mu[0]
        X[2] = mixture.mu[1]
        self.note_unless(
            "densities underflow to 0 in many dimensions and far from every mean: add their "
            "logarithms, and subtract each row's largest before np.exp",
            "estep",
            [X, mixture],
            exact_estep(X, mixture),
        )
        self.note_unless(
            "a component without points gives nan, 0/0: give it any mean, that of all points say",
            "mstep",
            [points(0), np.eye(2)[[0] * 12]],
        )
        self.note_if_cut_short(points(3430, n=40), K=2, seed=3430)

    def test_published(self):
        X = self.course_data("toy_data.txt")
        for K, ll in [(1, -1307.2234), (2, -1175.7146), (3, -1138.8909), (4, -1138.6012)]:
            lls = [self.call("run", X, *start(X, K, seed))["ll"] for seed in range(5)]
            self.published("run", f"K = {K}: the best ll of seeds 0 to 4", max(lls), ll)


class Em(EmModel):
    """em.py"""

    name = "em"
    row = "user"
    column = "movie"
    component = "type"
    takes = {
        "estep": "X, mixture",
        "mstep": "X, post, mixture, min_variance",
        "run": "X, mixture, post",
        "fill_matrix": "X, mixture",
    }
    returns = {**NaiveEm.returns, "fill_matrix": ["X_pred"]}

    def first_mstep(self, X, post, mixture):
        return exact_mstep(X, post, mixture.mu, 0.25)

    def test_estep(self):
        for seed, K in [(0, 3), (1, 2), (2, 4), (3, 1)]:
            X = ratings(seed)
            mixture = mixture_for(X, K, seed)
            given = mistakes.terms(X, mixture, X != 0)
            got = self.call("estep", X, mixture)
            self.check("estep", got, exact_estep(X, mixture), mistakes.EM_ESTEP, given)
        X = ratings(0, n=4, d=1200, missing=0.2)
        X[1, 270:] = 0
        mixture, _ = start(X, 3, 0)
        case = "users with up to 1,200 ratings, whose densities underflow to 0: stay in "
        case += "logarithms, and subtract each user's largest f before np.exp"
        self.check("estep", self.call("estep", X, mixture), exact_estep(X, mixture), case=case)

    def test_mstep(self):
        for seed, K in [(0, 3), (1, 2), (2, 4), (3, 1)]:
            X = ratings(seed, n=60)
            self.check_mstep_of(X, soft(60, K, seed), mixture_for(X, K, seed))

    def check_mstep_of(self, X, post, old):
        given = mistakes.sums(X, post, X != 0, old, 0.25)
        expected = exact_mstep(X, post, old.mu, 0.25)._asdict()
        got = self.call("mstep", X, post, old)
        self.check_mstep(got, expected, mistakes.EM_MSTEP, given)

    def test_mstep_keeps_a_mean_with_a_soft_count_below_1(self):
        X = np.array([[5.0, 2, 0], [1, 4, 0], [0, 3, 0], [4, 0, 0], [0, 0, 3]])
        post = np.array([[0.9, 0.1], [0.7, 0.3], [0.5, 0.5], [0.15, 0.85], [0.8, 0.2]])
        # The counts of type 1 are 1.75, 2.1 and 0.8, those of type 2 1.25, 0.9 and 0.2.
        old = Mixture(np.full((2, 3), 1.5), np.array([1.0, 2.0]), np.full(2, 0.5))
        self.check_mstep_of(X, post, old)

    def test_mstep_min_variance(self):
        old = Mixture(np.full((3, 1), 2.0), np.full(3, 7.0), np.full(3, 1 / 3))
        post = np.eye(3)[[0, 0, 1, 1, 2, 2]]
        for least in (0.1, 2.0):
            var = least * np.array([1.5, 0.3, 0])  # of two users of each type, at 3 -+ its root
            X = 3 + np.repeat(np.sqrt(var), 2)[:, None] * np.array([[-1], [1]] * 3)
            given = mistakes.sums(X, post, X != 0, old, least)
            expected = {"mu": np.full((3, 1), 3.0), "var": np.maximum(var, least), "p": old.p}
            got = self.call("mstep", X, post, old, least)
            self.check_mstep(got, expected, mistakes.MIN_VARIANCE + mistakes.EM_MSTEP, given)
        var = self.call("mstep", np.full((6, 1), 3.0), post, old)["var"]
        if off_by(var, np.full(3, 0.25)) > 1e-6:
            words = f"em.mstep: the default of min_variance is {var[0]:.4g}, it should be 0.25"
            raise Wrong(words, "mstep", RULE)

    def test_fill_matrix(self):
        for seed, K in [(2, 3), (3, 2)]:
            X = ratings(seed)
            mixture = mixture_for(X, K, seed)
            given = types.SimpleNamespace(X=X, mu=mixture.mu, p=mixture.p)
            given.post = exact_estep(X, mixture)["post"]
            (X_pred,) = plain(make_reference.fill_matrix(exact(X), *map(exact, mixture)))
            got = self.call("fill_matrix", X, mixture)
            self.check("fill_matrix", got, {"X_pred": X_pred}, mistakes.FILL, given)

    def test_run(self):
        self.check_run(ratings(0, n=40), K=3, seed=0)
        self.check_run(ratings(1, n=24, d=6, missing=0.6), K=4, seed=1)  # some means are kept

    def elsewhere(self):
        """Notes: what the course's data do not show."""
        X = ratings(4)
        mixture = mixture_for(X, 3, 4)
        post = soft(12, 3, 4)

        rare = Mixture(X[[0, 1]], np.full(2, 0.05), np.array([0.0, 1.0]))
        self.note_unless(
            "log p is taken without the 1e-16 that the course advises, which is -inf for a weight "
            "of 0: np.log(p + 1e-16)",
            "estep",
            [np.repeat(X[:1], 12, axis=0), rare],
            exact_estep(np.repeat(X[:1], 12, axis=0), rare),
        )
        below = X - 6 * (X != 0)
        words = "ratings below 0 are taken for missing: the mask should be X != 0, not X > 0"
        self.note_unless(words, "estep", [below, mixture], exact_estep(below, mixture))
        self.note_unless_mstep(words, below, post, mixture)

        whole = np.eye(3)[[0, 1, 2] + [1, 2] * 4 + [2]]  # type 1 has one user
        self.note_unless_mstep(
            "a mean with a soft count of exactly 1 keeps its old value: it needs >= 1, not > 1",
            X,
            whole,
            mixture,
        )

        nobody = X.copy()
        nobody[3] = 0
        (X_pred,) = plain(make_reference.fill_matrix(exact(nobody), *map(exact, mixture)))
        words = "a user without ratings gives nan or an error: let an empty sum be 0"
        self.note_unless(words, "estep", [nobody, mixture], exact_estep(nobody, mixture))
        self.note_unless_mstep(words, nobody, post, mixture)
        self.note_unless(words, "fill_matrix", [nobody, mixture], {"X_pred": X_pred})
        unseen = X.copy()
        unseen[:, 2] = 0
        words = "a movie without ratings gives nan or an error: divide only where the count is >= 1"
        self.note_unless(words, "estep", [unseen, mixture], exact_estep(unseen, mixture))
        self.note_unless_mstep(words, unseen, post, mixture)
        self.note_unless(
            "a type without users gives nan, 0/0: keep its variance",
            "mstep",
            [X, np.eye(3)[[0, 2] * 6], mixture],
        )
        self.note_if_cut_short(ratings(2154, n=40), K=3, seed=2154)

    def note_unless_mstep(self, words, X, post, mixture):
        expected = exact_mstep(X, post, mixture.mu, 0.25)._asdict()
        self.note_unless(words, "mstep", [X, post, mixture], expected)

    def test_reference_outputs(self):
        """The numbers of test_solutions.txt, in its order."""
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
                words = f"em.{function}, on test_incomplete.txt: {words}"
                raise Wrong(words, function, EXAMPLE)

    def test_published(self):
        X = self.course_data("netflix_incomplete.txt")
        Y = self.course_data("netflix_complete.txt")
        for K, seed, ll, rmse in [(1, 0, -1521060.9540, 0.4802), (12, 1, -1390234.4223, 0.4805)]:
            got = self.call("run", X, *start(X, K, seed))
            self.published("run", f"K = {K}, seed {seed}: ll", got["ll"], ll)
            mixture = Mixture(got["mu"], got["var"], got["p"])
            X_pred = self.call("fill_matrix", X, mixture)["X_pred"]
            found = math.sqrt(((X_pred - Y) ** 2).mean())
            self.published("fill_matrix", f"K = {K}, seed {seed}: the RMSE", found, rmse)


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


class Common(Judge):
    """common.py"""

    name = "common"
    row = "row"
    takes = {"init": "X, K, seed", "rmse": "X, Y", "bic": "X, mixture, log_likelihood"}
    returns = {"init": ["mixture", "post"], "rmse": ["rmse"], "bic": ["bic"]}

    def test_init(self):
        for X in (points(0, n=60), ratings(0, n=40)):
            for seed, K in [(0, 3), (1, 4), (2, 1), (4, 12)]:
                got = self.call("init", X, K, seed)
                if off_by(self.call("init", X, K, seed)["mu"], got["mu"]) > 0:
                    words = "common.init draws other rows each time: np.random.seed(seed) first"
                    raise Wrong(words, "init", RULE)
                mixture, post = start(X, K, seed)
                given = types.SimpleNamespace(X=X, K=K, seed=seed, n=len(X), d=X.shape[1])
                given.mu = mixture.mu
                if got["mu"].shape == mixture.mu.shape:
                    given.mu = got["mu"]
                expected = {**mixture._asdict(), "post": post}
                self.check("init", got, expected, mistakes.INIT, given)

    def test_rmse(self):
        X = np.array([[1.5, 0.0], [5.0, 4.0], [3.0, 3.0]])
        Y = np.array([[1.0, 2.0], [7.0, 0.0], [3.0, 4.0]])
        given = types.SimpleNamespace(X=X, Y=Y, E=X - Y)
        expected = {"rmse": math.sqrt(25.25 / 6)}
        self.check("rmse", self.call("rmse", X, Y), expected, mistakes.RMSE, given)

    def test_bic(self):
        X = ratings(0)
        for K, P in [(2, 13), (4, 27), (1, 6)]:
            given = types.SimpleNamespace(n=12, d=5, K=K, ll=-100.0)
            got = self.call("bic", X, mixture_for(X, K, 0), -100.0)
            expected = {"bic": -100 - P / 2 * math.log(12)}
            self.check("bic", got, expected, mistakes.BIC, given)

    def elsewhere(self):
        """Notes: a default seed, as the course's newer starter files have it."""
        X = points(0)
        mixture, post = start(X, 3, 0)
        self.note_unless(
            "there is no default seed: init(X, K, seed=0), as in the course's newer files",
            "init",
            [X, 3],
            {**mixture._asdict(), "post": post},
        )

    def test_published(self):
        X = self.course_data("toy_data.txt")
        for K, ll, bic in [(1, -1307.2234, -1315.5056), (3, -1138.8909, -1169.2589)]:
            got = self.call("bic", X, start(X, K, 0)[0], ll)["bic"]
            self.published("bic", f"K = {K}, of a log-likelihood of {ll}", got, bic)


COURSE = [Kmeans, NaiveEm, Em, Common]


# 2. The verdict


class Verdict(unittest.TestResult):
    """Collects what failed, while it prints a dot, F or s for each test, or a line with -v."""

    def __init__(self, verbose):
        super().__init__()
        self.verbose = verbose
        self.passed = 0
        self.reasons = []  # of skipped tests
        self.wrong = []  # (test, exception)

    def tell(self, test, letter, word):
        if self.verbose:
            print(f"{name_of(test)} ... {word}", flush=True)
        else:
            print(letter, end="", flush=True)

    def addSuccess(self, test):
        self.passed += 1
        self.tell(test, ".", "ok")

    def addSkip(self, test, reason):
        self.reasons.append(reason)
        self.tell(test, "s", "skipped")

    def addFailure(self, test, err):
        self.wrong.append((test, err[1]))
        self.tell(test, "F", "FAIL")
        if self.failfast:
            self.stop()

    def addError(self, test, err):
        self.addFailure(test, err)

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self.addFailure(test, err)


def name_of(test):
    """Em.test_run"""
    return ".".join(test.id().split(".")[-2:])


def order_of(test, wrong):
    """What to mend first: the kind of failure, then the module, then the function."""
    return wrong.rank, COURSE.index(type(test)), STEPS.index(wrong.function)


class Failure:
    """One cause, and the tests that met it."""

    def __init__(self, test, wrong):
        self.module = test.name
        self.wrong = wrong
        self.names = []
        self.order = order_of(test, wrong)

    def follows_from(self, other):
        """Whether an entry that is off may come from what is wrong with another function."""
        function = self.wrong.function
        if self.wrong.rank < ENTRY or self.module != other.module:
            return False
        return other.wrong.function in [function, *NEEDS.get(function, [])]

    def lines(self):
        lines = [f"FAIL {self.names[0]}"]
        lines += [f"    {line}" for line in str(self.wrong).splitlines()]
        waiting = [name.split(".")[1] for name in self.names[1:]]
        if len(lines) == 2 and len(lines[0] + lines[1]) < 110:
            more = f" and {len(waiting)} more" if waiting else ""
            return [f"{lines[0]}{more}: {lines[1].strip()}"]
        if len(waiting) == 1:
            lines.append(f"    {waiting[0]} waits for it")
        elif len(waiting) == 2:
            lines.append(f"    {waiting[0]} and {waiting[1]} wait for it")
        elif waiting:
            lines.append(f"    {waiting[0]}, {waiting[1]} and {len(waiting) - 2} more wait for it")
        return lines


def failures_of_course(verdict):
    """One Failure a cause, those to mend first first."""
    found = {}
    for test, problem in verdict.wrong:
        if not isinstance(test, Judge):
            continue
        if not isinstance(problem, Wrong):
            problem = Wrong(blame(problem), "import", UNCALLABLE)
        failure = found.setdefault(problem.cause, Failure(test, problem))
        failure.names.append(name_of(test))
        if order_of(test, problem) < failure.order:
            failure.order = order_of(test, problem)
            failure.wrong = problem
    return sorted(found.values(), key=lambda failure: failure.order)


def blame(problem):
    """An exception after the lines of this folder that led to it."""
    lines = []
    for frame in traceback.extract_tb(problem.__traceback__):
        path = Path(frame.filename)
        if HERE in path.parents:
            lines.append(f"{path.name}, line {frame.lineno}: {frame.line}")
    return "\n".join(lines[-3:] + [f"{type(problem).__name__}: {problem}".rstrip()])


def print_verdict(verdict):
    """Failures, then the verdict, then notes."""
    print()
    course = failures_of_course(verdict)
    shown = []
    later = []
    for failure in course:
        if any(failure.follows_from(other) for other in shown):
            later += failure.names
        else:
            shown.append(failure)
            print("\n".join(failure.lines()))
    if later:
        print(f"FAIL {', '.join(later)}: may come from the above: look at it when that is mended")
    ours = [
        (name_of(test), problem) for test, problem in verdict.wrong if not isinstance(test, Judge)
    ]
    if not course:
        for name, problem in ours:
            if verdict.verbose:
                print("\n    ".join([f"FAIL {name}", *blame(problem).splitlines()]))
            else:
                print(f"FAIL {name}: {first_line(problem)}"[:100])
    notes = collect_notes(course)
    if course:
        print(f"\nMend this first: {str(course[0].wrong).splitlines()[0]}")
    elif not ours and notes:
        print("All is well by the course, with notes below.")
    elif not ours:
        print("All is well: what was tested does what it should.")
    failed = {name_of(test) for test, _ in verdict.wrong}
    counts = f"{verdict.passed} passed, {len(failed)} failed"
    if verdict.reasons:
        counts += f", {len(verdict.reasons)} skipped: they need {verdict.reasons[0]}"
    print(counts)
    if ours:
        print_ours(course, [name for name, _ in ours])
    if notes:
        print("\nNotes: right by the course, but would break elsewhere")
    for note in notes:
        print(f"- {note}")


def print_ours(course, names):
    """Which failures a student has to mend, and which not."""
    if course:
        mine = [name for failure in course for name in failure.names]
        print(f"Of the course: {', '.join(mine)}")
    else:
        print("Of the course: nothing failed")
    print(f"Ours, beyond the course: {len(set(names))} failed (-v tells more)")
    print("If the modules are yours, the course's part alone counts: python test.py", end=" ")
    print(" ".join(case.__name__ for case in COURSE))


def look_elsewhere(case):
    """Collect the notes of one of the four."""
    result = unittest.TestResult()
    case("elsewhere").run(result)
    for _, text in result.errors:  # of the judge itself
        print(text)


def collect_notes(course):
    """The notes of functions without a failure, one line each."""
    wrong = set()
    for failure in course:
        wrong.add((failure.module, failure.wrong.function))
        for function, needed in NEEDS.items():
            if failure.wrong.function in needed:
                wrong.add((failure.module, function))
    lines = []
    for (module, words), functions in Judge.notes.items():
        calls = [f"{module}.{name}" for name in functions if (module, name) not in wrong]
        if calls:
            lines.append(f"{', '.join(calls)}: {words}")
    return lines


def ours_of(names):
    """Every other test case of this file that has tests."""
    found = []
    for case in names.values():
        if isinstance(case, type) and issubclass(case, unittest.TestCase):
            if not issubclass(case, Judge) and unittest.TestLoader().getTestCaseNames(case):
                found.append(case)
    return found


def choose(names, cases):
    """[(case, method or None)] of the names on the command line."""
    chosen = []
    for name in names:
        first, _, method = name.removesuffix(".py").partition(".")
        key = first.lower().replace("_", "")
        found = [case for case in cases if case.__name__.lower() == key]
        if not found or (method and method not in unittest.TestLoader().getTestCaseNames(found[0])):
            expected = ", ".join(case.__name__ for case in cases)
            leave(f"there is no test {name!r}: expected one of {expected}, or Em.test_run")
        chosen.append((found[0], method))
    return chosen or [(case, None) for case in cases]


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description="Judge the course's modules, and test what is ours beyond them.",
        epilog="examples: python test.py Em; python test.py naive_em.py --data FOLDER",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="Em, em.py, Em.test_run, ...")
    help_data = "the course's own files: check the published figures, too"
    parser.add_argument("--data", type=Path, metavar="DIR", help=help_data)
    parser.add_argument("-v", "--verbose", action="store_true", help="a line for every test")
    parser.add_argument("-f", "--failfast", action="store_true", help="stop at the first failure")
    help_k = "only tests whose name holds the word, or matches it as a pattern with *"
    parser.add_argument("-k", action="append", metavar="WORD", help=help_k)
    options = parser.parse_intermixed_args(arguments)

    if not ((options.data or HERE) / "test_solutions.txt").is_file():
        leave(f"expected a folder with test_solutions.txt (--data), got {options.data or HERE}")
    Judge.data = options.data
    chosen = choose(options.names, COURSE + ours_of(globals()))
    loader = unittest.TestLoader()
    if options.k:
        loader.testNamePatterns = [word if "*" in word else f"*{word}*" for word in options.k]
    suite = unittest.TestSuite()
    for case, method in chosen:
        if method:
            suite.addTest(case(method))
        else:
            suite.addTest(loader.loadTestsFromTestCase(case))
    if suite.countTestCases() == 0:
        leave("no test has such a name (-k)")
    if options.data:
        print("The published figures take seconds with matrix products, and minutes with loops.")
    for case, _ in chosen:
        if case in COURSE:
            first = case("elsewhere")
            with contextlib.suppress(Wrong):
                first.setUp()  # a module that lacks a library ends test.py here, before the tests
            first.doCleanups()
    verdict = Verdict(options.verbose)
    verdict.failfast = options.failfast
    with warnings.catch_warnings():
        if not sys.warnoptions:
            warnings.simplefilter("ignore")  # a student's 0/0 is told by its nan
        suite.run(verdict)
        for case, method in chosen:
            if case in COURSE and not method and not options.k and not verdict.shouldStop:
                look_elsewhere(case)
    print_verdict(verdict)
    sys.exit(1 if verdict.wrong else 0)


# 3. What is ours beyond the course: our own modules where data are odd, em.predict, and main.py.
# A student's modules need not pass these; the judge needs none of them.


def reference(step, X, *arguments, least=0.25):
    """What a step of tools/make_reference.py makes of arrays."""
    with mock.patch.object(make_reference, "MIN_VARIANCE", exact(least)):
        results = getattr(make_reference, step)(exact(X), *map(exact, arguments))
    return plain(*results)


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


if __name__ == "__main__":
    main()
