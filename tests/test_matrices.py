"""Matrices in files, as main.py reads them."""

from tests.base import MainProgram  # before NumPy: it sets the number of BLAS threads

# isort: split
import numpy as np
from numpy.testing import assert_array_equal

import main


class Matrices(MainProgram):
    """Matrices in files, as main.py reads them."""

    def test_what_surrounds_numbers(self):
        """Comments, blanks, empty lines, line ends, a byte order mark, nan."""
        expected = np.array([[1, 0, 2.5], [0, 3, 1e6]])
        for text in [
            "1 0 2.5\n0 3 1e6",
            "# ratings\n\n1 nan 2.50 # the first\r\n\t0  3.\t1000000 \r\n",
            "\ufeff1 0 2.5\nNaN 3 1e6\n",
        ]:
            path = self.write("netflix_incomplete.txt", text)
            assert_array_equal(main.read_matrix(path, ratings=True), expected)
        path = self.write("toy_data.txt", "-1 2\n3e5 -4.25\n0 0\n")
        assert_array_equal(main.read_matrix(path), [[-1, 2], [3e5, -4.25], [0, 0]])

    def test_folders(self):
        data = main.read_data(self.small)
        for got, expected in zip(data, [self.toy, self.X, self.Y]):
            assert_array_equal(got, expected)
        (self.small / "toy_data.txt").unlink()
        (self.small / "netflix_complete.txt").unlink()
        data = main.read_data(self.small)
        self.assertEqual((data.toy, data.Y), (None, None))
        for width in (3, 4):  # full ratings of a few users, and ratings with holes, are no lines
            for X in (self.Y[:width, :width], self.X[:, :width]):
                self.write("netflix_incomplete.txt", X)
                assert_array_equal(main.read_data(self.small).X, X)

    def test_bad_matrices(self):
        lines = np.column_stack([np.arange(40) // 5 + 1, np.arange(40) % 5 + 1, self.Y.flat[:40]])
        timed = np.column_stack([lines, lines[:, 0] + 1000])
        ids = lines * [1, 1000001, 1]
        elsewhere = "line 1, column {}: .*for lines of user, item, rating: python -m recommend.*"
        for name, content, words in [
            ("netflix_incomplete.txt", lines, "for lines of user, item, rating: python -m recom"),
            ("netflix_incomplete.txt", timed, "for lines of user, item, rating: python -m recom"),
            ("netflix_incomplete.txt", ids, elsewhere.format(2) + "'1000001'"),
            ("netflix_incomplete.txt", "1,2,3\n4,5,6\n", elsewhere.format(1) + "'1,2,3'"),
            ("netflix_incomplete.txt", "u1::5::3\n", elsewhere.format(1) + "'u1::5::3'"),
            ("netflix_incomplete.txt", "# a\n1 2\n\n3 x\n", "line 4, column 2: .*, got 'x'"),
            ("netflix_incomplete.txt", "1 2\n3 1_0\n", "line 2, column 2: .* got '1_0'"),
            ("netflix_incomplete.txt", "1 2\n3 -1\n", "line 2, column 2: .* got '-1'"),
            ("netflix_incomplete.txt", "1 2\n3 inf\n", "line 2, column 2: .* got 'inf'"),
            ("netflix_incomplete.txt", "1 2\n3 4 5\n", "line 2: expected 2 numbers .*, got 3"),
            ("netflix_incomplete.txt", "1 2 3\n", "expected at least 2 rows .*1, 3"),
            ("netflix_incomplete.txt", "1\n2\n3\n", "expected at least 2 rows .*3, 1"),
            ("netflix_incomplete.txt", "0 0\n0 nan\n", "expected at least one rating"),
            ("netflix_incomplete.txt", "# nothing\n", "expected numbers .*, got none"),
            ("netflix_incomplete.txt", b"1 2\n\xff\xfe\n", "line 2: expected .* text in UTF-8"),
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
