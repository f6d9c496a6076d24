"""K-means: every point belongs wholly to the cluster whose mean is nearest."""

import numpy as np

from common import GaussianMixture


def estep(X: np.ndarray, mixture: GaussianMixture) -> np.ndarray:
    """E-step: assign each point to the nearest mean, the one with the lowest index on a tie.

    Args:
        X: (n, d) data
        mixture: GaussianMixture of K clusters, of which only the means count here

    Returns:
        post: (n, K) array, 1 for a point's own cluster and 0 for the others
    """
    distance = ((X[:, None] - mixture.mu) ** 2).sum(axis=2)  # (n, K): ||x_u - mu_j||^2
    K = len(mixture.mu)
    return np.eye(K)[distance.argmin(axis=1)]


def mstep(X: np.ndarray, post: np.ndarray) -> tuple[GaussianMixture, float]:
    """M-step: move each mean to the middle of its cluster.

        count_j = sum_u post[u, j]
        mu_j    = sum_u post[u, j] x_u / count_j
        var_j   = sum_u post[u, j] ||x_u - mu_j||^2 / (d count_j)
        p_j     = count_j / n

    Args:
        X: (n, d) data
        post: (n, K) array, 1 for a point's own cluster and 0 for the others

    Returns:
        mixture: the new GaussianMixture; a cluster without points has the mean of all of them
        cost: float, sum_uj post[u, j] ||x_u - mu_j||^2, in the squared unit of X
    """
    n, d = X.shape
    # One more point for each cluster, at the mean of all, with a weight of 1e-100: beside any other
    # weight it does not count, and a cluster without points has that mean in place of 0 / 0.
    tiny = 1e-100
    count = post.sum(axis=0) + tiny
    mu = (post.T @ X + tiny * X.mean(axis=0)) / count[:, None]
    distance = ((X[:, None] - mu) ** 2).sum(axis=2)
    sse = (post * distance).sum(axis=0)  # (K,): sums of squared errors
    return GaussianMixture(mu, sse / (d * count), count / n), float(sse.sum())


def run(
    X: np.ndarray, mixture: GaussianMixture, post: np.ndarray
) -> tuple[GaussianMixture, np.ndarray, float]:
    """Alternate E- and M-steps until the cost falls by no more than 1e-4, the course's limit.

    Args:
        X: (n, d) data
        mixture: GaussianMixture of K clusters to start from
        post: (n, K) array, as common.init returns it: the first E-step replaces it unread

    Returns:
        mixture: GaussianMixture of the last M-step
        post: (n, K) array of 0 and 1, of the last E-step
        cost: float, of the last M-step: the sum over the points of the squared distance to the new
            mean of their own cluster, in the squared unit of X
    """
    old_cost = np.inf
    while True:
        post = estep(X, mixture)
        mixture, cost = mstep(X, post)
        improved = old_cost - cost > 1e-4  # False, too, where cost is a NaN
        if not improved:
            return mixture, post, cost
        old_cost = cost
