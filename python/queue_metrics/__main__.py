"""`python -m queue_metrics`: the command `queue-metrics`."""

import sys

from queue_metrics.cli import main

sys.exit(main())
