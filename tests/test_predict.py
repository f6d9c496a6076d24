"""recommend/predict.py"""

import math
import statistics
import sys
import tracemalloc
import unittest
from unittest import mock

from tests.base import Ours, slow_averages  # before NumPy: it sets the number of BLAS threads

# isort: split
import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

from judge.problems import ratings
from recommend import predict as module
from recommend.predict import (
    Full,
    Sparse,
    averages,
    decimals,
    error,
    fit,
    gain,
    hidden_tenths,
    matrix_of,
    mean_rating,
    predict,
    verdict,
)

needs_scipy = unittest.skipUnless(module.has_scipy(), "SciPy, which Sparse needs")


# The recipe once more, from the formulas of its docstring: a mixture, a row, a value at a time


def slow_predict(X, given, K, seeds):
    """(n, d) predictions of all entries of X, not yet clipped; given is True where one is given."""
    draws = [np.random.RandomState(seed) for seed in seeds]
    everything = np.full(X.shape, True)
    share = given * 1.0
    choices = share - share.mean(axis=1, keepdims=True) - share.mean(axis=0) + share.mean()
    x_hat = np.full(X.shape, X[given].mean())
    tastes = None  # what the biases leave
    for view in ["biases"] + 7 * ["residuals"] + 3 * ["choices", "tastes"]:
        for turned in (lambda A: A, lambda A: A.T):  # rows are users, then items
            residuals = turned(np.where(given, X - x_hat, 0))
            guesses = []
            for draw in draws:
                pull = 15
                if view == "biases":
                    post = np.ones((len(residuals), 1))
                    pull = 60
                elif view == "residuals":
                    post = slow_types(residuals, turned(given), K, 15, draw)
                elif view == "choices":
                    post = slow_types(turned(choices), turned(everything), 16, 1, draw)
                else:
                    post = slow_types(turned(tastes), turned(given), 16, 1, draw)
                guesses.append(post @ slow_means(residuals, turned(given), post, pull))
            x_hat = x_hat + turned(np.mean(guesses, axis=0))
        if view == "biases":
            tastes = np.where(given, X - x_hat, 0)
    return x_hat


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


def lists(X, given):
    """The given ratings as users, items and values, not in order."""
    users, items = np.nonzero(given)
    order = np.random.RandomState(0).permutation(len(users))
    return users[order], items[order], X[given][order]


def fitted(kind, X, given, K=4, seeds=range(15)):
    """A Full or a Sparse of the given entries of X, fitted."""
    if kind is Full:
        matrix = Full(np.where(given, X, 0), given * 1.0)
    else:
        matrix = Sparse(*lists(X, given), X.shape)
    fit(matrix, K, seeds)
    return matrix


KINDS = [Full, Sparse] if module.has_scipy() else [Full]  # of matrices that fit can use here


class Recipe(Ours):
    """predict and fit, on full and on sparse matrices."""

    def test_is_what_its_formulas_say(self):
        for seed, K, shape in [(0, 2, (14, 6)), (1, 7, (9, 5)), (2, 1, (5, 12)), (3, 4, (30, 8))]:
            X = ratings(seed, *shape)
            X[2] = 0  # a user and an item without any rating
            X[:, 3] = 0
            given = X != 0
            expected = slow_predict(X, given, K, [3, 4])
            expected = np.clip(expected, X[given].min(), X[given].max())
            got = predict(X, K, iter([3, 4]))
            assert_allclose(got[~given], expected[~given], rtol=0, atol=1e-10)
            assert_array_equal(got[given], X[given])
            users, items = np.indices(X.shape).reshape(2, -1)
            for kind, limit in zip(KINDS, [1e-10, 1e-6]):  # Sparse keeps factors in float32
                matrix = fitted(kind, X, given, K, [3, 4])
                assert_allclose(matrix.at(users, items), expected.ravel(), rtol=0, atol=limit)
                rows = np.array([4, 0, 2])
                assert_allclose(matrix.of_users(rows), expected[rows], rtol=0, atol=limit)
        by_default = Full(X, given * 1.0)
        fit(by_default)
        for got in (predict(X), by_default.of_users(np.arange(30))):
            assert_array_equal(got[~given], predict(X, 4, range(15))[~given])

    def test_a_residual_or_a_rating_of_0_is_still_given(self):
        cross = np.array([[4.0, 2, 0], [2, 4, 0], [0, 0, 3]])  # the last one is the mean
        expected = slow_predict(cross, cross != 0, 2, range(5))
        assert_allclose(predict(cross, 2, range(5))[2, :2], expected[2, :2], rtol=0, atol=1e-10)
        X = ratings(5, n=30)
        given = X != 0
        for kind in KINDS:
            matrix = fitted(kind, X - 3, given)  # from -2 to 2
            got = matrix.of_users(np.arange(30))
            assert_allclose(got[~given], predict(X)[~given] - 3, rtol=0, atol=2e-6)

    def test_on_any_scale(self):
        X = ratings(5, n=30)
        with_mean = X.copy()
        with_mean[X != 0] += 3 - X[X != 0].mean()  # the mean is 3, and a rating
        with_mean[0, 0] = 3
        with_mean[1, 0] += 3 * np.count_nonzero(X) - with_mean[X != 0].sum()
        given = X != 0
        for on_1 in (X, with_mean):
            expected = predict(on_1, 3)
            for factor in (8, 2.0**-90, 2.0**90, 1e-3, 1e6, 1 / 3):
                got = predict(factor * on_1, 3)
                assert_allclose(got / factor, expected, rtol=1e-7)
                for kind in KINDS:
                    got = fitted(kind, factor * on_1, given, 3).of_users(np.arange(30))
                    assert_allclose(got[~given] / factor, expected[~given], rtol=1e-6)

    def test_stays_in_the_range_of_what_is_given(self):
        X = np.full((12, 8), -5.0)  # one user and one item are far above; negative, too
        X[0] = -1
        X[:, 0] = -1
        X[0, 0] = 0
        self.assertEqual(predict(X, 1)[0, 0], -1)
        self.assertEqual(predict(-X, 1)[0, 0], 1)
        for kind in KINDS:
            for sign in (1, -1):
                matrix = fitted(kind, sign * X, X != 0, 1)
                self.assertEqual(matrix.of_users(np.array([0]))[0, 0], -sign)
                self.assertEqual(matrix.at(np.array([0]), np.array([0])), [-sign])

    def test_equal_ratings_one_rating_and_all_ratings(self):
        one = np.zeros((3, 4))
        one[1, 1] = 2.5
        for X in (np.where(ratings(5) > 0, 0.1, 0), one, np.full((4, 3), 2.0)):
            assert_allclose(predict(X, 3), np.full(X.shape, X.max()), rtol=1e-12)
            for kind in KINDS:
                got = fitted(kind, X, X != 0, 3).of_users(np.arange(len(X)))
                assert_allclose(got, np.full(X.shape, X.max()), rtol=1e-7)

    def test_more_types_than_rows_and_complete_matrices(self):
        for X in (ratings(0), ratings(0, missing=0), ratings(0, 4, 4000)):
            self.assert_finite(predict(X, 100, [0]))
            users = np.arange(len(X))
            by_kind = [fitted(kind, X, X != 0, 100, [0]).of_users(users) for kind in KINDS]
            assert_allclose(by_kind[-1], by_kind[0], rtol=0, atol=1e-5)  # without SciPy only one

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
                predict(*arguments)

    def test_changes_nothing_that_is_given(self):
        X = ratings(0)
        X.flags.writeable = False  # who changes it raises an error
        self.assertFalse(np.shares_memory(predict(X, 2, [0]), X))
        for missing in (0.3, 0.95):
            X = ratings(0, 40, 30, missing)
            given = lists(X, X != 0)
            for array in given:
                array.flags.writeable = False
            fit(matrix_of(*given, X.shape), 2, [0])

    @needs_scipy
    def test_sparse_makes_no_full_matrix(self):
        n = 20_000
        draw = np.random.RandomState(0)
        users = np.arange(n)
        items = draw.permutation(n)
        matrix = Sparse(users, items, draw.randint(1, 6, n) * 1.0, (n, n))
        tracemalloc.start()
        fit(matrix, 2, [0])
        matrix.at(users, items)
        matrix.of_users(np.arange(10))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        self.assertLess(peak, n * n / 4)  # bytes: a full matrix of booleans has n * n

    def test_which_matrix(self):
        def kind(n, d, count, hidden=()):
            users, items = np.divmod(np.arange(count), d)
            return type(matrix_of(users, items, np.arange(count) + 1.0, (n, d), hidden))

        sparse = Sparse if module.has_scipy() else Full
        self.assertIs(kind(20, 50, 100), Full)
        self.assertIs(kind(20, 50, 99), sparse)
        self.assertIs(kind(20, 50, 100, np.arange(10)), Full)  # as without anything hidden
        with mock.patch.dict(sys.modules, {"scipy": None, "scipy.sparse": None}):
            self.assertIs(kind(20, 50, 99), Full)
            with mock.patch.object(module, "LARGEST_FULL", 999):
                words = "^20 users x 50 items are too many .* -m pip install scipy$"
                with self.assertRaisesRegex(ValueError, words):
                    kind(20, 50, 99)
        with mock.patch.object(module, "LARGEST_FULL", 1000):
            self.assertIs(kind(20, 50, 100), Full)
        with mock.patch.object(module, "LARGEST_FULL", 999):
            words = "^20 users x 50 items are too many .*: leave out users and items with few"
            with self.assertRaisesRegex(ValueError, words):
                kind(20, 50, 100)

    def test_which_ratings_are_refused(self):
        for users, items, values, words in [
            ([0, 1, 0], [0, 1, 0], [1, 2, 3], "no pair twice"),
            ([0, 1, -1], [0, 1, 1], [1, 2, 3], "invalid entry"),
            ([0, 1, 1], [0, 1, 2], [1, 2, 3], "invalid entry"),
            ([0, 1, 1], [0, 1, 0], [1, 2, np.nan], "expected finite numbers"),
        ]:
            with self.assertRaisesRegex(ValueError, words):
                matrix_of(users, items, values, (2, 2))

    def test_hidden_ratings_are_not_seen(self):
        for missing in (0.3, 0.95):
            X = ratings(1, 40, 30, missing)
            users, items, values = lists(X, X != 0)
            hidden = np.array([3, 0, 17])
            without = X.copy()
            without[users[hidden], items[hidden]] = 0
            matrix = matrix_of(users, items, values, X.shape, hidden)
            fit(matrix, 2, [5])
            expected = predict(without, 2, [5])[users[hidden], items[hidden]]
            assert_allclose(matrix.at(users[hidden], items[hidden]), expected, rtol=0, atol=1e-6)


class Evaluation(Ours):
    """What is hidden, averages, errors, and the words for them."""

    def test_hidden_tenths(self):
        for count, number, size in [(9, 1, 0), (200, 10, 20), (1009, 3, 100)]:
            tenths = hidden_tenths(count, number)
            self.assertEqual([len(tenth) for tenth in tenths], [size] * number)
            self.assertEqual(len(np.unique(tenths)), size * number)
        assert_array_equal(hidden_tenths(200), hidden_tenths(200, 1, 0))
        for split in (0, 3):  # the draw by which the project's figures were made
            X = ratings(0, 40, missing=0.2)
            given = np.flatnonzero(X)
            expected = np.random.RandomState(split).choice(given, len(given) // 10, replace=False)
            assert_array_equal(given[hidden_tenths(len(given), split=split)[0]], expected)

    def test_averages(self):
        X = ratings(0, 20, 8)
        X[:, 7] = 0
        X[19] = 0
        X[3, 7] = 4  # the last item and the last user have one rating, which is hidden
        X[19, 0] = 2
        users, items, values = lists(X.astype(int), X != 0)
        last_ones = np.flatnonzero((users == 19) | (items == 7))
        hidden = np.array([5, *last_ones, 0, 33])
        left = X.copy()
        left[users[hidden], items[hidden]] = 0
        mean = statistics.fmean(left[left != 0])
        assert_allclose(mean_rating(values, hidden), [mean] * 5)
        expected = slow_averages(left)[users[hidden], items[hidden]]
        assert_allclose(averages(users, items, values, hidden), expected)

    def test_standard_errors_are_what_repeated_draws_give(self):
        draw = np.random.RandomState(0)
        size = 400
        found = []
        for _ in range(1000):
            truth = draw.randn(size)
            shared = draw.randn(size)
            worse = truth + shared + 0.5 * draw.randn(size)
            better = truth + shared
            found.append([*error(worse, truth), *gain(worse, better, truth)])
        rmse, its_error, gained, error_of_gain = np.transpose(found)
        assert_allclose(rmse.mean(), math.sqrt(1.25), rtol=0.01)
        assert_allclose(gained.mean(), math.sqrt(1.25) - 1, rtol=0.03)
        assert_allclose(its_error.mean(), rmse.std(), rtol=0.08)
        assert_allclose(error_of_gain.mean(), gained.std(), rtol=0.08)
        truth = np.ones(5)
        self.assertEqual(error(truth, truth), (0, 0))
        self.assertEqual(gain(truth, truth, truth), (0, 0))

    def test_verdict(self):
        truth = np.tile([1.0, 2, 3, 4], 25)
        off = np.tile([1.0, -1], 50)
        noise = np.random.RandomState(0).randn(100)
        for to_beat, predicted, n_lines, last in [
            (truth + off, truth + 0.5 * off, 3, "Better than averages by 0.500 (standard error 0"),
            (truth + 0.5 * off, truth + off, 3, "Worse than averages by 0.500 (standard error 0"),
            (truth + noise, truth - noise[::-1], 3, "No better than averages: gain "),
            (truth + off, truth, 3, "Better than averages by 1.000 "),
            (truth, truth, 2, "larger for users or films with few ratings."),
        ]:
            guesses = {"the mean": truth + 9, "averages": to_beat}
            lines = verdict(guesses, predicted, truth, 3, "film")
            self.assertEqual(len(lines), n_lines)
            rmse, uncertainty = error(predicted, truth)
            first = f"Expected error of predict: {rmse:.3f} (standard error {uncertainty:.3f}), "
            self.assertEqual(lines[0], first + "on ratings given like the others;")
            self.assertEqual(lines[-1][: len(last)], last)
        lines = verdict({"the mean": truth + off, "averages": truth + 9}, truth, truth, 1, "film")
        self.assertEqual(lines[2], "Better than the mean by 1.0 (standard error 0.0).")
        too_few = ["Too few ratings are hidden to compare."]
        self.assertEqual(verdict(guesses, truth[:99], truth[:99], 3, "film"), too_few)

    def test_decimals(self):
        for values, digits in [
            ([1, 5, 3], 3),
            ([0.5, 4], 3),
            ([1, 100], 2),
            ([-10, 10], 2),
            ([1, 2e6], 0),
            ([0.001, 0.003], 6),
            ([3, 3], 3),
            ([-3, -3], 3),
            ([0, 0], 3),
            ([0, 0.1], 4),
        ]:
            self.assertEqual(decimals(np.array(values, dtype=float)), digits, values)
