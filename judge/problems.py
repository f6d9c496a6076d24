"""Random problems: data, a mixture for them, posteriors. The same seed gives the same."""

from collections import namedtuple

import numpy as np

Mixture = namedtuple("Mixture", "mu var p")  # no import of common.py: it may be a student's


def ratings(seed, n=12, d=5, missing=0.3):
    """(n, d) ratings with holes; every user has rated movie 0, and user 0 every movie."""
    draw = np.random.RandomState(seed)
    X = draw.randint(1, 6, (n, d)) * (draw.rand(n, d) >= missing) * 1.0
    X[0, X[0] == 0] = 3
    X[X[:, 0] == 0, 0] = 3
    return X


def points(seed, n=12, d=2):
    """(n, d) points of three clusters, with three decimals; none is 0, missing in exact.py."""
    draw = np.random.RandomState(seed)
    noise = 2 * draw.randn(n, d)
    middles = 6 * draw.randn(3, d)
    X = (noise + middles[draw.randint(0, 3, n)]).round(3)
    X[X == 0] = 0.001
    return X


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
    """(n, K) posteriors, none near 0; the first columns have the larger sums, so that p differ."""
    post = (np.random.RandomState(seed).rand(n, K) ** 2 + 0.05) / np.arange(1, 2 * K, 2)
    return post / post.sum(axis=1, keepdims=True)
