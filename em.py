"""EM for a mixture of spherical Gaussians on a rating matrix with holes.

X[u, l] is user u's rating of movie l, 0 where there is none. C_u are the movies that u rated, and
delta(l, C_u) is 1 where u rated l, else 0. Errors are as in common.py.
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
    """Compute what no iteration changes of (n, d) ratings; all but predict take it for X."""
    if isinstance(X, Ratings):
        return X
    X = common.finite_array("X", X, (None, None), common.LARGEST_RATING)
    rated = (X != 0).astype(float)
    return Ratings(X, rated, rated.sum(axis=1), np.einsum("ul,ul->u", X, X))


def estep(X: np.ndarray, mixture: GaussianMixture) -> tuple[np.ndarray, float]:
    """E-step: the posteriors of the user types, and the log-likelihood of the mixture.

        f(u, j) = log(p_j + 1e-16) - |C_u|/2 log(2 pi var_j) - ||x_Cu - mu_j,Cu||^2 / (2 var_j)

    Args:
        X: (n, d) ratings, 0 where missing
        mixture: GaussianMixture of K types

    Returns:
        post: (n, K) array, exp(f - logsumexp_j f); every row sums to 1
        ll: float, sum_u logsumexp_j f, in nats
    """
    X, rated, sizes, squares = prepare(X)
    mixture = common.check_mixture(mixture, X.shape[1])
    mu, var, p = mixture.mu, mixture.var[:, None], mixture.p[:, None]
    # ||x - mu||^2 = ||x||^2 + ||mu||^2 - 2 x.mu over C_u: two products. They, and f, are (K, n):
    # faster, because each type's numbers are contiguous.
    lengths = squares + mu**2 @ rated.T
    distance = np.maximum(lengths - 2 * mu @ X.T, 0)
    for j in np.flatnonzero((lengths > 1e8 * var).any(axis=1)):  # where rounding would show
        distance[j] = ((X - mu[j]) ** 2 * rated).sum(axis=1)
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
        mixture: GaussianMixture, the previous one
        min_variance: the least variance, in squared stars; finite and positive

    Returns:
        mixture: the new GaussianMixture; a type whose users have no rating keeps its variance
    """
    X, rated, sizes, squares = prepare(X)
    mixture = common.check_mixture(mixture, X.shape[1])
    post = common.check_post(post, len(X), len(mixture.mu))
    min_variance = common.positive("min_variance", min_variance, ())
    total, count = post.T @ X, post.T @ rated  # the two sums over the users in mu_jl
    # Rounding may leave a count of 1 a little below 1; the tolerance makes the result independent
    # of the BLAS and of the order of the users.
    mu = np.where(count >= 1 - 1e-9, total / np.maximum(count, 0.5), mixture.mu)
    # sum_u post ||x - mu||^2, expanded, from the sums above
    size, length = sizes @ post, squares @ post  # sum_u post |C_u|, sum_u post ||x_Cu||^2
    sse = length + (mu * (mu * count - 2 * total)).sum(axis=1)
    for j in np.flatnonzero(length > 1e8 * np.maximum(sse, min_variance * size)):
        sse[j] = post[:, j] @ ((X - mu[j]) ** 2 * rated).sum(axis=1)  # as in the E-step
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
        mixture: GaussianMixture of K types to start from
        post: (n, K) array, as common.init returns it; the first E-step replaces it
        watch: called with the log-likelihood of every iteration, if not None

    Returns:
        mixture: GaussianMixture of the last M-step
        post: (n, K) array, the posteriors under the mixture before that M-step
        ll: float, the log-likelihood of that mixture before it, in nats
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
        mixture: GaussianMixture of K types

    Returns:
        X_pred: (n, d) array, sum_j post[u, j] mu_jl where X is 0, elsewhere X itself, in stars
    """
    ratings = prepare(X)
    post, _ = estep(ratings, mixture)
    X_pred = post @ mixture.mu
    np.copyto(X_pred, ratings.X, where=ratings.X != 0)
    return X_pred


def predict(X: np.ndarray, K: int, seeds: Iterable[int] = range(5)) -> np.ndarray:
    """Predict every missing rating by twenty small mixtures, each fitted to what is unexplained.

    The predictions x_hat start as the mean of all given ratings. A round fits K types to the
    residuals x_ul - x_hat_ul, by three iterations of EM from K of the rows, and adds what they
    predict, sum_j post[u, j] mu_jl, to x_hat; the rows are users in one round and movies in the
    next. The result is the mean over the seeds. (Stagewise additive modelling: J. Friedman, Greedy
    Function Approximation, Annals of Statistics 29, 2001.) With x for the residuals:

        f(u, j) = log(p_j + 1e-16) + sum_(l in C_u) (mu_jl x_ul - mu_jl^2 / 2) / var
        mu_jl   = sum_u post[u, j] delta(l, C_u) x_ul / (sum_u post[u, j] delta(l, C_u) + 15)

    This is ours, not the course's, and not estep and mstep: every type has the same variance, the
    mean square of the residuals (with one of its own, types would differ by how noisy their users
    are, not by taste), and means are pulled towards 0, as by 15 more residuals of 0, a Gaussian
    prior (or a round would fit the noise of a few ratings).

    Args:
        X: (n, d) ratings on any scale, 0 where missing
        K: number of types, 1 to n; of movies there are at most d
        seeds: whole numbers, one chain of twenty rounds for each

    Returns:
        X_pred: (n, d) array, where X is 0 the prediction, between the smallest and the largest
            given rating, elsewhere X itself; in the unit of X
    """
    X = common.finite_array("X", X, (None, None))
    K, given, seeds = common.whole("K", K, 1, len(X)), X != 0, list(seeds)
    if not given.any():
        raise ValueError("X: expected at least one rating, got only zeros (missing)")
    if not seeds:
        raise ValueError("seeds: expected at least one, got none")
    delta, size, noise = given.astype(float), given.sum(), 1e-24 * X.max() ** 2
    X_pred, x_hat, rest = np.zeros(X.shape), np.empty(X.shape), np.empty(X.shape)
    for seed in seeds:
        draw = np.random.RandomState(common.whole("seeds", seed, 0, 2**32 - 1))
        x_hat[:] = X.sum() / size
        for of_users in [True, False] * 10:
            np.subtract(X, x_hat, out=rest)  # the residuals; in place, as X may be large
            rest *= delta
            var = np.einsum("ul,ul->", rest, rest) / size
            if var <= noise:  # nothing but rounding is left
                break
            rows, rated = (rest, delta) if of_users else (rest.T, delta.T)
            types = min(K, len(rows))
            mu = rows[draw.choice(len(rows), types, replace=False)]
            p = np.ones(types)  # equal weights; only ratios count
            for _ in range(3):
                f = (mu @ rows.T - mu**2 @ rated.T / 2) / var + np.log(p + 1e-16)[:, None]
                post, _ = common.post_and_ll(f.T)
                mu = post.T @ rows / (post.T @ rated + 15)
                p = post.mean(axis=0)
            left, right = (post, mu) if of_users else (mu.T, post.T)
            np.matmul(left, right, out=rest)
            x_hat += rest
        X_pred += x_hat
    X_pred /= len(seeds)
    least, most = X.min(where=given, initial=np.inf), X.max(where=given, initial=-np.inf)
    np.clip(X_pred, least, most, out=X_pred)
    np.copyto(X_pred, X, where=given)
    return X_pred
