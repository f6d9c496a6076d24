"""K-means: every point belongs wholly to the cluster whose mean is nearest.

The M-step, mstep(X, post) -> mixture, cost, is common.mstep; errors are as in common.py.
"""

from collections.abc import Callable

import numpy as np

from common import GaussianMixture, check_mixture, mstep, prepare


def estep(X: np.ndarray, mixture: GaussianMixture) -> np.ndarray:
    """E-step: assign each point to the nearest mean, the one with the lowest index on a tie.

    Args:
        X: (n, d) data, or prepare(X)
        mixture: GaussianMixture of K clusters, of which only the means count here

    Returns:
        post: (n, K) array, 1 for a point's own cluster and 0 for the others
    """
    centre, points, _, _ = prepare(X)
    mu = check_mixture(mixture, len(centre)).mu - centre
    # ||x - mu||^2 without its ||x||^2, which is the same for every cluster
    distance = (mu**2).sum(axis=1)[:, None] - 2 * mu @ points.T  # (K, n)
    return (distance.argmin(axis=0) == np.arange(len(mu))[:, None]).astype(float).T


def run(
    X: np.ndarray,
    mixture: GaussianMixture,
    post: np.ndarray,
    watch: Callable[[float], object] | None = None,
) -> tuple[GaussianMixture, np.ndarray, float]:
    """Alternate E- and M-steps until the cost falls by no more than 1e-4.

    Args:
        X: (n, d) data, or prepare(X)
        mixture: GaussianMixture of K clusters to start from
        post: (n, K) array, as common.init returns it; the first E-step replaces it
        watch: called with the cost after every iteration, if not None

    Returns:
        mixture: GaussianMixture of the last M-step
        post: (n, K) array of 0 and 1, of the last E-step
        cost: float, of the last M-step: the sum over the points of the squared distance to the new
            mean of their own cluster, in the squared unit of X
    """
    X = prepare(X)
    old_cost = np.inf
    while True:
        post = estep(X, mixture)
        mixture, cost = mstep(X, post, mixture)
        if watch is not None:
            watch(cost)
        if old_cost - cost <= 1e-4:
            return mixture, post, cost
        old_cost = cost
