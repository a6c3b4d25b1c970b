"""What TensorBoard reads from a directory of event files, as JSON: {tag: [[step, value], ...]}.

    pip install tensorboard==2.21.0
    python read.py . > read.json

`read.json` was made from the event files beside it; the tests of crates/lab hold both to what the writer says.
"""

import json
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

events = EventAccumulator(sys.argv[1], size_guidance={"scalars": 0})
events.Reload()
tags = sorted(events.Tags()["scalars"])
read = {tag: [[event.step, event.value] for event in events.Scalars(tag)] for tag in tags}
json.dump(read, sys.stdout, indent=1)
print()
