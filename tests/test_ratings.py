"""recommend/ratings.py: what a file holds, and what is asked where it does not say."""

import gzip
import io
import os
import re
import subprocess
import unittest
import zipfile

from tests.base import Program  # before NumPy: it sets the number of BLAS threads

# isort: split
from recommend.ratings import read_ratings

EXPECTED = {
    ("101", "11"): 2.0,
    ("101", "12"): 3.0,
    ("102", "11"): 4.0,
    ("102", "13"): 2.5,
    ("103", "12"): 5.0,
}

try:
    import pandas  # noqa: F401
except ImportError:
    has_pandas = False
else:
    has_pandas = True


class Reading(Program):
    def read(self, content, columns=None, missing=None):
        """What read_ratings makes of a file: {(user, item): rating}, and its report."""
        ratings = read_ratings(self.write("ratings.csv", content), columns, missing)
        given = {}
        for u, l, value in zip(ratings.users, ratings.items, ratings.values):
            given[ratings.user_names[u], ratings.item_names[l]] = value
        self.assertEqual(len(given), len(ratings.values))
        return given, ratings.report

    def assert_asks(self, words, content, columns=None, missing=None):
        """It is refused in one line with these words; returns the line."""
        path = self.write("bad.csv", content)
        with self.assertRaisesRegex(ValueError, words) as caught:
            read_ratings(path, columns, missing)
        line = str(caught.exception)
        self.assertEqual(len(line.splitlines()), 1)
        return line

    def in_order(self, order, separator=",", header=""):
        """Lines of EXPECTED, their columns in an order: u, i, r, and x for anything else."""
        lines = [header] if header else []
        for number, ((user, item), value) in enumerate(EXPECTED.items()):
            fields = {"u": user, "i": item, "r": f"{value:g}", "x": f"9{number}"}
            lines.append(separator.join(fields[column] for column in order))
        return "\n".join(lines) + "\n"

    def test_headers_that_name_the_three(self):
        for header, order in [
            ("user,item,rating", "uir"),
            ("item,user,rating", "iur"),
            ("user_id,rating,item_id", "uri"),
            ("userId,movieId,rating,timestamp", "uirx"),
            ("Cust_Id,Rating,Movie_Id", "uri"),
            ("asin,reviewerID,overall,unixReviewTime", "iurx"),
            ("user_id,parent_asin,rating,timestamp", "uirx"),
            ('"User-ID","ISBN","Book-Rating"', "uir"),
            ("USERID,ITEMID,userRating", "uir"),
            (",user,item,rating", "xuir"),
            ("Unnamed: 0,rating,user,item", "xrui"),
            ("index,user,item,rating,rating_count", "xuirx"),
            ("review_id,user_id,business_id,stars,useful,text,date", "xuirxxx"),
            ("userID,placeID,rating,food_rating,service_rating", "uirxx"),
            ("Reviewer,Restaurant,Rating,Review", "uirx"),
            ("customer_id, hotel_id ,evaluate_title,score", "uixr"),
            ("rating_id,user_id,movie_id,rating", "xuir"),
            ("critic,joke,score", "uir"),
            ("username,anime,Ratings", "uir"),
        ]:
            given, report = self.read(self.in_order(order, header=header))
            self.assertEqual(given, EXPECTED, header)
            names = [name.strip(' "') for name in header.split(",")]
            user, item, rating = [names[order.index(column)] for column in "uir"]
            self.assertEqual(report[1], f"Header: user = {user}, item = {item}, rating = {rating}")
            self.assertEqual(report[2], "First rating: user 101, item 11, rating 2")

    def test_headers_that_do_not(self):
        """Each is asked about, and read with names and with numbers."""
        for header, order in [
            ("who,what,stars", "uir"),
            ("user,item,rate", "uir"),
            ("user,item,user_rating_id", "uir"),
            ("user,item,rating,score", "uirx"),
            ("user,isbn,book,rating", "uixr"),
            ("_id,bpu,rating,userId,username", "xirux"),
            ("userid,rating,title,text", "urix"),
            ("Date,Name,Rating", "uir"),
            ("ratingid,user,item,val", "xuir"),
            ("user,item,3,rating,stars", "uixrx"),
        ]:
            content = self.in_order(order, header=header)
            names = header.split(",")
            listed = ", ".join(f"{number} {name}" for number, name in enumerate(names, 1))
            words = re.escape("bad.csv: which columns are the user, the item and the rating? It ")
            words += re.escape(f"has {listed}: --columns NAME NAME NAME, or, if that line is no ")
            words += "header, --columns 1 2 3 with the numbers of the three"
            line = self.assert_asks(words, content)
            no_user = "user" not in header
            self.assertEqual("ratings of several people are needed" in line, no_user, header)
            by_name = [names[order.index(column)] for column in "uir"]
            by_number = [str(order.index(column) + 1) for column in "uir"]
            for columns in (by_name, by_number):
                given, report = self.read(content, columns)
                self.assertEqual(given, EXPECTED)
                self.assertEqual(
                    report[1], "Header: user = {}, item = {}, rating = {}".format(*by_name)
                )

    def test_lines_without_a_header(self):
        for separator in ["\t", "::", ";", ",", " "]:
            for order in ("uir", "uirx"):
                given, report = self.read(self.in_order(order, separator))
                self.assertEqual(given, EXPECTED)
                self.assertEqual(
                    report[1], "No header: user = field 1, item = field 2, rating = field 3"
                )
        # Words, a missing rating first, and a time
        content = "user_1,The Reader,,2020\nu2,Heat,4,2020\nu2,Ronin,3,2020\nu1,Heat,2,2020\n"
        self.assertEqual(len(self.read(content)[0]), 3)
        for order in ("xuirx", "xxxuir"):
            content = self.in_order(order)
            numbers = [str(order.index(column) + 1) for column in "uir"]
            self.assert_asks("which columns are the user", content)
            given, report = self.read(content, numbers)
            self.assertEqual(given, EXPECTED)
            fields = "No header: user = field {}, item = field {}, rating = field {}"
            self.assertEqual(report[1], fields.format(*numbers))
        # Names of a kind where a number is third: a matrix
        self.assert_asks("It has 1 userId, 2 1, 3 2, 4 3: ", "userId,1,2,3\na,,5,1\nb,4,4,\n")

    def test_every_format_gives_the_same(self):
        users = ["7", "Zoë", "a b", 'x"y', "$u$"]
        items = ["10", "2", "30", "4 & 5"]
        lines = []
        expected = {}
        for u, user in enumerate(users):
            for l, item in enumerate(items):
                if (u + l) % 3 > 0:
                    expected[user, item] = 1 + (3 * u + 5 * l) % 9 / 2
                    lines.append([user, item, str(expected[user, item]), "99"])
        for separator, words, quoted, end, encoding in [
            ("\t", "tabs", False, "\n", "utf-8"),
            ("\t", "tabs", True, "\r\n", "utf-8"),
            ("::", "'::'", False, "\n", "utf-8"),
            (";", "';'", True, "\r\n", "utf-8-sig"),
            (",", "','", True, "\n", "utf-8"),
            (",", "','", True, "\r", "utf-8-sig"),
            (",", "','", False, "\n", "latin-1"),
            (" ", "spaces", True, "\n", "utf-8"),
            ("  ", "spaces", True, " \n\n", "utf-8"),
        ]:
            for header in ([], [["userId", "movieId", "rating", "time"]]):
                rows = header + lines
                if quoted:
                    rows = [
                        ['"{}"'.format(word.replace('"', '""')) for word in row] for row in rows
                    ]
                text = "".join(separator.join(row) + end for row in rows)
                given, report = self.read(text.encode(encoding))
                if encoding == "latin-1":  # bytes that are not UTF-8 are kept
                    given = {
                        (u.replace("\udceb", "ë"), l): value for (u, l), value in given.items()
                    }
                self.assertEqual(given, expected, (separator, quoted))
                self.assertEqual(
                    report[0], f"ratings.csv: {len(lines)} lines, separated by {words}"
                )
                self.assertEqual(report[1].startswith("Header"), bool(header))

    def test_quotation_marks(self):
        """Line ends and separators within quotes in CSV; between tabs a mark is a mark."""
        content = (
            'user,item,rating,text\n"a, b","x\ny",3,"nice, ""really""\n"\n"a, b",z,4,\nc,z,2,\n'
        )
        given, _ = self.read(content)
        self.assertEqual(given, {("a, b", "x\ny"): 3, ("a, b", "z"): 4, ("c", "z"): 2})
        given, _ = self.read('a\t"Great" b\t3\t"x\na\t5"\t4\t"\nc\t"5"""\t4\t\nc\t"\t2\n')
        items = {("a", '"Great" b'): 3, ("a", '5"'): 4, ("c", '5"'): 4, ("c", '"'): 2}
        self.assertEqual(given, items)
        given, report = self.read(
            '"Who are\nyou?",item,rating\na,x,3\na,y,4\nb,x,4\n', ["Who are you?", "item", "rating"]
        )
        self.assertEqual(report[1], "Header: user = Who are you?, item = item, rating = rating")
        for content, line in [
            ('a,b,3\n"a,c,4\nd,e,5\n', 2),
            ('user,item,rating\na,b,3\na,c,4\n"x" y,c,4\n', 4),
            ('a b 3\nb c 4 "x\nc c 4 " x\n', 2),
            ('# x\na,"b\nc",3\na,b,3\n"a,c,4\n', 5),
        ]:
            self.assert_asks(
                f"bad.csv, line {line}: a quotation mark ends within a field",
                content,
                ["1", "2", "3"],
            )

    def test_what_stands_before_the_lines(self):
        lines = self.in_order("uir", " ")
        given, report = self.read("# one\n\n% another, longer one\n" + lines)
        self.assertEqual(given, EXPECTED)
        self.assertEqual(report[3], "2 lines of comment at the start: skipped")
        self.assertEqual(
            self.read("  # one\n" + lines)[1][3], "1 line of comment at the start: skipped"
        )
        self.assertEqual(len(self.read("\n" + lines)[1]), 4)
        _, report = self.read("# user item rating\n" + lines)
        self.assertEqual(report[1], "Header: user = user, item = item, rating = rating")
        self.assertEqual(len(report), 4)
        # A header in the last comment; its order counts, and it is asked about like any other
        for separator, header in [
            (",", "# item,user,rating"),
            (",", "#item, user, rating"),
            ("\t", "% item user rating"),
            (" ", "% item user rating"),
            ("::", "# item::user::rating"),
        ]:
            given, report = self.read("# x\n" + self.in_order("iur", separator, header))
            self.assertEqual(given, EXPECTED)
            self.assertEqual(report[1], "Header: user = user, item = item, rating = rating")
        content = self.in_order("iur", header="# iid,uid,val")
        self.assert_asks("It has 1 iid, 2 uid, 3 val: ", content)
        for columns in ("uid iid val", "2 1 3"):
            given, report = self.read(content, columns.split())
            self.assertEqual(given, EXPECTED)
            self.assertEqual(report[1], "Header: user = uid, item = iid, rating = val")
        # Comments that are none, though they may have as many words
        for comment in ("# of three words", "% 5 3 3", "# a b", "# user item"):
            self.assertTrue(self.read(f"{comment}\n{lines}")[1][1].startswith("No header"))
        # A header in the first line goes before
        given, report = self.read(
            "# my own file\n" + self.in_order("iur", header="item,user,rating")
        )
        self.assertEqual(given, EXPECTED)
        content = "# user item rating\n" + self.in_order("uirx", " ")
        self.assert_asks(
            "line 2: 4 fields, one more than in the header: .* --columns 1 2 3 if the last", content
        )

    def test_row_names(self):
        for separator, header in [(" ", '"user" "item" "rating"'), (",", "a,b,c")]:
            content = self.in_order("xuir", separator, header)
            if separator == " ":
                words = (
                    "line 2: 4 fields, one more than in the header: --columns 2 3 4 if the first"
                )
                self.assert_asks(words, content)
                self.assert_asks(words, content, ["user", "item", "rating"])
            given, report = self.read(content, ["2", "3", "4"])
            self.assertEqual(given, EXPECTED)
            self.assertEqual(
                report[1],
                "Header of fewer fields: user = field 2, item = field 3, rating = field 4",
            )

    def test_columns_that_are_not_there(self):
        content = self.in_order("uirx", header="who,what,stars,who")
        has = ".*bad.csv has 1 who, 2 what, 3 stars, 4 who$"
        for columns, words in [
            ("what stars when", "expected three different names, or three numbers, got 'when'"),
            ("who what stars", "expected three different names, or three numbers, got 'who'"),
            ("what what stars", "expected three different names, or three numbers, got 'what'"),
            ("2 what stars", "expected three different names, or three numbers, got '2'"),
            ("1 2 5", "expected three different numbers from 1 to 4, got 1 2 5"),
            ("0 1 2", "expected three different numbers from 1 to 4, got 0 1 2"),
            ("1 1 2", "expected three different numbers from 1 to 4, got 1 1 2"),
        ]:
            self.assert_asks(f"^--columns: {words}: {has}", content, columns.split())
        words = "--columns: 2 is no name of a column but a rating: .* give numbers: 1 a, 2 b, 3 2$"
        self.assert_asks(words, "a,b,2\na,c,3\n", ["a", "b", "2"])
        header = ",".join(["n" * 50, *(f"c{number}" for number in range(2, 15))])
        line = self.assert_asks("which columns", f"{header}\n" + ",".join("a" * 14))
        self.assertIn(" has 1 " + "n" * 40 + ", 2 c2, ", line)
        self.assertIn(" 12 c12, ...: --columns", line)

    def test_missing_ratings(self):
        content = (
            "a,b,\na,c,nan\na,d,3\nb,d,4\nb,c,NULL\nb,e,2\nc,e,5,\nb,g,N/A\nz,d,None\nz,e,na\n"
        )
        given, report = self.read(content)
        self.assertEqual(given, {("a", "d"): 3, ("b", "d"): 4, ("b", "e"): 2, ("c", "e"): 5})
        self.assertEqual(report[0], "ratings.csv: 10 lines, separated by ','")
        self.assertEqual(report[3], "6 ratings are missing: skipped")
        self.assertEqual(report[4], "3 users x 2 items, 4 ratings (66.7 %) from 2 to 5")
        self.assertEqual(
            self.read("a,b,3\na,c,\nb,b,1\na,d,2\n")[1][3], "1 rating is missing: skipped"
        )

    def test_ratings_of_0_and_below_are_asked_about(self):
        content = "a,x,-1\na,y,2\nb,x,10\nb,y,0\nb,z,3\na,z,-1.0\n"
        words = (
            "bad.csv: 3 of 6 ratings are 0 or below; they go from -1 to 10: --missing -1 if that "
        )
        words += "stands for no rating, --missing none if all are ratings$"
        self.assert_asks(words, content)
        given, report = self.read(content, missing=-1.0)
        self.assertEqual(given, {("a", "y"): 2, ("b", "x"): 10, ("b", "y"): 0, ("b", "z"): 3})
        self.assertEqual(report[3], "2 ratings are missing: skipped")
        given, report = self.read(content, missing="none")
        self.assertEqual(len(given), 6)
        self.assertEqual(report[3], "2 users x 3 items, 6 ratings (100 %) from -1 to 10")
        given, _ = self.read(content, missing=10.0)  # what stands for no rating may be the greatest
        self.assertEqual(len(given), 5)
        words = "1 of 3 ratings is 0 or below; they go from 0 to 4: --missing 0 if "
        self.assert_asks(words, "a,x,0\na,y,4\nb,x,4\n")

    def test_pairs_that_stand_more_than_once(self):
        lines = "a,x,1\nb,x,5\na,y,2\na,x,3\n"
        given, report = self.read(lines)
        self.assertEqual(given, {("a", "x"): 3, ("a", "y"): 2, ("b", "x"): 5})
        self.assertEqual(report[3], "1 pair of user and item stands twice: the last rating counts")
        _, report = self.read(lines + "b,x,2\n")
        self.assertEqual(report[3], "2 pairs of user and item stand twice: the last rating counts")
        given, report = self.read(lines + "a,x,4\n")
        self.assertEqual(given["a", "x"], 4)
        self.assertEqual(
            report[3], "1 pair of user and item stands more than once: the last rating counts"
        )

    def test_the_order_of_ratings(self):
        """By user and then by item, each in the order in which the file first names them."""
        content = "b,y,1\na,x,2\nb,x,3\nc,z,4\na,y,5\nb,z,2\n"
        ratings = read_ratings(self.write("ratings.csv", content))
        self.assertEqual(ratings.user_names, ["b", "a", "c"])
        self.assertEqual(ratings.item_names, ["y", "x", "z"])
        self.assertEqual(ratings.users.tolist(), [0, 0, 0, 1, 1, 2])
        self.assertEqual(ratings.items.tolist(), [0, 1, 2, 0, 1, 2])
        self.assertEqual(ratings.values.tolist(), [1, 3, 2, 5, 2, 4])
        self.assertEqual(
            ratings.report,
            [
                "ratings.csv: 6 lines, separated by ','",
                "No header: user = field 1, item = field 2, rating = field 3",
                "First rating: user b, item y, rating 1",
                "3 users x 3 items, 6 ratings (66.7 %) from 1 to 5",
            ],
        )
        _, report = self.read(re.sub(r"\d", "7", content))
        self.assertEqual(report[-1], "All ratings are equal: there is nothing to learn from them.")

    def test_users_and_items_that_tell_nothing(self):
        """Where no user has two ratings, or no item, it is refused: mostly a misread column."""
        no_user = self.in_order("xir", header="user,item,rating")
        words = (
            r"no user has two ratings: is user the user\? If it is, .* It has 1 user, 2 item, 3 "
        )
        self.assert_asks(words, no_user)
        no_item = self.in_order("uxr")
        self.assert_asks(r"no item has two ratings: is field 2 the item\? If it is, ", no_item)
        self.assert_asks(r"is field 3 the user\? ", self.in_order("iuxr"), ["3", "1", "4"])
        one = "user,item,rating\nme,a,3\nme,b,4\nme,a,5\n"
        self.assert_asks("all ratings are of one user, 'me': ratings of several people are", one)
        self.assert_asks("no user has two", "a,x,3\nb,x,4\na,x,5\n")  # a pair counts once

    def test_bad_lines(self):
        for content, words in [
            ("1 2\n3 4\n", "bad.csv: expected lines of user, item, rating, sep.*, got '1 2'$"),
            ("", "bad.csv: expected lines of user, item, rating, .*, got ''$"),
            ("# x\n\n", "bad.csv: expected lines of user, item, rating, .*, got ''$"),
            ("a,b,3\na,c\n", "bad.csv, line 2: expected a user, an item and a rating, got 'a c': "),
            (
                "a,b,3\n,c,4\n",
                "line 2: expected a user, an item and a rating, got user '', item 'c'",
            ),
            (
                "a\tb\t3\n\n \t\na\t \t4\n",
                "line 4: expected a user, .*, got user 'a', item '', rat",
            ),
            ("user,item,rating\n", "bad.csv: expected at least one rating, got none$"),
            ("a,b,\na,c,\n", "bad.csv: expected at least one rating, got none$"),
            (
                "a::b::3\na::c::2e6\n",
                "line 2: expected a rating up to 1000000, got '2e6': is field 3",
            ),
            ("a,b,3\na,c,-1000001\n", "line 2: expected a rating up to 1000000, got '-1000001'"),
            ("a,b,3\n\n,,\na,c,1_0\n", "line 4: expected a rating up to 1000000, got '1_0'"),
            ("a,b,1\na,c,inf\n", "line 2: expected a rating up to 1000000, got 'inf'"),
            (
                "user,item,rating\na,b,good\n",
                r"line 2: .*, got 'good': is rating the rating\? It has",
            ),
            (
                "a,b,881250949,5\n",
                r"is field 3 the rating\? It has 1 a, 2 b, 3 881250949, 4 5: --col",
            ),
            (
                "u1;i1;4,5\nu1;i2;3\n",
                "line 1: .*, got '4,5': write decimal points, 4.5, in all lines$",
            ),
            (
                "user,item,rating\na,b,3\na,c,3,x\n",
                "line 3: expected 3 fields, as in the first line, got 4, separated by ',': quote "
                "a field that holds it, or, if only fields behind .*, --columns 1 2 3$",
            ),
            (
                "item,user,rating\na,b,3,x\n",
                "line 2: 4 fields, one more than in the header: --columns 3 2 4 if the first is "
                "the line's name or number, --columns 2 1 3 if the last is not named$",
            ),
            (
                "a\tb\t3\na\tc\t3\nHello\tDolly\tb\t3\n",
                "expected 3 fields, .*, separated by tabs: leave it out of the fields, or",
            ),
        ]:
            self.assert_asks(words, content)
        self.assertEqual(
            len(self.read("a,b,3,,\na,c,1e6,,,,\nb,b,-1000000,,\n", ["1", "2", "3"], "none")[0]), 3
        )
        self.assert_asks("line 2: .*, got 'a c'", "a,b,3,4\na,c\nb,b,2\n", ["1", "2", "3"])

    def test_bytes_that_are_no_text(self):
        text = self.in_order("uir", header="user,item,rating")
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as file:
            file.writestr("ratings.csv", text)
        for content, words in [
            (
                packed.getvalue(),
                "expected text, got a packed file: unpack it, or export a spreadsheet",
            ),
            (gzip.compress(text.encode()), "expected text, got a packed file: unpack it"),
            (
                text.encode("utf-16"),
                "expected text in UTF-8, got UTF-16 or no text: save or export",
            ),
            (text.encode("utf-16-be"), "expected text in UTF-8, got UTF-16 or no text"),
            (b"\xfe\xff", "expected text in UTF-8, got UTF-16 or no text"),
            (b"\x7fELF\x02\x01\x00,,,", "expected text in UTF-8, got UTF-16 or no text"),
        ]:
            self.assert_asks(words, content)

    def test_progress(self):
        """A line for every 100,000 lines."""
        lines = "".join(f"{u},{l},{l % 5 + 1}\n" for u in range(500) for l in range(500))
        told = []
        read_ratings(self.write("ratings.csv", lines), progress=told.append)
        self.assertEqual(told, ["ratings.csv: 39 % read", "ratings.csv: 79 % read"])

    @unittest.skipUnless(has_pandas and os.name == "posix", "pandas, and a shell that knows quotes")
    def test_the_ways_that_messages_show(self):
        """The line for a matrix, followed literally."""
        table = "101,2,3,\n102,4,,2.5\n103,,5,\n"
        zeros = "101 2 3 0\n102 4 0 2.5\n103 0 5 0\n"
        swapped = {(item, user): value for (user, item), value in EXPECTED.items()}
        counted = {(user, str(int(item) - 10)): value for (user, item), value in EXPECTED.items()}
        numbered = {}
        for (user, item), value in EXPECTED.items():
            numbered[str(int(user) - 101), str(int(item) - 11)] = value
        swap = [("'user'", "'x'"), ("'item'", "'user'"), ("'x'", "'item'")]
        names = [("header=None", "header=None, index_col=0")]
        for content, changes, missing, expected in [
            ("user,11,12,13\n" + table, [], None, EXPECTED),
            (",11,12,13\n" + table, [], None, EXPECTED),
            ("film,11,12,13\n" + table, swap, None, swapped),
            ("film;11;12;13\n" + table.replace(",", ";"), swap, None, swapped),
            ("x\t11\t12\t13\n" + table.replace(",", "\t"), [], None, EXPECTED),
            ('"11" "12" "13"\n' + zeros, [], 0, EXPECTED),
            (zeros, names, 0, counted),
            ("2 3 0 0\n4 0 2.5 0\n0 5 0 0\n", [], 0, numbered),
        ]:
            line = self.assert_asks(" this makes lines of a matrix: .* -c ", content)
            command = re.search(r'of a matrix: (.* -c ".*")', line)[1]
            for old, new in changes:
                command = command.replace(old, new)
            subprocess.run(command, shell=True, cwd=self.small, check=True)
            lines = (self.small / "bad-lines.csv").read_text()
            self.assertEqual(self.read(lines, missing=missing)[0], expected)
