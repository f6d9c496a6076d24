"""EM for a mixture of spherical Gaussians on a rating matrix with holes.

X[u, l] is user u's rating of movie l, 0 where there is none. C_u are the movies that u rated.
"""

import numpy as np

import common
from common import GaussianMixture


def prepare(X):
    """Return what the steps need of X and no iteration changes.

    Args:
        X: (n, d) float64 array of ratings, 0 where missing

    Returns:
        rated: (n, d) array, delta(l, C_u): 1. where u rated l, else 0.
        sizes: (n,) array, |C_u|
        squares: (n,) array, ||x_Cu||^2
    """
    rated = (X != 0).astype(float)
    return rated, rated.sum(axis=1), np.einsum("ul,ul->u", X, X)


def estep(X, mixture, prepared=None):
    """E-step: the posteriors of the user types, and the log-likelihood of the mixture.

        f(u, j) = log(p_j + 1e-16) - |C_u|/2 log(2 pi var_j) - ||x_Cu - mu_j,Cu||^2 / (2 var_j)

    Args:
        X: (n, d) ratings, 0 where missing
        mixture: GaussianMixture of K components
        prepared: prepare(X), from a caller who has checked the rest

    Returns:
        post: (n, K) array, exp(f - logsumexp_j f); every row sums to 1
        ll: float, sum_u logsumexp_j f, in nats

    Raises:
        ValueError, TypeError: X is no finite matrix, or the mixture does not fit it
    """
    if prepared is None:
        X, mixture, _ = common.check(X, mixture)
        prepared = prepare(X)
    rated, sizes, squares = prepared
    mu, var, p = mixture.mu, mixture.var[:, None], mixture.p[:, None]
    # ||x - mu||^2 = ||x||^2 - 2 x.mu + ||mu||^2 over C_u: two products. They, and f, are (K, n):
    # each component's numbers lie side by side, which is the faster way round.
    distance = squares - 2 * mu @ X.T + mu**2 @ rated.T
    f = np.log(p + 1e-16) - sizes / 2 * np.log(2 * np.pi * var) - distance / (2 * var)
    return common.normalise(f.T)


def mstep(X, post, mixture, min_variance=0.25, prepared=None):
    """M-step: the mixture that makes the ratings most likely, given the posteriors.

        p_j   = sum_u post[u, j] / n
        mu_jl = sum_u post[u, j] delta(l, C_u) x_ul / sum_u post[u, j] delta(l, C_u)
        var_j = sum_u post[u, j] ||x_Cu - mu_j,Cu||^2 / sum_u post[u, j] |C_u|

    A mean is updated only where its denominator is at least 1, and no variance falls below
    min_variance: both keep a type that hardly anyone holds from fitting a rating or two.

    Args:
        X: (n, d) ratings, 0 where missing
        post: (n, K) array of posteriors
        mixture: GaussianMixture, the one before
        min_variance: the least variance, in squared stars
        prepared: prepare(X), from a caller who has checked the rest

    Returns:
        mixture: the new GaussianMixture; a type whose users have no rating keeps its variance

    Raises:
        ValueError, TypeError: X is no finite matrix, post or the mixture does not fit it, or
            min_variance is not positive
    """
    if prepared is None:
        X, mixture, post = common.check(X, mixture, post)
        if not min_variance > 0:
            raise ValueError(f"min_variance: wanted a positive number, came {min_variance}")
        prepared = prepare(X)
    rated, sizes, squares = prepared
    total, count = post.T @ X, post.T @ rated  # the two sums over the users in mu_jl
    # 1e-9: one user's count of 1 may come out an ulp short, and must not hang on the BLAS.
    mu = np.where(count >= 1 - 1e-9, total / np.maximum(count, 0.5), mixture.mu)
    # The squared distances need no third product: ||x - mu||^2, summed over the users first
    sse = squares @ post + (mu * (mu * count - 2 * total)).sum(axis=1)
    ratings = sizes @ post
    var = np.maximum(min_variance, sse / np.where(ratings > 0, ratings, 1))
    return GaussianMixture(mu, np.where(ratings > 0, var, mixture.var), post.sum(axis=0) / len(X))


def run(X, mixture, post, watch=None):
    """Alternate E- and M-steps until the log-likelihood gains no more than 1e-6 of its size.

    Args:
        X: (n, d) ratings, 0 where missing
        mixture: GaussianMixture of K components to start from
        post: (n, K) array, as common.init returns it; the first E-step replaces it
        watch: called with the log-likelihood of every iteration, if not None

    Returns:
        mixture: GaussianMixture of the last M-step
        post: (n, K) array, of the last E-step, which is one M-step older
        ll: float, the log-likelihood that this E-step found, in nats

    Raises:
        ValueError, TypeError: X is no finite matrix, or post or the mixture does not fit it
    """
    X, mixture, post = common.check(X, mixture, post)
    prepared = prepare(X)
    old_ll = -np.inf
    while True:
        post, ll = estep(X, mixture, prepared)
        mixture = mstep(X, post, mixture, prepared=prepared)
        if watch is not None:
            watch(ll)
        if ll - old_ll <= 1e-6 * abs(ll):
            return mixture, post, ll
        old_ll = ll


def fill_matrix(X, mixture):
    """Predict every missing rating: the types' means, weighted by the user's posteriors.

    Args:
        X: (n, d) ratings, 0 where missing
        mixture: GaussianMixture of K components

    Returns:
        X_pred: (n, d) array, sum_j post[u, j] mu_jl where X is 0, elsewhere X itself, in stars

    Raises:
        ValueError, TypeError: X is no finite matrix, or the mixture does not fit it
    """
    X, mixture, _ = common.check(X, mixture)
    post, _ = estep(X, mixture, prepare(X))
    X_pred = post @ mixture.mu
    np.copyto(X_pred, X, where=X != 0)
    return X_pred
