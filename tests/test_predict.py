"""em.predict"""

import math

from tests.base import Ours  # before NumPy: it sets the number of BLAS threads

# isort: split
import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

import em
from judge.problems import ratings

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
            got = em.predict(X, K, iter([3, 4]))
            assert_allclose(got, slow_predict(X, K, [3, 4]), rtol=0, atol=1e-10)
            assert_array_equal(got[X != 0], X[X != 0])
        assert_array_equal(em.predict(X), em.predict(X, 4, range(10)))
        cross = np.array([[4.0, 2, 0], [2, 4, 0], [0, 0, 3]])  # a residual of 0 is still a rating
        expected = slow_predict(cross, 2, range(5))
        assert_allclose(em.predict(cross, 2, range(5)), expected, rtol=0, atol=1e-10)

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
        self.assertEqual(em.predict(-X, 1)[0, 0], 1)

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
            ("X: expected a 2-D array of numbers, got a list", [["a"]], 2),
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
