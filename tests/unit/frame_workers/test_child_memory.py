"""What a slot's process holds for as long as it lives."""

import subprocess
import sys


def test_a_child_knows_no_messages_of_kafka() -> None:
    """Their models are 6 MB in each of many processes; a child is told jobs."""
    program = "import sys, frame_workers.slots.jobs as jobs; print('castlist.contract.events' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "False"
