"""What K-means, naive EM and EM share: the mixture, its start, its picture and its scores."""

from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.patches import Circle

# Okabe and Ito's palette: colour-blind readers can tell its colours apart, too.
COLOURS = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000"]


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
        mixture: those rows as means; var[j] is the mean of (X - mu[j])**2 over all n d entries;
            equal weights. Components that start on equal rows stay alike in EM
        post: (n, K) array of 1 / K

    Raises:
        ValueError: X is not a 2-D array of finite numbers, or K is not from 1 to n
    """
    X = np.asarray(X, dtype=float)
    if X.ndim != 2 or not np.isfinite(X).all():
        raise ValueError("X: expected an (n, d) array of finite numbers, 0 where one is missing")
    n = len(X)
    if not 1 <= K <= n:
        raise ValueError(f"K: expected 1 to {n}, the number of rows of X, got {K}")
    # A RandomState of its own leaves NumPy's global random state as it was.
    mu = X[np.random.RandomState(seed).choice(n, K, replace=False)]
    var = np.array([((X - mean) ** 2).mean() for mean in mu])
    # Where all rows are equal var is 0, and the E-step divides by it: 1e-100 stands in.
    var = np.maximum(var, 1e-100)
    p = np.full(K, 1 / K)
    post = np.full((n, K), 1 / K)
    return GaussianMixture(mu, var, p), post


def plot(
    X: np.ndarray,
    mixture: GaussianMixture,
    post: np.ndarray,
    title: str,
    ax: plt.Axes | None = None,
) -> plt.Axes:
    """Draw a mixture over its data, in the plane of the first two columns.

    Each component has one colour (they repeat after eight), its number, 1 to K, at its mean, and a
    circle with a radius of one standard deviation. A point has the colours of its components,
    mixed as its posteriors say.

    Args:
        X: (n, d) data, d at least 2
        mixture: GaussianMixture of K components
        post: (n, K) array of posteriors
        title: str
        ax: Matplotlib axes to draw on; a new figure's if None

    Returns:
        ax: the axes; nothing is shown or saved: call plt.show() or ax.figure.savefig(...)
    """
    if ax is None:
        ax = plt.figure(figsize=(6, 5), layout="constrained").add_subplot()
    K = len(mixture.mu)
    colours = np.array([to_rgb(COLOURS[j % len(COLOURS)]) for j in range(K)])
    ax.scatter(X[:, 0], X[:, 1], s=14, c=post @ colours, alpha=0.7, linewidths=0)
    for j in range(K):
        mean = mixture.mu[j, :2]
        radius = np.sqrt(mixture.var[j])
        ax.add_patch(Circle(mean, radius, fill=False, color=colours[j], linewidth=2))
        box = {"boxstyle": "circle, pad=0.15", "facecolor": "white", "edgecolor": colours[j]}
        ax.annotate(j + 1, mean, ha="center", va="center", size="small", weight="bold", bbox=box)
    ax.set_aspect("equal", adjustable="datalim")
    ax.set_title(title)
    return ax


def rmse(X: np.ndarray, Y: np.ndarray) -> float:
    """Root of the mean squared difference of X and Y over all entries, in their unit.

    Args:
        X, Y: arrays of the same shape
    """
    return float(np.sqrt(np.mean((X - Y) ** 2)))


def bic(X: np.ndarray, mixture: GaussianMixture, log_likelihood: float) -> float:
    """Bayesian information criterion, log-likelihood - 1/2 P log n; larger is better.

    P = K d means + K variances + K - 1 free weights (Schwarz 1978, in the course's sign).

    Args:
        X: (n, d) data
        mixture: GaussianMixture of K components
        log_likelihood: float, in nats, as run returns it

    Returns:
        float, in nats
    """
    n, d = X.shape
    K = len(mixture.mu)
    P = K * d + K + (K - 1)
    return float(log_likelihood - 0.5 * P * np.log(n))
