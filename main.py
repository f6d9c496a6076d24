"""The course project from top to bottom: K-means and EM on toy data, then EM on movie ratings.

Prints a table per model and saves pictures; --fill also writes the completed rating matrix.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple


def progress(line):
    """Show a line on the terminal until the next one takes its place, if there is a terminal."""
    if sys.stderr and sys.stderr.isatty():
        print(f"\r{line:<78}\r", end="", file=sys.stderr, flush=True)


def stop(status, line):
    """End the program with this exit status and one line on standard error."""
    progress("")
    print(f"main.py: {line}", file=sys.stderr)
    sys.exit(status)


try:  # the imports take a moment, in which Ctrl-C may come already
    import matplotlib.pyplot as plt
    import numpy as np
    from matplotlib.lines import Line2D
    from matplotlib.ticker import MaxNLocator

    import common
    import em
    import kmeans
    import naive_em
except KeyboardInterrupt:
    stop(130, "interrupted")
except ImportError as error:
    stop(2, f"{error}: the README's first command installs what is needed")

HERE = Path(__file__).resolve().parent
PICTURES = (
    "toy_kmeans_vs_em.png",
    "toy_selection.png",
    "netflix_selection.png",
    "netflix_convergence.png",
    "netflix_user_types.png",
    "netflix_predictions.png",
)

# The same thing has the same colour in every picture.
LL_COLOUR, ALL_COLOUR, MISSING_COLOUR, BIC_COLOUR = np.take(common.COLOURS, [0, 2, 3, 5])
GREY = "0.6"  # what the best is seen against: other seeds, K = 1, a perfect prediction


class Fit(NamedTuple):
    """What a model of K components came to from one seed."""

    seed: int
    mixture: common.GaussianMixture
    post: np.ndarray  # (n, K)
    trace: list  # after every iteration: K-means' cost, or EM's log-likelihood in nats
    score: float  # the last of them
    bic: float = np.nan  # in nats
    rmse_all: float = np.nan  # in stars, over every entry
    rmse_missing: float = np.nan  # in stars, over the entries that were missing and are known


def main():
    """Run the three steps of the course; each prints its table and saves its pictures."""
    options = arguments()
    try:
        toy, X, Y = inputs(options)
    except ValueError as error:
        stop(2, error)
    plt.switch_backend("Agg")  # pictures go to files: no display is needed, no window opens

    clusters = step_kmeans(toy, options)
    files = step_naive_em(toy, clusters, options)
    files += step_em(X, Y, options)
    progress("")
    here = Path.cwd()
    files = [file.relative_to(here) if file.is_relative_to(here) else file for file in files]
    print("\nWritten:", *files, sep="\n  ")


def step_kmeans(toy, options):
    """Step 1: K-means on the toy data. Returns the best Fit of every K."""
    print(f"K-means on toy_data.txt: {len(toy)} points, best of {seeds_in_words(options.seeds)}")
    print("Cost: sum of the squared distances of the points to their cluster's mean")
    print("  K              cost  seed")
    best = {}
    for K, fits in sweep("K-means", kmeans, toy, options.toy_k, options.seeds):
        best[K] = min(fits, key=lambda fit: fit.score)
        print(f"{K:3}{best[K].score:18.4f}{best[K].seed:6}", flush=True)
    return best


def step_naive_em(toy, clusters, options):
    """Step 2: naive EM on the toy data. Returns the pictures saved, also those of step 1."""
    print(f"\nNaive EM on toy_data.txt: {len(toy)} points, best of {seeds_in_words(options.seeds)}")
    print("BIC: log-likelihood - (number of parameters / 2) log n; larger is better")
    print("  K    log-likelihood               BIC  seed")
    table, best = {}, {}
    for K, fits in sweep("Naive EM", naive_em, toy, options.toy_k, options.seeds):
        table[K] = [fit._replace(bic=common.bic(toy, fit.mixture, fit.score)) for fit in fits]
        best[K] = fit = max(table[K], key=lambda fit: fit.score)
        print(f"{K:3}{fit.score:18.4f}{fit.bic:18.4f}{fit.seed:6}", flush=True)
    picked = pick(best)

    progress("drawing")
    return [
        save(draw_toy(toy, clusters, best), options.plots / "toy_kmeans_vs_em.png"),
        save(
            draw_selection(
                "Naive EM on the toy data: how many components?",
                table,
                best,
                picked,
                ["score", "bic"],
            ),
            options.plots / "toy_selection.png",
        ),
    ]


def step_em(X, Y, options):
    """Step 3: EM on the ratings; Y completes X or is None. Returns the files saved."""
    n, d = X.shape
    seeds = seeds_in_words(options.seeds)
    print(f"\nEM on netflix_incomplete.txt: {n} users x {d} movies, best of {seeds}")
    print(f"Ratings given: {np.count_nonzero(X)} ({np.mean(X != 0):.1%} of the entries)")
    unknown = np.array([], dtype=int)  # what is missing in X and known in Y, as np.take reads it
    if Y is None:
        print("RMSE: not known, there is no netflix_complete.txt")
    else:
        unknown = np.flatnonzero((X == 0) & (Y != 0))
        print("RMSE in stars against netflix_complete.txt:")
        print("  all: over every entry, given ratings counting as exact (the course's way)")
        print(f"  missing: over the {len(unknown)} entries that are missing here and known there")
    print("  K    log-likelihood               BIC  seed  iterations  RMSE all   missing")
    table, best = {}, {}
    for K, fits in sweep("EM", em, X, options.netflix_k, options.seeds):
        table[K] = [fit._replace(bic=common.bic(X, fit.mixture, fit.score)) for fit in fits]
        if Y is not None:
            table[K] = [with_rmse(fit, X, Y, unknown) for fit in table[K]]
        best[K] = fit = max(table[K], key=lambda fit: fit.score)
        errors = f"{fit.rmse_all:10.4f}{fit.rmse_missing:10.4f}".replace("nan", "  -")
        print(
            f"{K:3}{fit.score:18.4f}{fit.bic:18.4f}{fit.seed:6}{len(fit.trace):12}{errors}",
            flush=True,
        )
    picked = pick(best)

    progress("drawing")
    fit, panels = best[picked], ["score", "bic"]
    if len(unknown):
        panels += ["rmse_all", "rmse_missing"]
    title = "EM on the ratings: how many user types?"
    files = [
        save(
            draw_selection(title, table, best, picked, panels),
            options.plots / "netflix_selection.png",
        ),
        save(draw_convergence(table[picked], fit), options.plots / "netflix_convergence.png"),
        save(draw_user_types(X, fit.mixture), options.plots / "netflix_user_types.png"),
    ]
    if len(unknown):
        figure = draw_predictions(X, Y, unknown, best[min(best)].mixture, fit.mixture)
        files.append(save(figure, options.plots / "netflix_predictions.png"))
    else:
        progress("")
        print("netflix_predictions.png is left out: no missing rating is known.", flush=True)
    if options.fill is not None:
        progress("writing the completed matrix")
        X_pred = em.fill_matrix(X, fit.mixture)
        files.append(replace(options.fill, lambda path: write_ratings(path, X, X_pred)))
    return files


def sweep(name, model, X, Ks, seeds):
    """Fit a model from every seed; yield K and its list of Fits as soon as a K is done."""
    left = len(Ks) * len(seeds)
    for K in Ks:
        fits = []
        for seed in seeds:
            progress(f"{name}: K = {K}, seed {seed}; {left} fits left")
            trace = []
            mixture, post, score = model.run(X, *common.init(X, K, seed), trace.append)
            fits.append(Fit(seed, mixture, post, trace, score))
            left -= 1
        progress("")
        yield K, fits


def with_rmse(fit, X, Y, unknown):
    """Return the Fit with its two errors filled in."""
    X_pred = em.fill_matrix(X, fit.mixture)
    missing = common.rmse(X_pred.take(unknown), Y.take(unknown)) if len(unknown) else np.nan
    return fit._replace(rmse_all=common.rmse(X_pred, Y), rmse_missing=missing)


def seeds_in_words(seeds):
    """'1 seed' or '5 seeds'."""
    return f"{len(seeds)} seed{'s' if len(seeds) > 1 else ''}"


def pick(best):
    """Print and return the K of the largest BIC."""
    picked = max(best, key=lambda K: best[K].bic)
    print(f"BIC picks K = {picked}.", flush=True)
    return picked


# Pictures: data in, a figure out.


def draw_toy(toy, clusters, mixtures):
    """K-means above EM, a column per K, as common.plot draws them."""
    width, height = max(3 * len(clusters), 7), 5.8
    figure, axes = plt.subplots(2, len(clusters), figsize=(width, height), squeeze=False)
    # Margins in inches: Matplotlib's automatic layouts misplace panels of a fixed aspect ratio.
    figure.subplots_adjust(
        left=0.75 / width,
        right=1 - 0.15 / width,
        bottom=0.5 / height,
        top=1 - 1.05 / height,
        wspace=0.08,
        hspace=0.3,
    )
    rows = [("K-means", "cost", clusters), ("EM", "log-likelihood", mixtures)]
    for row, (name, score, fits) in zip(axes, rows):
        for ax, (K, fit) in zip(row, fits.items()):
            # From left to right, so that a component has the same colour and number in all panels.
            order = np.argsort(fit.mixture.mu[:, 0])
            mixture = common.GaussianMixture(*(part[order] for part in fit.mixture))
            title = f"{name}, K = {K}\n{score} {fit.score:,.1f}"
            common.plot(toy, mixture, fit.post[:, order], title, ax)
            ax.set(xlabel="x1", ylabel="x2")
            ax.label_outer()
    figure.suptitle(
        "Toy data: a point's colour is its cluster (K-means) or its posteriors (EM);\n"
        "crosses are the means, circles have a radius of one standard deviation"
    )
    return figure


def draw_selection(title, table, best, picked, panels):
    """Scores over K: every seed a dot, the seed of the best log-likelihood on the line."""
    look = {
        "score": ("Log-likelihood", "nats", LL_COLOUR),
        "bic": ("BIC (larger is better)", "nats", BIC_COLOUR),
        "rmse_all": ("RMSE over every entry", "stars", ALL_COLOUR),
        "rmse_missing": ("RMSE over the missing entries", "stars", MISSING_COLOUR),
    }
    rows, Ks = len(panels) // 2, np.array(list(table))
    crowded = np.any(np.diff(Ks) < np.ptp(Ks) / 20)  # a tick a K would overlap
    figure, axes = plt.subplots(rows, 2, figsize=(9, 3 * rows + 0.6), layout="constrained")
    for ax, field in zip(axes.flat, panels):
        name, unit, colour = look[field]
        for K, fits in table.items():
            scores = [getattr(fit, field) for fit in fits]
            dots = ax.plot([K] * len(fits), scores, "o", color=GREY, markersize=4)
        ax.plot(list(best), [getattr(fit, field) for fit in best.values()], "o-", color=colour)
        mark = ax.axvline(picked, color="black", linestyle=":")
        ax.set(title=name, xlabel="K", ylabel=unit)
        if crowded:
            ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        else:
            ax.set_xticks(list(table))
        if unit == "nats":
            ax.yaxis.set_major_formatter("{x:,.0f}")
    line = Line2D([], [], color="black", marker="o")
    labels = ["seed with the best log-likelihood", "other seeds", f"K = {picked}, picked by BIC"]
    figure.legend([line, dots[0], mark], labels, loc="outside lower center", ncols=3)
    figure.suptitle(title)
    return figure


def draw_convergence(fits, best):
    """The log-likelihood after every iteration, a line per seed."""
    figure, ax = plt.subplots(figsize=(9, 4.5), layout="constrained")
    for fit, marker in zip(sorted(fits, key=lambda fit: -fit.score), "os^Dv" * len(fits)):
        ax.plot(
            range(1, len(fit.trace) + 1),
            fit.trace,
            marker=marker,
            markersize=5,
            color=LL_COLOUR if fit is best else GREY,
            zorder=3 if fit is best else 2,
            label=f"seed {fit.seed}: {fit.score:,.0f} after {len(fit.trace)} iterations",
        )
    ax.set(xlabel="EM iteration", ylabel="log-likelihood (nats)")
    ax.set_title(
        f"EM with K = {len(best.mixture.p)} from {seeds_in_words(fits)}: the start decides the end"
    )
    # The first steps climb a hundred times as high as all that follow.
    low = min(fit.trace[min(2, len(fit.trace) - 1)] for fit in fits)
    if low < best.score:
        ax.set_ylim(low, best.score + 0.05 * (best.score - low))
        ax.set_xlabel("EM iteration (the first ones lie below the picture)")
    ax.yaxis.set_major_formatter("{x:,.0f}")
    ax.legend()
    return figure


def draw_user_types(X, mixture):
    """The mean rating of each movie, and how far each user type's mean is from it."""
    raters = np.count_nonzero(X, axis=0)
    overall = np.where(raters > 0, X.sum(axis=0) / np.maximum(raters, 1), np.nan)
    movies, types = np.argsort(overall), np.argsort(-mixture.p)
    # No rating is 0: such a mean was never updated, because hardly anyone of the type rated it.
    difference = np.where(mixture.mu == 0, np.nan, mixture.mu - overall)[types][:, movies]
    figure, (top, bottom) = plt.subplots(
        2,
        figsize=(9, 2.6 + 0.42 * len(types)),
        height_ratios=[2, 0.5 + 0.5 * len(types)],
        sharex=True,
        layout="constrained",
    )
    top.plot(overall[movies], color="black")
    top.set(title="All users", ylabel="mean rating (stars)")
    colours = plt.get_cmap("PuOr").with_extremes(bad="0.85")
    image = bottom.imshow(
        difference, aspect="auto", cmap=colours, vmin=-1.5, vmax=1.5, interpolation="nearest"
    )
    bottom.hlines(np.arange(0.5, len(types) - 1), -0.5, len(movies) - 0.5, color="white")
    bottom.set_title(
        f"{len(types)} user types: share of users, standard deviation in stars (grey: no estimate)"
    )
    bottom.set_yticks(
        range(len(types)),
        [
            f"type {rank}: {mixture.p[j]:.1%}, sd {mixture.var[j] ** 0.5:.2f}"
            for rank, j in enumerate(types, start=1)
        ],
    )
    bottom.set_xlabel("movies, from the least to the best liked")
    figure.colorbar(
        image,
        ax=bottom,
        label="difference from the\nmean of all users (stars)",
        extend="both",
        pad=0.01,
    )
    figure.suptitle("What distinguishes the user types")
    return figure


def draw_predictions(X, Y, unknown, plain, mixture):
    """Predictions of the missing ratings: spread per true rating, and error by user's activity."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4.2), layout="constrained")
    X_pred, true = em.fill_matrix(X, mixture), Y.take(unknown)
    stars = np.unique(true)
    left.boxplot(
        [X_pred.take(unknown[true == star]) for star in stars],
        positions=stars,
        whis=(5, 95),
        showfliers=False,
        widths=0.6,
        patch_artist=True,
        boxprops={"facecolor": MISSING_COLOUR},
        medianprops={"color": "black"},
    )
    left.plot([1, 5], [1, 5], color=GREY, linestyle="--", label="perfect prediction")
    left.set(
        title="Predicted against true rating",
        xlabel="true rating (stars)",
        ylabel="predicted rating (stars)\nbox: middle half; whiskers: 5 % to 95 %",
        xticks=stars,
        xticklabels=[f"{star:.0f}" for star in stars],
    )
    left.legend()

    # Five groups of as many users each, from the least to the most active
    ratings, owner = np.count_nonzero(X, axis=1), unknown // X.shape[1]
    users = np.unique(owner)
    groups = np.array_split(users[np.argsort(ratings[users], kind="stable")], min(5, len(users)))
    lines = {f"K = {len(mixture.p)}, picked by BIC": (MISSING_COLOUR, X_pred)}
    if len(plain.p) < len(mixture.p):
        lines[f"K = {len(plain.p)}"] = (GREY, em.fill_matrix(X, plain))
    for name, (colour, prediction) in lines.items():
        theirs = [unknown[np.isin(owner, group)] for group in groups]
        errors = [common.rmse(prediction.take(t), Y.take(t)) for t in theirs]
        right.plot(range(len(groups)), errors, "o-", color=colour, label=name)
    right.set(
        title="Error for users with few and many ratings",
        xlabel="ratings given (a fifth of the users each)",
        ylabel="RMSE over their missing entries (stars)",
        xticks=range(len(groups)),
        xticklabels=[f"{ratings[g].min()}\nto {ratings[g].max()}" for g in groups],
    )
    right.legend()
    figure.suptitle("Predictions of the ratings that were missing")
    return figure


# Files and options: checked before anything is computed, written whole or not at all.


def save(figure, path):
    """Write a figure to a PNG file, close it, and return the path."""
    figure.set_dpi(min(100, 60_000 / max(figure.get_size_inches())))  # Agg ends at 65535 pixels
    replace(path, figure.canvas.print_png)  # savefig would draw, and lay it out, twice
    plt.close(figure)
    return path


def write_ratings(path, X, X_pred):
    """Write given ratings as whole numbers and predicted ones with 4 decimals, a user a line."""
    with open(path, "w", encoding="ascii") as file:
        for given, predicted in zip(X, X_pred):
            file.write(" ".join(f"{x:.0f}" if x else f"{y:.4f}" for x, y in zip(given, predicted)))
            file.write("\n")


def replace(path, write):
    """Have write(temporary path) make a file beside path, then put it in its place; return path."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write(temporary)
        os.replace(temporary, path)
    except OSError as error:
        stop(2, f"{path}: wanted to write it, came '{error.strerror}'")
    finally:
        temporary.unlink(missing_ok=True)
    return path


def check_writable(option, path):
    """Raise ValueError, naming the option, where no file can be put at path."""
    wanted = f"{option}: wanted a file that can be written, came {path}"
    if path.exists() and not path.is_file():
        raise ValueError(f"{wanted}, which is no file")
    if path.exists() and not os.access(path, os.W_OK):
        raise ValueError(f"{wanted}, which is read-only")
    try:
        tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as error:
        raise ValueError(f"{wanted} ({error.strerror})") from error


def inputs(options):
    """Read and check all that the steps need; ValueError says what is wrong in one line.

    Returns:
        toy: (n, 2) points
        X: (n, d) ratings, 0 where missing
        Y: (n, d) ratings that complete X, 0 where not known; None where there is no such file
    """
    folder = options.data
    if not folder.is_dir():
        raise ValueError(f"--data: wanted a folder, came {folder}")
    toy_path, path, complete = (
        folder / name for name in ("toy_data.txt", "netflix_incomplete.txt", "netflix_complete.txt")
    )
    toy, X = common.read(toy_path), common.read(path, ratings=True)
    Y = common.read(complete, ratings=True) if complete.exists() else None
    if toy.shape[1] != 2:
        raise ValueError(f"{toy_path}: wanted 2 numbers a line, came {toy.shape[1]}")
    if Y is not None and Y.shape != X.shape:
        raise ValueError(f"{complete}: wanted the {X.shape} entries of {path.name}, came {Y.shape}")
    if Y is not None and (wrong := np.argwhere((X != 0) & (X != Y))).size:
        row, column = wrong[0]
        raise ValueError(
            f"{complete}, row {row + 1}, column {column + 1}: wanted {X[row, column]:g} as in "
            f"{path.name}, came {Y[row, column]:g}"
        )
    for option, Ks, n, name in [
        ("--toy-k", options.toy_k, len(toy), toy_path.name),
        ("--netflix-k", options.netflix_k, len(X), path.name),
    ]:
        if max(Ks) > n:
            raise ValueError(f"{option}: wanted at most {n}, the rows of {name}, came {max(Ks)}")
    if options.fill is not None:
        check_writable("--fill", options.fill)
        if options.fill in (toy_path.resolve(), path.resolve(), complete.resolve()):
            raise ValueError(f"--fill: wanted a file that is no input, came {options.fill}")
    try:
        options.plots.mkdir(exist_ok=True)
    except OSError as error:
        raise ValueError(
            f"--plots: wanted a folder, came {options.plots} ({error.strerror})"
        ) from error
    for picture in PICTURES:
        check_writable("--plots", options.plots / picture)
    return toy, X, Y


def whole(least, most=np.inf):
    """An argparse type: a whole number from least to most."""

    def convert(text):
        if not (text.isdecimal() and least <= int(text) <= most):
            upper = f"to {most}" if most < np.inf else "up"
            raise argparse.ArgumentTypeError(
                f"wanted whole numbers from {least} {upper}, came {text!r}"
            )
        return int(text)

    return convert


def arguments():
    """The command line's options; the program ends here if they make no sense."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        epilog="Exit status: 0, 2 on bad input (with one line that says what), 130 on Ctrl-C.",
        allow_abbrev=False,
    )
    parser.error = lambda message: stop(2, message.removeprefix("argument "))
    parser.add_argument(
        "--data",
        metavar="DIR",
        type=Path,
        default=HERE,
        help="folder with toy_data.txt, netflix_incomplete.txt and, if there is one, "
        "netflix_complete.txt (default: the folder of main.py)",
    )
    parser.add_argument(
        "--plots",
        metavar="DIR",
        type=Path,
        default=HERE / "plots",
        help="folder for the pictures, made if it is not there (default: plots beside main.py)",
    )

    def add_numbers(option, metavar, convert, default, text):
        parser.add_argument(
            option,
            metavar=metavar,
            nargs="*",
            type=convert,
            default=[int(number) for number in default.split()],
            help=f"{text} (default: {default})",
        )

    add_numbers("--seeds", "S", whole(0, 2**32 - 1), "0 1 2 3 4", "seeds of the starts to try")
    add_numbers("--toy-k", "K", whole(1), "1 2 3 4", "numbers of components for the toy data")
    add_numbers("--netflix-k", "K", whole(1), "1 2 4 6 8 12", "numbers of user types")
    parser.add_argument(
        "--fill",
        metavar="FILE",
        type=lambda path: Path(path).resolve(),  # a link stays a link: what it names is written
        help="write the ratings, with the missing ones predicted by the mixture that BIC picks, to "
        "FILE (default: do not)",
    )
    options = parser.parse_args()
    for option, numbers in [
        ("--seeds", options.seeds),
        ("--toy-k", options.toy_k),
        ("--netflix-k", options.netflix_k),
    ]:
        if not numbers:
            stop(2, f"{option}: wanted at least one number, came none")
        numbers[:] = sorted(set(numbers))
    return options


if __name__ == "__main__":
    try:
        main()
        print(end="", flush=True)  # so that what goes wrong with it goes wrong here
    except KeyboardInterrupt:
        stop(130, "interrupted; what is printed is finished")
    except OSError as error:
        # Standard output is full or has lost its reader, such as head: spare Python's last flush.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            sys.exit(141)  # as a program ends that dies of SIGPIPE
        stop(2, f"standard output: {error.strerror}")
