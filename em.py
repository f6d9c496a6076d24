"""EM for a mixture of spherical Gaussians on a rating matrix with holes.

X[u, l] is user u's rating of movie l, 0 where there is none. C_u are the movies that u rated.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

import common
from common import GaussianMixture


class Ratings(NamedTuple):
    """Ratings, and what the steps need of them and no iteration changes."""

    X: np.ndarray  # (n, d): ratings, 0 where missing
    rated: np.ndarray  # (n, d): delta(l, C_u), 1. where u rated l, else 0.
    sizes: np.ndarray  # (n,): |C_u|
    squares: np.ndarray  # (n,): ||x_Cu||^2


def prepare(X: np.ndarray) -> Ratings:
    """Check (n, d) ratings and compute what no iteration changes; Ratings are returned as they are.

    Every function here but predict takes Ratings in place of X, so that many fits can share them.
    """
    if isinstance(X, Ratings):
        return X
    X = common.finite_array("X", X, (None, None))
    rated = (X != 0).astype(float)
    return Ratings(X, rated, rated.sum(axis=1), np.einsum("ul,ul->u", X, X))


def estep(X: np.ndarray, mixture: GaussianMixture) -> tuple[np.ndarray, float]:
    """E-step: the posteriors of the user types, and the log-likelihood of the mixture.

        f(u, j) = log(p_j + 1e-16) - |C_u|/2 log(2 pi var_j) - ||x_Cu - mu_j,Cu||^2 / (2 var_j)

    Args:
        X: (n, d) ratings, 0 where missing
        mixture: GaussianMixture of K components

    Returns:
        post: (n, K) array, exp(f - logsumexp_j f); every row sums to 1
        ll: float, sum_u logsumexp_j f, in nats

    Raises:
        ValueError, TypeError: X is not a finite matrix, or the mixture does not fit it
    """
    X, rated, sizes, squares = prepare(X)
    mixture = common.check_mixture(mixture, X.shape[1])
    mu, var, p = mixture.mu, mixture.var[:, None], mixture.p[:, None]
    # ||x - mu||^2 = ||x||^2 - 2 x.mu + ||mu||^2 over C_u: two products. They, and f, are (K, n):
    # faster, because each component's numbers are contiguous.
    distance = squares - 2 * mu @ X.T + mu**2 @ rated.T
    f = np.log(p + 1e-16) - sizes / 2 * np.log(2 * np.pi * var) - distance / (2 * var)
    return common.post_and_ll(f.T)


def mstep(
    X: np.ndarray, post: np.ndarray, mixture: GaussianMixture, min_variance: float = 0.25
) -> GaussianMixture:
    """M-step: the mixture that makes the ratings most likely, given the posteriors.

        p_j   = sum_u post[u, j] / n
        mu_jl = sum_u post[u, j] delta(l, C_u) x_ul / sum_u post[u, j] delta(l, C_u)
        var_j = sum_u post[u, j] ||x_Cu - mu_j,Cu||^2 / sum_u post[u, j] |C_u|

    A mean is updated only where its denominator is at least 1, and no variance falls below
    min_variance: both stop a type with hardly any users from fitting one or two ratings exactly.

    Args:
        X: (n, d) ratings, 0 where missing
        post: (n, K) array of posteriors
        mixture: GaussianMixture, the one before
        min_variance: the least variance, in squared stars

    Returns:
        mixture: the new GaussianMixture; a type whose users have no rating keeps its variance

    Raises:
        ValueError, TypeError: X is not a finite matrix, post or the mixture does not fit it, or
            min_variance is not positive
    """
    X, rated, sizes, squares = prepare(X)
    mixture = common.check_mixture(mixture, X.shape[1])
    post = common.check_post(post, len(X), len(mixture.mu))
    if not min_variance > 0:
        raise ValueError(f"min_variance: expected a positive number, got {min_variance}")
    total, count = post.T @ X, post.T @ rated  # the two sums over the users in mu_jl
    # Rounding may leave a count of 1 a little below 1; the tolerance makes the result independent
    # of the BLAS and of the order of the users.
    mu = np.where(count >= 1 - 1e-9, total / np.maximum(count, 0.5), mixture.mu)
    # sum_u post ||x - mu||^2, expanded, from the sums above
    sse = squares @ post + (mu * (mu * count - 2 * total)).sum(axis=1)
    size = sizes @ post  # sum_u post |C_u|
    var = np.maximum(min_variance, sse / np.where(size > 0, size, 1))
    return GaussianMixture(mu, np.where(size > 0, var, mixture.var), post.sum(axis=0) / len(X))


def run(
    X: np.ndarray,
    mixture: GaussianMixture,
    post: np.ndarray,
    watch: Callable[[float], object] | None = None,
) -> tuple[GaussianMixture, np.ndarray, float]:
    """Alternate E- and M-steps until the log-likelihood rises by no more than 1e-6 of its size.

    Args:
        X: (n, d) ratings, 0 where missing
        mixture: GaussianMixture of K components to start from
        post: (n, K) array, as common.init returns it; the first E-step replaces it
        watch: called with the log-likelihood of every iteration, if not None

    Returns:
        mixture: GaussianMixture of the last M-step
        post: (n, K) array, the posteriors under the mixture before that M-step
        ll: float, the log-likelihood of that mixture before it, in nats

    Raises:
        ValueError, TypeError: X is not a finite matrix, or the mixture does not fit it
    """
    X = prepare(X)
    old_ll = -np.inf
    while True:
        post, ll = estep(X, mixture)
        mixture = mstep(X, post, mixture)
        if watch is not None:
            watch(ll)
        if ll - old_ll <= 1e-6 * abs(ll):
            return mixture, post, ll
        old_ll = ll


def fill_matrix(X: np.ndarray, mixture: GaussianMixture) -> np.ndarray:
    """Predict every missing rating: the types' means, weighted by the user's posteriors.

    Args:
        X: (n, d) ratings, 0 where missing
        mixture: GaussianMixture of K components

    Returns:
        X_pred: (n, d) array, sum_j post[u, j] mu_jl where X is 0, elsewhere X itself, in stars

    Raises:
        ValueError, TypeError: X is not a finite matrix, or the mixture does not fit it
    """
    ratings = prepare(X)
    post, _ = estep(ratings, mixture)
    X_pred = post @ mixture.mu
    np.copyto(X_pred, ratings.X, where=ratings.X != 0)
    return X_pred


def predict(X: np.ndarray, K: int, seeds: Iterable[int] = range(5)) -> np.ndarray:
    """Predict every missing rating by averages, and by EM on what the averages leave over.

        m_l    = (sum_u x_ul + 5 xbar) / (n_l + 5)           xbar: the mean of all given ratings
        b_u    = sum_(l in C_u) (x_ul - m_l) / (|C_u| + 5)   n_l: the number of ratings of movie l
        rest   = (x_ul - m_l - b_u) / s where given, 0 where missing; s: their root mean square
        x_ul   = m_l + b_u + s sum_j post[u, j] mu_jl

    The last sum is the mean over EM on rest (types of users) and on its transpose (types of
    movies), each from every seed. This is ours, not the course's: fill_matrix spends its types on
    how generous users are, which b_u tells better, and may predict the zeros that it starts from;
    in rest, 0 is also the best guess.

    Args:
        X: (n, d) ratings on any positive scale, 0 where missing
        K: number of user types, 1 to n; there are as many types of movies, but at most d
        seeds: whole numbers, the seeds of the starts

    Returns:
        X_pred: (n, d) array, where X is 0 the prediction, between the smallest and the largest
            given rating, elsewhere X itself; in the unit of X

    Raises:
        ValueError, TypeError: X is not a finite matrix or has no rating, K or a seed is not a whole
            number in its range, or there is no seed
    """
    X = common.finite_array("X", X, (None, None))
    n, d = X.shape
    K, seeds, given = common.whole("K", K, 1, n), list(seeds), X != 0
    if not given.any():
        raise ValueError("X: expected at least one rating, got only zeros (missing)")
    if not seeds:
        raise ValueError("seeds: expected at least one, got none")
    movie = (X.sum(axis=0) + 5 * X.sum() / given.sum()) / (given.sum(axis=0) + 5)
    rest = np.where(given, X - movie, 0)
    user = rest.sum(axis=1, keepdims=True) / (given.sum(axis=1, keepdims=True) + 5)
    np.subtract(rest, user, out=rest, where=given)
    s = np.sqrt((rest**2).sum() / given.sum())
    s = s if s > 1e-12 * np.abs(X).max() else 1.0  # all ratings are equal: only rounding is left
    rest /= s
    rest[given & (rest == 0)] = 1e-9  # a rating, though exactly what the averages say
    X_pred = np.zeros((n, d))
    for table, types, out in [(rest, K, X_pred), (rest.T, min(K, d), X_pred.T)]:
        ratings = prepare(table)
        for seed in seeds:
            mixture, post = common.init(table, types, seed)
            # init's own variance counts the zeros of missing entries; that of given ones is 1.
            mixture, _, _ = run(ratings, mixture._replace(var=np.ones(types)), post)
            post, _ = estep(ratings, mixture)
            out += post @ mixture.mu
    X_pred *= s / (2 * len(seeds))
    X_pred += movie + user
    np.clip(X_pred, X[given].min(), X[given].max(), out=X_pred)
    np.copyto(X_pred, X, where=given)
    return X_pred
