"""Checkpoints with a marker written last, and the finished model as a Hugging Face folder; both whole or not at all."""

import shutil
from pathlib import Path
from typing import Any

from lcpo.measure import files, manifest
from lcpo.train import checkpoint


def save_checkpoint(trainer: Any, save: Any) -> None:
    """Calls TRL's own `save`, then writes the marker, then removes older checkpoints, in this order.

    Whatever interrupts this, the newest checkpoint with a marker is whole.
    """
    run, step = Path(trainer.args.output_dir), int(trainer.state.global_step)
    folder = run / f"checkpoint-{step}"
    main = trainer.accelerator.is_main_process
    with files.writing(str(folder)):
        if main and folder.exists():
            shutil.rmtree(folder)
        trainer.accelerator.wait_for_everyone()
        save()
        trainer.accelerator.wait_for_everyone()
        if main:
            record = {
                "step": step,
                "tokens": trainer.tokens,
                "cpu_seconds": trainer.cpu_before + manifest.cpu_seconds(),
                "steered": trainer.steered,
                "smoothed_error": trainer.smoothed_error,
            }
            files.write_json(folder / checkpoint.MARKER, record)
            checkpoint.rotate(run, trainer.keep_checkpoints)


def save_model(trainer: Any, run: Path, card: str) -> None:
    """model/ with weights, tokenizer, chat template, generation settings and card; LoRA: merged, with adapter/ kept."""
    model = trainer.accelerator.unwrap_model(trainer.model)
    if hasattr(model, "merge_and_unload"):
        _replace(run / "adapter", model.save_pretrained)
        model = model.merge_and_unload()

    def write(folder: Path) -> None:
        model.save_pretrained(folder)
        trainer.processing_class.save_pretrained(folder)
        (folder / "README.md").write_text(card, encoding="utf-8")

    _replace(run / "model", write)


def _replace(folder: Path, write: Any) -> None:
    """Writes a folder beside its place and moves it there."""
    part = folder.with_name(f".{folder.name}.part")
    if part.exists():
        shutil.rmtree(part)
    write(part)
    if folder.exists():
        shutil.rmtree(folder)
    part.rename(folder)
