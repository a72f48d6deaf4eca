"""The consumer of the Huey app; its argument is the kind of worker."""

from __future__ import annotations

import sys

from tests.hooks.apps.huey_app import WITH, huey

if __name__ == "__main__":
    huey.create_consumer(
        workers=2,
        worker_type=sys.argv[1],
        initial_delay=0.02,
        max_delay=0.1,
        health_check_interval=0.3,
        periodic="periodic" in WITH,
    ).run()
