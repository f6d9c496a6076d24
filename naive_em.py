"""Naive EM: a mixture of spherical Gaussians on data without missing entries."""

import numpy as np

from common import GaussianMixture


def estep(X: np.ndarray, mixture: GaussianMixture) -> tuple[np.ndarray, float]:
    """E-step: the posteriors of the components, and the log-likelihood of the mixture.

        f(u, j) = log(p_j + 1e-16) - d/2 log(2 pi var_j) - ||x_u - mu_j||^2 / (2 var_j)

    The 1e-16 keeps the logarithm finite where a weight is 0.

    Args:
        X: (n, d) data
        mixture: GaussianMixture of K components

    Returns:
        post: (n, K) array, exp(f - logsumexp_j f); every row sums to 1
        ll: float, sum_u logsumexp_j f, in nats
    """
    mu, var, p = mixture
    d = X.shape[1]
    distance = ((X[:, None] - mu) ** 2).sum(axis=2)  # (n, K): ||x_u - mu_j||^2
    f = np.log(p + 1e-16) - d / 2 * np.log(2 * np.pi * var) - distance / (2 * var)
    log_density = np.logaddexp.reduce(f, axis=1)  # (n,): logsumexp_j f, of each point
    post = np.exp(f - log_density[:, None])
    return post, float(log_density.sum())


def mstep(X: np.ndarray, post: np.ndarray) -> GaussianMixture:
    """M-step: the mixture of the largest expected log-likelihood, given the posteriors.

        count_j = sum_u post[u, j]
        mu_j    = sum_u post[u, j] x_u / count_j
        var_j   = sum_u post[u, j] ||x_u - mu_j||^2 / (d count_j)
        p_j     = count_j / n

    Args:
        X: (n, d) data
        post: (n, K) array of posteriors

    Returns:
        mixture: the new GaussianMixture; a component without points has the mean of all of them,
            and no variance is below 1e-9 of the data's: a component on a single point would have
            a variance of 0, and a likelihood without bound
    """
    n, d = X.shape
    # As in K-means, one more point for each component, at the mean of all, with a weight of 1e-100:
    # a component without points has that mean in place of 0 / 0.
    tiny = 1e-100
    count = post.sum(axis=0) + tiny
    mu = (post.T @ X + tiny * X.mean(axis=0)) / count[:, None]
    distance = ((X[:, None] - mu) ** 2).sum(axis=2)
    var = (post * distance).sum(axis=0) / (d * count)
    least = 1e-9 * X.var(axis=0).mean() + tiny  # above 0 even where all points are equal
    return GaussianMixture(mu, np.maximum(var, least), count / n)


def run(
    X: np.ndarray, mixture: GaussianMixture, post: np.ndarray
) -> tuple[GaussianMixture, np.ndarray, float]:
    """Alternate E- and M-steps until the log-likelihood rises by no more than 1e-6 of its size.

    Args:
        X: (n, d) data
        mixture: GaussianMixture of K components to start from
        post: (n, K) array, as common.init returns it: the first E-step replaces it unread

    Returns:
        mixture: GaussianMixture of the last M-step
        post: (n, K) array, the posteriors of the last E-step
        ll: float, in nats, the log-likelihood of the last E-step, which is that of the mixture
            before the last M-step, as in the course
    """
    old_ll = -np.inf
    while True:
        post, ll = estep(X, mixture)
        mixture = mstep(X, post)
        improved = ll - old_ll > 1e-6 * abs(ll)  # False, too, where ll is a NaN
        if not improved:
            return mixture, post, ll
        old_ll = ll
