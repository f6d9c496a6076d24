"""Read lines of user, item and rating. Columns are not guessed: what is not clear is asked for.

The fields of a line are separated by the first of SEPARATORS that splits the first line into three
or more. Which of them are the user, the item and the rating is told by --columns; or by a header,
maybe in a comment, with exactly one of NAMES for each; or, without a header, by place in lines of
three or four fields.
Anything else is a ValueError, whose one line says what to type.
"""

import csv
import io
import itertools
import math
import re
import sys
from array import array
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

SEPARATORS = {"\t": "tabs", "::": "'::'", ";": "';'", ",": "','", " ": "spaces"}
MISSING = ["", "nan", "na", "n/a", "null", "none"]  # what stands for a missing rating, in any case
LARGEST_RATING = 1e6  # in absolute value: larger numbers are ids or times

# What a header may call a column. It is compared in lower case, its letters and digits alone, and
# for users and items without an id at its end: User-ID, user_id and USER are all "user".
NAMES = {
    "user": "user username usuario reviewer customer cust person reader member critic".split(),
    "item": (
        "item movie film book isbn asin parentasin product anime song artist joke business game "
        "recipe place course restaurant hotel dish meal video resource vendor"
    ).split(),
    "rating": "rating ratings bookrating userrating score stars overall".split(),
}


class Ratings(NamedTuple):
    """Ratings, ordered by user and then by item. No pair of user and item stands twice."""

    users: np.ndarray  # (N,) whole numbers, in the order in which the file first names the users
    items: np.ndarray  # (N,) whole numbers, likewise
    values: np.ndarray  # (N,) the ratings
    user_names: list[str]  # the n users, as they stand in the file
    item_names: list[str]  # the d items
    report: list[str]  # lines that say how the file was understood


class Start(NamedTuple):
    """What a file starts with."""

    path: Path
    comments: list[str]  # the lines before all others that begin with # or %
    n_lead: int  # the number of these lines, and of blank ones among them
    separator: str
    first: list[str]  # the fields of the first line
    second: list[str]  # those of the second; of the first if there is no other


class Form(NamedTuple):
    """How lines are to be read."""

    places: list[int]  # where the user, the item and the rating stand, from 0
    names: list[str] | None  # of all fields, by a header or a comment; None where neither tells
    header: bool  # whether the first line is a header, and no rating
    most: float  # the most fields that a line may have; no limit where --columns are numbers


def read_ratings(
    path: Path,
    columns: list[str] | None = None,
    missing: float | str | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> Ratings:
    """Read a file of ratings: a line each, with a user, an item, a rating, maybe more.

    Args:
        path: the file
        columns: the names of the columns of user, item and rating, or their numbers from 1; None if
            the file tells
        missing: the number that stands for no rating; "none" if every number is a rating; None if
            that is not known: ratings of 0 and below are asked about
        progress: is told how far the reading is

    Raises:
        ValueError: the file cannot be read, or holds no ratings that tell about others; the message
            is one line, which says what to do
    """
    content = read_bytes(path)
    start = start_of(path, content)
    form = find_columns(start, columns)

    users = {}  # {name: its number}
    items = {}
    user_of = array("q")  # of each rating; in a list each would take four times the memory
    item_of = array("q")
    values = array("d")
    n_missing = 0
    last_line = content.count(b"\n") + 1
    for line, user, item, value in ratings_in(content, start, form):
        if line % 100_000 == 0:
            progress(f"{path.name}: {100 * line // last_line} % read")
        if value is None or value == missing:  # no value equals the word none
            n_missing += 1
            continue
        user_of.append(users.setdefault(user, len(users)))
        item_of.append(items.setdefault(item, len(items)))
        values.append(value)
    if not values:
        raise ValueError(f"{path}: expected at least one rating, got none")

    kept, n_repeated = last_of_each_pair(user_of, item_of, len(items))
    first_user = in_one_line(next(iter(users)))
    first_item = in_one_line(next(iter(items)))
    report = [
        f"{path.name}: {counted(len(values) + n_missing, 'line')}, separated by "
        f"{SEPARATORS[start.separator]}",
        columns_in_words(form),
        f"First rating: user {first_user}, item {first_item}, rating {values[0]:.10g}",
    ]
    n_skipped = len(start.comments)
    if form.names is not None and not form.header:
        n_skipped -= 1  # the names stand in a comment
    if n_skipped:
        report.append(f"{counted(n_skipped, 'line')} of comment at the start: skipped")
    if n_missing:
        are = "is" if n_missing == 1 else "are"
        report.append(f"{counted(n_missing, 'rating')} {are} missing: skipped")
    if n_repeated:
        stand = "stands" if n_repeated == 1 else "stand"
        n_lost = len(values) - len(kept)
        times = "twice" if n_lost == n_repeated else "more than once"
        pairs = counted(n_repeated, "pair")
        report.append(f"{pairs} of user and item {stand} {times}: the last rating counts")
    ratings = Ratings(
        np.array(user_of)[kept],
        np.array(item_of)[kept],
        np.array(values)[kept],
        list(users),
        list(items),
        report,
    )
    check_users_and_items(ratings, start, form)
    if missing is None:
        check_above_0(path, ratings.values)
    report += size_in_words(ratings)
    return ratings


def last_of_each_pair(users, items, d):
    """Sort ratings by user and item; of a pair that stands more than once only the last one stays.

    Args:
        users, items: the numbers of each rating's user and item
        d: the number of items

    Returns:
        positions: of the ratings that stay
        the number of pairs that stand more than once
    """
    pairs = np.array(users) * d + np.array(items)
    positions = np.argsort(pairs, kind="stable")
    pairs = pairs[positions]
    is_last = np.append(pairs[1:] != pairs[:-1], True)
    return positions[is_last], len(np.unique(pairs[~is_last]))


def counted(number, noun):
    """A number and its noun: 1 line, 2 lines."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


# Bytes, lines, fields


def read_bytes(path):
    """The bytes of a file that may hold text."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from None
    if content.startswith((b"PK\x03\x04", b"\x1f\x8b")):
        raise ValueError(
            f"{path}: expected text, got a packed file: unpack it, or export a spreadsheet as CSV"
        )
    if content.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in content:
        raise ValueError(
            f"{path}: expected text in UTF-8, got UTF-16 or no text: save or export it as CSV in "
            "UTF-8"
        )
    return content


def lines_from(content, first):
    """The lines of a file from a number on, with their ends; bytes that are not UTF-8 are kept."""
    text = io.TextIOWrapper(io.BytesIO(content), "utf-8-sig", "surrogateescape", newline="")
    return itertools.islice(text, first, None)


def start_of(path, content):
    """The Start of a file."""
    lead = list(itertools.takewhile(leads, lines_from(content, 0)))
    comments = [line.strip() for line in lead if not line.isspace()]
    for separator in SEPARATORS:
        start = Start(path, comments, len(lead), separator, [], [])  # their fields are yet to come
        if splits_the_first_line(content, start):
            break
    else:
        line = next(lines_from(content, len(lead)), "")
        raise ValueError(
            f"{path}: expected lines of user, item, rating, separated by tabs, '::', ';', ',' or "
            f"spaces, got {line.strip()[:60]!r}"
        )
    lines = fields_at_start(content, start, 2)
    return start._replace(first=lines[0], second=lines[-1])


def splits_the_first_line(content, start):
    """Whether a separator makes three fields or more of the first line."""
    try:
        lines = fields_at_start(content, start, 1)
    except ValueError:  # of a quotation mark: a wrong separator may split the field that it begins
        return False
    return bool(lines) and len(lines[0]) >= 3


def leads(line):
    """Whether a line is blank or begins with # or %, as lines before the ratings may."""
    return line.isspace() or line.lstrip()[0] in "#%"


def fields_at_start(content, start, number):
    """The fields of the first lines, so many at most."""
    return [tidy(fields) for _, fields in itertools.islice(records(content, start), number)]


def tidy(fields):
    """Fields, each in one line."""
    return [in_one_line(field) for field in fields]


def in_one_line(field):
    """A field without blanks around it, and without line ends within it."""
    return " ".join(field.split())


def records(content, start):
    """Yield the number and the fields of every line that is not blank, from the first on."""
    lines = lines_from(content, start.n_lead)
    separator = start.separator
    if separator in ("\t", "::"):
        # Nobody quotes here what holds a separator, and a title may begin with a quotation mark.
        for number, line in enumerate(lines, start.n_lead + 1):
            fields = line.split(separator)
            if '"' in line:
                fields = [unquoted(field) for field in fields]
            if not line.isspace():
                yield number, fields
        return
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=True)
    number = start.n_lead + 1  # of the line in which the next fields begin
    try:
        for fields in reader:
            if separator == " ":
                if start.n_lead + reader.line_num > number:
                    raise csv.Error  # a quotation mark has swallowed a line end, fine in CSV alone
                if fields and not fields[-1]:
                    fields.pop()  # what stands behind the spaces at the end of a line
            if any(fields):
                yield number, fields
            number = start.n_lead + reader.line_num + 1
    except csv.Error:
        raise ValueError(
            f"{start.path}, line {number}: a quotation mark ends within a field, or not at all: "
            'write one that belongs to a field twice, and quote the field: "The ""best"" of"'
        ) from None


def unquoted(field):
    """A field without quotation marks around it."""
    field = field.strip()
    if len(field) > 1 and field[0] == '"' and field[-1] == '"':
        return field[1:-1].replace('""', '"')
    return field


def ratings_in(content, start, form):
    """Yield the line, the user, the item and the rating of each line; None for a missing rating."""
    rows = records(content, start)
    if form.header:
        next(rows)
    user_place, item_place, rating_place = form.places
    least = max(form.places) + 1
    most = form.most
    for line, fields in rows:
        if not least <= len(fields) <= most:
            check_width(line, fields, least, start, form)
        user = fields[user_place].strip()
        item = fields[item_place].strip()
        word = fields[rating_place].strip()
        if not user or not item:
            message = f"{start.path}, line {line}: expected a user, an item and a rating, got user "
            message += f"{user[:40]!r}, item {item[:40]!r}, rating {word[:40]!r}: leave out lines "
            message += "that lack one"
            if may_be_matrix(start):
                message += f"; {matrix_advice(start)}"
            raise ValueError(message)
        try:
            value = to_rating(word)
        except ValueError as error:
            raise ValueError(
                f"{start.path}, line {line}: {error}{hint(word, start, form)}"
            ) from None
        yield line, user, item, value


@lru_cache(100_000)  # there are far fewer different ratings than lines
def to_rating(word):
    """The rating that a word stands for; None if it is missing; ValueError if it is none."""
    if word.lower() in MISSING:
        return None
    value = to_number(word)
    if not abs(value) <= LARGEST_RATING:  # True, too, where it is a NaN
        raise ValueError(f"expected a rating up to {LARGEST_RATING:.0f}, got {word[:40]!r}")
    return value


def to_number(word):
    """The number that a word stands for; infinity, which is no rating, if it is none."""
    if "_" in word:  # Python reads 1_0 as 10
        return math.inf
    try:
        return float(word)
    except ValueError:
        return math.inf


def hint(word, start, form):
    """What to do about a word that is no rating."""
    if re.fullmatch(r"[-+]?\d*,\d+", word):
        return f": write decimal points, {word.replace(',', '.')}, in all lines"
    return f": is {names_of(form)[2]} the rating? {choice(start)}"


def check_width(line, fields, least, start, form):
    """Refuse a line with too few fields, or with too many that are not empty."""
    where = f"{start.path}, line {line}"
    if len(fields) < least:
        got = " ".join(tidy(fields))
        raise ValueError(
            f"{where}: expected a user, an item and a rating, got {got[:60]!r}: leave out lines "
            "that lack one"
        )
    if not any(fields[form.most :]):  # here there is a limit, or no line would be too long
        return
    numbers = " ".join(str(place + 1) for place in form.places)
    if form.names is not None and len(start.second) == form.most + 1:
        shifted = " ".join(str(place + 2) for place in form.places)
        raise ValueError(
            f"{where}: {len(fields)} fields, one more than in the header: --columns {shifted} if "
            f"the first is the line's name or number, --columns {numbers} if the last is not named"
        )
    avoid = "quote a field that holds it"
    if start.separator in ("\t", "::"):
        avoid = "leave it out of the fields"
    raise ValueError(
        f"{where}: expected {form.most} fields, as in the first line, got {len(fields)}, separated "
        f"by {SEPARATORS[start.separator]}: {avoid}, or, if only fields behind the three hold it, "
        f"--columns {numbers}"
    )


# Which fields they are


def find_columns(start, columns):
    """The Form of a file's lines; columns are those asked for, as for read_ratings, or None."""
    first = start.first
    commented = header_in_comment(start)
    if columns is None:
        for names in (first, commented):
            places = places_by_name(names)
            if places is not None:
                return Form(places, names, names is first, len(names))
        looks_like_a_rating = may_be_rating(first[2]) and len(first) <= 4
        # So does the header of a matrix whose items have numbers: userId,1,2 (which has a name), or
        # R's 1,2,3 (one field short).
        has_a_name = any(kinds_of(first))
        one_field_short = len(start.second) > len(first)
        if looks_like_a_rating and not (commented or has_a_name or one_field_short):
            return Form([0, 1, 2], None, False, len(first))
        raise ValueError(question(start))
    if all(column.isdecimal() for column in columns):
        return form_by_numbers(start, [int(column) - 1 for column in columns])
    return form_by_names(start, columns)


def header_in_comment(start):
    """The names in the last comment, if it is a header; else none."""
    if not start.comments:
        return []
    comment = start.comments[-1].strip("#% ")
    n_fields = len(start.first)
    words = comment.split()
    names = words if start.separator == " " else tidy(comment.split(start.separator))
    # Names that are known, as in `# user_id,item_id,rating` or `% user item rating`
    for candidates in (names, words):
        if places_by_name(candidates) is not None and len(candidates) <= n_fields:
            return candidates
    # As many names as fields, as in `# who,what,stars`. But `# The ratings file` is a sentence.
    if len(names) == n_fields and not may_be_rating(names[2]):
        if start.separator != " " or any(kinds_of(names)):
            return names
    return []


def kinds_of(names):
    """The places of the names of users, those of items, and those of ratings: three lists."""
    plain = [re.sub(r"[\W_]", "", name.lower()) for name in names]
    without_id = [name.removesuffix("id") for name in plain]
    kinds = []
    for kind, candidates in [("user", without_id), ("item", without_id), ("rating", plain)]:
        kinds.append([place for place, name in enumerate(candidates) if name in NAMES[kind]])
    return kinds


def places_by_name(names):
    """The places of the user, the item and the rating; None unless each has exactly one name."""
    kinds = kinds_of(names)
    if [len(places) for places in kinds] != [1, 1, 1]:
        return None
    return [places[0] for places in kinds]


def form_by_numbers(start, places):
    """The Form of three places that are asked for."""
    first = start.first
    widest = max(len(first), len(start.second))
    if len(set(places)) < 3 or min(places) < 0 or max(places) >= widest:
        got = " ".join(str(place + 1) for place in places)
        raise ValueError(
            f"--columns: expected three different numbers from 1 to {widest}, got {got}: "
            f"{start.path} has {listed(start)}"
        )
    # R writes a header that lacks the first field, so that it may not reach the rating's place.
    header = len(first) <= places[2] or not may_be_rating(first[places[2]])
    names = first if header else header_in_comment(start)
    if len(names) < widest:  # then each name would stand for the field before its own
        names = None
    return Form(places, names, header, math.inf)


def form_by_names(start, columns):
    """The Form of three names that are asked for."""
    first = start.first
    names = header_in_comment(start) or first
    if set(columns) <= set(first):
        names = first
    for column in columns:
        if names.count(column) != 1 or columns.count(column) != 1:
            raise ValueError(
                f"--columns: expected three different names, or three numbers, got {column!r}: "
                f"{start.path} has {listed(start)}"
            )
    places = [names.index(column) for column in columns]
    if names is first and may_be_rating(columns[2]):
        raise ValueError(
            f"--columns: {columns[2]} is no name of a column but a rating: {start.path} has no "
            f"header, so give numbers: {listed(start)}"
        )
    return Form(places, names, names is first, len(names))


def may_be_rating(word):
    """Whether a word is a number, even with a decimal comma, or stands for a missing rating."""
    return word.lower() in MISSING or to_number(word.replace(",", ".")) < math.inf


# What is asked


def question(start):
    """What to type where it is not clear which columns are the three."""
    message = f"{start.path}: which columns are the user, the item and the rating? {choice(start)}"
    users, _, _ = kinds_of(start.first)
    if may_be_matrix(start):
        message += f"; {matrix_advice(start)}"
    elif not users and not may_be_rating(start.first[2]):
        message += "; ratings of several people are needed, and a column that says whose they are"
    return message


def may_be_matrix(start):
    """Whether the second line may be a user's ratings of all items, maybe after the user."""
    ratings = start.second[1:]
    return len(ratings) > 2 and all(may_be_rating(field) for field in ratings)


def choice(start):
    """The columns that there are, and the two ways to say which are the three."""
    return (
        f"It has {listed(start)}: --columns NAME NAME NAME, or, if that line is no header, "
        "--columns 1 2 3 with the numbers of the three"
    )


def listed(start):
    """The columns of a file, by their numbers."""
    names = header_in_comment(start) or start.first
    columns = [f"{number} {name[:40]}" for number, name in enumerate(names[:12], start=1)]
    if len(names) > 12:
        columns.append("...")
    return ", ".join(columns)


def matrix_advice(start):
    """How to make lines of a matrix of users and items."""
    first = start.first
    separator = r"r'\s+'" if start.separator == " " else repr(start.separator)
    option = "index_col=0"  # lines begin with the user, below a header as user,i1,i2
    note = "swap user and item if a line holds an item's ratings"
    if all(may_be_rating(field) for field in first[1:]):
        # Numbers: ratings, if there is no header, or the names of items, as in user,1,2.
        begins_with_a_number = first[0] and may_be_rating(first[0])
        if begins_with_a_number and len(first) == len(start.second):
            option = "header=None"
        note += "; header=None if there is no header, index_col=0 if each line begins with a name"
    program = (
        f"import pandas; pandas.read_csv({str(start.path)!r}, sep={separator}, {option})"
        ".rename_axis('user').reset_index().melt('user', var_name='item', value_name='rating')"
        f".dropna().to_csv({start.path.stem + '-lines.csv'!r}, index=False)"
    )
    return f'this makes lines of a matrix: {sys.executable} -c "{program}" ({note})'


def check_users_and_items(ratings, start, form):
    """Refuse ratings of one user, and those in which no user or no item has two."""
    if len(ratings.user_names) == 1:
        raise ValueError(
            f"{start.path}: all ratings are of one user, {ratings.user_names[0]!r}: ratings of "
            "several people are needed"
        )
    user, item, _ = names_of(form)
    for kind, numbers, name in [("user", ratings.users, user), ("item", ratings.items, item)]:
        if np.bincount(numbers).max() == 1:
            message = f"{start.path}: no {kind} has two ratings: is {name} the {kind}? If it is, "
            message += f"nothing can be learnt from others. {choice(start)}"
            if may_be_matrix(start):
                message += f"; {matrix_advice(start)}"
            raise ValueError(message)


def check_above_0(path, values):
    """Ask about ratings of 0 and below."""
    count = np.count_nonzero(values <= 0)
    if count == 0:
        return
    least = f"{values.min():.10g}"
    are = "is" if count == 1 else "are"
    raise ValueError(
        f"{path}: {count} of {len(values)} ratings {are} 0 or below; they go from {least} to "
        f"{values.max():.10g}: --missing {least} if that stands for no rating, --missing none if "
        "all are ratings"
    )


# What was understood


def names_of(form):
    """What the columns of user, item and rating are called."""
    if form.names is None:
        return [f"field {place + 1}" for place in form.places]
    return [form.names[place] for place in form.places]


def columns_in_words(form):
    """Which columns are the three, and whether a header says so."""
    user, item, rating = names_of(form)
    header = "Header"
    if form.names is None:
        header = "Header of fewer fields" if form.header else "No header"
    return f"{header}: user = {user}, item = {item}, rating = {rating}"


def size_in_words(ratings):
    """Lines on how many ratings there are, and of what range."""
    n = len(ratings.user_names)
    d = len(ratings.item_names)
    values = ratings.values
    lines = [
        f"{n} users x {d} items, {len(values)} ratings ({100 * len(values) / (n * d):.3g} %) from "
        f"{values.min():.10g} to {values.max():.10g}"
    ]
    if values.min() == values.max():
        lines.append("All ratings are equal: there is nothing to learn from them.")
    return lines
