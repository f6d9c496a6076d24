"""Naive EM: a mixture of spherical Gaussians on data without holes."""

import numpy as np

import common
import kmeans


def estep(X, mixture, prepared=None):
    """E-step: the posteriors of the components, and the log-likelihood of the mixture.

        f(u, j) = log(p_j + 1e-16) - d/2 log(2 pi var_j) - ||x_u - mu_j||^2 / (2 var_j)

    Args:
        X: (n, d) data
        mixture: GaussianMixture of K components
        prepared: common.centred(X), from a caller who has checked the rest

    Returns:
        post: (n, K) array, exp(f - logsumexp_j f); every row sums to 1
        ll: float, sum_u logsumexp_j f, in nats

    Raises:
        ValueError, TypeError: X is no finite matrix, or the mixture does not fit it
    """
    if prepared is None:
        X, mixture, _ = common.check(X, mixture)
        prepared = common.centred(X)
    centre, points, squares = prepared
    mu, var, p = mixture.mu - centre, mixture.var[:, None], mixture.p[:, None]
    distance = squares - 2 * mu @ points.T + (mu**2).sum(axis=1)[:, None]  # (K, n), squared
    f = np.log(p + 1e-16) - points.shape[1] / 2 * np.log(2 * np.pi * var) - distance / (2 * var)
    return common.normalise(f.T)


def mstep(X, post, mixture=None, prepared=None):
    """M-step: the mixture that makes the data most likely, given the posteriors.

        p_j   = count_j / n,  count_j = sum_u post[u, j]
        mu_j  = sum_u post[u, j] x_u / count_j
        var_j = sum_u post[u, j] ||x_u - mu_j||^2 / (d count_j)

    Args:
        X: (n, d) data
        post: (n, K) array of posteriors
        mixture: the one before it, whose mean and variance a component without any point keeps;
            if None, such a component gets the mean and variance of all the points
        prepared: common.centred(X), from a caller who has checked the rest

    Returns:
        mixture: the new GaussianMixture; no variance is below common.VARIANCE_FLOOR

    Raises:
        ValueError, TypeError: X is no finite matrix, or post or the mixture does not fit it
    """
    # These are K-means' sums with soft counts in place of its 0 and 1; it returns its cost as well.
    mixture, _ = kmeans.mstep(X, post, mixture, prepared)
    return mixture


def run(X, mixture, post, watch=None):
    """Alternate E- and M-steps until the log-likelihood gains no more than 1e-6 of its size.

    Args:
        X: (n, d) data
        mixture: GaussianMixture of K components to start from
        post: (n, K) array, as common.init returns it; the first E-step replaces it
        watch: called with the log-likelihood of every iteration, if not None

    Returns:
        mixture: GaussianMixture of the last M-step
        post: (n, K) array, of the last E-step, which is one M-step older
        ll: float, the log-likelihood that this E-step found, in nats

    Raises:
        ValueError, TypeError: X is no finite matrix, or post or the mixture does not fit it
    """
    X, mixture, post = common.check(X, mixture, post)
    prepared = common.centred(X)
    old_ll = -np.inf
    while True:
        post, ll = estep(X, mixture, prepared)
        mixture = mstep(X, post, mixture, prepared)
        if watch is not None:
            watch(ll)
        if ll - old_ll <= 1e-6 * abs(ll):
            return mixture, post, ll
        old_ll = ll
