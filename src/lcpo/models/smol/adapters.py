"""smollm2 with an adapter that ships: merged once, and kept in the user's cache under the adapter's name."""

import sys
from pathlib import Path

from lcpo.engines import models
from lcpo.errors import EngineError
from lcpo.measure import files
from lcpo.models import export
from lcpo.models.smol import base

WEIGHTS = "adapter_model.safetensors"


def build(name: str, gguf: Path | None = None) -> Path:
    """The folder of a model of ADAPTED, made where it is not there yet or was made from another adapter.

    gguf: the base's file, where it is not in the installed package. Raises EngineError where no adapter ships, or where
    it belongs to another base.
    """
    folder, adapter = models.built(name), models.ADAPTERS / name
    if not (adapter / WEIGHTS).is_file():
        raise EngineError(f"'{name}' {models.unready(name)}")
    if models.unready(name) is not None:
        below = base.build(gguf)
        with base.building(folder):
            if models.unready(name) is not None:  # else another process has built it meanwhile
                _merge(below, adapter, folder)
    card, own = (models.ADAPTERS / name / "README.md").read_bytes(), folder / "README.md"
    if not own.is_file() or own.read_bytes() != card:
        with base.building(folder):
            files.write_text(own, card.decode())
    return folder


def _merge(below: Path, adapter: Path, folder: Path) -> None:
    """Writes the base with the adapter merged, in the base's own type."""
    table = models.card_block(adapter).get("base", {})
    if table.get("weights_sha256") != (weights := base.weights_sha256(below)):
        raise EngineError(
            f"the adapter '{adapter.name}' belongs to a {base.NAME} with weights {table.get('weights_sha256')}, and "
            f"{below} has {weights}: move that folder away, then run  lcpo models build {base.NAME} {adapter.name}"
        )
    print(f"merging {adapter.name} into {base.NAME} and writing {folder}, some seconds", file=sys.stderr, flush=True)

    def write(part: Path) -> None:
        model, tokenizer = export.load(
            export.Origin(models.ModelSource(adapter.name, str(below), "built"), str(adapter))
        )
        model.save_pretrained(part)
        tokenizer.save_pretrained(part)
        files.write_json(part / models.MADE_FROM, {"base": table, "adapter_sha256": files.model_sha256(adapter)})

    files.write_folder(folder, write)
