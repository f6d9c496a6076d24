"""K-means: every point belongs wholly to the component whose mean is nearest."""

import numpy as np

import common
from common import GaussianMixture


def estep(X, mixture, prepared=None):
    """E-step: assign each point to the nearest mean, the one with the lowest index on a tie.

    Args:
        X: (n, d) data
        mixture: GaussianMixture of K components, of which only the means count here
        prepared: common.centred(X), from a caller who has checked the rest

    Returns:
        post: (n, K) array, 1 for a point's own component and 0 for the others

    Raises:
        ValueError, TypeError: X is no finite matrix, or the mixture does not fit it
    """
    if prepared is None:
        X, mixture, _ = common.check(X, mixture)
        prepared = common.centred(X)
    centre, points, _ = prepared
    mu = mixture.mu - centre
    # ||x - mu||^2 without its ||x||^2, which is the same for every component
    distance = (mu**2).sum(axis=1)[:, None] - 2 * mu @ points.T  # (K, n)
    return (distance.argmin(axis=0) == np.arange(len(mu))[:, None]).astype(float).T


def mstep(X, post, mixture=None, prepared=None):
    """M-step: each mean becomes that of its component's points, and so do variance and weight.

        count_j = sum_u post[u, j]            p_j   = count_j / n
        mu_j    = sum_u post[u, j] x_u / count_j
        var_j   = sum_u post[u, j] ||x_u - mu_j||^2 / (d count_j)

    Args:
        X: (n, d) data
        post: (n, K) array, the assignments: 0 or 1, or naive EM's soft counts
        mixture: the one before it, whose mean and variance a component without any point keeps;
            if None, such a component gets the mean and variance of all the points
        prepared: common.centred(X), from a caller who has checked the rest

    Returns:
        mixture: the new GaussianMixture; no variance is below common.VARIANCE_FLOOR
        cost: float, the sum over the points of the squared distance to the new mean of their own
            component, in the squared unit of X

    Raises:
        ValueError, TypeError: X is no finite matrix, or post or the mixture does not fit it
    """
    if prepared is None:
        X, mixture, post = common.check(X, mixture, post)
        prepared = common.centred(X)
    centre, points, squares = prepared
    n, d = points.shape
    if mixture is None:
        var = np.maximum(X.var(axis=0).mean(), common.VARIANCE_FLOOR)
        mixture = GaussianMixture(X.mean(axis=0), var, None)
    count = post.sum(axis=0)
    empty = count == 0
    share = np.where(empty, 1, count)  # what to divide by
    mu = post.T @ points / share[:, None]
    # = sum_u post ||x - mu||^2, as mu is the mean; rounding may leave -1e-16 where it is 0
    sse = np.maximum(post.T @ squares - count * (mu**2).sum(axis=1), 0)
    var = np.maximum(sse / (d * share), common.VARIANCE_FLOOR)
    mu = np.where(empty[:, None], mixture.mu, mu + centre)
    return GaussianMixture(mu, np.where(empty, mixture.var, var), count / n), float(sse.sum())


def run(X, mixture, post, watch=None):
    """Alternate E- and M-steps until the cost falls by no more than 1e-4.

    Args:
        X: (n, d) data
        mixture: GaussianMixture of K components to start from
        post: (n, K) array, as common.init returns it; the first E-step replaces it
        watch: called with the cost after every iteration, if not None

    Returns:
        mixture: GaussianMixture of the last M-step
        post: (n, K) array of 0 and 1, of the last E-step
        cost: float, of the last M-step, in the squared unit of X

    Raises:
        ValueError, TypeError: X is no finite matrix, or post or the mixture does not fit it
    """
    X, mixture, post = common.check(X, mixture, post)
    prepared = common.centred(X)
    old_cost = np.inf
    while True:
        post = estep(X, mixture, prepared)
        mixture, cost = mstep(X, post, mixture, prepared)
        if watch is not None:
            watch(cost)
        if old_cost - cost <= 1e-4:
            return mixture, post, cost
        old_cost = cost
