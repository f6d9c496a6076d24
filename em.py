"""EM for a mixture of spherical Gaussians on a rating matrix with missing entries.

X[u, l] is user u's rating of movie l, 0 where there is none. C_u are the movies that u rated, and
delta(l, C_u) is 1 where u rated l, else 0. A component of the mixture is a type of user.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from common import GaussianMixture


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
    X, delta, n_rated, centre, squares = prepare(X)
    moved = mixture.mu - centre
    var = mixture.var[:, None]
    p = mixture.p[:, None]
    # ||x - mu||^2 = ||x - centre||^2 - 2 (x - centre).moved + ||moved||^2 over C_u takes two matrix
    # products. Rounding may leave it a little below 0. It is (K, n), and so is f: faster that way.
    distance = np.maximum(squares - 2 * moved @ X.T + (moved**2 + 2 * centre * moved) @ delta.T, 0)
    f = np.log(p + 1e-16) - n_rated / 2 * np.log(2 * np.pi * var) - distance / (2 * var)
    ll = np.logaddexp.reduce(f, axis=0)  # (n,): logsumexp_j f, of each user
    post = np.exp(f - ll).T
    return post, float(ll.sum())


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
        mixture: GaussianMixture of K types, the previous one
        min_variance: the least variance, in squared stars

    Returns:
        mixture: the new GaussianMixture; a type whose users have no rating keeps its variance
    """
    X, delta, n_rated, centre, squares = prepare(X)
    total = post.T @ X  # (K, d): the numerators of mu
    count = post.T @ delta  # (K, d): its denominators
    enough = count >= 1 - 1e-9  # rounding may leave a count of 1 a little below 1
    mu = mixture.mu.copy()
    mu[enough] = total[enough] / count[enough]
    # sum_u post ||x_Cu - mu_Cu||^2, expanded as in the E-step, from the sums above
    moved = mu - centre
    sse = squares @ post + (moved**2 * count - 2 * moved * (total - centre * count)).sum(axis=1)
    rated_by_type = n_rated @ post  # (K,): sum_u post[u, j] |C_u|
    tiny = 1e-100  # no 0 / 0: a type whose users have no rating keeps its variance
    var = (sse + tiny * mixture.var) / (rated_by_type + tiny)
    return GaussianMixture(mu, np.maximum(var, min_variance), post.mean(axis=0))


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
        post: (n, K) array, as common.init returns it: the first E-step replaces it unread
        watch: called with the log-likelihood of every E-step, if not None

    Returns:
        mixture: GaussianMixture of the last M-step
        post: (n, K) array, the posteriors under the mixture before that M-step
        ll: float, the log-likelihood of that mixture before it, in nats
    """
    ratings = prepare(X)
    old_ll = -np.inf
    while True:
        post, ll = estep(ratings, mixture)
        mixture = mstep(ratings, post, mixture)
        if watch is not None:
            watch(ll)
        if not ll - old_ll > 1e-6 * abs(ll):  # ends on a NaN, too, unlike <=
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


class Ratings(NamedTuple):
    """Ratings, and what the steps need of them and no iteration changes.

    Expanded distances lose digits, as differences of large numbers do; fewer where ratings are
    measured from their centre. So log-likelihoods are exact to 1e-6 of their size for ratings up to
    1000, and to 1e-4 up to 1e6.
    """

    X: np.ndarray  # (n, d): ratings, 0 where missing
    delta: np.ndarray  # (n, d): delta(l, C_u), 1. where u rated l, else 0.
    n_rated: np.ndarray  # (n,): |C_u|
    centre: float  # the mean of all ratings, in stars
    squares: np.ndarray  # (n,): ||x_Cu - centre||^2


def prepare(X: np.ndarray | Ratings) -> Ratings:
    """The Ratings of (n, d) ratings X: run makes them once, for all its steps."""
    if isinstance(X, Ratings):
        return X
    X = np.asarray(X, dtype=float)
    missing = X == 0
    centre = X.sum() / max(1, X.size - np.count_nonzero(missing))
    centred = X - centre
    centred[missing] = 0
    squares = np.einsum("ul,ul->u", centred, centred)
    del centred  # as large as X, and so is delta
    delta = (~missing).astype(float)
    return Ratings(X, delta, delta.sum(axis=1), centre, squares)


# Ours, beyond the course: predictions

PULL = 15  # a type's mean is pulled towards 0 as if by this many more residuals of 0
CLOSING_TYPES = 24  # types in each mixture of multinomials


def predict(X: np.ndarray, K: int = 4, seeds: Iterable[int] = range(10)) -> np.ndarray:
    """Predict every missing rating by twenty rounds of small mixtures.

    The predictions x_hat start as the mean of the given ratings. A round sorts the rows, users and
    movies in turn, into types, and adds to x_hat what the types predict of the residuals
    x_ul - x_hat_ul. (Stagewise additive modelling, or boosting: J. Friedman, Greedy Function
    Approximation, Annals of Statistics 29, 2001.) Every round fits one mixture for each seed, by
    three iterations of EM, and adds the mean of their predictions.

    In the first 16 rounds the types are K Gaussians on the residuals. For rows that are users,
    with x for the residuals and var for their mean square:

        f(u, j) = log(p_j + 1e-16) + sum_(l in C_u) (mu_jl x_ul - mu_jl^2 / 2) / var
        post    = exp(f - logsumexp_j f)
        p_j     = sum_u post[u, j] / n
        mu_jl   = sum_u post[u, j] delta(l, C_u) x_ul / (sum_u post[u, j] delta(l, C_u) + 15)
        x_hat_ul grows by sum_j post[u, j] mu_jl

    (One var for all types needs no log var in f; all seeds' predictions are averaged.)

    In the last four they are 24 multinomials on events e, E_ue being 1 where e happened to user u,
    else 0. For users and for movies these are "rated movie l" and "did not rate it"; then, for both
    again, "rated l above the mean of all ratings" and "rated l, but not above it":

        f(u, j)  = log(p_j + 1e-16) + sum_e E_ue log theta_je
        theta_je = (sum_u post[u, j] E_ue + few_e) / (the same, summed over the events)
        few_e    = 5 sum_u E_ue / n + 0.01

    with post, p, mu and x_hat as above. (A mixture of multinomials, fitted to documents as counts
    of words: K. Nigam et al., Text Classification from Labeled and Unlabeled Documents using EM,
    Machine Learning 39, 2000.)

    Which movies were rated tells something, because people choose what they watch: the same movies
    chosen mean a similar taste (on ratings that are not missing at random: B. Marlin et al.,
    Collaborative Filtering and the Missing at Random Assumption, UAI 2007). The means are pulled
    towards 0, as a Gaussian prior does, because a mean of a few residuals is mostly their noise.

    Args:
        X: (n, d) ratings on any scale, 0 where missing
        K: types of a mixture of Gaussians, at least 1; no mixture has more types than rows
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

    n, d = X.shape
    B = len(draws)
    given = X != 0
    delta = given.astype(float)
    smallest = X[given].min()
    largest = X[given].max()
    mean = X[given].mean()
    users = Rows(X, delta, x_hat=np.full((n, d), mean), residuals=(X - mean) * delta)
    # Views: what is added to the movies' x_hat is added to the users', too.
    movies = Rows(X.T, delta.T, users.x_hat.T, users.residuals.T)

    # Residuals with a smaller mean square are nothing but rounding.
    least_var = (1e-12 * max(abs(smallest), abs(largest))) ** 2
    for _ in range(8):
        for rows in (users, movies):
            post, mu = types_by_residuals(rows, K, least_var, draws)
            add_prediction(rows, post, mu, B)

    # The tolerance is for ratings that are the mean itself: on another scale, rounding could put
    # them above.
    liked = delta * (X - mean > 1e-9 * (largest - smallest))
    rounds = [
        (users, delta, np.ones((n, 1))),
        (movies, delta.T, np.ones((d, 1))),
        (users, liked, delta),
        (movies, liked.T, delta.T),
    ]
    for rows, yes, possible in rounds:
        post = types_by_choice(yes, possible, draws)
        mu = pulled_means(rows, post)
        add_prediction(rows, post, mu, B)

    X_pred = np.clip(users.x_hat, smallest, largest)
    np.copyto(X_pred, X, where=given)
    return X_pred


class Rows(NamedTuple):
    """What the rounds share, with users as rows, or movies: then these are (d, n) views."""

    X: np.ndarray  # (n, d): ratings, 0 where missing
    delta: np.ndarray  # (n, d): delta(l, C_u), 1. where u rated l, else 0.
    x_hat: np.ndarray  # (n, d): predictions so far
    residuals: np.ndarray  # (n, d): X - x_hat where a rating is given, else 0.


def types_by_residuals(
    rows: Rows, K: int, least_var: float, draws: list[np.random.RandomState]
) -> tuple[np.ndarray, np.ndarray]:
    """Sort rows into types by their residuals: a mixture of K Gaussians for each draw.

    Args:
        rows: Rows, n of them
        K: types of each mixture; n if there are fewer rows
        least_var: the least variance, in squared units of the ratings
        draws: B random states, one for each mixture

    Returns:
        post: (B K, n) array of posteriors, the K types of the first mixture first
        mu: (B K, d) array, the types' means of the residuals, in the unit of the ratings
    """
    residuals = rows.residuals
    delta = rows.delta
    K = min(K, len(residuals))
    var = max((residuals**2).sum() / delta.sum(), least_var)
    starts, p = start(len(residuals), K, draws)
    mu = residuals[starts] / (1 + PULL)  # the mean of a single row
    for _ in range(3):
        f = (mu @ residuals.T - mu**2 @ delta.T / 2) / var
        post, p = posteriors(f, p, K)
        mu = pulled_means(rows, post)
    return post, mu


def types_by_choice(
    yes: np.ndarray, possible: np.ndarray, draws: list[np.random.RandomState]
) -> np.ndarray:
    """Sort rows into types by what was chosen: a mixture of 24 multinomials for each draw.

    E is [yes, possible - yes], of 2 d columns. It is not made, as its products are made of products
    with yes and with possible; with log theta = [log_yes, log_no]:

        log theta @ E.T = (log_yes - log_no) @ yes.T + log_no @ possible.T

    Args:
        yes: (n, d) array, 1. where an event happened, else 0.
        possible: (n, d) array, 1. where it could have happened, else 0.; or (n, 1) ones, if
            everywhere
        draws: B random states, one for each mixture

    Returns:
        post: (B 24, n) array of posteriors, the 24 types of the first mixture first; fewer types
            if there are fewer rows
    """
    K = min(CLOSING_TYPES, len(yes))
    few_yes = 5 * yes.mean(axis=0) + 0.01
    few_no = 5 * (possible.mean(axis=0) - yes.mean(axis=0)) + 0.01
    starts, p = start(len(yes), K, draws)
    theta_yes = yes[starts] + few_yes
    theta_no = possible[starts] - yes[starts] + few_no
    for _ in range(3):
        total = (theta_yes + theta_no).sum(axis=1, keepdims=True)
        log_odds = np.log(theta_yes / theta_no)  # log_yes - log_no: total cancels
        log_no = np.log(theta_no / total)
        if possible.shape[1] == 1:
            log_no = log_no.sum(axis=1, keepdims=True)  # the product with d ones
        f = log_odds @ yes.T + log_no @ possible.T
        post, p = posteriors(f, p, K)
        count_yes = post @ yes
        theta_yes = count_yes + few_yes
        theta_no = post @ possible - count_yes + few_no
    return post


def start(n: int, K: int, draws: list[np.random.RandomState]) -> tuple[np.ndarray, np.ndarray]:
    """Where the types start: each on a row of its own, those of a mixture on K different ones.

    Returns:
        starts: (B K,) indices of rows
        p: (B K, 1) array of equal weights, of which only the ratios count
    """
    starts = np.concatenate([draw.choice(n, K, replace=False) for draw in draws])
    return starts, np.ones((len(starts), 1))


def posteriors(f: np.ndarray, p: np.ndarray, K: int) -> tuple[np.ndarray, np.ndarray]:
    """The softmax of log p + f over the K types of each mixture.

    Args:
        f: (B K, n) array, the logarithms of the densities; it is overwritten
        p: (B K, 1) array, the weights of the types
        K: types of each mixture

    Returns:
        post: (B K, n) array of posteriors
        p: (B K, 1) array, their means over the rows: the new weights
    """
    f += np.log(p + 1e-16)
    f = f.reshape(-1, K, f.shape[1])  # (B, K, n)
    # e^-200 stands for 0: products of smaller numbers would end below 1e-308, where they are slow.
    post = np.exp(np.maximum(f - f.max(axis=1, keepdims=True), -200))
    post /= post.sum(axis=1, keepdims=True)
    post = post.reshape(len(p), -1)
    return post, post.mean(axis=1, keepdims=True)


def pulled_means(rows: Rows, post: np.ndarray) -> np.ndarray:
    """The types' means of the residuals, pulled towards 0: (B K, d), in the unit of the ratings."""
    return post @ rows.residuals / (post @ rows.delta + PULL)


def add_prediction(rows: Rows, post: np.ndarray, mu: np.ndarray, B: int) -> None:
    """Add to x_hat the mean of what B mixtures predict; the residuals become those that are left.

    In place: rows of users and rows of movies are views of the same arrays, which may be large.
    """
    np.add(rows.x_hat, post.T @ (mu / B), out=rows.x_hat)
    np.subtract(rows.X, rows.x_hat, out=rows.residuals)
    np.multiply(rows.residuals, rows.delta, out=rows.residuals)


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
