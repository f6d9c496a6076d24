"""main.py's pictures: what stands in a figure, and where."""

from unittest import mock

from tests.base import MainProgram  # before NumPy: it sets the number of BLAS threads

# isort: split
import numpy as np
from matplotlib.colors import to_rgb
from numpy.testing import assert_allclose
from PIL import Image

import common
import main
from judge.problems import mixture_for, points, soft


def seen(figure):
    """The figure, drawn, so that the layout is known."""
    figure.draw_without_rendering()
    return figure


def curves(ax):
    """[(x, y, colour, marker)] of the lines of axes that have markers."""
    found = []
    for line in ax.lines:
        if line.get_marker() not in ("None", None) and line.get_markersize() >= 3:
            x, y = line.get_data()
            found.append((list(x), list(y), line.get_color(), line.get_marker()))
    return found


def legend(owner):
    """{label: colour} of a legend."""
    [found] = owner.legends if hasattr(owner, "legends") else [owner.get_legend()]
    handles = found.legend_handles
    colours = [getattr(h, "get_color", getattr(h, "get_facecolor", None))() for h in handles]
    return dict(zip([text.get_text() for text in found.get_texts()], colours))


def titles(figure):
    return [ax.get_title() for ax in figure.axes]


class Pictures(MainProgram):
    """main.py's pictures: what stands in a figure, and where."""

    def fits(self, K, scores):
        """A Fit for each seed, of these scores; the BIC is 10 K lower."""
        mixture = common.GaussianMixture(*mixture_for(self.toy, K, K))
        post = soft(len(self.toy), K, K)
        return [
            main.Fit(seed, mixture, post, score, score - 10 * K)
            for seed, score in enumerate(scores)
        ]

    def test_scores_over_k(self):
        scores = {1: [-1180e3, -1190e3], 2: [-1100e3, -1120e3], 4: [-1150e3, -1090e3]}
        table = {K: self.fits(K, scores[K]) for K in scores}
        best = {1: table[1][0], 2: table[2][0], 4: table[4][1]}
        tops = [-1180e3, -1100e3, -1090e3]
        for rmse in (None, {1: 0.48, 2: 0.45, 4: 0.47}):
            figure = seen(main.draw_selection("Title", table, best, 2, rmse))
            expected = ["Log-likelihood (larger is better)", "BIC (larger is better)"]
            if rmse:
                expected.append("The course's RMSE (smaller is better)")
                got = curves(figure.axes[2])
                self.assertEqual(got, [([1, 2, 4], [0.48, 0.45, 0.47], main.BLUE, "o")])
            self.assertEqual(titles(figure), expected)
            for ax, price in zip(figure.axes[:2], (0, 10)):
                *dots, line = curves(ax)
                self.assertEqual(len(dots), len(scores))
                for K, (x, y, colour, marker) in zip(scores, dots):
                    self.assertEqual((x, colour, marker), ([K, K], main.GREY, "o"))
                    assert_allclose(y, np.array(scores[K]) - price * K)
                self.assertEqual((line[0], *line[2:]), ([1, 2, 4], main.BLUE, "o"))
                assert_allclose(line[1], tops - price * np.array([1, 2, 4]))
            for ax in figure.axes:
                self.assertEqual(list(ax.get_xticks()), [1, 2, 4])
                self.assertEqual([list(line.get_xdata()) for line in ax.lines[-1:]], [[2, 2]])
                self.assertEqual(ax.get_xlabel(), "K")
            labels = ["seed with the best log-likelihood", "other seeds"]
            labels.append("K = 2, picked by the BIC")
            expected = dict(zip(labels, [main.BLUE, main.GREY, "black"]))
            self.assertEqual(legend(figure), expected)
            texts = [label.get_text() for label in figure.axes[0].get_yticklabels()]
            self.assertIn("\N{MINUS SIGN}1180000", texts)
        alone = main.draw_selection("Title", {2: table[2]}, {2: best[2]}, 2)
        self.assertEqual([len(ax.lines) for ax in alone.axes], [2, 2])
        self.assertEqual(len(legend(alone)), 2)

    def test_convergence(self):
        """A seed within a thousandth of the best's rise, here of 1000, has the same optimum."""
        ends = {3: 0, 5: -0.9, 7: -1.1, 8: -400}
        traces = {seed: [-1000, -200, -100, end] for seed, end in ends.items()}
        traces[5] = [-3000, *traces[5]]
        figure = seen(main.draw_convergence(traces, 3, "K = 2"))
        whole, magnified = figure.axes
        styles = {3: (main.BLUE, "o"), 5: (main.GREY, "s"), 7: (main.ORANGE, "^")}
        styles[8] = styles[7]
        for ax, first in [(whole, 1), (magnified, 3)]:
            expected = []
            for seed in (5, 7, 8, 3):  # the best one on top
                numbers = list(range(first, len(traces[seed]) + 1))
                expected.append((numbers, traces[seed][first - 1 :], *styles[seed]))
            self.assertEqual(curves(ax), expected)
            self.assertEqual([tick % 1 for tick in ax.get_xticks()], [0] * len(ax.get_xticks()))
        self.assertEqual(magnified.get_ylim(), (-210, 10))
        self.assertEqual(titles(figure), ["all iterations", "magnified, from iteration 3"])
        labels = list(legend(figure).items())
        self.assertEqual(labels[0], ("seed 3, the best", main.BLUE))
        same = "seeds that end in the same optimum"
        worse = "seeds that end in a worse optimum"
        self.assertEqual(dict(labels[1:]), {same: main.GREY, worse: main.ORANGE})
        short = seen(main.draw_convergence({0: [-5.0, -5.0]}, 0, "K = 2"))
        self.assertEqual(titles(short)[1], "magnified, from iteration 2")

    def test_k_means_above_em(self):
        """The components are numbered from the left, a column for each K."""
        kmeans_fits = {K: self.fits(K, [50.25])[0] for K in (1, 3)}
        em_fits = {K: self.fits(K, [-70.25 - K])[0] for K in (1, 3)}
        figure = seen(main.draw_toy(self.toy, kmeans_fits, em_fits))
        expected = ["K-means, K = 1\ncost 50.2", "K-means, K = 3\ncost 50.2"]
        expected += ["EM, K = 1\nlog-likelihood -71.2", "EM, K = 3\nlog-likelihood -73.2"]
        self.assertEqual(titles(figure), expected)
        for ax, fit in zip(figure.axes, [*kmeans_fits.values(), *em_fits.values()]):
            centers = [patch.center for patch in ax.patches]
            order = np.argsort(fit.mixture.mu[:, 0])
            assert_allclose(centers, fit.mixture.mu[order])
            radii = [patch.radius for patch in ax.patches]
            assert_allclose(radii, np.sqrt(fit.mixture.var[order]))
            colours = [to_rgb(colour) for colour in common.COLOURS[: len(order)]]
            dots = ax.collections[0].get_facecolors()[:, :3]
            assert_allclose(dots, fit.post[:, order] @ colours, atol=1e-6)
        self.assertGreaterEqual(figure.get_figwidth(), 9)

    def test_the_animation(self):
        """Components that pass each other keep their numbers; frames are rarer later."""
        toy = points(3)
        p = np.full(2, 0.5)
        steps = []
        for i in range(41):
            mu = np.array([[i, 0.0], [20 - i, 1]])
            steps.append((common.GaussianMixture(mu, 1 + p, p), soft(12, 2, i), i - 100.0))
        path = self.folder / "toy.gif"
        with mock.patch.object(common, "plot", wraps=common.plot) as plot:
            with mock.patch.object(main, "show") as show:
                main.save_animation(toy, steps, path)
        self.assertRegex(show.call_args.args[0], "^Saved .*toy.gif$")
        numbers = []
        for call in plot.call_args_list:
            X, mixture, post, title = call.args
            number = int(title.split("iteration ")[1].split(",")[0])
            numbers.append(number)
            original, posteriors, ll = steps[number - 1]
            self.assertEqual(title, f"EM, K = 2: iteration {number}, log-likelihood {ll:.1f}")
            assert_allclose(mixture.mu, original.mu[::-1])  # in the end the second is on the left
            assert_allclose(post, posteriors[:, ::-1])
            assert_allclose(X, toy)
        self.assertEqual(numbers, [1, 2, 3, 4, 6, 7, 9, 12, 15, 20, 25, 32, 41])
        ax = plot.call_args.kwargs["ax"]
        left, right = ax.get_xlim()
        low, high = ax.get_ylim()
        room = np.array([*toy.min(axis=0) - [left, low], *[right, high] - toy.max(axis=0)])
        assert_allclose(room, np.full(4, 0.4 * toy.std()))
        with Image.open(path) as image:
            durations = []
            for frame in range(image.n_frames):
                image.seek(frame)
                durations.append(image.info["duration"])
        self.assertEqual(sum(durations), 500 * (len(numbers) + 3))

    def predictions(self, truth, predicted):
        errors = {"mean of all ratings": 1.1, "averages of users and movies": 0.9, "predict": 0.8}
        fill_errors = {1: 1.0, 4: 0.95, 12: 0.97}
        return seen(main.draw_predictions(fill_errors, errors, predicted, truth))

    def test_errors_over_k(self):
        truth = np.array([1.0, 2, 2, 5])
        left, _ = self.predictions(truth, truth).axes
        expected = [([1, 4, 12], [1.0, 0.95, 0.97], main.ORANGE, "s")]
        self.assertEqual(curves(left), expected)
        levels = [(line.get_ydata()[0], line.get_color()) for line in left.lines[1:]]
        self.assertEqual(levels, [(1.1, main.GREY), (0.9, main.GREY), (0.8, main.PURPLE)])
        self.assertEqual(len({line.get_linestyle() for line in left.lines[1:]}), 3)
        labels = ["em.fill_matrix", "mean of all ratings", "averages of users and movies"]
        colours = [main.ORANGE, main.GREY, main.GREY, main.PURPLE]
        self.assertEqual(legend(left), dict(zip([*labels, "predict"], colours)))
        low, high = left.get_ylim()
        assert_allclose((high - low) / (1.1 - 0.8), 1.1, rtol=0.02)  # the curves have the room
        self.assertEqual(list(left.get_xticks()), [1, 4, 12])

    def test_predicted_against_true_ratings(self):
        draw = np.random.RandomState(0)
        truth = np.repeat([1.0, 2, 4, 5], 500)
        predicted = truth + draw.randn(2000)
        _, right = self.predictions(truth, predicted).axes
        boxes = [patch.get_path().vertices for patch in right.patches]
        for level, box in zip([1, 2, 4, 5], boxes):
            group = predicted[truth == level]
            assert_allclose([box[:, 0].min(), box[:, 0].max()], [level - 0.3, level + 0.3])
            quartiles = np.percentile(group, [25, 75])
            assert_allclose([box[:, 1].min(), box[:, 1].max()], quartiles)
            lines = [line for line in right.lines if np.mean(line.get_xdata()) == level]
            lines = [line.get_ydata() for line in lines if line.get_linestyle() == "-"]
            ends = np.unique(np.concatenate(lines))
            expected = np.percentile(group, [5, 25, 50, 75, 95])
            assert_allclose(ends, expected, atol=0.01)  # a whisker ends at a prediction
        self.assertEqual(len(boxes), 4)
        [perfect] = [line for line in right.lines if line.get_linestyle() == "--"]
        assert_allclose(perfect.get_xydata(), [[1, 1], [5, 5]])
        self.assertEqual(
            {patch.get_facecolor()[:3] for patch in right.patches}, {to_rgb(main.PURPLE)}
        )
        labels = ["middle half; line: median", "whiskers: 5 % to 95 %", "perfect prediction"]
        self.assertEqual(list(legend(right)), labels)

    def test_legends_cover_nothing(self):
        truth = np.arange(20.0)
        figure = self.predictions(truth, truth)
        boxes = [ax.get_legend().get_window_extent() for ax in figure.axes]
        for box in boxes:
            self.assertFalse(any(box.overlaps(ax.get_window_extent()) for ax in figure.axes))
            self.assertTrue(box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.x1)
        self.assertFalse(boxes[0].overlaps(boxes[1]))

    def test_many_levels_make_ten_groups(self):
        truth = np.concatenate([[1.0, 101], np.linspace(1, 100.9, 200)])
        figure = self.predictions(truth, truth)
        title = "Predictions of 202 ratings that were hidden from the fit"
        self.assertEqual([text.get_text() for text in figure.texts], [title])
        centers = [patch.get_path().vertices[:, 0].mean() for patch in figure.axes[1].patches]
        self.assertEqual(len(centers), 10)
        got = main.middles_of_ten_groups(np.array([1.0, 10.9, 11.1, 55, 100.9, 101]))
        assert_allclose(got, [6, 6, 16, 56, 96, 96])
