"""Measuring recommendations: the paper's tables and figures for any shop."""

from modiste.evaluation.experiments import evaluate
from modiste.evaluation.tables import EvaluationReport
from modiste.evaluation.views import evaluate_views

__all__ = ["EvaluationReport", "evaluate", "evaluate_views"]
