"""The survey of a data set before training: a read-only doctor."""

from visus.data.survey.doctor import Survey, survey
from visus.data.survey.findings import Facts, Finding

__all__ = ["Facts", "Finding", "Survey", "survey"]
