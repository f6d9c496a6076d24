"""What K-means, naive EM and EM share: the mixture, its start, its picture and its scores.

init, plot, rmse, bic, read and the models' functions check their arguments, and raise a ValueError
or TypeError of one line that names the argument, what was expected and what came.
"""

import re
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.patches import Circle

# Okabe and Ito's palette: colour-blind readers can tell its colours apart, too.
COLOURS = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000"]

# Larger numbers and smaller variances are refused: a squared distance over a variance could
# overflow, and a posterior become NaN.
LARGEST, SMALLEST_VARIANCE = 1e50, 1e-100
LARGEST_RATING = 1e6  # em's steps are tested up to here; larger ratings have to be rescaled


class GaussianMixture(NamedTuple):
    """A mixture of K spherical Gaussians in d dimensions."""

    mu: np.ndarray  # (K, d): the mean of each component
    var: np.ndarray  # (K,): its variance, the same in every dimension
    p: np.ndarray  # (K,): its weight; the weights sum to 1


def init(X: np.ndarray, K: int, seed: int = 0) -> tuple[GaussianMixture, np.ndarray]:
    """Start a mixture on K different rows of X.

    Args:
        X: (n, d) data; in rating data the zeros of missing entries count like any number
        K: number of components, 1 to n
        seed: whole number, 0 to 2**32 - 1; the same rows as the course's np.random.seed(seed) draws

    Returns:
        mixture: those rows as means; var[j] is the mean of (X - mu[j])**2 over all n d entries
            (but at least SMALLEST_VARIANCE); equal weights
        post: (n, K) array of 1 / K
    """
    X = finite_array("X", X, (None, None))
    n = len(X)
    K = whole("K", K, 1, n)
    # A RandomState of its own leaves NumPy's global random state as it was.
    rows = np.random.RandomState(whole("seed", seed, 0, 2**32 - 1)).choice(n, K, replace=False)
    mu = X[rows]
    # The mean square about mu[j] is that about the mean plus (mean - mu[j])^2: the parallel-axis
    # theorem, one pass over X instead of K.
    var = X.var(axis=0).mean() + ((X.mean(axis=0) - mu) ** 2).mean(axis=1)
    mixture = GaussianMixture(mu, np.maximum(var, SMALLEST_VARIANCE), np.full(K, 1 / K))
    return mixture, np.full((n, K), 1 / K)


def plot(
    X: np.ndarray,
    mixture: GaussianMixture,
    post: np.ndarray,
    title: str,
    ax: plt.Axes | None = None,
) -> plt.Axes:
    """Draw a mixture over its 2-D data.

    Each component has one colour (they repeat after eight), its number, 1 to K, at its mean, and a
    circle with a radius of one standard deviation. A point has the colours of its components,
    mixed as its posteriors say.

    Args:
        X: (n, 2) data
        mixture: GaussianMixture of any K components
        post: (n, K) array of posteriors
        title: str
        ax: Matplotlib axes to draw on; a new figure's if None

    Returns the axes; nothing is shown or saved: call plt.show() or ax.figure.savefig(...)
    """
    X = finite_array("X", X, (None, 2))
    mixture = check_mixture(mixture, 2)
    K = len(mixture.mu)
    post = check_post(post, len(X), K)
    if ax is None:
        ax = plt.figure(figsize=(6, 5), layout="constrained").add_subplot()
    colours = np.array([to_rgb(COLOURS[j % len(COLOURS)]) for j in range(K)])
    ax.scatter(*X.T, s=14, c=np.clip(post @ colours, 0, 1), alpha=0.7, linewidths=0)
    for j in range(K):
        radius = np.sqrt(mixture.var[j])
        ax.add_patch(Circle(mixture.mu[j], radius, fill=False, color=colours[j], linewidth=2))
        box = {"boxstyle": "circle, pad=0.15", "facecolor": "white", "edgecolor": colours[j]}
        ax.annotate(
            j + 1, mixture.mu[j], ha="center", va="center", size="small", weight="bold", bbox=box
        )
    ax.set_aspect("equal", adjustable="datalim")
    ax.set_title(title)
    return ax


def rmse(X: np.ndarray, Y: np.ndarray) -> float:
    """Root of the mean squared difference over all entries of two arrays of the same shape.

    In the unit of the arrays: stars, for ratings.
    """
    X = finite_array("X", X)
    Y = finite_array("Y", Y, X.shape)
    return float(np.linalg.norm(X - Y) / np.sqrt(X.size))


def bic(X: np.ndarray, mixture: GaussianMixture, log_likelihood: float) -> float:
    """Bayesian information criterion, log-likelihood - 1/2 P log n; larger is better.

    P = K d means + K variances + K - 1 free weights (Schwarz 1978, in the course's sign).

    Args:
        X: (n, d) data
        mixture: GaussianMixture of K components
        log_likelihood: float, of the mixture on X, in nats

    Returns:
        float, in nats
    """
    n, d = finite_array("X", X, (None, None)).shape
    K = len(check_mixture(mixture, d).mu)
    log_likelihood = finite_array("log_likelihood", log_likelihood, ())
    return float(log_likelihood - 0.5 * (K * d + K + (K - 1)) * np.log(n))


# The error to expect on ratings that are not known: hide some, and predict them from the others


def hidden_tenths(X: np.ndarray) -> list[np.ndarray]:
    """Flat indices of ratings to hide, a tenth at a time, until 1,000 are judged or all ten are.

    X is (n, d), 0 where missing; where it holds fewer than ten ratings, the list is empty.
    """
    order = np.random.RandomState(0).permutation(np.flatnonzero(X))
    size = len(order) // 10
    return [order[i * size : (i + 1) * size] for i in range(10) if size and i * size < 1000]


def smallest_good(squares: dict[int, np.ndarray]) -> int:
    """The smallest K with an error within one standard error of the best (Breiman et al. 1984).

    squares[K] is the (m,) array of the squared errors of m predictions; the K ascend.
    """
    best = min(squares.values(), key=np.mean)
    for K, square in squares.items():
        above = square - best  # paired: the same ratings, most of whose noise cancels
        if above.mean() <= above.std() / np.sqrt(len(best)):
            return K


def promise(squares: dict[int, np.ndarray]) -> tuple[float, float]:
    """The RMSE to expect of predictions with smallest_good's K, and its standard error.

    The best of several K looks better than it is, so each tenth has the K that the others pick.
    """
    tenth = np.arange(len(next(iter(squares.values())))) % 10
    judged = np.zeros(len(tenth))
    for i in range(10):
        K = smallest_good({K: square[tenth != i] for K, square in squares.items()})
        judged[tenth == i] = squares[K][tenth == i]
    rmse = np.sqrt(judged.mean())
    return rmse, judged.std() / np.sqrt(len(judged)) / (2 * rmse or 1)


# What the steps of the models share


def post_and_ll(f: np.ndarray) -> tuple[np.ndarray, float]:
    """Turn log(weight x density) into posteriors and the log-likelihood, by log-sum-exp over j.

    Args:
        f: (n, K) array, f[u, j] = log(p_j N(x_u; mu_j, var_j)), finite

    Returns:
        post: (n, K) array, exp(f - logsumexp_j f); every row sums to 1
        ll: float, sum_u logsumexp_j f[u, j], in nats
    """
    top = f.max(axis=1, keepdims=True)
    f = f - top
    # A posterior below e^-690 becomes 0: numbers under 1e-308 are "subnormal", and a few dozen of
    # them slow the products of the M-step by half, and exp more.
    post = np.exp(np.maximum(f, -690)) * (f > -690)
    total = post.sum(axis=1, keepdims=True)
    return post / total, float((top + np.log(total)).sum())


class Points(NamedTuple):
    """Data without holes, moved near the origin, and what the steps need of them."""

    centre: np.ndarray  # (d,): what was subtracted
    points: np.ndarray  # (n, d): X - centre
    squares: np.ndarray  # (n,): the squared length of each row of points
    floor: float  # the least variance of a component


def prepare(X: np.ndarray) -> Points:
    """Compute what no iteration of K-means and naive EM changes, for its iterations to share.

    Near the origin, ||x||^2 - 2 x.mu + ||mu||^2 loses few digits. The least variance, 1e-9 of the
    mean squared distance from the centre, per dimension, is well above what it does lose: without
    it, a component that collapses onto one point would get a wrong log-likelihood. X may be (n, d)
    data, or Points, which are returned as they are.
    """
    if isinstance(X, Points):
        return X
    X = finite_array("X", X, (None, None))
    # The middle value of each column: subtracting it leaves whole numbers exact, so ties between
    # two means stay ties, and data that are all equal become exactly 0.
    centre = np.partition(X, len(X) // 2, axis=0)[len(X) // 2]
    points = X - centre
    squares = np.einsum("ul,ul->u", points, points)
    floor = max(1e-9 * squares.mean() / X.shape[1], SMALLEST_VARIANCE)
    return Points(centre, points, squares, floor)


def mstep(
    X: np.ndarray, post: np.ndarray, mixture: GaussianMixture | None = None
) -> tuple[GaussianMixture, float]:
    """The M-step of K-means and of naive EM: means, variances and weights from (soft) counts.

        count_j = sum_u post[u, j]            p_j   = count_j / n
        mu_j    = sum_u post[u, j] x_u / count_j
        var_j   = sum_u post[u, j] ||x_u - mu_j||^2 / (d count_j)

    Args:
        X: (n, d) data, or prepare(X)
        post: (n, K) array: the assignments of K-means, 0 or 1, or the posteriors of naive EM
        mixture: the previous one, whose mean and variance a component without points keeps; if
            None, it gets those of all the points

    Returns:
        mixture: the new GaussianMixture; no variance is below prepare(X).floor
        cost: float, sum_uj post[u, j] ||x_u - mu_j||^2, in the squared unit of X
    """
    centre, points, squares, floor = prepare(X)
    n, d = points.shape
    if mixture is None:
        post = check_post(post, n)
        old_mu, old_var = points.mean(axis=0) + centre, max(points.var(axis=0).mean(), floor)
    else:
        old_mu, old_var, _ = check_mixture(mixture, d)
        post = check_post(post, n, len(old_mu))
    count = post.sum(axis=0)
    empty = count == 0
    divisor = np.where(empty, 1, count)
    mu = post.T @ points / divisor[:, None]
    # = sum_u post ||x - mu||^2, as mu is the mean; rounding may leave -1e-16 where it is 0
    sse = np.maximum(post.T @ squares - count * (mu**2).sum(axis=1), 0)
    var = np.where(empty, old_var, np.maximum(sse / (d * divisor), floor))
    mu = np.where(empty[:, None], old_mu, mu + centre)
    return GaussianMixture(mu, var, count / n), float(sse.sum())


# Files and checks


def read(path: str | Path, ratings: bool = False) -> np.ndarray:
    """Read a data file: numbers separated by spaces, one row per line; '#' starts a comment.

    Args:
        path: the file
        ratings: whether the numbers have to be ratings: up to LARGEST_RATING, positive or 0 for a
            missing one, and not all of them missing

    Returns:
        (n, d) float64 array; n and d are at least 2

    Raises:
        ValueError: the file cannot be read or holds anything else; the message is one line that
            names the file and the place, what was expected and what it holds
    """
    least, most = (0, LARGEST_RATING) if ratings else (-LARGEST, LARGEST)
    kind = (
        f"a rating (0 if missing, else up to {most:g})" if ratings else f"a number up to {most:g}"
    )
    rows = []
    try:
        with open(path, encoding="utf-8-sig", errors="replace") as file:
            for line_number, line in enumerate(file, start=1):
                place, words = f"{path}, line {line_number}", line.split("#")[0].split()
                numbers = {word: number(word) for word in set(words)}  # few words recur often
                for column, word in enumerate(words, start=1):
                    if not least <= numbers[word] <= most:
                        place = f"{place}, column {column}"
                        hint = "; of `user item rating` lines the README makes the matrix"
                        hint *= ratings and numbers[word] > most
                        raise ValueError(f"{place}: expected {kind}, got {word[:20]!r}{hint}")
                if words and rows and len(words) != len(rows[0]):
                    raise ValueError(f"{place}: expected {len(rows[0])} numbers, got {len(words)}")
                if words:
                    rows.append(np.array([numbers[word] for word in words]))
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from error
    X = np.array(rows)
    if min(X.shape) < 2:
        raise ValueError(f"{path}: expected at least 2 rows and 2 columns, got shape {X.shape}")
    if ratings and not X.any():
        raise ValueError(f"{path}: expected at least one rating, got only zeros (missing)")
    return X


def write_ratings(path: str | Path, X: np.ndarray, X_pred: np.ndarray) -> None:
    """Write a user a line: (n, d) ratings X as they are, where X is 0 those of X_pred, rounded."""
    rounded = np.clip(np.round(X_pred, decimals(X) + 1), X_pred.min(), X_pred.max())
    with open(path, "w", encoding="ascii") as file:
        for row in np.where(X != 0, X, rounded):
            file.write(" ".join(repr(x).removesuffix(".0") for x in row.tolist()) + "\n")


def decimals(X):
    """The decimals of an error: 3 on 1 to 5 stars, fewer on a larger scale, more on a smaller."""
    spread = np.ptp(X[X > 0]) or X.max()
    return int(np.clip(3 - np.floor(np.log10(spread)), 0, 300))


def number(word):
    """Return the number that a word of a data file stands for, NaN if it is none."""
    try:  # float alone would accept 1_0 and nan, too, and read 1e-400 as 0: a missing rating
        x = float(word) if re.fullmatch(r"[-+.\deE]+", word, re.ASCII) else np.nan
        return np.nan if x == 0 and re.match("[^eE]*[1-9]", word) else x
    except ValueError:
        return np.nan


def whole(name, number, smallest, largest):
    """Return number as an int; ValueError if it is not whole or out of its range."""
    if not isinstance(number, (int, np.integer)) or not smallest <= number <= largest:
        expected = f"a whole number from {smallest} to {largest}"
        raise ValueError(f"{name}: expected {expected}, got {number!r}")
    return int(number)


def finite_array(name, array, shape=None, largest=LARGEST):
    """Return array as finite float64; in its shape, if given, None stands for any length >= 1."""
    # A mask would be lost, and a NamedTuple is another model's prepared data.
    if np.ma.isMaskedArray(array) or hasattr(array, "_fields"):
        kind = type(array).__name__
        raise TypeError(f"{name}: expected a plain array (0: missing rating), got a {kind}")
    try:
        array = np.asarray(array)
    except ValueError:
        raise ValueError(f"{name}: expected an array, got rows of different lengths") from None
    if not np.can_cast(array.dtype, np.float64, casting="same_kind"):
        raise TypeError(f"{name}: expected real numbers, got dtype {array.dtype}")
    want = (None,) * array.ndim if shape is None else shape
    if len(want) != array.ndim or any(w not in (None, h) for w, h in zip(want, array.shape)):
        words = ", ".join("any" if w is None else str(w) for w in want)
        raise ValueError(f"{name}: expected an array of shape ({words}), got {array.shape}")
    if array.size == 0:
        raise ValueError(f"{name}: expected at least one number, got shape {array.shape}")
    array = array.astype(np.float64, copy=False)
    # min and max need no array of their own beside X, as np.isfinite would; NaN fails both.
    if not (array.min() >= -largest and array.max() <= largest):
        wrong = tuple(map(int, np.argwhere(~(np.abs(array) <= largest))[0]))
        expected = f"finite numbers up to {largest:g} (rescale larger ones; 0: missing rating)"
        raise ValueError(f"{name}: expected {expected}, got {array[wrong]} at index {wrong}")
    return array


def positive(name, array, shape):
    """Return variances as float64; ValueError or TypeError if one is not finite and positive."""
    array = finite_array(name, array, shape, LARGEST**3)
    if array.min() < SMALLEST_VARIANCE:
        raise ValueError(f"{name}: expected positive numbers, got {array.min():g}")
    return array


def check_mixture(mixture, d):
    """Return a mixture in d dimensions as float64; ValueError or TypeError if it is not one."""
    if not hasattr(mixture, "mu"):
        hint = " (of what run returns, it is the first)" if isinstance(mixture, tuple) else ""
        kind = type(mixture).__name__
        raise TypeError(f"mixture: expected a GaussianMixture{hint}, got a {kind}")
    mu = finite_array("mixture.mu", mixture.mu, (None, d))
    var = positive("mixture.var", mixture.var, (len(mu),))
    p = finite_array("mixture.p", mixture.p, (len(mu),))
    check_sum("mixture.p: expected weights", p, p.sum())
    return GaussianMixture(mu, var, p)


def check_post(post, n, K=None):
    """Return posteriors as a float64 array of shape (n, K); ValueError or TypeError if not."""
    post = finite_array("post", post, (n, K))
    check_sum("post: expected rows of numbers", post, post.sum(axis=1))
    return post


def check_sum(expected, shares, total):
    """Raise ValueError if shares are negative or a total is not 1, as rounding leaves it."""
    if shares.min() < 0 or np.abs(total - 1).max() > 1e-6:
        worst = np.ravel(total)[np.abs(total - 1).argmax()]
        got = f"{shares.min():g} as the smallest and {worst:g} as the sum"
        raise ValueError(f"{expected} >= 0 that sum to 1, got {got}")
