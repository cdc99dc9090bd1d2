"""Classifiers: a picture in, a label with its probability out."""
