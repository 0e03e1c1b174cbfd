"""A Kalman filter as a recurrence, and the same filter as an associative scan, whose depth grows
with the logarithm of the number of observations (Särkkä and García-Fernández, "Temporal
parallelization of Bayesian smoothers", 2021). The slope of its likelihood says how noisy things
are."""

from __future__ import annotations

from typing import Any

import numpy as np

import weft as wf

Array = np.ndarray[Any, Any]

STEPS, STATE, SEEN = 16, 4, 2
MOTION = np.eye(STATE) + 0.1 * np.eye(STATE, k=SEEN)
"""Two coordinates, and how fast they grow."""
LOOK = np.eye(SEEN, STATE)
NOISE = np.diag([0.01, 0.01, 0.3, 0.3])
MEAN, SPREAD = np.zeros(STATE), np.eye(STATE)


def observed(seed: int = 0) -> Array:
    """A path that is seen through noise."""
    rng = np.random.default_rng(seed)
    state, seen = rng.standard_normal(STATE), []
    for _ in range(STEPS):
        state = MOTION @ state + np.sqrt(np.diag(NOISE)) * rng.standard_normal(STATE)
        seen.append(LOOK @ state + 0.5 * rng.standard_normal(SEEN))
    return np.array(seen)


def noises(logs: Any) -> tuple[Any, Any]:
    """The covariances of the motion and of what is seen, by the logarithms of their sizes."""
    scale = wf.exp(logs)
    return scale[0] * NOISE, scale[1] * np.eye(SEEN)


def log_density(error: Any, covariance: Any) -> Any:
    """Of normal vectors, along the last axis."""
    _, log_det = wf.linalg.slogdet(covariance)
    solved = wf.linalg.solve(covariance, error[..., None])[..., 0]
    return -0.5 * (wf.sum(error * solved, axis=-1) + log_det + SEEN * np.log(2 * np.pi))


def by_scan(logs: Any, seen: Any) -> tuple[Any, Any]:
    """Means of the states given what was seen so far, and the log likelihood."""
    motion_noise, look_noise = noises(logs)

    def turn(carry: Any, y: Any) -> Any:
        mean, spread = carry
        mean, spread = MOTION @ mean, MOTION @ spread @ MOTION.T + motion_noise
        error, covariance = y - LOOK @ mean, LOOK @ spread @ LOOK.T + look_noise
        gain = wf.linalg.solve(covariance, LOOK @ spread).T
        mean, spread = mean + gain @ error, spread - gain @ covariance @ gain.T
        return (mean, spread), (mean, log_density(error, covariance))

    _, (means, densities) = wf.scan(turn, (wf.asarray(MEAN), wf.asarray(SPREAD)), seen)
    return means, wf.sum(densities)


def after(a: Any, b: Any) -> Any:
    """What a stretch of observations says, and the one after it, together (lemma 8 of the paper):
    the state at the end is normal, with mean A x + b and covariance C for the state x before it,
    of which the stretch says exp(eta x - x J x / 2)."""
    (a1, b1, c1, eta1, j1), (a2, b2, c2, eta2, j2) = a, b
    eye = np.eye(STATE)
    forward = wf.linalg.solve(eye + c1 @ j2, wf.concat([a1, b1 + c1 @ eta2, c1], axis=-1))
    through, moved, spread = (a2 @ part for part in parts(forward))
    back = wf.linalg.solve(eye + j2 @ c1, wf.concat([j2 @ a1, eta2 - j2 @ b1], axis=-1))
    turned = a1.mT @ back
    return (
        through,
        moved + b2,
        spread @ a2.mT + c2,
        turned[..., STATE:] + eta1,
        turned[..., :STATE] + j1,
    )


def parts(x: Any) -> tuple[Any, Any, Any]:
    """A matrix, a column and a matrix side by side."""
    return x[..., :STATE], x[..., STATE : STATE + 1], x[..., STATE + 1 :]


def by_associative_scan(logs: Any, seen: Any) -> tuple[Any, Any]:
    """What `by_scan` gives, in few steps that each do much at once."""
    motion_noise, look_noise = noises(logs)
    means, spreads = filtered(motion_noise, look_noise, seen)
    before = wf.concat([MEAN[None], means[:-1]]) @ MOTION.T
    spread = wf.concat([SPREAD[None], spreads[:-1]])
    covariance = LOOK @ (MOTION @ spread @ MOTION.T + motion_noise) @ LOOK.T + look_noise
    return means, wf.sum(log_density(seen - before @ LOOK.T, covariance))


def filtered(motion_noise: Any, look_noise: Any, seen: Any) -> tuple[Any, Any]:
    """Means and covariances of the states given what was seen so far."""
    covariance = LOOK @ motion_noise @ LOOK.T + look_noise
    gain = wf.linalg.solve(covariance, LOOK @ motion_noise).T
    left = np.eye(STATE) - gain @ LOOK
    told = (wf.linalg.solve(covariance, LOOK @ MOTION)).T
    count = (seen.shape[0], STATE, STATE)
    rest = (
        wf.broadcast_to(left @ MOTION, count),
        (seen @ gain.T)[..., None],
        wf.broadcast_to(left @ motion_noise, count),
        (seen @ told.T)[..., None],
        wf.broadcast_to(told @ LOOK @ MOTION, count),
    )
    first = start(motion_noise, look_noise, seen[0])
    elements = tuple(wf.concat([one[None], others[1:]]) for one, others in zip(first, rest))
    _, means, spreads, _, _ = wf.associative_scan(after, elements)
    return means[..., 0], spreads


def start(motion_noise: Any, look_noise: Any, y: Any) -> Any:
    """What the first observation says, which knows the state before it."""
    mean, spread = MOTION @ MEAN, MOTION @ SPREAD @ MOTION.T + motion_noise
    covariance = LOOK @ spread @ LOOK.T + look_noise
    gain = wf.linalg.solve(covariance, LOOK @ spread).T
    nothing = wf.zeros((STATE, STATE), dtype=wf.float64)
    mean = (mean + gain @ (y - LOOK @ mean))[:, None]
    return nothing, mean, spread - gain @ covariance @ gain.T, nothing[:, :1], nothing


def expected(logs: Array, seen: Array) -> tuple[Array, float]:
    """The same by no filter: all states and observations are one normal vector, whose covariance is
    written down, and each mean is one given the observations until then."""
    motion_noise, look_noise = np.exp(logs[0]) * NOISE, np.exp(logs[1]) * np.eye(SEEN)
    count = len(seen)
    drive = np.zeros((count * STATE, count * STATE))
    for row in range(count):
        for column in range(row + 1):
            power = np.linalg.matrix_power(MOTION, row - column)
            drive[row * STATE : (row + 1) * STATE, column * STATE : (column + 1) * STATE] = power
    own = [MOTION @ SPREAD @ MOTION.T + motion_noise, *[motion_noise] * (count - 1)]
    blocks = np.zeros_like(drive)
    for k, block in enumerate(own):
        blocks[k * STATE : (k + 1) * STATE, k * STATE : (k + 1) * STATE] = block
    states = drive @ blocks @ drive.T
    look = np.kron(np.eye(count), LOOK)
    both = states @ look.T
    covariance = look @ both + np.kron(np.eye(count), look_noise)
    y = seen.reshape(-1)
    means = []
    for k in range(count):
        known = slice((k + 1) * SEEN)
        weights = np.linalg.solve(covariance[known, known], y[known])
        means.append(both[k * STATE : (k + 1) * STATE, known] @ weights)
    log_det = np.linalg.slogdet(covariance)[1]
    density = -0.5 * (y @ np.linalg.solve(covariance, y) + log_det + len(y) * np.log(2 * np.pi))
    return np.array(means), float(density)


def slope(logs: Array, seen: Array) -> Array:
    """Of the log likelihood, by differences."""
    sides = [[expected(logs + s * h, seen)[1] for s in (1, -1)] for h in 1e-5 * np.eye(2)]
    return np.array([high - low for high, low in sides]) / 2e-5


def main() -> None:
    """Filter in both ways, compare with NumPy, and find the noise by climbing."""
    seen, logs = observed(), np.array([0.5, -0.5])
    means, density = expected(logs, seen)
    differences = slope(logs, seen)
    for name, run in (("scan", by_scan), ("associative_scan", by_associative_scan)):
        found, likelihood = wf.jit(run)(logs, seen)
        gradient = wf.jit(wf.grad(lambda logs, run=run: run(logs, seen)[1]))(logs)
        off = max(
            np.abs(np.asarray(found) - means).max(),
            abs(float(likelihood) - density),
            1e-4 * np.abs(np.asarray(gradient) - differences).max(),
        )
        print(f"{name:>17}  log likelihood {float(likelihood):.6f}  off by {off:.0e}")
        assert off < 1e-9, off
    climb = wf.jit(wf.grad(lambda logs: by_scan(logs, seen)[1]))
    for _ in range(60):
        logs = logs + 0.02 * np.asarray(climb(logs))
    print(f"noise of what is seen {np.exp(logs[1] / 2):.2f}, and it was 0.50")
    print("as NumPy's")


if __name__ == "__main__":
    main()
