"""K-means: every point belongs wholly to the component whose mean is nearest."""

from collections.abc import Callable

import numpy as np

import common
from common import GaussianMixture


def estep(X: np.ndarray, mixture: GaussianMixture) -> np.ndarray:
    """E-step: assign each point to the nearest mean, the one with the lowest index on a tie.

    Args:
        X: (n, d) data, or common.centred(X)
        mixture: GaussianMixture of K components, of which only the means count here

    Returns:
        post: (n, K) array, 1 for a point's own component and 0 for the others

    Raises:
        ValueError, TypeError: X is not a finite matrix, or the mixture does not fit it
    """
    centre, points, _, _ = common.centred(X)
    mu = common.check_mixture(mixture, len(centre)).mu - centre
    # ||x - mu||^2 without its ||x||^2, which is the same for every component
    distance = (mu**2).sum(axis=1)[:, None] - 2 * mu @ points.T  # (K, n)
    return (distance.argmin(axis=0) == np.arange(len(mu))[:, None]).astype(float).T


def mstep(
    X: np.ndarray, post: np.ndarray, mixture: GaussianMixture | None = None
) -> tuple[GaussianMixture, float]:
    """M-step: each mean becomes that of its component's points, and so do variance and weight.

        count_j = sum_u post[u, j]            p_j   = count_j / n
        mu_j    = sum_u post[u, j] x_u / count_j
        var_j   = sum_u post[u, j] ||x_u - mu_j||^2 / (d count_j)

    Args:
        X: (n, d) data, or common.centred(X)
        post: (n, K) array of 0 and 1, the assignments
        mixture: the one before it, whose mean and variance a component without any point keeps;
            if None, such a component gets the mean and variance of all the points

    Returns:
        mixture: the new GaussianMixture; no variance is below common.centred(X).floor
        cost: float, the sum over the points of the squared distance to the new mean of their own
            component, in the squared unit of X

    Raises:
        ValueError, TypeError: X is not a finite matrix, or post or the mixture does not fit it
    """
    return common.mstep(X, post, mixture)  # naive EM's sums are the same


def run(
    X: np.ndarray,
    mixture: GaussianMixture,
    post: np.ndarray,
    watch: Callable[[float], object] | None = None,
) -> tuple[GaussianMixture, np.ndarray, float]:
    """Alternate E- and M-steps until the cost falls by no more than 1e-4.

    Args:
        X: (n, d) data, or common.centred(X)
        mixture: GaussianMixture of K components to start from
        post: (n, K) array, as common.init returns it; the first E-step replaces it
        watch: called with the cost after every iteration, if not None

    Returns:
        mixture: GaussianMixture of the last M-step
        post: (n, K) array of 0 and 1, of the last E-step
        cost: float, of the last M-step, in the squared unit of X

    Raises:
        ValueError, TypeError: X is not a finite matrix, or the mixture does not fit it
    """
    X = common.centred(X)
    old_cost = np.inf
    while True:
        post = estep(X, mixture)
        mixture, cost = mstep(X, post, mixture)
        if watch is not None:
            watch(cost)
        if old_cost - cost <= 1e-4:
            return mixture, post, cost
        old_cost = cost
