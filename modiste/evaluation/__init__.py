"""Measuring recommendations: the paper's tables and figures for any shop."""

from modiste.evaluation.experiments import evaluate
from modiste.evaluation.tables import EvaluationReport

__all__ = ["EvaluationReport", "evaluate"]
