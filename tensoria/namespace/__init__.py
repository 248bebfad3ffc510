"""The Array API's functions on tensors, one file for each chapter of the standard.

Every function has one row in the table of `rules`, which says what it demands of labelled input; functions without a
row refuse it. Chapters only name their functions: the reading of the table is in `dispatch`.
"""
