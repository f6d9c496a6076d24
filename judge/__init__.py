"""How test.py judges a student's modules."""
