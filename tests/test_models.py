"""kmeans.py, naive_em.py, em.py, common.py: where data are odd, and what they promise callers."""

import itertools
import math

from tests.base import Ours, flat  # before NumPy: it sets the number of BLAS threads

# isort: split
import matplotlib.pyplot as plt
import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

import common
import em
import kmeans
import naive_em
from judge.exact import exact_estep, exact_mstep, exact_nearest
from judge.problems import mixture_for, points, ratings, soft


class Steps(Ours):
    """Degenerate data, exactness, and what the functions promise their callers."""

    def models(self):
        return [(kmeans, points(1)), (naive_em, points(1)), (em, ratings(1))]

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
            self.assertAlmostEqual(em.mstep(X, post, old).mu[0, 0], mean, msg=f"{count}")

    def test_weights_of_0_and_far_tails(self):
        for model, X in self.models()[1:]:
            mixture = mixture_for(X, 3, 1)._replace(p=np.array([0.0, 0.4, 0.6]))
            far = mixture._replace(mu=mixture.mu + [[300], [310], [-400]])
            for tried in (mixture, far):
                post, ll = model.estep(X, common.GaussianMixture(*tried))
                true = exact_estep(X, tried)
                assert_allclose(post, true["post"], rtol=1e-5, atol=1e-290)
                assert_allclose(ll, true["ll"], rtol=1e-9)

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
            mu, var, p = flat(model.mstep(X, post))[:3]
            assert_allclose(mu[1], X.mean(axis=0))
            self.assertLess(p[1], 1e-99)
            self.assert_finite((mu, var, p))

    def test_equal_and_repeated_rows(self):
        equal = np.full((6, 2), 7e5 + 0.1)
        repeated = np.repeat(points(0, 7), 2, axis=0)
        for X in (equal, np.full((6, 2), 3.0), repeated):
            for model, K in itertools.product((kmeans, naive_em, em), (1, len(X))):
                self.assert_finite(model.run(X, *common.init(X, K, 0)))
        assert_array_equal(common.init(equal, 2, 0)[0].var, [1e-100, 1e-100])
        X = points(3)
        var = naive_em.mstep(X, np.eye(12)).var  # every point has a component of its own
        assert_allclose(var, np.full(12, 1e-9 * X.var(axis=0).mean()))

    def test_nan_ends_a_run(self):
        for model, X in self.models():
            X[2, 1] = np.nan
            mixture = mixture_for(np.nan_to_num(X), 3, 0)
            with np.errstate(all="ignore"):
                _, _, score = model.run(X, common.GaussianMixture(*mixture), soft(12, 3, 0))
            self.assertTrue(math.isnan(score))

    def test_log_likelihoods_of_collapsed_components(self):
        draw = np.random.RandomState(0)
        for trial in range(20):
            scale = 10.0 ** draw.randint(-3, 7)
            X = draw.randn(40, 3) * scale / 100 + scale * draw.choice([0, 1], (40, 1))
            X[0] = 50 * scale
            X[1:4] = X[1]
            X += draw.choice([0, 1000]) * scale
            mixture, _, _ = naive_em.run(X, *common.init(X, 1 + trial % 6, trial))
            true = exact_estep(X, mixture)["ll"]
            ll = naive_em.estep(X, mixture)[1]
            assert_allclose(ll, true, rtol=0, atol=1e-6 * (abs(true) + 40))

    def test_log_likelihoods_of_large_ratings(self):
        # The expanded distance is a difference of numbers of the size of X^2 |C_u|. It loses its
        # digits where ratings hardly differ: of ratings within 0.01 of 1e6 the error is 1e-3.
        draw = np.random.RandomState(0)
        for largest, limit in [(1000, 1e-6), (1e6, 1e-4)]:
            for trial in range(10):
                X = (largest - 5 * draw.rand(40, 30)) * (draw.rand(40, 30) < 0.7)
                X[1:4] = X[1]
                begin = common.init(X, 1 + trial % 6, trial)
                for mixture in (begin[0], em.run(X, *begin)[0]):
                    post, ll = em.estep(X, mixture)
                    true = exact_estep(X, mixture)["ll"]
                    assert_allclose(ll, true, rtol=0, atol=limit * (abs(true) + 40))
                    new = em.mstep(X, post, mixture)
                    true = exact_mstep(X, post, mixture.mu)["var"]
                    seen = new.p > 1e-50
                    assert_allclose(new.var[seen], true[seen], rtol=1000 * limit)

    def test_distances_are_never_below_0(self):
        X = 1e6 - 5 * np.random.RandomState(0).rand(6, 30)
        mixture = common.GaussianMixture(X, np.full(6, 0.25), np.full(6, 1 / 6))
        # Every user stands on the mean of one type, far from the others.
        top = 6 * (math.log(1 / 6) - 15 * math.log(2 * math.pi * 0.25))
        self.assertLessEqual(em.estep(X, mixture)[1], top + 1e-9)

    def test_ties_go_to_the_lowest_index(self):
        for seed in range(20):  # whole numbers: the distances are exact, and many are equal
            X = np.random.RandomState(seed).randint(1, 7, (50, 4)) * 1.0
            mixture, _ = common.init(X, 8, seed)
            assert_array_equal(kmeans.estep(X, mixture), exact_nearest(X, mixture.mu)["post"])

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

    def test_nothing_given_is_changed_or_returned(self):
        for model, X in self.models():
            mixture = common.GaussianMixture(*mixture_for(X, 3, 3))
            post = soft(12, 3, 3)
            given = [X, *mixture, post]
            for part in given:
                part.flags.writeable = False  # who changes it raises an error
            results = [
                common.init(X, 3, 0),
                model.estep(X, mixture),
                model.run(X, mixture, post),
            ]
            if model is em:
                results.append(model.mstep(X, post, mixture))
                results.append(model.fill_matrix(X, mixture))
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
            ax = plt.Figure().subplots()
            self.assertIs(common.plot(X, mixture, post, f"K is {K}", ax), ax)
            circles = [patch for patch in ax.patches if hasattr(patch, "radius")]
            assert_allclose([circle.center for circle in circles], mixture.mu[:, :2])
            assert_allclose([circle.radius for circle in circles], np.sqrt(mixture.var))
            colours = np.array([circle.get_edgecolor()[:3] for circle in circles])
            self.assertEqual(len(np.unique(colours, axis=0)), min(K, 8))
            dots = ax.collections[0]
            assert_allclose(dots.get_offsets(), X[:, :2])
            assert_allclose(dots.get_facecolors()[:, :3], post @ colours)
