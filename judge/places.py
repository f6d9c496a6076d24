"""Which files are judged, and where they lie: the words of the command line."""

import contextlib
import os
import sys
from pathlib import Path
from typing import NamedTuple

MODULES = ["kmeans", "naive_em", "common", "em"]
EXPECTED = "kmeans.py, naive_em.py, common.py or em.py"


class Place(NamedTuple):
    """A folder with a student's modules."""

    folder: Path
    modules: list  # those of MODULES that are judged
    missing: list  # those that are not there, where the folder itself is to be judged


def is_path(word):
    """Whether a word of the command line is a path; otherwise it is a name, as Em.test_run is."""
    separators = os.sep + (os.altsep or "")
    if any(separator in word for separator in separators):
        return True
    return word in (".", "..") or os.path.exists(word)


def place_of(paths):
    """The Place that paths say, of a folder or of files in it; ValueError where there is none."""
    folders = []
    modules = []
    whole = False  # whether a path is the folder's own
    for path in paths:
        if os.path.isdir(path):
            folder = Path(path).resolve()
            whole = True
            modules += [name for name in MODULES if os.path.isfile(folder / f"{name}.py")]
        elif os.path.isfile(path):
            folder = Path(path).parent.resolve()
            name = Path(path).name
            if name.removesuffix(".py") not in MODULES or not name.endswith(".py"):
                raise ValueError(f"{path}: a file has to be called {EXPECTED}")
            modules.append(name.removesuffix(".py"))
        else:
            raise ValueError(f"there is no file or folder {path}")
        if folder not in folders:
            folders.append(folder)
    if len(folders) > 1:
        names = ", ".join(map(str, folders))
        raise ValueError(f"expected the files of one folder, got those of {names}")
    if not modules:
        raise ValueError(f"{folder}: expected a folder with {EXPECTED}, found none of them")
    missing = [name for name in MODULES if whole and name not in modules]
    return Place(folder, [name for name in MODULES if name in modules], missing)


def let_imports_find(folder):
    """Let imports find the files of a folder first, and write nothing there.

    NumPy, Matplotlib and all that is ours are imported by now, or here: a student's files may have
    the same names. For the same reason their parent, where `from src.common import ...` finds its
    package, comes last: behind the standard library and what is installed.
    """
    with contextlib.suppress(ImportError):
        import matplotlib.pyplot  # noqa: F401
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(folder))
    sys.path.append(str(folder.parent))


@contextlib.contextmanager
def working_in(folder):
    """Make a folder the working one, as a script that loads its data expects."""
    try:
        before = os.getcwd()
    except OSError:  # it has been removed
        before = os.sep
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
