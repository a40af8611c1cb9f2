"""Whether verl really runs with lcpo's plug-in: verl swallows whatever goes wrong while it loads one."""

import importlib.util
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from lcpo.errors import EngineError, MissingExtra


def missing() -> list[str]:
    """What of lcpo verl does not know in this process; empty when the plug-in is loaded."""
    from verl.experimental.agent_loop.agent_loop import _agent_loop_registry
    from verl.experimental.reward_loop.reward_manager.registry import REWARD_MANAGER
    from verl.trainer.ppo.core_algos import ADV_ESTIMATOR_REGISTRY
    from verl.trainer.ppo.v1.trainer_base import TRAINER_REGISTRY

    tables = {
        "agent loop": ("lcpo", _agent_loop_registry),
        "reward manager": ("lcpo", REWARD_MANAGER),
        "advantage": ("lcpo_batch_std", ADV_ESTIMATOR_REGISTRY),
        "trainer": ("lcpo", TRAINER_REGISTRY),
    }
    return [what for what, (name, table) in tables.items() if name not in table]


def check() -> None:
    """Raises EngineError where verl runs in this process without the plug-in, saying why; MissingExtra without verl."""
    if importlib.util.find_spec("verl") is None:
        raise MissingExtra("verl", "cluster")
    import verl  # noqa: F401  (loads its plug-ins)

    absent = missing()
    if not absent:
        return
    reason = "verl did not load it: is the environment variable VERL_USE_EXTERNAL_PLUGINS set?"
    plugins = entry_points(group="verl.plugins", name="lcpo")
    try:
        for plugin in plugins:
            plugin.load()
    except ImportError as error:
        reason = f"loading it fails: {error}"
    reason = reason if plugins else "lcpo is not installed here"
    raise EngineError(f"verl runs without lcpo's plug-in (no {', '.join(absent)}); {reason}")


def check_config(path: Path) -> None:
    """verl's own validation of a configuration, and an accelerator to run it on. Raises EngineError, one line."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from verl.plugin.platform import get_platform
    from verl.trainer.ppo.utils import need_critic, need_reference_policy
    from verl.utils.config import validate_config

    config: Any = OmegaConf.load(path)
    try:
        validate_config(config, need_reference_policy(config), need_critic(config))
    except (AssertionError, ValueError, TypeError, ImportError, OmegaConfBaseException) as error:
        raise EngineError(f"verl refuses the configuration: {' '.join(str(error).split())}; see {path}") from None
    if not config.ray_kwargs.ray_init.get("address") and not get_platform().is_available():
        raise EngineError(
            "--engine verl needs a GPU and none is visible here; train with --engine trl, or name a Ray cluster that "
            "has them in verl.ray_kwargs.ray_init.address"
        )


if __name__ == "__main__":  # python -m lcpo.cluster.check CONFIG: what is wrong, in one line on stdout
    try:
        check()
        check_config(Path(sys.argv[1]))
    except (EngineError, MissingExtra) as wrong:
        print(f"lcpo: {wrong}")
        sys.exit(1)
