"""Files of one's own: ratings in lines, with what surrounds them, and matrices."""

import csv
from unittest import mock

from tests.base import Program  # before NumPy: it sets the number of BLAS threads

# isort: split
import numpy as np

import main
from recommend.predict import predict


class Files(Program):
    """Files of one's own: ratings in lines, with what surrounds them, and matrices."""

    def read(self, content, name="ratings.csv"):
        """What read_ratings makes of a file: {(user, item): rating}, and its report."""
        data = main.read_ratings(self.write(name, content))
        given = {}
        for u, l in np.argwhere(data.X):
            given[data.users[u], data.items[l]] = data.X[u, l]
        return given, "\n".join(data.report)

    def test_columns_by_the_names_of_a_header(self):
        """The same three ratings under other names, and in another order."""
        expected = {("101", "11"): 2.0, ("101", "12"): 3.0, ("102", "11"): 4.0}
        lines = [list(pair) + [f"{value:g}"] for pair, value in expected.items()]
        for header, order in [
            ("user,item,rating", "uir"),
            ("item,user,rating", "iur"),
            ("user_id,rating,item_id", "uri"),
            ("Cust_Id,Rating,Movie_Id", "uri"),
            ("asin,reviewerID,overall,unixReviewTime", "iurx"),
            ("User-ID,ISBN,Book-Rating", "uir"),
            ("userid,movieid,rating,timestamp", "uirx"),
            ("USERID,ITEMID,RATING", "uir"),
            ("user/name,film.title,score", "uir"),
            (",user,item,rating", "xuir"),
            ("Unnamed: 0,rating,user,item", "xrui"),
            ("index,user,item,rating,rating_count", "xuirx"),
            ("review_id,user_id,business_id,stars,useful,text,date", "xuirxxx"),
            ("rating_id,user,joke,rating", "xuir"),
            ("userID,placeID,rating,food_rating,service_rating", "uirxx"),
            ("user,game,operating_system,rating", "uixr"),
            ("user_id,hotel_id,city,rating", "uixr"),
            ("user,hotel,rating", "uir"),
            ("user_id,user_age,title,isbn,stars", "uxxir"),
            ("rating,title,parent_asin,user_id,timestamp", "rxiux"),
            ("ISBN10,User-ID,Book-Title,Book-Rating", "iuxr"),
            ("book,reader,average_rating,rating,year", "iuxrx"),
            ("user,movie,rating_date,rating", "uixr"),
            ("who,what,stars", "uir"),
            ("what,person,points", "iur"),
            ("userID,artistID,weight", "uir"),
            ("кто,что,оценка", "uir"),
            ("who,what,value,when", "uirx"),
            (",who,what,value", "xuir"),
            ("# item,user,rating", "iur"),
        ]:
            rows = []
            for number, line in enumerate(lines):
                fields = {**dict(zip("uir", line)), "x": f"9{number}"}
                rows.append(",".join(fields[column] for column in order))
            given, report = self.read("\n".join([header, *rows]))
            self.assertEqual(given, expected, header)
            names = header.removeprefix("# ").split(",")
            columns = [names[order.index(column)] for column in "uir"]
            self.assertIn("Header: user = {}, item = {}, rating = {}\n".format(*columns), report)
            self.assertIn("First rating: user 101, item 11, rating 2", report)

    def test_headers_that_say_too_little(self):
        for header, words in [
            ("Date,Name,Year,URI,Rating", "no user .looked for user, username, "),
            ("Date,Name,Rating", "no user "),
            ("user,hotel,city,rating", "no item .looked for item, movie, "),
            ("user,item,price,shop", "no rating .looked for rating, ratings, "),
            ("user,item,food_rating,service_rating", "several for the rating: food_rating, serv"),
            ("user_name,user_age,item,rating", "several for the user: user_name, user_age"),
            ("user,food_rating,rating_count", "no item "),
            ("a,b,c,d,e", "no user "),
        ]:
            path = self.write("bad.csv", header + "\n" + ",".join("1x345"[: header.count(",") + 1]))
            words = rf"bad\.csv: expected a header that .*rename .* user,item,rating.*, {words}"
            self.assert_refused(words, "--ratings", path)

    def test_lines_without_a_header(self):
        for first in ["u1,Star Wars,5", "user_1,The Reader,5", "u1,11,5,1,2020-01-01"]:
            given, report = self.read(f"{first}\nu2,Heat,4\nu2,Ronin,3\n")
            self.assertEqual(len(given), 3)
            self.assertNotIn("Header", report)
        _, report = self.read("101,11,3,1,5,2020-01-01\n102,12,3,1,4,2020-01-01\n")
        self.assertIn("First rating: user 101, item 11, rating 3", report)

    def test_a_matrix_is_no_lines(self):
        empty = "".join(f"{u},3,,,{u % 5 + 1}\n" for u in range(12))
        for content in [
            "user,i1,i2,i3,i4\n101,3,5,1,2\n",
            "user,i1,i2,i3,i4\n" + empty,
            "userId,1,2,3,4\n" + empty,
            "userId,1,2,3,4\n" + empty.replace(",,", ",0,"),
            "name,Heat,Ronin,Thief,Collateral\n" + empty,
            "user,Star Trek,Movie 43,Heat,Up\n" + empty,
            empty,
        ]:
            words = "expected lines of user, item, rating, got a matrix, .*melt.*--data"
            self.assert_refused(words, "--ratings", self.write("wide.csv", content))
        words = "line 1, column 1: expected a rating .* all separated by spaces .*, got "
        self.write("netflix_incomplete.txt", empty)
        self.assert_refused(words, "--data", self.small)

    def test_what_surrounds_ratings(self):
        """Missing ratings, comments, blanks, quotes, repeated pairs."""
        given, report = self.read("a,b,\na,c,nan\na,d,3\nb,d,4\nb,c,NULL\nb,e,2\nb,e,5\nb,g,N/A\n")
        self.assertEqual(given, {("a", "d"): 3, ("b", "d"): 4, ("b", "e"): 5})
        self.assertIn("8 lines, separated by ','", report)
        self.assertIn("Lines whose rating is missing: 4, left out", report)
        self.assertIn("Pairs that stand more than once: 1; the last rating of a pair", report)
        given, report = self.read("# comment\n\n% another, longer one\n1 2 3\n\n1 3 4\n2 2 5\n")
        self.assertEqual(given, {("1", "2"): 3, ("1", "3"): 4, ("2", "2"): 5})
        self.assertIn("Lines at the start that begin with # or %: 2", report)
        given, _ = self.read('"1 ",11,4\n 1, 12 ,3\n"a ""b"", c",11 ,5\n')
        self.assertEqual(given, {("1", "11"): 4, ("1", "12"): 3, ('a "b", c', "11"): 5})
        given, _ = self.read("101\t11 \t4\n101 \t12\t3\n102\t11\t5\n")
        self.assertEqual(given, {("101", "11"): 4, ("101", "12"): 3, ("102", "11"): 5})

    def test_remarks(self):
        for content, words in [
            ("a,b,3\na,c,3\nb,c,3\n", "All ratings are equal: there is nothing to learn"),
            ("a,b,3\na,c,4\nb,c,3\nb,b,5\n", "No rating is missing: there is nothing to predict."),
            ("a,b,.2\na,c,1\nb,c,.3\n", "The ratings' variance is 0.13, below 0.25, the least"),
        ]:
            path = self.write("ratings.csv", content)
            filled = self.folder / "out.csv"
            _, out, _ = self.call("--ratings", path, "--fill", filled, "--netflix-k", 1)
            remarks = [line for line in out.splitlines() if line.startswith(words)]
            self.assertEqual(len(remarks), 1, out)
            self.assertEqual(filled.read_text().splitlines()[0], "user,item,prediction")

    def test_every_format_gives_the_same(self):
        """The same ratings in every format: the same predictions, the ids as they came."""
        users = ["7", "Zoë", "a b", 'x"y']
        items = ["10", "2", "30", "4 & 5", "6"]
        lines = []
        for u, user in enumerate(users):
            for l, item in enumerate(items):
                if (u + l) % 3 > 0:
                    lines.append([user, item, str(1 + (3 * u + 5 * l) % 9 / 2), "99"])
        expected = None
        for separator, header, quoted, bom in [
            ("\t", False, False, False),
            ("::", False, False, False),
            (";", True, True, True),
            (",", True, True, False),
            (",", False, False, False),
            (" ", False, True, False),
        ]:
            rows = lines
            if header:
                rows = [["userId", "movieId", "rating", "time"], *lines]
            if quoted:
                quote = '"{}"'.format
                rows = [[quote(word.replace('"', '""')) for word in row] for row in rows]
            text = "\r\n".join(separator.join(row) for row in rows) + "\r\n"
            path = self.write("ratings.csv", text.encode("utf-8-sig" if bom else "utf-8"))
            filled = self.folder / "out.csv"
            status, out, err = self.call("--ratings", path, "--fill", filled, "--netflix-k", 1)
            self.assertEqual((status, err), (0, ""))
            self.assertIn(f"4 users x 5 items, {len(lines)} ratings (", out)
            self.assertEqual("Header: user = userId, item = movieId" in out, header)
            self.assertRegex(out, r"predict expects [.\d]+ \+- [.\d]+ on ratings given")
            with open(filled, encoding="utf-8", newline="") as file:
                got = list(csv.reader(file))
            if expected is None:
                expected = got
            self.assertEqual(got, expected, separator)
        self.assertEqual(got[0], ["user", "item", "prediction"])
        pairs = {(user, item) for user in users for item in items}
        pairs -= {(user, item) for user, item, _, _ in lines}
        self.assertEqual({(user, item) for user, item, _ in got[1:]}, pairs)

        data = main.read_ratings(path)
        X_pred = predict(data.X)
        for user, item, prediction in got[1:]:
            value = X_pred[data.users.index(user), data.items.index(item)]
            self.assertEqual(prediction, f"{value:.4f}")
        order = [(data.users.index(user), -float(prediction)) for user, _, prediction in got[1:]]
        self.assertEqual(order, sorted(order))
        self.call("--ratings", path, "--fill", filled, "--netflix-k", 1, "--top", 1)
        with open(filled, encoding="utf-8", newline="") as file:
            top = list(csv.reader(file))
        firsts = [row for row, before in zip(got[1:], got) if row[0] != before[0]]
        self.assertEqual(top[1:], firsts)

    def test_ties(self):
        text = "u a 5\nu b 1\nv b 5\nv c 5\nw c 5\nw b 5\nu b 5\nx a 5\n"  # all 5 in the end
        filled = self.folder / "out.csv"
        path = self.write("$\\foo$.txt", "\n" + text)  # no formula, and an empty line
        _, out, _ = self.call("--ratings", path, "--fill", filled, "--netflix-k", 1)
        self.assertIn("need a K above 1: they are left out", out)
        pairs = [line.removesuffix(",5.0000") for line in filled.read_text().splitlines()]
        self.assertEqual(pairs[1:], ["u,c", "v,a", "w,a", "x,b", "x,c"])

    def test_bad_lines_of_ratings(self):
        for content, words in [
            ("1 2\n3 4\n", "bad.csv: expected lines of user, item, rating, sep.*, got '1 2'"),
            ("", "bad.csv: expected lines of user, item, rating, .*, got ''"),
            ('[{"user": 1, "item": 2, "rating": 3}]', "expected lines of user, item, rating, "),
            ("a,b,3\na,c\n", "bad.csv, line 2: expected a user, an item and a rating, got 'a c'"),
            ("a,b,3\n,c,4\n", "line 2: expected a user, an item and a rating, got user '', item"),
            ("u,i,r\na,b,3\na,c,0\n", r"line 3: .*, got '0': leave the line out .* add 1 to all"),
            ("# x\n\na,b,3\na,c,-1\n", "line 4: .*, got '-1': leave the line out .* add 2 to all"),
            ("a::b::3\na::c::2e6\n", "line 2: .* above 0 and up to 1000000, got '2e6'"),
            ("a,b,3\na,c,1_0\n", "line 2: expected a rating above 0 .*, got '1_0'"),
            ("a,b,3\na,c,inf\n", "line 2: expected a rating above 0 .*, got 'inf'"),
            ("a,b,3\na,c,good\n", "line 2: .*, got 'good': is the rating in column 3?"),
            ("a,b,2024-01-01,5\n", "line 1: .*, got '2024-01-01': is the rating in column 3?"),
            ("u1;i1;4,5\nu1;i2;3\n", "line 1: .*, got '4,5': write 4.5"),
            ("user item rating\n1 7 11 3\n2 7 12 4\n", "line 2: expected 3 fields as .*, got 4: "),
            ("5 4 0 3 1 2\n3 2 1 0 4 5\n", "line 1: .*, got '0': is it a matrix. --data takes one"),
            ('a\tb\t3\tx\na\tc\t4\t"x\nb\tc\t4\t"\n', "line 2: .*quotation mark"),
            ("game,userscore,platform\na,9,PC\n", "line 2: .*'PC': is .* in the column platform?"),
            ("u,i,r\n", "bad.csv: expected at least one rating, got none"),
            ("a,b,3\na,c,4\n", "expected at least 2 users and 2 items, got 1 and 2"),
            ("a,b,3\nc,b,4\n", "expected at least 2 users and 2 items, got 2 and 1"),
            (b"a,b,3\n\xe9,c,4\n", "line 2: expected text in UTF-8, .*: save the file as UTF-8"),
            (b"\x7fELF\x02\x01\x01\x00\xff\xfe,,,", "line 1: expected text in UTF-8"),
            ('a,b,3\n"a,c,4\nd,e,5\n', "line 2: expected lines of user, item, .*quotation"),
        ]:
            self.assert_refused(words, "--ratings", self.write("bad.csv", content))
        path = self.write("bad.csv", "a,b,3\nc,b,4\nc,d,4\n")
        with mock.patch.object(main, "memory", lambda: 200):
            words = "to fit into memory, got 2 x 2, which take .*: leave out users and items"
            self.assert_refused(words, "--ratings", path)

    def test_bad_matrices(self):
        triples = np.column_stack([np.arange(40) // 5 + 1, np.arange(40) % 5 + 1, self.Y.flat[:40]])
        ids = triples * [1, 1000001, 1]
        for name, content, words in [
            ("netflix_incomplete.txt", triples, "lines of user, item, rating use --ratings"),
            ("netflix_incomplete.txt", ids, "line 1, column 2: .* use --ratings.*'1000001'"),
            ("netflix_incomplete.txt", "1,2,3\n4,5,6\n", "line 1, column 1: .* use --ratings"),
            ("netflix_incomplete.txt", "# a\n1 2\n\n3 x\n", "line 4, column 2: .*, got 'x'"),
            ("netflix_incomplete.txt", "1 2\n3 1_0\n", "line 2, column 2: .* got '1_0'"),
            ("netflix_incomplete.txt", "1 2\n3 -1\n", "line 2, column 2: .* got '-1'"),
            ("netflix_incomplete.txt", "1 2\n3 4 5\n", "line 2: expected 2 numbers .*, got 3"),
            ("netflix_incomplete.txt", "1 2 3\n", "expected at least 2 rows .*1, 3"),
            ("netflix_incomplete.txt", "0 0\n0 nan\n", "expected at least one rating"),
            ("netflix_incomplete.txt", "# nothing\n", "expected numbers .*, got none"),
            ("netflix_incomplete.txt", b"\xff\xfe1 2\n", "line 1: expected text in UTF-8"),
            ("netflix_complete.txt", self.Y[1:], "expected the ratings of netflix_incomplete.txt"),
            ("netflix_complete.txt", 6 - self.Y, "expected the ratings of netflix_incomplete.txt"),
            ("toy_data.txt", self.X, "expected 2 numbers a line, got 8"),
            ("toy_data.txt", "1 2\nnan 4\n", "line 2, column 1: expected a finite number"),
            ("toy_data.txt", "1 2\n3 inf\n", "line 2, column 2: expected a finite number"),
        ]:
            before = (self.small / name).read_bytes()
            self.write(name, content)
            self.assert_refused(f"{name}.*{words}", "--data", self.small)
            (self.small / name).write_bytes(before)
