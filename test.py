"""Judge the course's four modules, which may be a student's.

    python test.py ~/netflix         judges those that lie in that folder
    python test.py ~/netflix/em.py   judges em.py alone
    python test.py Em                judges the em.py beside test.py; without a name, all four

FAIL is what the course determines. Its functions are called with its arguments, on data like its
own: points in the plane, more of them than components; ratings from 1 to 5 of up to 1,200 movies,
where every user has rated something. What they return has to be right to 1e-6 of its largest entry;
published figures, to their last digit. What run returns has to be nearer to the right iteration
than to any other. What is right there and would break elsewhere is a note, which changes neither
the verdict nor the exit status.

How a module is judged stands in judge/judge.py. What is expected comes from judge/exact.py (plain
Python, 50 digits), from test_solutions.txt or is worked out by hand; common.init's from
problems.start, which draws as the course does. Our own tests are in tests/.
"""

import argparse
import math
import os
import sys
import unittest
from pathlib import Path

# One BLAS thread and no windows: both are read when NumPy and Matplotlib are imported.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["MKL_NUM_THREADS"] = "1"
os.environ["VECLIB_MAXIMUM_THREADS"] = "1"
os.environ["MPLBACKEND"] = "Agg"

PROJECT = Path(__file__).resolve().parent


def leave(message):
    """End with one line and status 2."""
    print(f"test.py: {message}", file=sys.stderr)
    sys.exit(2)


if sys.version_info < (3, 10):  # noqa: UP036
    leave(f"expected Python 3.10 or later, got {sys.version.split()[0]}")
sys.path.insert(0, str(PROJECT))
try:
    import numpy as np

    from judge import mistakes, places, reference
    from judge.exact import (
        exact_estep,
        exact_fill_matrix,
        exact_mstep,
        exact_naive_mstep,
        exact_nearest,
    )
    from judge.judge import Answer, Judge, Verdict, off_by
    from judge.model import COST_RULE, LL_RULE, Model
    from judge.problems import Mixture, mixture_for, points, ratings, soft, start
except ModuleNotFoundError as error:
    if error.name == "numpy":
        leave(f"this needs numpy, which is missing: {sys.executable} -m pip install numpy")
    leave(f"expected the folder judge beside test.py: {error}")


# 1. What is asked of the course's modules. The tests of a module stand in the order in which its
# functions build on each other: what calls a function that has failed waits for it. K = 1 comes
# last, so that a failure can say that only it fails.


class Kmeans(Model):
    """kmeans.py"""

    name = "kmeans"
    nouns = {"row": "point", "column": "column", "component": "cluster", "size": "d"}
    functions = {
        "estep": ("X, mixture", "post"),
        "mstep": ("X, post", "mixture, cost"),
        "run": ("X, mixture, post", "mixture, post, cost"),
    }
    rule = COST_RULE

    def expected_estep(self, X, mixture):
        return exact_nearest(X, mixture.mu)

    def expected_mstep(self, X, post, before=None):
        """The variances are means over n_j d squares, so they give the cost as well."""
        expected = exact_naive_mstep(X, post)
        cost = (expected["var"] * post.sum(axis=0)).sum() * X.shape[1]
        return {**expected, "cost": cost}

    def test_estep(self):
        for seed, K in [(0, 3), (1, 4), (2, 1)]:
            self.for_components(K)
            X = points(seed, n=60)
            mixture = mixture_for(X, K, seed)
            self.check("estep", [X, mixture], self.expected_estep(X, mixture))

    def test_mstep(self):
        for seed in range(3):
            X = points(seed, n=60)
            own = np.random.RandomState(seed).permutation(np.repeat(range(4), (3, 7, 15, 35)))
            post = np.eye(4)[own]
            self.check_mstep([X, post], self.expected_mstep(X, post))

    def test_run(self):
        self.check_run(points(92, n=60), K=3, seed=92)
        # The limit is a number. A run with a share of the cost as its limit ends too early here,
        # unless that is below 1.6e-4, the share of the last fall: the least in seeds 0 to 4999.
        self.check_run(points(2272, n=90), K=4, seed=2272)

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
        # Divided by 128 the costs fall by about 1e-4. Of seeds 0 to 139 this one's falls come
        # nearest to that on both sides: 1.09e-4, which is no end, and 0.98e-4, which is.
        X = points(23, n=120) / 128
        mixture, post = start(X, 3, 23)
        if self.run_is_right():
            steps, last = self.iterations(X, mixture)
            got = self.attempt("run", X, mixture, post)
            if got and self.found(got, steps, last) != [last, last, last]:
                words = "where points lie close together it stops by another rule than the "
                self.note("run", words + "course's: compare the fall of the cost with 1e-4 itself")


class NaiveEm(Model):
    """naive_em.py"""

    name = "naive_em"
    rule = LL_RULE
    functions = {
        "estep": ("X, mixture", "post, ll"),
        "mstep": ("X, post", "mixture"),
        "run": ("X, mixture, post", "mixture, post, ll"),
    }

    def expected_estep(self, X, mixture):
        return exact_estep(X, mixture)

    def expected_mstep(self, X, post, before=None):
        return exact_naive_mstep(X, post)

    def test_estep(self):
        for seed, K in [(0, 3), (1, 2), (2, 4), (3, 1)]:
            self.for_components(K)
            X = points(seed)
            mixture = mixture_for(X, K, seed)
            self.check("estep", [X, mixture], exact_estep(X, mixture))

    def test_estep_of_many_points(self):
        X = points(4, n=250)
        mixture, _ = start(X, 2, 4)
        hint = "250 points: are densities multiplied, which underflows to 0? Add their logarithms"
        self.check("estep", [X, mixture], exact_estep(X, mixture), hint)

    def test_mstep(self):
        # The spread of 0.079 makes variances of 0.35 and 0.37. The least in the course's runs is
        # 0.33: a floor below that changes no figure, and is only noted.
        for seed, n, K, spread in [(0, 60, 3, 1), (1, 60, 2, 0.079), (2, 12, 4, 1), (3, 60, 1, 1)]:
            self.for_components(K)
            X = points(seed, n) * spread
            post = soft(n, K, seed)
            self.check_mstep([X, post], self.expected_mstep(X, post))

    def test_run(self):
        self.check_run(points(3, n=30), K=2, seed=3)
        self.check_run(points(6, n=40), K=3, seed=6)

    def test_published(self):
        X = self.course_data("toy_data.txt")
        for K, ll in [(1, -1307.2234), (2, -1175.7146), (3, -1138.8909), (4, -1138.6012)]:
            lls = [self.call("run", X, *start(X, K, seed))["ll"] for seed in range(5)]
            self.check_published("run", f"K = {K}: the best ll of seeds 0 to 4", max(lls), ll)

    def test_notes(self):
        """Other numbers of columns, points that lie close together, long runs."""
        X = points(0, d=3)
        mixture = mixture_for(X, 2, 0)
        words = "of points with three coordinates it is wrong: take d from X.shape"
        self.note_unless(words, "estep", [X, mixture], exact_estep(X, mixture))
        post = soft(12, 2, 0)
        self.note_unless(words, "mstep", [X, post], self.expected_mstep(X, post))
        close = points(0) * 0.03
        words = (
            "the variances of points that lie close together are wrong: naive EM has no least one"
        )
        self.note_unless(words, "mstep", [close, post], self.expected_mstep(close, post))
        # A long run, 231 iterations, found by a search through seeds 0 to 4861.
        self.note_if_cut_short(points(3430, n=40), K=2, seed=3430)


class Common(Judge):
    """common.py"""

    name = "common"
    nouns = {"row": "row", "column": "column", "component": "component", "size": "d"}
    functions = {
        "init": ("X, K, seed", "mixture, post"),
        "rmse": ("X, Y", "rmse"),
        "bic": ("X, mixture, log_likelihood", "bic"),
    }

    def test_init(self):
        for seed, K in [(0, 3), (1, 4), (4, 12), (2, 1)]:
            self.for_components(K)
            for X in (points(0, n=60), ratings(0, n=40)):
                answer = Answer("init", [X, K, seed], self.call("init", X, K, seed))
                mixture, post = start(X, K, seed)
                if off_by(answer.got["mu"], mixture.mu) > 1e-6:  # then the variances are off, too
                    hint = "it needs the rows that np.random.seed(seed) and "
                    hint += "np.random.choice(n, K, replace=False) draw"
                    self.compare(answer, {"mu": mixture.mu}, hint)
                self.compare(answer, {**mixture._asdict(), "post": post})

    def test_rmse(self):
        X = np.array([[1.5, 0.0], [5.0, 4.0], [3.0, 3.0]])
        Y = np.array([[1.0, 2.0], [7.0, 0.0], [3.0, 4.0]])
        self.check("rmse", [X, Y], {"rmse": math.sqrt(25.25 / 6)})

    def test_bic(self):
        X = ratings(0)
        for K, P in [(2, 13), (4, 27), (1, 6)]:
            self.for_components(K)
            expected = {"bic": -100 - P / 2 * math.log(12)}
            self.check("bic", [X, mixture_for(X, K, 0), -100.0], expected)

    def test_reference_outputs(self):
        """The numbers of test_solutions.txt that are common.py's."""
        X = self.reference.X
        K = self.reference.K
        self.check_reference("init", self.call("init", X, K, 0))
        right = mistakes.made("em", {})
        # Not the file's X_pred: where that is wrong, it is em.fill_matrix's test that says so.
        mixture, _, _ = right["run"](X, *start(X, K, 0))
        X_pred = right["fill_matrix"](X, mixture)
        self.check_reference("rmse", self.call("rmse", self.reference.X_gold, X_pred))

    def test_published(self):
        X = self.course_data("toy_data.txt")
        for K, ll, bic in [(1, -1307.2234, -1315.5056), (3, -1138.8909, -1169.2589)]:
            got = self.call("bic", X, start(X, K, 0)[0], ll)["bic"]
            self.check_published("bic", f"K = {K}, of a log-likelihood of {ll}", got, bic)

    def test_notes(self):
        """A default seed, as the course's newer starter files have it."""
        if self.has_failed("init"):
            return
        X = points(0)
        got = self.attempt("init", X, 3)
        expected = start(X, 3, 0)[0]
        if got is None:
            words = "there is no default seed: init(X, K, seed=0), as in the course's newer files"
            self.note("init", words)
        elif off_by(got["mu"], expected.mu) > 1e-6:
            words = "the default seed is not 0: init(X, K, seed=0), as in the course's newer files"
            self.note("init", words)


class Em(Model):
    """em.py"""

    name = "em"
    nouns = {"row": "user", "column": "movie", "component": "type", "size": "|C_u|"}
    rule = LL_RULE
    functions = {
        "estep": ("X, mixture", "post, ll"),
        "mstep": ("X, post, mixture, min_variance", "mixture"),
        "run": ("X, mixture, post", "mixture, post, ll"),
        "fill_matrix": ("X, mixture", "X_pred"),
    }

    def expected_estep(self, X, mixture):
        return exact_estep(X, mixture)

    def expected_mstep(self, X, post, before):
        return exact_mstep(X, post, before.mu)

    def test_estep(self):
        for seed, K in [(0, 3), (1, 2), (2, 4), (3, 1)]:
            self.for_components(K)
            # Turned round, as the first user of ratings has rated all d movies: whoever takes d for
            # |C_u| is off from the first entry on.
            X = np.flip(ratings(seed)).copy()
            mixture = mixture_for(X, K, seed)
            self.check("estep", [X, mixture], exact_estep(X, mixture))

    def test_estep_of_many_ratings(self):
        X = ratings(0, n=4, d=1200, missing=0.2)
        X[1, 270:] = 0
        mixture, _ = start(X, 3, 0)
        hint = "users with up to 1,200 ratings: do densities underflow to 0? Stay in logarithms, "
        hint += "and subtract each user's largest f before np.exp"
        self.check("estep", [X, mixture], exact_estep(X, mixture), hint)

    def test_mstep(self):
        for seed, K in [(2, 4), (0, 3), (1, 2), (3, 1)]:
            self.for_components(K)
            X = ratings(seed, n=60)
            post = soft(60, K, seed)
            if K == 4:  # types 3 and 4 are of users who agree: both get min_variance
                X[20:][X[20:] != 0] = 4
                # Some of users who differ: type 4's variance is not 0, as if only a 0 were replaced
                post[:20, 2:] = [0, 1e-4]
                post[20:40] = [0, 0, 1, 0]
                post[40:] = [0, 0, 0, 1]
                post /= post.sum(axis=1, keepdims=True)
            old = mixture_for(X, K, seed)
            self.check_mstep([X, post, old, 0.25], self.expected_mstep(X, post, old))

    def test_mstep_keeps_a_mean_with_a_soft_count_below_1(self):
        X = np.array([[5.0, 0, 2], [1, 0, 4], [0, 0, 3], [4, 0, 0], [0, 3, 0]])
        post = np.array([[0.1, 0.9], [0.3, 0.7], [0.5, 0.5], [0.7, 0.3], [0.2, 0.8]])
        # The counts of type 1 are 1.1, 0.2 and 0.9, those of type 2 1.9, 0.8 and 2.1.
        old = Mixture(np.full((2, 3), 1.5), np.array([1.0, 2.0]), np.full(2, 0.5))
        self.check_mstep([X, post, old], self.expected_mstep(X, post, old))

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
            self.blame("em.mstep", words)

    def test_run(self):
        self.check_run(ratings(0, n=40), K=3, seed=0)
        self.check_run(ratings(1, n=24, d=6, missing=0.6), K=4, seed=1)  # some means are kept

    def test_fill_matrix(self):
        self.wait_for("em.estep")
        for seed, K in [(2, 3), (3, 2), (2, 1)]:
            self.for_components(K)
            X = ratings(seed)
            X[0, 1] = 0  # the first user has something to fill, and the last
            X[-1, -1] = 0
            mixture = mixture_for(X, K, seed)
            self.check("fill_matrix", [X, mixture], exact_fill_matrix(X, mixture))

    def test_reference_outputs(self):
        """The numbers of test_solutions.txt that are em.py's, in its order."""
        self.wait_for("em.estep", "em.mstep", "em.run", "em.fill_matrix")
        X = self.reference.X
        mixture, post = start(X, self.reference.K, 0)
        first = self.call("estep", X, mixture)
        self.check_reference("estep", first)
        self.check_reference("mstep", self.call("mstep", X, first["post"], mixture))
        run = self.call("run", X, mixture, post)
        self.check_reference("run", run)
        last = Mixture(run["mu"], run["var"], run["p"])
        self.check_reference("fill_matrix", self.call("fill_matrix", X, last))

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
        """Weights of 0, a count of exactly 1, users and movies without ratings, long runs."""
        X = ratings(4)
        mixture = mixture_for(X, 3, 4)
        self.note_on_a_weight_of_0(X)
        self.note_on_a_count_of_1(X, mixture)
        nobody = X.copy()
        nobody[3] = 0
        unseen = X.copy()
        unseen[:, 2] = 0
        words = "a user without ratings gives nan or an error: let an empty sum be 0"
        self.note_unless_finite(words, "estep", nobody, mixture)
        self.note_unless_finite(words, "mstep", nobody, soft(12, 3, 4), mixture)
        self.note_unless_finite(words, "fill_matrix", nobody, mixture)
        words = "a movie without ratings gives nan or an error: divide only where the count is >= 1"
        self.note_unless_finite(words, "estep", unseen, mixture)
        self.note_unless_finite(words, "mstep", unseen, soft(12, 3, 4), mixture)
        # A long run, 225 iterations, found by a search through seeds 0 to 1282.
        self.note_if_cut_short(ratings(69, n=40), K=3, seed=69)

    def note_on_a_weight_of_0(self, X):
        """All users are exactly on the mean of a type with a weight of 0, far from the other."""
        alike = np.repeat(X[:1], 12, axis=0)
        rare = Mixture(X[[0, 1]], np.full(2, 0.05), np.array([0.0, 1.0]))
        got = self.attempt("estep", alike, rare)
        if not got or not got["post"][:, 0].all() or not np.isfinite(got["post"]).all():
            words = "a type with a weight of 0 has posteriors of 0, or nan: the course takes "
            self.note("estep", words + "log(p_j + 1e-16)")

    def note_on_a_count_of_1(self, X, mixture):
        """Type 1 has one user, the first, who has rated every movie."""
        whole = np.eye(3)[[0, 1, 2] + [1, 2] * 4 + [2]]
        got = self.attempt("mstep", X, whole, mixture)
        if got and off_by(got["mu"][0], mixture.mu[0]) == 0:
            words = "a mean with a soft count of exactly 1 keeps its old value: it needs >= 1, not "
            self.note("mstep", words + "> 1 (K = 12 on the course's data ends elsewhere with that)")

    def note_unless_finite(self, words, function, *arguments):
        """Note the words where a function fails or gives nan."""
        if self.has_failed(function, "estep"):  # fill_matrix calls estep
            return
        got = self.attempt(function, *arguments)
        if not got or not all(np.isfinite(value).all() for value in got.values()):
            self.note(function, words)


COURSE = [Kmeans, NaiveEm, Common, Em]


# 2. The command line


def tests_of(name):
    """The tests that a name on the command line asks for: Em and em mean the same."""
    expected = ", ".join(case.__name__ for case in COURSE)
    if name.endswith(".py"):
        leave(f"there is no file {name!r}: expected a path, or one of {expected}, or Em.test_run")
    first, _, method = name.partition(".")
    for case in COURSE:
        if case.__name__.lower() == first.lower().replace("_", ""):
            tests = [key for key in vars(case) if key.startswith("test")]  # in their order
            if method in tests:
                return [case(method)]
            if not method:
                return [case(test) for test in tests]
            leave(f"there is no test {name!r}: {case.__name__} has {', '.join(tests)}")
    leave(f"there is no test {name!r}: expected one of {expected}, or Em.test_run")


def asked_for(words):
    """The tests that the words of the command line ask for, and the Place of the paths, or None.

    A name beside paths picks a test of their modules: one of another module is refused.
    """
    words = [os.path.expanduser(word) for word in words]
    paths = [word for word in words if places.is_path(word)]
    names = [word for word in words if not places.is_path(word)]
    tests = []
    for name in names or [case.__name__ for case in COURSE]:
        tests += tests_of(name)
    if not paths:
        return tests, None
    try:
        place = places.place_of(paths)
    except ValueError as error:
        leave(str(error))
    for test in tests:  # what is missing is allowed here: tests_there says so
        if names and test.name not in place.modules + place.missing:
            leave(f"a test of {test.name}.py is named: expected its path, too")
    return tests, place


def tests_there(tests, place):
    """Those of the tests whose module lies in a Place; print which files these are."""
    asked = modules_of(tests)
    found = [name for name in asked if name in place.modules]
    lacking = [name for name in asked if name in place.missing]
    if not found:
        leave(f"not judged: no {lacking[0]}.py in {place.folder}")
    say_judged(found, place.folder)
    for name in lacking:
        print(f"not judged: no {name}.py in {place.folder}")
    return [test for test in tests if test.name in found]


def modules_of(tests):
    """The modules that tests are of."""
    return [name for name in places.MODULES if any(test.name == name for test in tests)]


def say_judged(modules, folder):
    """Print which files are judged."""
    print(f"Judged: {', '.join(f'{name}.py' for name in modules)} in {folder}")


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description="Judge the course's modules: kmeans.py, naive_em.py, common.py and em.py.",
        epilog="examples: python test.py ~/netflix; python test.py ~/netflix/em.py; "
        "python test.py ~/netflix Em.test_run --data FOLDER",
    )
    help_words = "the folder in which your modules lie, or one of these files; or Kmeans, NaiveEm, "
    help_words += "Common, Em, or one test, Em.test_run, of those beside test.py, or in that folder"
    parser.add_argument("words", nargs="*", metavar="PATH or NAME", help=help_words)
    help_data = "the course's own files: check the published figures, too"
    parser.add_argument("--data", type=Path, metavar="DIR", help=help_data)
    parser.add_argument("-v", "--verbose", action="store_true", help="a line for every test")
    parser.add_argument("-f", "--failfast", action="store_true", help="stop at the first failure")
    parser.error = leave
    options = parser.parse_intermixed_args(arguments)

    reference_folder = (options.data or PROJECT).expanduser().resolve()
    if not (reference_folder / "test_solutions.txt").is_file():
        leave(f"expected a folder with test_solutions.txt (--data), got {options.data or PROJECT}")
    tests, place = asked_for(options.words)
    try:
        Judge.reference = reference.read(reference_folder)
    except (OSError, ValueError) as error:
        leave(str(error))
    if place:
        tests = tests_there(tests, place)
        places.let_imports_find(place.folder)
        Judge.folder = place.folder
    else:
        say_judged(modules_of(tests), PROJECT)
        Judge.folder = PROJECT
    verdict = Verdict(options.verbose)
    verdict.failfast = options.failfast
    if any(test.name in ("common", "em") for test in tests):
        for words in Judge.reference.problems:
            verdict.failures.append(("", words))
    if options.data and any("published" in test.id() for test in tests):
        print("The published figures take seconds with matrix products, and minutes with loops.")
    Judge.data = reference_folder if options.data else None
    Judge.failed.clear()
    Judge.notes.clear()
    Judge.without_scipy.clear()
    with np.errstate(all="ignore"):  # a nan that a student's function returns is no warning here
        unittest.TestSuite(tests).run(verdict)
    verdict.tell()
    for words in Judge.without_scipy.values():
        print(f"test.py: {words}", file=sys.stderr)
    if verdict.failures:
        sys.exit(1)
    sys.exit(2 if Judge.without_scipy else 0)


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="backslashreplace")  # a folder's name may be in any alphabet
    try:
        main()
    except KeyboardInterrupt:
        print("test.py: interrupted", file=sys.stderr)
        os._exit(130)  # at once, whatever a student's module has registered for the end
    except BrokenPipeError:  # the output's reader has left, as `| head` does
        os._exit(141)
