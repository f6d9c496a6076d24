"""main.py: its tables, options, and end."""

import itertools
import os
import re
import shutil
import sys
import time
import unittest
from functools import partial
from unittest import mock

from tests.base import (  # before NumPy: it sets the number of BLAS threads
    PROJECT,
    MainProgram,
    slow_averages,
)

# isort: split
import numpy as np
from numpy.testing import assert_allclose

import common
import em
import kmeans
import main
import naive_em
from judge.problems import points, ratings
from recommend.predict import predict, verdict

# A student's modules: the course's functions and parameters alone, on copies of ours. They return
# lists and arrays of one element, and overwrite what they are given.
STUDENTS = {
    "kmeans": """
import our_kmeans, rough
run = rough.run(our_kmeans.run)
""",
    "naive_em": """
import our_naive_em, rough
from our_naive_em import mstep
run, estep = rough.run(our_naive_em.run), rough.estep(our_naive_em.estep)
""",
    "em": """
import our_em, rough
from our_em import mstep
run, estep = rough.run(our_em.run), rough.estep(our_em.estep)
fill_matrix = rough.ending_in_zeros(our_em.fill_matrix)
""",
    "common": """
import our_common, rough
from our_common import GaussianMixture
def init(X, K, seed): return our_common.init(X, K, seed)
def plot(X, mixture, post, title): our_common.plot(X, mixture, post, title)
rmse, bic = rough.ending_in_zeros(our_common.rmse), rough.ending_in_zeros(our_common.bic)
""",
    "rough": """
import numpy as np
def ending_in_zeros(function):
    def called(*given):
        result = function(*given)
        for part in given:
            for array in part if isinstance(part, tuple) else [part]:
                if isinstance(array, np.ndarray):
                    array[:] = 0
        return [result] if isinstance(result, float) else result.tolist()
    return called
def run(function):
    def called(X, mixture, post):
        mixture, post, score = function(X, mixture, post)
        X[:] = 0
        return type(mixture)(*[part.tolist() for part in mixture]), post.tolist(), [score]
    return called
def estep(function):
    def called(X, mixture):
        post, ll = function(X, mixture)
        return post, np.array([ll])
    return called
""",
}


class Main(MainProgram):
    """main.py: its tables, options, and end."""

    def test_tables_and_pictures(self):
        options = "--seeds 1 0 --toy-k 3 1 2 --netflix-k 1 3 2".split()
        status, out, err = self.call("--data", self.small, *options, save=True)
        self.assertEqual((status, err), (0, ""))
        rows = [row.split() for row in re.findall(r"(?m)^ +\d+ .*$", out)]
        rows = [[float(word) for word in row] for row in rows]
        self.assertEqual([row[0] for row in rows], [1, 2, 3, 1, 2, 3, 1, 2, 3])
        for model, X, row in [
            (kmeans, self.toy, rows[2]),
            (naive_em, self.toy, rows[5]),
            (em, self.X, rows[8]),
        ]:
            fits = [model.run(X, *common.init(X, 3, seed)) for seed in (0, 1)]
            scores = np.round([fit[2] for fit in fits], 9)
            seed = scores.argmax()
            expected = [3, scores[seed], common.bic(X, fits[seed][0], scores[seed]), seed]
            if model is kmeans:
                seed = scores.argmin()
                expected = [3, scores[seed], seed]
            assert_allclose(row[: len(expected)], expected, atol=6e-5)
        error = common.rmse(em.fill_matrix(self.X, fits[seed][0]), self.Y)
        self.assertAlmostEqual(rows[8][4], error, places=4)
        picks = [max(table, key=lambda row: row[2])[0] for table in (rows[3:6], rows[6:])]
        self.assertEqual(re.findall(r"BIC picks K = (\d)\.", out), [f"{K:.0f}" for K in picks])
        count = np.count_nonzero(self.X)
        words = f"20 users x 8 movies, {count} ratings ({count / 1.6:.1f} %) from 1 to 5"
        self.assertIn(words, out)
        pictures = {path.name for path in (self.small / "plots").iterdir()}
        self.assertEqual(pictures, set(re.findall(r"Saved .*/(.*)", out)))
        self.assertEqual(len(pictures), 6)

    def test_seeds_that_end_alike(self):
        """Rounding errors decide nothing: the first seed counts."""
        for factor, best in [(1 + 1e-13, 0), (1 + 1e-9, 1)]:
            scores = [1390234.4223, 1390234.4223 * factor]
            fits = [main.Fit(seed, None, None, score, None) for seed, score in enumerate(scores)]
            self.assertEqual(max(fits, key=main.rounded_score).seed, best)

    def test_errors_on_hidden_ratings(self):
        """Step 4's figures are those of predictions from the other ratings alone."""
        X = ratings(1, 60, 30)
        self.write("netflix_incomplete.txt", X)
        (self.small / "netflix_complete.txt").unlink()
        _, out, _ = self.call("--data", self.small, "--netflix-k", 2, "--seeds", 0, 1)
        given = np.flatnonzero(X)
        size = len(given) // 10
        hidden = np.random.RandomState(0).choice(given, size, replace=False)
        left = X.copy()
        left.flat[hidden] = 0
        mean = left.sum() / np.count_nonzero(left)
        fits = [em.run(left, *common.init(left, 2, seed)) for seed in (0, 1)]
        best = max(fits, key=lambda fit: fit[2])
        guesses = {
            "mean of all ratings": np.full(X.shape, mean),
            "averages of users and movies": slow_averages(left),
            "em.fill_matrix, K =  2": em.fill_matrix(left, best[0]),
            "predict": predict(left),
        }
        guesses = {name: guess.flat[hidden] for name, guess in guesses.items()}
        truth = X.flat[hidden]
        rows = [f"{name:28}{common.rmse(guess, truth):10.3f}\n" for name, guess in guesses.items()]
        mean, averages, _, predicted = guesses.values()
        lines = verdict({"the mean": mean, "averages": averages}, predicted, truth, 3, "movie")
        self.assertIn(f": {size} of the {len(given)} given ratings are hidden, and pred", out)
        self.assertIn("".join(rows) + "\n".join(lines) + "\n", out)
        self.assertIn(" than averages", lines[-1])

    def test_matrices_of_ones_own(self):
        """Any scale, nan for missing, no toy data, few users, few ratings."""
        (self.small / "netflix_complete.txt").unlink()
        (self.small / "toy_data.txt").unlink()
        for scale, error in [(0.1, r"0\.\d{4}"), (1e5, r"\d{4,6}")]:
            own = scale * (1 + 9 * np.random.RandomState(0).rand(9, 5))
            own[ratings(2, 9) == 0] = np.nan
            self.write("netflix_incomplete.txt", own)
            status, out, err = self.call("--data", self.small, "--seeds", 0)
            self.assertEqual((status, err), (0, ""))
            self.assertIn("There is no toy_data.txt: ", out)
            self.assertIn("There is no netflix_complete.txt: ", out)
            self.assertIn(main.BIC_IN_WORDS, out)
            self.assertRegex(out, rf"(?s)\n  8 .*\npredict +{error}\nToo few")
            self.assertNotIn("  RMSE\n", out)
            self.assertEqual("The ratings' variance is 0.0" in out, scale == 0.1)
        for low, words in [(1.1, "variance is 0.2, below 0.25"), (0.8, "^$")]:
            # Half the ratings are low, half 2: their variance is 0.45**2 = 0.2025, or 0.36.
            own = np.tile([low, 2.0], (6, 3)) * (np.eye(6) == 0)
            self.write("netflix_incomplete.txt", own)
            _, out, _ = self.call("--data", self.small, "--netflix-k", 1)
            self.assertRegex("".join(re.findall("The ratings' (.*), the least", out)), words)
        self.write("netflix_incomplete.txt", "0.001 0 0.003\n0.002 0.003 0\n")
        status, out, err = self.call("--data", self.small, save=True)
        self.assertEqual((status, err), (0, ""))
        self.assertTrue(out.endswith("4 ratings are too few to hide a tenth of them.\n"))
        self.assertFalse((self.small / "plots" / "netflix_predictions.png").exists())

    def test_a_k_alone_is_not_picked(self):
        _, out, _ = self.call("--data", self.small, "--toy-k", 2, "--netflix-k", 2)
        self.assertNotIn("BIC picks", out)
        self.assertNotIn("needs a K above 1", out)
        _, out, _ = self.call("--data", self.small, "--toy-k", 1, "--netflix-k", 1, save=True)
        self.assertNotIn("BIC picks", out)
        self.assertIn("netflix_convergence.png needs a K above 1", out)
        self.assertEqual(len(list((self.small / "plots").iterdir())), 5)

    def test_zeros_of_the_completed_matrix(self):
        self.Y[self.X == 0] = 0
        self.write("netflix_complete.txt", self.Y)
        _, out, _ = self.call("--data", self.small, "--seeds", 0)
        words = "entries of netflix_complete.txt are 0: they count as ratings of 0 in the RMSE"
        self.assertIn(f"{np.count_nonzero(self.X == 0)} {words} below.\n1. K-means", out)

    @unittest.skipUnless(os.name == "posix", "for the messages of Linux and macOS")
    def test_options_that_make_no_sense(self):
        toy = self.small / "toy_data.txt"
        loop = self.folder / "loop"
        loop.symlink_to(loop)
        long = self.folder / ("x" * 300)
        for words, *arguments in [
            ("--toy-k: expected whole numbers of at least 1, got 'two'", "--toy-k", "two"),
            ("--toy-k: expected 1 to 15, the number of rows, got 16", "--toy-k", 16),
            ("--netflix-k: expected 1 to 20, the number of rows, got 21", "--netflix-k", 2, 21),
            ("--netflix-k: expected whole numbers of at least 1, got '0'", "--netflix-k", 0, 2),
            ("--netflix-k: .* of at least 1, separated by spaces, got '1,2'", "--netflix-k", "1,2"),
            ("--seeds: expected whole numbers from 0 to 4294967295, got '-1'", "--seeds", -1),
            ("--seeds: .* from 0 to 4294967295, got '4294967296'", "--seeds", 2**32),
            ("unrecognized arguments: --seed 3", "--seed", 3),
            ("unrecognized arguments: --ratings ", "--ratings", toy),
            ("--plots: cannot write into .*: ", "--plots", toy),
            ("--plots: cannot write into .*: Not a directory", "--plots", toy / "x"),
            ("--plots: cannot write into .*: File name too long", "--plots", long),
            ("--plots: cannot write into .*: ", "--plots", loop),
        ]:
            self.assert_refused(words, "--data", self.small, *arguments)
        for path, words in [
            (self.folder / "none", "No such file"),
            (long, "File name too long"),
            (loop, "Too many levels"),
        ]:
            self.assert_refused(f"cannot read .*incomplete.txt: {words}", "--data", path)

    def test_defaults(self):
        with mock.patch.object(sys, "argv", ["main.py"]):
            options = main.parse_options()
        self.assertEqual((options.data, options.plots), (PROJECT, PROJECT / "plots"))
        self.assertEqual(options.seeds, [0, 1, 2, 3, 4])
        X = np.zeros((1000, 2))
        self.assertEqual(main.usable("", options.toy_k, main.TOY_K, X), [1, 2, 3, 4])
        Ks = main.usable("", options.netflix_k, main.NETFLIX_K, X)
        self.assertEqual(Ks, [1, 2, 3, 4, 8, 12])
        self.assertEqual(main.usable("", [4, 2, 4], main.TOY_K, X), [2, 4])
        self.assertEqual(main.usable("", None, main.TOY_K, X[:3]), [1, 2, 3])
        self.assertEqual(main.usable("", [3], main.TOY_K, X[:3]), [3])
        self.assertEqual(main.usable("", None, main.TOY_K, None), [])
        with self.assertRaisesRegex(ValueError, "^--toy-k: expected a toy_data.txt"):
            main.usable("--toy-k", [3], main.TOY_K, None)

    def test_the_number_of_workers_changes_nothing(self):
        outputs = set()
        for number in (1, 3):
            with mock.patch.object(main, "workers", lambda number=number: number):
                outputs.add(self.call("--data", self.small, "--toy-k", 2, "--netflix-k", 2))
        self.assertEqual([status for status, _, _ in outputs], [0])

    def test_an_init_that_draws_from_numpys_global_state(self):
        """As the course's does: fits side by side must not draw each other's rows."""

        def init(X, K, seed):
            np.random.seed(seed)
            time.sleep(0.002)  # the other threads' turn
            rows = np.random.choice(len(X), K, replace=False)
            mixture, post = ours(X, K, seed)
            return mixture._replace(mu=X[rows]), post

        ours = common.init
        outputs = {self.call("--data", self.small)}
        with mock.patch.multiple(main, workers=lambda: 4), mock.patch.object(common, "init", init):
            for _ in range(3):
                outputs.add(self.call("--data", self.small))
        self.assertEqual([status for status, _, _ in outputs], [0])

    def test_a_students_modules(self):
        """Beside ours and all four, in a copy of main.py's folder; then with mistakes."""
        shutil.copy(PROJECT / "main.py", self.folder)
        shutil.copytree(PROJECT / "recommend", self.folder / "recommend")
        for name in ("kmeans", "naive_em", "em", "common"):
            shutil.copy(PROJECT / f"{name}.py", self.folder / f"our_{name}.py")
        run = partial(self.process, "main.py", "--data", self.small, "--seeds", 0, 1)
        run = partial(run, "--toy-k", 1, 2, "--netflix-k", 2, 3, folder=self.folder)
        run = partial(run, "--plots", self.folder / "plots")
        outputs = []
        for theirs, n_pictures in [
            ([], 6),
            (["em", "rough"], 6),
            (["kmeans", "naive_em", "common", "rough"], 4),
            (list(STUDENTS), 4),
        ]:
            shutil.rmtree(self.folder / "plots", ignore_errors=True)
            for name in STUDENTS:
                text = STUDENTS[name] if name in theirs else f"from our_{name} import *"
                (self.folder / f"{name}.py").write_text(text)
            done = run()
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertEqual(len(list((self.folder / "plots").iterdir())), n_pictures)
            lacks = "Your common.plot has no parameter ax: toy_kmeans_vs_em.png and toy_em.gif"
            self.assertEqual(lacks in done.stdout, n_pictures == 4)
            outputs.append(re.sub("(?m)^(Your|Saved).*\n", "", done.stdout))
        self.assertEqual(outputs[1:], outputs[:1] * 3)
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
        nan = "from our_em import *\ndef run(X, mixture, post): return mixture, post, float('nan')"
        (self.folder / "em.py").write_text(nan)
        (self.folder / "kmeans.py").write_text("from our_kmeans import *")
        shutil.rmtree(self.folder / "plots")
        done = run()
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("A log-likelihood is not a finite number", done.stdout)
        self.assertFalse((self.folder / "plots" / "netflix_selection.png").exists())

    def test_iterations_are_those_of_run(self):
        slow = points(0, 400)  # a fit takes many iterations of little gain
        for model, X, seed in itertools.product((naive_em, em), (slow, self.X), range(5)):
            with mock.patch.object(model, "estep", wraps=model.estep) as estep:
                _, post, ll = model.run(X, *common.init(X, 3, seed))
            steps = list(main.iterations(model, X, 3, seed))
            self.assertEqual(len(steps), estep.call_count)
            self.assertEqual(steps[-1][2], ll)
            assert_allclose(steps[0][0].mu, common.init(X, 3, seed)[0].mu)
            assert_allclose(steps[-1][1], post)

    @unittest.skipUnless(os.name == "posix", "for signals as Linux and macOS have them")
    def test_the_end_of_a_process(self):
        self.assert_refuses_an_old_python("main.py")
        arguments = ["main.py", "--data", self.small, "--seeds", *range(3000)]
        self.assert_interruptible("main.py", *arguments)

    def test_a_missing_library(self):
        missing = """
import runpy, sys
class Missing:
    def find_spec(self, name, *_):
        if name == sys.argv[1]:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Missing())
runpy.run_path("main.py", None, "__main__")
"""
        for name in ("numpy", "matplotlib"):
            done = self.process("-c", missing, name)
            self.assertEqual(done.returncode, 2)
            words = f"No module named {name!r}; this installs it: {sys.executable}"
            self.assertEqual(done.stderr, f"main.py: {words} -m pip install {name}\n")
