"""What K-means, naive EM and EM share: the mixture, its start, its scores and its picture."""

import operator
import warnings
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.collections import PathCollection
from matplotlib.patches import Circle
from matplotlib.path import Path
from matplotlib.transforms import IdentityTransform

# Okabe and Ito's palette: its colours stay apart for colour-blind readers too.
COLOURS = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000"]

# No variance falls below this, so that points which coincide give no division by zero. A data set
# reaches it only if all points of a component agree to about six decimals.
VARIANCE_FLOOR = 1e-12

# Beyond these a squared distance over a variance may overflow, and a posterior become NaN.
LARGEST, SMALLEST_VARIANCE = 1e100, 1e-100


class GaussianMixture(NamedTuple):
    """A mixture of K spherical Gaussians in d dimensions."""

    mu: np.ndarray  # (K, d): the mean of each component
    var: np.ndarray  # (K,): its variance, the same in every dimension
    p: np.ndarray  # (K,): its weight; the weights sum to 1


def init(X, K, seed=0):
    """Start a mixture on K different rows of X.

    Args:
        X: (n, d) data; in rating data the zeros of missing entries count like any number
        K: number of components, 1 to n
        seed: whole number, 0 to 2**32 - 1; the same rows as the course's np.random.seed(seed) draws

    Returns:
        mixture: those rows as means; var[j] is the mean of (X - mu[j])**2 over all n d entries
            (but at least VARIANCE_FLOOR); equal weights
        post: (n, K) array of 1 / K

    Raises:
        ValueError, TypeError: X is no finite matrix, or K or seed no whole number in its range
    """
    X, _, _ = check(X)
    n = len(X)
    K = whole("K", K, 1, n)
    # RandomState with a seed of its own: NumPy's global random state stays as it was.
    rows = np.random.RandomState(whole("seed", seed, 0, 2**32 - 1)).choice(n, K, replace=False)
    mu = X[rows]
    # Steiner: the mean square about mu[j] is that about the mean plus (mean - mu[j])^2.
    var = X.var(axis=0).mean() + ((X.mean(axis=0) - mu) ** 2).mean(axis=1)
    mixture = GaussianMixture(mu, np.maximum(var, VARIANCE_FLOOR), np.full(K, 1 / K))
    return mixture, np.full((n, K), 1 / K)


def normalise(f):
    """Turn log(weight x density) into posteriors and the log-likelihood, by log-sum-exp over j.

    Args:
        f: (n, K) array, f[u, j] = log(p_j N(x_u; mu_j, var_j)), finite

    Returns:
        post: (n, K) array, exp(f - logsumexp_j f); every row sums to 1
        ll: float, sum_u logsumexp_j f[u, j], in nats
    """
    top = f.max(axis=1, keepdims=True)
    f = f - top
    # Below e^-690 a posterior is set to 0: numbers under 1e-308 are "subnormal", and a few dozen of
    # them make the M-step's matrix products half as slow again, and exp slower.
    post = np.exp(np.maximum(f, -690)) * (f > -690)
    total = post.sum(axis=1, keepdims=True)
    return post / total, float((top + np.log(total)).sum())


def centred(X):
    """Move X near the origin, where ||x||^2 - 2 x.mu + ||mu||^2 loses no digits.

    Args:
        X: (n, d) float64 array

    Returns:
        centre: (d,) array, about the mean of each column
        points: (n, d) array, X - centre
        squares: (n,) array, the squared length of each row of points
    """
    # Rounded to a multiple of a power of two, about a thousandth of the column's range: with it
    # taken off, whole numbers stay exact, and so a tie between two means stays a tie.
    step = np.ldexp(1.0, np.frexp(np.ptp(X, axis=0))[1] - 10)
    centre = np.rint(X.mean(axis=0) / step) * step
    points = X - centre
    return centre, points, np.einsum("ul,ul->u", points, points)


def bic(X, mixture, log_likelihood):
    """Bayesian information criterion, log-likelihood - 1/2 P log n; larger is better.

    P = K d means + K variances + K - 1 free weights (Schwarz 1978, in the course's sign).

    Args:
        X: (n, d) data
        mixture: GaussianMixture of K components
        log_likelihood: float, of the mixture on X, in nats

    Returns:
        float, in nats

    Raises:
        ValueError, TypeError: X is no finite matrix, or the mixture does not fit it
    """
    X, mixture, _ = check(X, mixture)
    n, d = X.shape
    K = len(mixture.mu)
    return float(log_likelihood - 0.5 * (K * d + K + (K - 1)) * np.log(n))


def rmse(X, Y):
    """Root of the mean squared difference over all entries of two arrays of the same shape.

    In stars for ratings. Raises ValueError for arrays that are empty, differ in shape or are not
    finite.
    """
    X, Y = np.asarray(X, dtype=float), np.asarray(Y, dtype=float)
    if X.shape != Y.shape or X.size == 0:
        raise ValueError(
            f"Y: wanted at least one entry and the shape of X, {X.shape}, came {Y.shape}"
        )
    error = float(np.linalg.norm(X - Y) / np.sqrt(X.size))
    if not np.isfinite(error):
        raise ValueError(f"X, Y: wanted finite numbers, came a difference of {error}")
    return error


def plot(X, mixture, post, title, ax=None):
    """Draw a mixture over its 2-D data.

    Each point is a small pie of its posteriors. Each component has one colour (they repeat after
    eight), a cross at its mean, a circle of one standard deviation, and on it its number, 1 to K.

    Args:
        X: (n, 2) data
        mixture: GaussianMixture of any K components
        post: (n, K) array of posteriors
        title: str
        ax: Matplotlib axes to draw on; a new figure's if None

    Returns:
        the axes; nothing is shown or saved: call plt.show() or ax.figure.savefig(...)

    Raises:
        ValueError, TypeError: X is not 2-D data, or the mixture or post does not fit it
    """
    X, mixture, post = check(X, mixture, post)
    if X.shape[1] != 2:
        raise ValueError(f"X: wanted 2 columns to draw, came {X.shape[1]}")
    if ax is None:
        ax = plt.figure(figsize=(6, 5), layout="constrained").add_subplot()
    reach = np.sqrt(mixture.var)[:, None]  # radii of the circles
    low = np.minimum(X.min(axis=0), (mixture.mu - reach).min(axis=0))
    high = np.maximum(X.max(axis=0), (mixture.mu + reach).max(axis=0))
    size = (high - low).max()
    ends = np.cumsum(post, axis=1)
    for j in range(len(mixture.mu)):
        colour = COLOURS[j % len(COLOURS)]
        shown = np.flatnonzero(post[:, j] > 0.005)  # two degrees: less cannot be seen
        # A full turn of 360 degrees, plus a rounding error, would be drawn as that error alone.
        starts, widths = 360 * (ends - post)[shown, j], np.minimum(360 * post[shown, j], 359.99)
        slices = PathCollection(
            [Path.wedge(start, start + width) for start, width in zip(starts, widths)],
            sizes=[6],  # the radius in points, squared
            offsets=X[shown],
            offset_transform=ax.transData,
            facecolor=colour,
            alpha=0.6,
            linewidth=0,
        )
        slices.set_transform(IdentityTransform())
        ax.add_collection(slices)
        mu, radius = mixture.mu[j], reach[j, 0]
        ax.add_patch(Circle(mu, radius, fill=False, color=colour, linewidth=2, zorder=3))
        ax.plot(*mu, "+", color=colour, markersize=9, markeredgewidth=2, zorder=3)
        # Round the clock, so that components with nearly the same mean have labels apart.
        angle = np.pi / 2 - 2 * np.pi * j / len(mixture.mu)
        ax.annotate(
            str(j + 1),
            mu + radius * np.array([np.cos(angle), np.sin(angle)]),
            ha="center",
            va="center",
            size="small",
            weight="bold",
            zorder=4,
            bbox={"boxstyle": "circle, pad=0.15", "facecolor": "white", "edgecolor": colour},
        )
    ax.set_xlim(low[0] - 0.05 * size, high[0] + 0.05 * size)
    ax.set_ylim(low[1] - 0.05 * size, high[1] + 0.05 * size)
    ax.set_aspect("equal")
    ax.set_title(title)
    return ax


def read(path, ratings=False):
    """Read a data file: numbers separated by spaces, a row a line; '#' starts a comment.

    Args:
        path: the file
        ratings: whether the numbers have to be ratings: whole, 1 to 5, or 0 for a missing one, and
            not all of them missing

    Returns:
        (n, d) float64 array; n and d are at least 2

    Raises:
        ValueError: the file cannot be read or holds anything else; the message is one line that
            names the file and the place, what was wanted and what came
    """
    try:
        with open(path, encoding="utf-8-sig") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # "input contained no data": told below
            X = np.loadtxt(file, ndmin=2)
    except OSError as error:
        raise ValueError(f"{path}: wanted a readable file, came '{error.strerror}'") from error
    except ValueError as error:
        raise ValueError(f"{path}{first_fault(path) or f': {error}'}") from error
    if X.size == 0:
        raise ValueError(f"{path}: wanted rows of numbers, came an empty file or only comments")
    if not (np.abs(X) <= LARGEST).all():
        raise ValueError(f"{path}{first_fault(path)}")
    if min(X.shape) < 2:
        raise ValueError(
            f"{path}: wanted at least 2 rows and 2 columns, came {X.shape[0]} x {X.shape[1]}"
        )
    if ratings:
        wrong = np.argwhere((X < 0) | (X > 5) | (X != np.rint(X)))
        if len(wrong):
            row, column = wrong[0]
            raise ValueError(
                f"{path}, row {row + 1}, column {column + 1}: wanted a whole rating 1 to 5, "
                f"or 0 for a missing one, came {X[row, column]:g}"
            )
        if not X.any():
            raise ValueError(f"{path}: wanted at least one rating, came only zeros (missing)")
    return X


def first_fault(path):
    """Say where a data file that np.loadtxt refuses is wrong and how; '' if it is nowhere."""
    width = None
    with open(path, encoding="utf-8-sig", errors="replace") as file:
        for number, line in enumerate(file, start=1):
            words = line.split("#")[0].split()
            for word in words:
                try:
                    good = abs(float(word)) <= LARGEST
                except ValueError:
                    good = False
                if not good:
                    return f", line {number}: wanted numbers up to {LARGEST:g}, came {word[:20]!r}"
            if width is None and words:
                width = len(words)
            if words and len(words) != width:
                return f", line {number}: wanted {width} numbers, came {len(words)}"
    return ""


def whole(name, number, smallest, largest):
    """Return number as an int; TypeError or ValueError if it is not whole or out of its range."""
    wanted = f"{name}: wanted a whole number from {smallest} to {largest}, came {number!r}"
    try:
        number = operator.index(number)
    except TypeError:
        raise TypeError(wanted) from None
    if not smallest <= number <= largest:
        raise ValueError(wanted)
    return number


def real(name, array, shape):
    """Return array as finite float64 of this shape, in which None stands for any length >= 1."""
    if np.ma.isMaskedArray(array):
        raise TypeError(
            f"{name}: wanted a plain array, 0 for a missing rating, came a masked array"
        )
    try:
        array = np.asarray(array)
        if not np.can_cast(array.dtype, np.float64, casting="same_kind"):
            raise TypeError(f"{name}: wanted real numbers, came dtype {array.dtype}")
        array = array.astype(np.float64, copy=False)
    except ValueError:  # a list of rows that differ in length
        raise ValueError(f"{name}: wanted an array, came rows of different lengths") from None
    fits = array.ndim == len(shape) and all(
        have == want if want else have > 0 for have, want in zip(array.shape, shape)
    )
    if not fits:
        wanted = ", ".join("any" if want is None else str(want) for want in shape)
        raise ValueError(f"{name}: wanted an array of shape ({wanted}), came {array.shape}")
    # min and max need no array of their own beside X, as np.isfinite would; NaN fails both.
    if not (array.min() >= -LARGEST and array.max() <= LARGEST):
        wrong = np.argwhere(~(np.abs(array) <= LARGEST))[0]
        raise ValueError(
            f"{name}: wanted finite numbers up to {LARGEST:g} (and 0 for a missing rating), "
            f"came {array[tuple(wrong)]} at index {tuple(map(int, wrong))}"
        )
    return array


def check(X, mixture=None, post=None):
    """Return data, mixture and posteriors as float64; ValueError or TypeError if they do not fit.

    Args:
        X: (n, d) data, finite
        mixture: None, or mu (K, d) finite, var (K,) positive, p (K,) >= 0 with sum 1 (up to 1e-6)
        post: None, or (n, K) array of weights >= 0

    Returns:
        X, mixture, post: the same, not copied where they are float64 already
    """
    X = real("X", X, (None, None))
    n, d = X.shape
    K = None
    if mixture is not None:
        mu, var, p = mixture
        mu = real("mixture.mu", mu, (None, d))
        K = len(mu)
        var, p = real("mixture.var", var, (K,)), real("mixture.p", p, (K,))
        if var.min() < SMALLEST_VARIANCE:
            raise ValueError(f"mixture.var: wanted positive numbers, came {var.min():g}")
        if p.min() < 0 or abs(p.sum() - 1) > 1e-6:
            raise ValueError(
                "mixture.p: wanted weights >= 0 that sum to 1, "
                f"came {p.min():g} as the smallest and {p.sum():g} as the sum"
            )
        mixture = GaussianMixture(mu, var, p)
    if post is not None:
        post = real("post", post, (n, K))
        if post.min() < 0:
            raise ValueError(f"post: wanted numbers >= 0, came {post.min():g}")
    return X, mixture, post
