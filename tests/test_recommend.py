"""python -m recommend: what it prints and writes, and how it ends."""

import csv
import io
import math
import os
import sys
import unittest
from unittest import mock

from tests.base import (  # before NumPy: it sets the number of BLAS threads
    PROJECT,
    Program,
    slow_averages,
)

# isort: split
import numpy as np

from recommend import __main__ as program
from recommend.predict import predict
from recommend.ratings import read_ratings

HEADER = ["user", "item", "prediction", "item_mean", "item_ratings"]


def mean(numbers):
    return math.fsum(numbers) / len(numbers)


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Recommend(Program):
    program = program
    name = "recommend"

    def setUp(self):
        """60 users of two tastes and 30 items, named in a shuffled order; 70 % are given."""
        super().setUp()
        draw = np.random.RandomState(0)
        X = np.array([[1.0, 5] * 15, [5.0, 1] * 15])[draw.randint(0, 2, 60)]
        X = np.clip(X + draw.randint(-1, 2, X.shape), 1, 5)
        self.given = {}
        for place in draw.permutation(np.flatnonzero(draw.rand(60, 30) < 0.7)):
            u, l = divmod(place, 30)
            self.given[f"user {u}", f"item {l}"] = X[u, l]
        self.users = list(dict.fromkeys(user for user, _ in self.given))
        self.items = list(dict.fromkeys(item for _, item in self.given))
        self.path = self.write_lines(self.given)
        self.out = self.folder / "out.csv"
        self.enter(mock.patch.object(program, "OUT", self.folder / "recommendations.csv"))

    def write_lines(self, given):
        lines = [f"{user},{item},{value:g}\n" for (user, item), value in given.items()]
        return self.write("ratings.csv", "".join(lines))

    def matrix(self, given):
        """(60, 30): what is given, with the users and items in the order of the file."""
        X = np.zeros((len(self.users), len(self.items)))
        for (user, item), value in given.items():
            X[self.users.index(user), self.items.index(item)] = value
        return X

    def slow_lists(self, top):
        """The rows of everybody's list, a pair at a time."""
        X_pred = predict(self.matrix(self.given))
        rows = []
        for u, user in enumerate(self.users):
            candidates = []
            for l, item in enumerate(self.items):
                if (user, item) not in self.given:
                    ratings = [value for (_, rated), value in self.given.items() if rated == item]
                    shown = f"{X_pred[u, l]:.4f}"
                    row = [user, item, shown, f"{mean(ratings):.4f}", str(len(ratings))]
                    candidates.append((-float(shown), -len(ratings), l, row))
            rows += [row for *_, row in sorted(candidates)[:top]]
        return rows

    def rows(self, path):
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
            return list(csv.reader(file))

    def test_everybodys_lists(self):
        status, out, err = self.call(self.path, "--out", self.out)
        self.assertEqual((status, err), (0, ""))
        self.assertEqual(self.rows(self.out), [HEADER, *self.slow_lists(10)])
        saved = f"\n\nSaved {self.out}: 60 users' best items, of those not rated yet\n"
        self.assertTrue(out.endswith(saved), out)
        self.call(self.path, "--top", 3)  # to recommendations.csv
        self.assertEqual(self.rows(program.OUT), [HEADER, *self.slow_lists(3)])
        with mock.patch.object(program, "PREDICTIONS", 70):  # two users at a time
            self.call(self.path, "--top", 1000)
        self.assertEqual(self.rows(program.OUT), [HEADER, *self.slow_lists(30)])
        self.assertEqual(
            sorted(os.listdir(self.folder)), ["out.csv", "recommendations.csv", "small"]
        )

    def test_lists_of_some_users(self):
        chosen = [self.users[7], self.users[2], self.users[7]]
        slow = [row for row in self.slow_lists(4) if row[0] in chosen]
        status, out, err = self.call(self.path, "--top", 4, "--user", *chosen, "--out", self.out)
        self.assertEqual((status, err), (0, ""))
        self.assertEqual(self.rows(self.out), [HEADER, *slow])
        self.assertTrue(out.endswith(": 2 users' best items, of those not rated yet\n"), out)
        _, out, _ = self.call(self.path, "--user", chosen[0], "--out", self.out)
        self.assertTrue(out.endswith(": 1 user's best items, of those not rated yet\n"), out)
        before = self.files()
        status, out, err = self.call(self.path, "--top", 4, "--user", *chosen)
        self.assertEqual((status, err), (0, ""))
        self.assertEqual(self.files(), before)
        tables = out.split("\n\nBest items for ")[1:]
        for table, user in zip(tables, [self.users[2], self.users[7]]):
            lines = table.splitlines()
            self.assertEqual(lines[0], user)
            self.assertEqual(lines[1].split(), HEADER[1:])
            got = [line.rsplit(maxsplit=3) for line in lines[2:]]
            self.assertEqual(got, [row[1:] for row in slow if row[0] == user])
            self.assertEqual(len({len(line) for line in lines[1:]}), 1)  # flush right
        self.assertEqual(len(tables), 2)

    def test_the_error_to_expect(self):
        """From hidden ratings: the draw, averages and the mean a rating at a time."""
        draw = np.random.RandomState(1)
        noise = {pair: float(draw.randint(1, 6)) for pair in self.given}
        by_item = {}
        for (user, item), value in noise.items():
            by_item[user, item] = 10 + value + 3 * self.items.index(item) % 10
        for given, digits, verdict in [
            (self.given, 3, "Better than the mean by "),
            (noise, 3, "Worse than the mean by "),
            (by_item, 2, "Better than averages by "),
        ]:
            status, out, err = self.call(self.write_lines(given), "--user", self.users[0])
            self.assertEqual((status, err), (0, ""))
            pairs = [(u, l) for u in self.users for l in self.items if (u, l) in given]
            order = np.random.RandomState(0).permutation(len(pairs))
            size = len(pairs) // 10
            number = math.ceil(1000 / size)
            self.assertEqual(number, 9)
            guesses = {"mean of all ratings": [], "averages of users and items": [], "predict": []}
            truth = []
            for tenth in range(number):
                hidden = [pairs[i] for i in order[tenth * size : (tenth + 1) * size]]
                left = {pair: value for pair, value in given.items() if pair not in hidden}
                of_averages = slow_averages(self.matrix(left))
                X_pred = predict(self.matrix(left))
                for user, item in hidden:
                    at = self.users.index(user), self.items.index(item)
                    guesses["mean of all ratings"].append(mean(left.values()))
                    guesses["averages of users and items"].append(of_averages[at])
                    guesses["predict"].append(X_pred[at])
                    truth.append(given[user, item])
            said = f"\n\n{9 * size} of the {len(pairs)} ratings are hidden, a tenth at a time, and "
            said += "predicted\nfrom the others. RMSE: over these hidden ratings alone\n"
            for name, guess in guesses.items():
                rmse = math.sqrt(mean([(g - t) ** 2 for g, t in zip(guess, truth)]))
                said += f"{name:28}{rmse:10.{digits}f}\n"
            said += f"Expected error of predict: {rmse:.{digits}f} (standard error "
            self.assertIn(said, out)
            self.assertIn("larger for users or items with few ratings.\n", out)
            self.assertIn(f"\n{verdict}", out)

    def test_the_order_is_that_of_the_printed_numbers(self):
        """Here the fourth decimal decides, then the number of ratings, then the file; no -0."""
        lines = "u,a,1\nv,b,5\nv,c,1\nw,c,5\nw,d,2\nx,e,3\nx,b,3\nx,a,4\ny,a,1\ny,e,5\n"
        ratings = read_ratings(self.write("ratings.csv", lines))
        self.assertEqual(ratings.item_names, ["a", "b", "c", "d", "e"])
        matrix = mock.Mock()
        x_hat = np.array([9, -0.00004, -0.00003, 0.00004, 0.00002])
        matrix.of_users = lambda rows: np.tile(x_hat, (len(rows), 1))
        for top in (1, 3, 4, 9):
            [(user, best)] = program.best_items(ratings, matrix, np.array([0]), top)
            self.assertEqual(user, "u")
            expected = [
                ("b", "4.0000", "2"),
                ("c", "3.0000", "2"),
                ("e", "4.0000", "2"),
                ("d", "2.0000", "1"),
            ]
            rows = [(item, "0.0000", mean, number) for item, mean, number in expected]
            self.assertEqual(best, rows[:top])

    def test_one_tenth_is_enough_of_many_ratings(self):
        lines = [f"{u},{l},{(u * l) % 5 + 1}\n" for u in range(100) for l in range(101)]
        _, out, _ = self.call(self.write("ratings.csv", "".join(lines)), "--user", 0)
        self.assertIn(
            "\n1010 of the 10100 ratings are hidden, and predicted\nfrom the others. ", out
        )
        self.assertTrue(out.endswith("\n0 has rated every item\n"), out)

    def test_few_ratings(self):
        """Lists are made all the same. Ties: by the number of ratings, then by the file's order."""
        lines = "u,a,5\nu,b,1\nv,b,5\nv,c,5\nw,c,5\nw,b,5\nu,b,5\nx,a,5\n"  # all 5 in the end
        status, out, err = self.call(self.write("ratings.csv", lines), "--out", self.out)
        self.assertEqual((status, err), (0, ""))
        self.assertIn("\n7 ratings are too few to hide a tenth: no error is measured.\n", out)
        self.assertIn("\nAll ratings are equal: there is nothing to learn from them.\n", out)
        expected = [
            ["u", "c", "2"],
            ["v", "a", "2"],
            ["w", "a", "2"],
            ["x", "b", "3"],
            ["x", "c", "2"],
        ]
        rows = [[user, item, "5.0000", "5.0000", number] for user, item, number in expected]
        self.assertEqual(self.rows(self.out), [HEADER, *rows])
        lines = "".join(f"{u},{l},{u + l + 1}\n" for u in range(4) for l in range(3) if u + l)
        _, out, _ = self.call(self.write("ratings.csv", lines[:-6]), "--user", 0)  # ten ratings
        self.assertIn("\n10 of the 10 ratings are hidden, ", out)
        self.assertIn("\nToo few ratings are hidden to compare.\n", out)

    def test_any_scale(self):
        """Ratings of 0 and below count like others; decimals follow the scale; no -0."""
        draw = np.random.RandomState(2)
        for scale, digits in [(100, 2), (0.001, 7), (20000, 1)]:
            lines = []
            for u in range(8):
                for l in range(6):
                    if draw.rand() < 0.7:
                        lines.append(f"u{u},i{l},{scale * (draw.randint(0, 3) - 1)}\n")
            path = self.write("ratings.csv", "".join(lines))
            self.assert_refused("ratings are 0 or below; .* --missing none", path, "--user", "u1")
            self.call(path, "--missing", "none", "--out", self.out)
            rows = self.rows(self.out)[1:]
            self.assertEqual(len(rows), 48 - len(lines))
            for _, _, prediction, item_mean, _ in rows:
                self.assertRegex(prediction, rf"^-?\d+\.\d{{{digits}}}$")
                self.assertRegex(item_mean, rf"^-?\d+\.\d{{{digits}}}$")
                self.assertFalse(prediction.startswith("-") and float(prediction) == 0)
            self.call(path, "--missing", -scale, "--out", self.out)
            worst = sum(f",{-scale}\n" in line for line in lines)
            left = {line.split(",")[1] for line in lines if f",{-scale}\n" not in line}
            self.assertGreater(worst, 0)
            self.assertEqual(len(left), 6)
            self.assertEqual(len(self.rows(self.out)) - 1, 48 - len(lines) + worst)

    def test_who_has_rated_everything(self):
        lines = "a,x,3\na,y,4\nb,x,3\nc,y,5\n"
        path = self.write("ratings.csv", lines)
        _, out, _ = self.call(path, "--out", self.out)
        self.assertEqual([row[0] for row in self.rows(self.out)], ["user", "b", "c"])
        self.assertTrue(out.endswith(": 2 users' best items, of those not rated yet\n"))
        self.assertNotIn("every item", out)
        self.out.unlink()
        for options, words in [
            (["--user", "a"], "\na has rated every item\n"),
            (["--user", "a", "--out", self.out], "\na has rated every item\n"),
            (["--user", "b", "a"], "\na has rated every item\n\nBest items for b\n"),
        ]:
            status, out, err = self.call(path, *options)
            self.assertEqual((status, err), (0, ""))
            self.assertIn(words, out)
            self.assertFalse(self.out.exists())
        path = self.write("ratings.csv", lines + "b,y,1\nc,x,2\n")
        status, out, err = self.call(path)
        self.assertEqual((status, err), (0, ""))
        self.assertTrue(
            out.endswith("\nEvery user has rated every item: there is nothing to recommend.\n")
        )
        self.assertFalse(program.OUT.exists())

    def test_names_come_back_as_they_were(self):
        """Quotes, separators, other bytes than UTF-8; --columns goes to the reading of lines."""
        content = 'stars,who,what\n3,"a, ""b""",x\n4,c,"y; z"\n2,c,x\n1,"a, ""b""",\xe9\n'
        path = self.write("ratings.csv", content.encode("latin-1"))
        self.call(path, "--columns", "who", "what", "stars", "--out", self.out)
        pairs = [row[:2] for row in self.rows(self.out)[1:]]
        self.assertEqual(pairs, [['a, "b"', "y; z"], ["c", "\udce9"]])
        self.assertIn(b"\nc,\xe9,", self.out.read_bytes())

    def test_names_with_line_ends_take_one_line_on_the_screen(self):
        path = self.write("ratings.csv", '"a\n1",x,3\n"a\n1",y,4\nb,x,3\nb,"z\n2",5\n')
        _, out, _ = self.call(path, "--user", "a\n1")
        self.assertIn("\nFirst rating: user a 1, item x, rating 3\n", out)
        self.assertRegex(out, r"\nBest items for a 1\nitem  .*\nz 2   .*\n$")
        self.call(path, "--out", self.out)
        self.assertEqual(
            [row[:2] for row in self.rows(self.out)[1:]], [["a\n1", "z\n2"], ["b", "y"]]
        )

    @unittest.skipUnless(os.name == "posix", "for the messages of Linux and macOS")
    def test_options_that_are_refused(self):
        """Before anything is computed, in a line that names the option."""
        path = self.path
        self.enter(mock.patch.object(program, "fit", side_effect=AssertionError))
        link = self.folder / "link"
        link.symlink_to(path)
        os.link(path, self.folder / "hard")
        loop = self.folder / "loop"
        loop.symlink_to(loop)
        old = self.folder / "old.csv"
        old.write_text("of last week")
        long = self.folder / ("x" * 300)
        user = "--user: no user is called 'x': the first are "
        for words, *arguments in [
            ("the following arguments are required: FILE, which stands before --user",),
            ("required: FILE, which stands before --user", "--user", self.users[0], path),
            ("unrecognized arguments: --fill", path, "--fill", "x"),
            ("--columns: expected 3 arguments", path, "--columns", "x"),
            ("--columns: expected three different names", path, "--columns", "x", "y", "z"),
            ("--missing: expected a number or none, got 'x'", path, "--missing", "x"),
            ("--missing: expected a number or none, got 'nan'", path, "--missing", "nan"),
            ("--top: expected a whole number from 1, got 'x'", path, "--top", "x"),
            ("--top: expected a whole number from 1, got '0'", path, "--top", 0),
            ("--user: expected at least one argument", path, "--user"),
            (
                user + ", ".join(self.users[:3]) + " .users without",
                path,
                "--user",
                "x",
                "--out",
                old,
            ),
            (user, path, "--user", self.users[0], "x"),
            (
                "--out: expected a file of its own, got .*ratings.csv, which holds",
                path,
                "--out",
                path,
            ),
            ("--out: expected a file of its own, got .*link", path, "--out", link),
            ("--out: expected a file of its own, got .*hard", path, "--out", self.folder / "hard"),
            ("--out: expected a file to write, got .*, which is none", path, "--out", self.folder),
            ("--out: expected a file to write, got /dev/null", path, "--out", "/dev/null"),
            ("--out: expected a file in a folder", path, "--out", self.folder / "none" / "x"),
            ("--out: cannot write .*: Not a directory", path, "--out", path / "x"),
            ("--out: cannot write .*: File name too long", path, "--out", long),
            ("--out: cannot write .*: Too many levels", path, "--out", loop),
            ("cannot read .*: No such file", self.folder / "none", "--out", old),
            ("cannot read .*: Is a directory", self.folder),
            ("cannot read .*: File name too long", long),
            ("cannot read .*: Too many levels", loop),
        ]:
            self.assert_refused(words, *arguments)
        with mock.patch.object(program, "matrix_of", side_effect=ValueError("too large: leave")):
            self.assert_refused("too large: leave", path)
        with mock.patch.object(program, "OUT", path):
            self.assert_refused("--out: expected a file of its own", path)
        with mock.patch("builtins.open", side_effect=PermissionError(13, "Permission denied")):
            with mock.patch("tempfile.TemporaryFile"):
                self.assert_refused("--out: cannot write .*: Permission denied", path, "--out", old)

    def test_writing_that_fails(self):
        """OUT stays as it was, and no part of a file is left."""
        self.out.write_text("of last week")
        before = self.files()
        with mock.patch("os.replace", side_effect=PermissionError(13, "Permission denied")):
            status, _, err = self.call(self.path, "--out", self.out)
        self.assertEqual(status, 2)
        self.assertEqual(err, f"recommend: --out: cannot write {self.out}: Permission denied\n")
        self.assertEqual(self.files(), before)
        with mock.patch("os.replace", side_effect=KeyboardInterrupt):
            self.assertRaises(KeyboardInterrupt, self.call, self.path, "--out", self.out)
        self.assertEqual(self.files(), before)
        link = self.folder / "link"
        link.symlink_to(self.out)  # a link stays one
        self.call(self.path, "--out", link, "--top", 1)
        self.assertTrue(link.is_symlink())
        self.assertEqual(len(self.rows(self.out)), 61)

    def test_progress(self):
        """On a terminal lines that replace each other; the last one is wiped out."""
        with mock.patch("io.StringIO", Terminal):
            status, _, err = self.call(self.path, "--out", self.out)
        self.assertEqual(status, 0)
        shown = [line.rstrip() for line in err.split("\r")]
        for words in [
            "predict, from what is left: 0%",
            "predict, from what is left: 92%",
            "predict, from all ratings: 46%",
            "0 of 60 lists made",
        ]:
            self.assertIn(words, shown)
        self.assertEqual(err[-80:], "\r" + 78 * " " + "\r")

    def test_as_a_program(self):
        """From the project's folder, and from another, whose files are not run."""
        for name in ("random", "csv", "numpy", "recommend", "predict", "ratings", "main", "em"):
            (self.folder / f"{name}.py").write_text("raise SystemExit('not ours')")
        arguments = [self.path, "--user", self.users[0], "--top", 2]
        _, expected, _ = self.call(*arguments)
        for words, folder in [
            (["-m", "recommend"], PROJECT),
            ([PROJECT / "recommend"], self.folder),
        ]:
            done = self.process("-W", "error", *words, *arguments, folder=folder)
            self.assertEqual((done.returncode, done.stdout, done.stderr), (0, expected, ""))
        done = self.process(PROJECT / "recommend", self.path, folder=self.folder)
        self.assertEqual(done.stdout.splitlines()[-1].split(":")[0], "Saved recommendations.csv")
        self.assertTrue((self.folder / "recommendations.csv").exists())
        # Neither the course's modules nor Matplotlib are imported.
        code = "import runpy, sys; sys.argv = ['', '-h']\n"
        code += "try: runpy.run_module('recommend', run_name='__main__')\n"
        code += (
            "except SystemExit: print(sys.modules.keys() & {'main', 'em', 'common', 'matplotlib'})"
        )
        self.assertTrue(self.process("-c", code).stdout.endswith("\nset()\n"))

    def test_what_a_terminal_cannot_show(self):
        path = self.write(
            "ratings.csv", "Zoë,b,3\nc,b,4\nc,\u4e2d,2\nZoë,d,2\n".encode("utf-8") + b"\xe9,d,4\n"
        )
        with mock.patch.dict(os.environ, {"PYTHONIOENCODING": "ascii"}):
            done = self.process("-m", "recommend", path, "--user", "Zoë")
        self.assertEqual(done.stderr, "")
        self.assertIn("\nBest items for Zo?\n", done.stdout)
        self.assertIn("\n?     ", done.stdout)

    @unittest.skipUnless(os.name == "posix", "for signals as Linux and macOS have them")
    def test_the_end_of_a_process(self):
        self.assert_refuses_an_old_python("recommend")
        (self.folder / "numpy.py").write_text(
            "raise ModuleNotFoundError('No module', name='numpy')"
        )
        with mock.patch.dict(os.environ, {"PYTHONPATH": str(self.folder)}):
            done = self.process(PROJECT / "recommend", self.path)
        self.assertEqual(done.returncode, 2)
        words = f"recommend: No module; this installs it: {sys.executable} -m pip install numpy\n"
        self.assertEqual(done.stderr, words)

        draw = np.random.RandomState(0)
        X = draw.randint(1, 6, (1000, 500))
        lines = [f"{u} {l} {X[u, l]}\n" for u, l in np.argwhere(draw.rand(*X.shape) < 0.2)]
        path = self.write("ratings.txt", "".join(lines))
        self.assert_interruptible("recommend", PROJECT / "recommend", path, folder=self.small)
        self.assertFalse((self.small / "recommendations.csv").exists())
        code = "import runpy, sys, numpy\n"
        code += "def bincount(*arguments): raise MemoryError\n"
        code += "numpy.bincount = bincount\n"
        code += "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], None, '__main__')"
        done = self.process("-c", code, PROJECT / "recommend", path, folder=self.small)
        self.assertEqual((done.returncode, done.stderr), (2, "recommend: not enough memory\n"))
