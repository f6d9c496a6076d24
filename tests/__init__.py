"""Tests of what is ours: a student's modules need not pass them.

python -m unittest discover tests      all of them, from the project's folder
python -m unittest tests.test_main     those of one file
"""
