"""What is judged of K-means, naive EM and EM alike: the M-step, and where run ends."""

import math
from collections.abc import Callable
from typing import NamedTuple

from judge import mistakes
from judge.exact import exact_estep
from judge.judge import LIMIT, ROUNDING, Answer, Judge, off_by, parts_of, parts_off, quiet
from judge.problems import Mixture, start

PARTS = ["mu", "var", "p"]  # of a mixture


class Rule(NamedTuple):
    """When a run ends, and what to say of one that ends elsewhere."""

    score: str  # what is compared, "ll" or "cost"; run returns it with the mixture and the post
    ends: Callable  # ends(new, old): whether the run ends, by the scores of two iterations
    words: str  # the rule in words
    too_early: str  # what may be wrong where one or two iterations are made
    endless: str  # what may be wrong where it takes too long


COST_WORDS = "it should stop as soon as the cost falls by no more than 1e-4"
COST_RULE = Rule(
    score="cost",
    ends=lambda new, old: old - new <= 1e-4,
    words=COST_WORDS,
    too_early="is there no loop, return inside it, the limit larger than 1e-4, or the sign wrong?",
    endless=f"{COST_WORDS}: is old set to new in every iteration?",
)
LL_WORDS = (
    "it should stop as soon as new - old <= 1e-6 * |new|, old and new being the log-likelihoods of "
    "two E-steps"
)
LL_RULE = Rule(
    score="ll",
    ends=lambda new, old: new - old <= 1e-6 * abs(new),
    words=LL_WORDS,
    too_early="is there no loop, return inside it, the limit larger than 1e-6 * |new|, the sign "
    "wrong, or are old and new of the same mixture, as with an E-step before the loop?",
    endless=f"{LL_WORDS}: is old set to new in every iteration, and the limit above 0? (1e-6 * new "
    "is below, as ll is)",
)


def mixture_of(parts):
    """The mixture among what an iteration gives."""
    return Mixture(parts["mu"], parts["var"], parts["p"])


class Model(Judge):
    """A test case for a model.

    It has a rule, and what the steps give from plain Python, {part: array}: expected_estep(X,
    mixture) and expected_mstep(X, post, before), where before is the mixture before the M-step.
    """

    rule = None  # of when a run ends

    def why_endless(self, function):
        return f": {self.rule.endless}" if function == "run" else ""

    def iteration(self, X, mixture):
        """What one E-step and one M-step give, from plain Python."""
        parts = self.expected_estep(X, mixture)
        return {**parts, **self.expected_mstep(X, parts["post"], mixture)}

    def later_iteration(self, X, mixture):
        """The same from mistakes.py's right functions: exact enough here, and faster."""
        right = mistakes.made(self.name, {})
        parts = parts_of(self.functions["estep"][1], right["estep"](X, mixture))
        result = right["mstep"](X, parts["post"], mixture)
        return {**parts, **parts_of(self.functions["mstep"][1], result)}

    def iterations(self, X, mixture):
        """A run by the rule, and two more iterations.

        Returns:
            steps: {1: what the first iteration gives, 2: ...}
            last: the number of the one after which the rule ends the run
        """
        steps = {1: self.iteration(X, mixture)}
        last = 1
        while last == 1 or not self.rule_ends(steps[last], steps[last - 1]):
            steps[last + 1] = self.iteration(X, mixture_of(steps[last]))
            last += 1
        for number in (last, last + 1):
            steps[number + 1] = self.later_iteration(X, mixture_of(steps[number]))
        return steps, last

    def rule_ends(self, new, old):
        """Whether a run ends, by what two iterations give."""
        return self.rule.ends(new[self.rule.score], old[self.rule.score])

    def until_nothing_moves(self, X, steps):
        """Add what further iterations give, until they give the same."""
        for number in range(len(steps), 2000):
            steps[number + 1] = self.later_iteration(X, mixture_of(steps[number]))
            old = steps[number]
            new = steps[number + 1]
            if max(off_by(new[part], old[part]) for part in new) < 1e-13:
                return

    def found(self, got, steps, last):
        """The numbers of the iterations that gave the mixture, the post and the score; or None.

        Where several give the same, as K-means' last ones do, it is the last of the run.
        """
        numbers = []
        for names in (PARTS, ["post"], [self.rule.score]):
            errors = {}
            for number, step in steps.items():
                errors[number] = max(off_by(got[name], step[name]) for name in names)
            nearest = min(errors, key=errors.get)
            if errors[last] <= errors[nearest] + 1e-12:
                nearest = last
            numbers.append(nearest if errors[nearest] <= LIMIT else None)
        return numbers

    def check_mstep(self, arguments, expected):
        """Compare what mstep returns; of means that are off, nothing that is computed from them.

        Variances and cost are about the means.
        """
        got = self.call("mstep", *arguments)
        if off_by(got["mu"], expected["mu"]) > LIMIT:
            expected = {"mu": expected["mu"], "p": expected["p"]}
        self.compare(Answer("mstep", arguments, got), expected)

    def check_run(self, X, K, seed):
        """Whatever run returns is that of the last iteration by the course's rule."""
        self.wait_for(f"{self.name}.estep", f"{self.name}.mstep")
        arguments = [X, *start(X, K, seed)]
        answer = Answer("run", arguments, self.call("run", *arguments))
        steps, last = self.iterations(X, arguments[1])
        # Within LIMIT of the last iteration, and no other is nearer
        if self.found(answer.got, steps, last) == [last, last, last]:
            return
        # Another is nearer, or none is near. Iterations may differ by less than LIMIT, hardly by
        # less than ROUNDING.
        expected = steps[last]
        off = parts_off(answer.got, expected, ROUNDING)
        if not off:
            return
        self.check_precision(answer)
        if self.is_allowed(answer, expected, ROUNDING):
            return
        words, names = self.explanation(mistakes.mistaken, answer, expected, ROUNDING)
        with quiet():
            self.until_nothing_moves(X, steps)
        numbers = self.found(answer.got, steps, last)
        if None in numbers:  # no iteration gives it: a mistake that explains some of it is kept
            hint = self.why_of_none(answer)
            if not names:
                words = self.why_unreliable(answer)
                names = off
        else:  # iterations give all of it: a mistake that explains less is dropped
            if names != off:
                words = ""
                names = off
            unique = self.is_unique(answer.got, steps)
            hint = self.which_iterations(numbers, unique, last, may_be_fixed=not words)
        self.blame_part(answer, names[0], expected, ROUNDING, [words, hint])

    def is_unique(self, got, steps):
        """Whether the score that run returned is that of one iteration only.

        Late iterations hardly differ: then it is not known how many run has made.
        """
        scores = [step[self.rule.score] for step in steps.values()]
        return sum(off_by(got[self.rule.score], score) <= ROUNDING for score in scores) == 1

    def which_iterations(self, numbers, unique, last, may_be_fixed):
        """From which iterations the mixture, the post and the score are, and what that says.

        Args:
            numbers: of these iterations
            unique: whether they are the only ones that give the same, see is_unique
            last: the number of the iteration after which the rule ends the run
            may_be_fixed: whether the number of iterations may be one written in the code
        """
        of_mixture, of_post, of_score = numbers
        if min(numbers) > last and not unique:
            return f"it goes on after iteration {last}, where the rule ends it: {self.rule.words}"
        if not of_mixture == of_post == of_score:
            words = f"it returns the mixture of iteration {of_mixture}, the post of {of_post} and "
            words += f"the {self.rule.score} of {of_score}: all three should be of iteration "
            return f"{words}{last}, the last"
        made = of_mixture
        if made > last:
            words = f"it goes on after iteration {last}, where the rule ends it, up to {made}"
        else:
            words = f"it stops after iteration {made}, it should after {last}"
        if made <= 2 < last:
            return f"{words}: {self.rule.too_early}"
        # Who fixes the number writes 10, 20 or 25; one or two too many have another cause.
        if may_be_fixed and made % 5 == 0 and abs(made - last) > 2:
            words += ", so their number may be fixed"
        return f"{words}: {self.rule.words}"

    def why_of_none(self, answer):
        """Why run may return what no iteration gives."""
        X, mixture, post = answer.arguments
        score = answer.got[self.rule.score]
        if not math.isfinite(score):
            words = f"what does it pass to estep and to mstep ({self.functions['mstep'][0]})?"
            if self.name == "kmeans":  # by equal posteriors all clusters but one stay empty: 0 / 0
                words = "does it make an M-step before the first E-step?"
            return f"the {self.rule.score} is {score}: {words}"
        turned = mixture._replace(mu=mixture.mu[::-1])
        other = self.attempt("run", X, turned, post)
        if other and off_by(other["mu"], answer.got["mu"]) < ROUNDING:
            return "it ignores the mixture that is passed: start from it, not from one of its own"
        words = "it returns what no iteration gives: look at what it passes to estep and to mstep "
        return f"{words}({self.functions['mstep'][0]})"

    def run_is_right(self):
        """Whether run, and what it calls, has not failed: only then notes on it make sense."""
        return not self.has_failed("estep", "mstep", "run")

    def note_if_cut_short(self, X, K, seed):
        """Note a run of naive EM or EM that ends before the rule ends it.

        By the rule it has to go on for more than 200 iterations, as usual limits are 100 and 200.
        """
        if not self.run_is_right():
            return
        got = self.attempt("run", X, *start(X, K, seed))
        if got and not self.rule_ends(exact_estep(X, mixture_of(got)), got):  # by one more E-step
            words = "a long run is cut short, by a limit on the number of iterations for example: "
            self.note("run", words + "let the rule alone stop it")
