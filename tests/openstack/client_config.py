"""Print the ``clouds.yaml`` of the default lab's operator."""

from pathlib import Path

from clients import clouds_text

print(clouds_text("http://127.0.0.1:9696", {"vl2": Path("/run/vl2/lab/operator.token").read_text().strip()}))
