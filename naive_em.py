"""Naive EM: a mixture of spherical Gaussians on data without holes. Errors are as in common.py."""

from collections.abc import Callable

import numpy as np

import common
from common import GaussianMixture, check_mixture, post_and_ll, prepare


def estep(X: np.ndarray, mixture: GaussianMixture) -> tuple[np.ndarray, float]:
    """E-step: the posteriors of the components, and the log-likelihood of the mixture.

        f(u, j) = log(p_j + 1e-16) - d/2 log(2 pi var_j) - ||x_u - mu_j||^2 / (2 var_j)

    Args:
        X: (n, d) data, or prepare(X)
        mixture: GaussianMixture of K components

    Returns:
        post: (n, K) array, exp(f - logsumexp_j f); every row sums to 1
        ll: float, sum_u logsumexp_j f, in nats
    """
    centre, points, squares, _ = prepare(X)
    d = len(centre)
    mixture = check_mixture(mixture, d)
    mu, var, p = mixture.mu - centre, mixture.var[:, None], mixture.p[:, None]
    # ||x - mu||^2, expanded; where it should be 0, rounding may leave a number below 0. (K, n)
    distance = np.maximum(squares - 2 * mu @ points.T + (mu**2).sum(axis=1)[:, None], 0)
    f = np.log(p + 1e-16) - d / 2 * np.log(2 * np.pi * var) - distance / (2 * var)
    return post_and_ll(f.T)


def mstep(
    X: np.ndarray, post: np.ndarray, mixture: GaussianMixture | None = None
) -> GaussianMixture:
    """M-step: the mixture that makes the data most likely, given the posteriors: common.mstep."""
    return common.mstep(X, post, mixture)[0]  # without K-means' cost


def run(
    X: np.ndarray,
    mixture: GaussianMixture,
    post: np.ndarray,
    watch: Callable[[float], object] | None = None,
) -> tuple[GaussianMixture, np.ndarray, float]:
    """Alternate E- and M-steps until the log-likelihood rises by no more than 1e-6 of its size.

    Args:
        X: (n, d) data, or prepare(X)
        mixture: GaussianMixture of K components to start from
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
