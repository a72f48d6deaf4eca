"""
Settings: what the user may choose, from where it is read, and what is said when it is wrong.

Order: argument > environment (`QUEUE_METRICS_STORE`, ...) > TOML file > default. Knows no job library and no database.
"""

from queue_metrics.config.connections import ConnectionSettings
from queue_metrics.config.declared import suggestion
from queue_metrics.config.load import load_settings
from queue_metrics.config.settings import BaselineRules, Duties, Limits, Settings, TimeToLive

__all__ = ["BaselineRules", "ConnectionSettings", "Duties", "Limits", "Settings", "TimeToLive", "load_settings", "suggestion"]
