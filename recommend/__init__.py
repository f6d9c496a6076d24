"""Beyond the course: predictions of ratings, and a program that recommends items."""
