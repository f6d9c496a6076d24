"""The reference outputs: test_solutions.txt, block by block, and the two matrices it is about."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from judge.judge import off_by

# The file's blocks in its order: the label, the function that returns the numbers ("" if none
# does), and the part of what it returns.
BLOCKS = [
    ("X", "", "X"),
    ("K", "", "K"),
    ("Mu", "common.init", "mu"),
    ("Var", "common.init", "var"),
    ("P", "common.init", "p"),
    ("post", "em.estep", "post"),
    ("LL", "em.estep", "ll"),
    ("Mu", "em.mstep", "mu"),
    ("Var", "em.mstep", "var"),
    ("P", "em.mstep", "p"),
    ("Mu", "em.run", "mu"),
    ("Var", "em.run", "var"),
    ("P", "em.run", "p"),
    ("post", "em.run", "post"),
    ("LL", "em.run", "ll"),
    ("X_gold", "", "X_gold"),
    ("X_pred", "em.fill_matrix", "X_pred"),
    ("RMSE", "common.rmse", "rmse"),
]


class Reference(NamedTuple):
    """What test_solutions.txt says of each function, and where it differs from the matrices."""

    X: np.ndarray  # test_incomplete.txt
    X_gold: np.ndarray  # test_complete.txt
    K: int
    outputs: dict  # {"em.estep": {"post": array, "ll": array}, ...}
    problems: list  # lines on X, K and X_gold, which are no function's


def read(folder: Path) -> Reference:
    """The reference outputs of a folder; ValueError or OSError where they cannot be read."""
    X = read_matrix(folder / "test_incomplete.txt")
    X_gold = read_matrix(folder / "test_complete.txt")
    if X_gold.shape != X.shape:
        raise ValueError(f"test_complete.txt: expected shape {X.shape}, found {X_gold.shape}")
    blocks = read_blocks(folder / "test_solutions.txt")
    if [label.lower() for label, _ in blocks] != [label.lower() for label, _, _ in BLOCKS]:
        expected = ", ".join(label for label, _, _ in BLOCKS)
        labels = ", ".join(label for label, _ in blocks)
        raise ValueError(f"test_solutions.txt: expected the blocks {expected}, found {labels}")
    found = {}  # {(function, part): numbers}
    for (_, function, part), (_, numbers) in zip(BLOCKS, blocks):
        found[function, part] = numbers
    n, d = X.shape
    K = found["common.init", "p"].size
    shapes = {
        "mu": (K, d),
        "var": (K,),
        "p": (K,),
        "post": (n, K),
        "X": (n, d),
        "X_pred": (n, d),
        "X_gold": (n, d),
    }
    outputs = {}
    for label, function, part in BLOCKS:
        numbers = found[function, part]
        shape = shapes.get(part, ())
        size = int(np.prod(shape))
        if numbers.size != size:
            what = f"test_solutions.txt, {label}, {function or 'given'}"
            raise ValueError(f"{what}: expected {size} numbers, found {numbers.size}")
        outputs.setdefault(function, {})[part] = numbers.reshape(shape)
    given = outputs.pop("")
    problems = []
    problems += differences("X", given["X"], X, "test_incomplete.txt")
    problems += differences("X_gold", given["X_gold"], X_gold, "test_complete.txt")
    if given["K"] != K:
        problems.append(f"test_solutions.txt, K: {given['K']:g}, the first P has {K} weights")
    return Reference(X, X_gold, K, outputs, problems)


def read_matrix(path):
    """The numbers of a file, a row a line."""
    try:
        return np.loadtxt(path, ndmin=2)
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from None


def read_blocks(path):
    """[(label, numbers)] of test_solutions.txt, in its order."""
    blocks = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        label, colon, rest = line.rpartition(":")
        if colon:
            blocks.append((label.strip(), []))
        words = rest.replace("[", " ").replace("]", " ").split()
        try:
            numbers = [float(word) for word in words]
        except ValueError:
            if colon or "[" in line or "]" in line:
                raise ValueError(f"{path.name}, line {number}: expected numbers") from None
            continue  # a heading, as `After a run` is
        if numbers and not blocks:
            raise ValueError(f"{path.name}, line {number}: expected a label before numbers")
        if numbers:
            blocks[-1][1].extend(numbers)
    return [(label, np.array(numbers)) for label, numbers in blocks if numbers]  # others: headings


def differences(label, got, expected, name):
    """One line on the first entry in which a matrix of test_solutions.txt is not its file's."""
    if off_by(got, expected) <= 1e-6:
        return []
    right = np.abs(got - expected) <= 1e-6 * np.abs(expected).max()
    row, column = np.argwhere(~right)[0].tolist()
    words = f"test_solutions.txt, {label}, row {row + 1}, column {column + 1}: "
    return [f"{words}{got[row, column]:.10g}, {name} has {expected[row, column]:.10g}"]
