"""EM for a mixture of spherical Gaussians on a rating matrix with missing entries.

X[u, l] is user u's rating of movie l, 0 where there is none. C_u are the movies that u rated, and
delta(l, C_u) is 1 where u rated l, else 0; x_Cu and mu_j,Cu are x_u and mu_j on these movies alone.
A component of the mixture is a type of user.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from common import GaussianMixture


class Ratings(NamedTuple):
    """A rating matrix, and what estep and mstep need of it in every iteration alike."""

    X: np.ndarray  # (n, d): ratings, 0 where missing
    delta: np.ndarray  # (n, d): delta(l, C_u), 1. where u rated l, else 0.
    n_rated: np.ndarray  # (n,): |C_u|, the number of ratings of each user
    squares: np.ndarray  # (n,): ||x_Cu||^2


def prepare(X: np.ndarray | Ratings) -> Ratings:
    """The Ratings of a matrix X; if X are Ratings already, X itself.

    estep and mstep call prepare first, so they take both: the matrix from any caller, and Ratings
    from run, which prepares them once for all its iterations.
    """
    if isinstance(X, Ratings):
        return X
    X = np.asarray(X, dtype=float)
    delta = (X != 0).astype(float)
    return Ratings(X, delta, delta.sum(axis=1), np.einsum("ul,ul->u", X, X))


def estep(X: np.ndarray | Ratings, mixture: GaussianMixture) -> tuple[np.ndarray, float]:
    """E-step: the posteriors of the user types, and the log-likelihood of the mixture.

        f(u, j) = log(p_j + 1e-16) - |C_u|/2 log(2 pi var_j) - ||x_Cu - mu_j,Cu||^2 / (2 var_j)

    Args:
        X: (n, d) ratings, 0 where missing; or their Ratings
        mixture: GaussianMixture of K types

    Returns:
        post: (n, K) array, exp(f - logsumexp_j f); every row sums to 1
        ll: float, sum_u logsumexp_j f, in nats; exact to 1e-6 of its size for ratings up to 1000.
            The expanded distance below loses digits of large ratings that hardly differ: between
            999,995 and 1e6 the log-likelihood is exact to 1e-4.
    """
    X, delta, n_rated, squares = prepare(X)
    # distance and f are (K, n), as their products are faster that way.
    mu = mixture.mu
    var = mixture.var[:, None]
    p = mixture.p[:, None]
    # ||x_Cu - mu_j,Cu||^2, expanded into matrix products; rounding may leave it a little below 0
    distance = np.maximum(squares - 2 * mu @ X.T + mu**2 @ delta.T, 0)
    f = np.log(p + 1e-16) - n_rated / 2 * np.log(2 * np.pi * var) - distance / (2 * var)
    log_density = np.logaddexp.reduce(f, axis=0)  # (n,): logsumexp_j f, of each user
    post = np.exp(f - log_density).T
    return post, float(log_density.sum())


def mstep(
    X: np.ndarray | Ratings,
    post: np.ndarray,
    mixture: GaussianMixture,
    min_variance: float = 0.25,
) -> GaussianMixture:
    """M-step: the mixture of the largest expected log-likelihood, given the posteriors.

        p_j   = sum_u post[u, j] / n
        mu_jl = sum_u post[u, j] delta(l, C_u) x_ul / sum_u post[u, j] delta(l, C_u)
        var_j = sum_u post[u, j] ||x_Cu - mu_j,Cu||^2 / sum_u post[u, j] |C_u|

    A mean is updated only where its denominator is at least 1, and no variance falls below
    min_variance: both stop a type with hardly any users from fitting one or two ratings exactly.

    Args:
        X: (n, d) ratings, 0 where missing; or their Ratings
        post: (n, K) array of posteriors
        mixture: GaussianMixture of K types, the previous one
        min_variance: the least variance, in squared stars

    Returns:
        mixture: the new GaussianMixture; a type whose users have no rating keeps its variance, if
            that is at least min_variance
    """
    X, delta, n_rated, squares = prepare(X)
    total = post.T @ X  # (K, d): the numerators of mu
    count = post.T @ delta  # (K, d): its denominators
    enough = count >= 1 - 1e-9  # rounding may leave a count of 1 a little below 1
    mu = mixture.mu.copy()
    mu[enough] = total[enough] / count[enough]
    # sum_u post[u, j] ||x_Cu - mu_j,Cu||^2, expanded as in the E-step, from the sums above
    sse = squares @ post + (mu**2 * count - 2 * mu * total).sum(axis=1)
    rated_by_type = n_rated @ post  # (K,): sum_u post[u, j] |C_u|
    tiny = 1e-100  # no 0 / 0: a type whose users have no rating keeps its variance
    var = (sse + tiny * mixture.var) / (rated_by_type + tiny)
    return GaussianMixture(mu, np.maximum(var, min_variance), post.mean(axis=0))


def run(
    X: np.ndarray, mixture: GaussianMixture, post: np.ndarray
) -> tuple[GaussianMixture, np.ndarray, float]:
    """Alternate E- and M-steps until the log-likelihood rises by no more than 1e-6 of its size.

    Args:
        X: (n, d) ratings, 0 where missing
        mixture: GaussianMixture of K types to start from
        post: (n, K) array, as common.init returns it: the first E-step replaces it unread

    Returns:
        mixture: GaussianMixture of the last M-step
        post: (n, K) array, the posteriors under the mixture before that M-step
        ll: float, the log-likelihood of the mixture before that M-step, in nats
    """
    ratings = prepare(X)
    old_ll = -np.inf
    while True:
        post, ll = estep(ratings, mixture)
        mixture = mstep(ratings, post, mixture)
        improved = ll - old_ll > 1e-6 * abs(ll)  # False, too, where ll is a NaN
        if not improved:
            return mixture, post, ll
        old_ll = ll


def fill_matrix(X: np.ndarray, mixture: GaussianMixture) -> np.ndarray:
    """Predict every missing rating: the types' means, weighted by the user's posteriors.

    Args:
        X: (n, d) ratings, 0 where missing
        mixture: GaussianMixture of K types

    Returns:
        X_pred: (n, d) array, sum_j post[u, j] mu_jl where X is 0, elsewhere X itself, in stars; a
            mean that no M-step has updated is still what it started from, maybe 0
    """
    post, _ = estep(X, mixture)
    return np.where(X == 0, post @ mixture.mu, X)


# Ours, beyond the course: predictions by many small mixtures

PULL = 15  # a mean of residuals is pulled towards 0 as if by this many more residuals of 0
LATE_K = 24  # the types of a mixture in rounds 9 to 12
LATE_PULL = 1  # the pull of the means by which those types are found


def predict(X: np.ndarray, K: int = 4, seeds: Iterable[int] = range(10)) -> np.ndarray:
    """Predict every missing rating by twelve rounds of small mixtures.

    The predictions x_hat start as the mean of the given ratings. A round sorts the users into
    types, and adds to x_hat what each type's users have in common: the mean of their residuals
    r_ul = x_ul - x_hat_ul. Then it does the same with the movies as rows, and users as columns.
    (Stagewise additive modelling, or boosting: J. H. Friedman, Greedy Function Approximation: A
    Gradient Boosting Machine, Annals of Statistics 29, 2001.)

        mu_jl = sum_u post[u, j] r_ul / (sum_u post[u, j] delta(l, C_u) + 15)
        x_hat_ul grows by sum_j post[u, j] mu_jl

    The 15 pulls mu_jl towards 0, since a mean of few residuals is mostly their noise. The types,
    given by post, are found by a mixture for each seed, see the function types, and what they
    predict is averaged over the seeds. mu_jl is always a mean of the present residuals; the types
    come from

        rounds 1 to 8      the present residuals
        rounds 9 and 10    delta, which movies were rated, since choices tell about tastes
        round 11           the residuals before round 1, since by now those left are mostly noise
        round 12           the residuals after round 1

    There are K types in a mixture, and 24 from round 9 on.

    (On choices and ratings: B. M. Marlin, R. S. Zemel, S. Roweis and M. Slaney, Collaborative
    Filtering and the Missing at Random Assumption, UAI 2007.)

    Args:
        X: (n, d) ratings on any scale, 0 where missing
        K: the types of a mixture in rounds 1 to 8, at least 1
        seeds: whole numbers from 0 to 2**32 - 1, at least one; each draws the rows from which its
            mixtures start

    Returns:
        X_pred: (n, d) array, the prediction where X is 0, between the smallest and the largest
            given rating; elsewhere X itself; in the unit of X

    Raises:
        ValueError: X is not a 2-D array of finite numbers or holds no rating, K is below 1, or
            there are no seeds
    """
    X = check_ratings(X)
    if K < 1:
        raise ValueError(f"K: expected at least 1 type, got {K}")
    draws = [np.random.RandomState(seed) for seed in seeds]
    if not draws:
        raise ValueError("seeds: expected at least one, got none")

    given = X != 0
    delta = given.astype(float)
    x_hat = np.full(X.shape, X[given].mean())
    residuals = (X - x_hat) * delta
    early_residuals = []  # those before round 1, and after it
    for number in range(1, 13):
        if number <= 2:
            early_residuals.append(residuals)
        for rows in (users_as_rows, movies_as_rows):  # rows(A) is A, then A.T
            if number <= 8:
                post = types(rows(residuals), rows(delta), K, PULL, draws)
            elif number <= 10:
                post = types(rows(delta), None, LATE_K, LATE_PULL, draws)
            else:
                seen = early_residuals[number - 11]
                post = types(rows(seen), rows(delta), LATE_K, LATE_PULL, draws)
            mu = pulled_means(rows(residuals), rows(delta), post, PULL)
            # post and mu hold the types of all seeds, so this is the mean over the seeds.
            x_hat += rows(post.T @ (mu / len(draws)))
            residuals = X - x_hat  # a new array: the early ones stay as they are
            residuals *= delta
    X_pred = np.clip(x_hat, X[given].min(), X[given].max(), out=x_hat)
    np.copyto(X_pred, X, where=given)
    return X_pred


def users_as_rows(matrix: np.ndarray) -> np.ndarray:
    """An (n, d) matrix of users and movies as it is."""
    return matrix


def movies_as_rows(matrix: np.ndarray) -> np.ndarray:
    """An (n, d) matrix of users and movies as (d, n), or such a (d, n) matrix as (n, d) again."""
    return matrix.T


def types(
    values: np.ndarray,
    mask: np.ndarray | None,
    K: int,
    pull: float,
    draws: list[np.random.RandomState],
) -> np.ndarray:
    """Sort rows into types: for each draw a mixture of K Gaussians, by three E-steps of EM.

    The types are equally likely and share one variance, the mean square of the values. At first
    each has one row, drawn at random.

    Args:
        values: (n, d) array, 0 where the mask is 0
        mask: (n, d) array, 1. where a value counts, else 0.; None if all count
        K: the types of a mixture; n if there are fewer rows
        pull: the means are pulled towards 0 as if by so many more values of 0
        draws: B random states, one for each mixture

    Returns:
        post: (B K, n) array of posteriors, types as rows: the K of the first mixture first
    """
    n = len(values)
    K = min(K, n)
    n_values = values.size if mask is None else mask.sum()
    var = (values**2).sum() / n_values + 1e-100  # no 0 / 0 where all values are 0
    starts = np.concatenate([draw.choice(n, K, replace=False) for draw in draws])
    mu = values[starts] / (1 + pull)  # as pulled_means gives of a single row
    post = posteriors(values, mask, mu, var, K)
    for _ in range(2):
        mu = pulled_means(values, mask, post, pull)
        post = posteriors(values, mask, mu, var, K)
    return post


def posteriors(
    values: np.ndarray, mask: np.ndarray | None, mu: np.ndarray, var: float, K: int
) -> np.ndarray:
    """The E-step of types: post = exp(f - logsumexp_j f), over the K types j of each mixture.

        f(i, j) = sum_l mask_il (mu_jl v_il - mu_jl^2 / 2) / var,  v_il = values[i, l]

    This is em.estep's f without what is the same for all types: log p_j, log var and ||v_i||^2.

    Args:
        values, mask, K: as for types
        mu: (B K, d) array, the means of the types of B mixtures
        var: float, the variance of all types

    Returns:
        post: (B K, n) array
    """
    if mask is None:
        squares = (mu**2).sum(axis=1, keepdims=True)
    else:
        squares = mu**2 @ mask.T
    f = ((mu @ values.T - squares / 2) / var).reshape(-1, K, len(values))
    # e^-200 stands for 0. Far smaller numbers would have subnormal products, which are slow.
    post = np.exp(np.maximum(f - f.max(axis=1, keepdims=True), -200))
    post /= post.sum(axis=1, keepdims=True)
    return post.reshape(len(mu), -1)


def pulled_means(
    values: np.ndarray, mask: np.ndarray | None, post: np.ndarray, pull: float
) -> np.ndarray:
    """The M-step of types: mu_jl = sum_i post[i, j] v_il / (sum_i post[i, j] mask_il + pull).

    Args:
        values, mask, pull: as for types
        post: (B K, n) array of posteriors, as types returns it

    Returns:
        mu: (B K, d) array, in the unit of the values
    """
    if mask is None:
        count = post.sum(axis=1, keepdims=True)
    else:
        count = post @ mask
    return post @ values / (count + pull)


def check_ratings(X: np.ndarray) -> np.ndarray:
    """Return X as a 2-D float array; ValueError if it is none, not finite, or holds no rating."""
    try:
        X = np.asarray(X, dtype=float)
    except (TypeError, ValueError) as error:
        kind = type(X).__name__
        raise ValueError(f"X: expected a 2-D array of numbers, got a {kind}: {error}") from None
    if X.ndim != 2:
        raise ValueError(f"X: expected a 2-D array, got one of shape {X.shape}")
    if not X.any():
        raise ValueError("X: expected at least one rating, got only zeros (missing)")
    # A NaN is its own minimum and maximum; np.isfinite(X) would be another array.
    if not np.isfinite(X.min()) or not np.isfinite(X.max()):
        u, l = np.argwhere(~np.isfinite(X))[0]
        raise ValueError(f"X: expected finite numbers, got {X[u, l]} at X[{u}, {l}]")
    return X
