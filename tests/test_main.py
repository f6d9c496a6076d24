"""main.py: its tables, pictures, options, and end."""

import math
import os
import re
import shutil
import signal
import subprocess
import sys
import unittest
from functools import partial
from unittest import mock

from tests.base import ROOT, Program  # before NumPy: it sets the number of BLAS threads

# isort: split
import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

import common
import em
import kmeans
import main
import naive_em
from judge.problems import ratings
from recommend.predict import predict

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
            (kmeans, self.toy, rows[1]),
            (naive_em, self.toy, rows[4]),
            (em, self.X, rows[7]),
        ]:
            fits = [model.run(X, *common.init(X, 2, seed)) for seed in (0, 1)]
            scores = np.round([fit[2] for fit in fits], 9)
            seed = scores.argmax()
            expected = [2, scores[seed], common.bic(X, fits[seed][0], scores[seed]), seed]
            if model is kmeans:
                seed = scores.argmin()
                expected = [2, scores[seed], seed]
            assert_allclose(row[: len(expected)], expected, atol=6e-5)
        error = common.rmse(em.fill_matrix(self.X, fits[seed][0]), self.Y)
        self.assertAlmostEqual(rows[7][4], error, places=4)
        count = np.count_nonzero(self.X)
        words = f"20 users x 8 movies, {count} ratings ({count / 1.6:.1f} %) from 1 to 5"
        self.assertIn(words, out)
        pictures = sorted(path.name for path in (self.small / "plots").iterdir())
        self.assertEqual(len(pictures), 7, pictures)
        for name in pictures:
            self.assertIn(name, out)
        expected = np.where(self.X == 0, predict(self.X).round(4), self.X)
        assert_array_equal(np.loadtxt(filled), expected)

    def test_the_errors_on_hidden_ratings(self):
        """Step 4's figures are those of predictions from the other ratings alone."""
        _, out, _ = self.call("--data", self.small, "--netflix-k", 2, "--seeds", 0, 1)
        tenths = main.hidden_tenths(self.X)
        guesses = {
            "mean of all ratings": [],
            "averages of users and movies": [],
            "em.fill_matrix, K =  2": [],
            "predict": [],
        }
        for tenth in tenths:
            left = self.X.copy()
            left.flat[tenth] = 0
            mean = left.sum() / np.count_nonzero(left)
            averages = self.slow_averages(left, mean)
            fits = [em.run(left, *common.init(left, 2, seed)) for seed in (0, 1)]
            best = max(fits, key=lambda fit: fit[2])
            course = em.fill_matrix(left, best[0])
            ours = predict(left)
            for parts, X_pred in zip(guesses.values(), [0 * left + mean, averages, course, ours]):
                parts.append(X_pred.flat[tenth])
        truth = self.X.flat[np.concatenate(tenths)]
        for name, parts in guesses.items():
            error = common.rmse(np.concatenate(parts), truth)
            self.assertIn(f"\n{name:28}{error:10.3f}\n", out)
        squares = (np.concatenate(guesses["predict"]) - truth) ** 2
        uncertainty = squares.std() / math.sqrt(len(truth)) / 2 / error
        self.assertIn(f"predict expects {error:.3f} +- {uncertainty:.3f} stars on ratings", out)
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
        self.assertIn("predict expects ", out)
        self.assertNotIn("Not better", out)

    def test_hidden_tenths(self):
        for n, tenths, size in [(2, 0, 0), (20, 10, 20), (333, 4, 333), (1000, 1, 1000)]:
            X = ratings(0, n, 10, missing=0)
            if n == 2:
                X[:, 4:] = 0  # 8 ratings
            hidden = main.hidden_tenths(X)
            self.assertEqual([len(tenth) for tenth in hidden], [size] * tenths)
            self.assertEqual(len(np.unique(hidden)), size * tenths)
        for split in (0, 3):
            order = np.random.RandomState(split).choice(np.flatnonzero(X), 1000, replace=False)
            assert_array_equal(main.hidden_tenths(X, split)[0], order)

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
            with mock.patch.object(main, "workers", lambda *_, number=number: number):
                outputs.add(self.call("--data", self.small, "--toy-k", 2, "--netflix-k", 2))
        self.assertEqual([status for status, _, _ in outputs], [0])

    def test_fits_side_by_side_fit_into_memory(self):
        X = np.zeros((1000, 1000))
        cpus = set(range(8))
        with mock.patch.object(os, "sched_getaffinity", lambda _: cpus, create=True):
            for gigabytes, number in [(math.inf, 8), (1, 8), (0.16, 4), (0.05, 1)]:
                with mock.patch.object(main, "memory", lambda g=gigabytes: 1e9 * g):
                    self.assertEqual(main.workers(X, 1), number)

    def test_a_students_modules(self):
        """Beside ours and all four, in a copy of main.py's folder; then with mistakes."""
        shutil.copy(ROOT / "main.py", self.folder)
        shutil.copytree(ROOT / "recommend", self.folder / "recommend")
        for name in STUDENTS:
            shutil.copy(ROOT / f"{name}.py", self.folder / f"our_{name}.py")
        run = partial(self.process, "main.py", "--data", self.small, "--seeds", 0)
        run = partial(run, "--toy-k", 2, "--netflix-k", 2, folder=self.folder)
        run = partial(run, "--plots", self.folder / "plots")
        for theirs, n_pictures, lacks in [
            (["em"], 7, "^$"),
            (["kmeans", "naive_em", "common"], 5, "^common.plot.s parameter ax .*toy_em.gif.[.]$"),
            (list(STUDENTS), 5, "common.plot's parameter ax "),
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

        fits = [main.fit(em, self.X, 2, 0, None)]
        traces = [main.trace(em, self.X, 2, 0)]
        run = one_element(em.run)
        estep = one_element(em.estep)
        with mock.patch.multiple(em, run=run, estep=estep):
            fits.append(main.fit(em, self.X, 2, 0, None))
            traces.append(main.trace(em, self.X, 2, 0))
        self.assertEqual(fits[0][-2:], fits[1][-2:])  # the score and the BIC
        self.assertEqual(traces[0], traces[1])
        self.assertEqual(traces[0][-1], fits[0].score)
        self.assertEqual({type(fits[1].score), type(traces[1][-1])}, {float})

    @unittest.skipUnless(os.name == "posix", "for signals as Linux and macOS have them")
    def test_the_end_of_a_process(self):
        self.assert_refuses_an_old_python("main.py")
        command = [sys.executable, ROOT / "main.py", "--data", self.small, "--seeds"]
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
        mixture = common.GaussianMixture(mu, np.ones(3), post.mean(axis=0))
        fit = main.Fit(0, mixture, post, 0.0, 0.0)
        data = main.Data("", X, list("abcd"), "movie", "stars", [])
        figure = main.draw_user_types(data, fit, "K = 3")
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
