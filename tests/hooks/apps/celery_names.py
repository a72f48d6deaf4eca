"""Names that the Celery app and its tests share; importing this instruments nothing."""

HOSTILE = 'we:ird/{"x"}\né'
