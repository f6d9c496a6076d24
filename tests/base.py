"""What our tests have in common."""

import contextlib
import io
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

# One BLAS thread and no windows: both are read when NumPy and Matplotlib are imported.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["MKL_NUM_THREADS"] = "1"
os.environ["VECLIB_MAXIMUM_THREADS"] = "1"
os.environ["MPLBACKEND"] = "Agg"

# isort: split
import numpy as np

import main
from judge.judge import time_limit
from judge.problems import points, ratings

PROJECT = Path(__file__).resolve().parent.parent


class Ours(unittest.TestCase):
    """Our modules, with warnings as errors, NumPy's among them, and a time limit for each test."""

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

    def process(self, *arguments, folder=PROJECT):
        """Run Python on the arguments in a process of its own."""
        command = [sys.executable, *map(str, arguments)]
        notebook = {**os.environ, "MPLBACKEND": "module://of_a_notebook"}
        return subprocess.run(
            command, cwd=folder, env=notebook, capture_output=True, text=True, timeout=120
        )

    def assert_refuses_an_old_python(self, name):
        """A program says so in one line where Python is too old for it."""
        old = "import runpy, sys; sys.version_info, sys.version = (3, 9), '3.9.1 x'; "
        old += "runpy.run_path(sys.argv[1], None, '__main__')"
        done = self.process("-c", old, name)
        self.assertEqual(done.returncode, 2)
        self.assertEqual(done.stderr, f"{name}: expected Python 3.10 or later, got 3.9.1\n")

    def assert_interruptible(self, name, *arguments, folder=PROJECT):
        """Ctrl-C ends a program with one line and 130, a closed pipe ends it without a word."""
        for interrupted, status, words in [(True, 130, f"{name}: interrupted\n"), (False, 141, "")]:
            with subprocess.Popen(
                [sys.executable, *map(str, arguments)],
                cwd=folder,
                env={key: os.environ[key] for key in os.environ if key != "PYTHONUNBUFFERED"},
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


def flat(result):
    """The arrays and numbers of a result, which may be nested tuples."""
    if not isinstance(result, tuple):
        return [result]
    return [part for element in result for part in flat(element)]


def slow_averages(X):
    """(n, d): what recommend.predict.averages predicts from X, by its formulas, a sum at a time."""
    n, d = X.shape
    mean = math.fsum(X[X != 0]) / np.count_nonzero(X)
    b_item = []
    for l in range(d):
        residuals = [X[u, l] - mean for u in range(n) if X[u, l]]
        b_item.append(math.fsum(residuals) / (len(residuals) + 10))
    b_user = []
    for u in range(n):
        residuals = [X[u, l] - mean - b_item[l] for l in range(d) if X[u, l]]
        b_user.append(math.fsum(residuals) / (len(residuals) + 15))
    return mean + np.array(b_item) + np.array(b_user)[:, None]


class Program(Ours):
    """A program, in this process, on files in a folder of its own."""

    program = None  # the module that has its function main
    name = ""  # what its messages begin with

    def setUp(self):
        super().setUp()
        self.folder = Path(self.enter(tempfile.TemporaryDirectory())).resolve()
        self.small = self.folder / "small"
        self.small.mkdir()

    def write(self, name, content):
        path = self.small / name
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif isinstance(content, str):
            path.write_bytes(content.encode())
        else:
            np.savetxt(path, content, fmt="%.17g")
        return path

    def call(self, *arguments):
        """Run the program in this process; return its exit status, output and errors."""
        out = io.StringIO()
        err = io.StringIO()
        status = 0
        with contextlib.ExitStack() as stack:
            words = [self.name, *map(str, arguments)]
            stack.enter_context(mock.patch.object(sys, "argv", words))
            stack.enter_context(contextlib.redirect_stdout(out))
            stack.enter_context(contextlib.redirect_stderr(err))
            try:
                self.program.main()
            except SystemExit as end:
                status = end.code
        return status, out.getvalue(), err.getvalue()

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
        self.assertRegex(err, rf"^{re.escape(self.name)}: .*{words}.*\n$")
        self.assertEqual(self.files(), before)


class MainProgram(Program):
    """main.py on small data."""

    program = main
    name = "main.py"

    def setUp(self):
        super().setUp()
        main.plt.rcdefaults()
        self.toy = points(0, 15)
        self.X = ratings(0, 20, 8)
        self.Y = np.where(self.X == 0, ratings(7, 20, 8, missing=0), self.X)
        self.write("toy_data.txt", self.toy)
        self.write("netflix_incomplete.txt", self.X)
        self.write("netflix_complete.txt", self.Y)

    def call(self, *arguments, save=False):
        """Unless save is true no picture is saved, which would take most of the time."""
        with contextlib.ExitStack() as stack:
            if not save:
                stack.enter_context(mock.patch.object(main, "save"))
                stack.enter_context(mock.patch.object(main, "save_animation"))
            return super().call(*arguments)
