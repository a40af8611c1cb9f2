"""verl on a CPU, for tests only: a platform, a rollout that samples with lcpo's own engine, and one patch of verl.

Loaded by verl itself in every process (VERL_USE_EXTERNAL_MODULES=lcpo_cpu_rig). What it uses and changes in verl 0.9.1:
  PlatformRegistry                     a platform "lcpo_cpu" (VERL_PLATFORM): device cpu, backend gloo, Ray resource GPU
  VERL_ENGINE_DEVICE=cuda              verl's own FSDP engine class is used for the device cpu
  _ROLLOUT_REGISTRY, RolloutReplicaRegistry   a rollout "hf": a Ray actor that batches requests
  initialize_global_process_group_ray  patched: its backend string "cpu:gloo,cpu:gloo" names the cpu twice
  fsdp_utils.CPUOffloadPolicy          patched: the reference model's weights lie in memory that is not pinned
"""

import asyncio
import contextlib
import os
import types
import zlib
from collections import Counter
from datetime import timedelta

import psutil
import ray
import torch
from verl.plugin.platform.platform_base import PlatformBase
from verl.plugin.platform.platform_manager import PlatformRegistry
from verl.utils import distributed, fsdp_utils
from verl.workers.rollout.base import _ROLLOUT_REGISTRY, BaseRollout
from verl.workers.rollout.replica import RolloutReplica, RolloutReplicaRegistry, TokenOutput

WAIT = 0.15
"""Seconds that the server waits for more requests of a batch."""


def _device() -> types.ModuleType:
    """torch.cpu with what verl asks of torch.cuda."""
    module = types.ModuleType("lcpo_cpu_device")
    for name in ("is_available", "device_count", "current_device", "synchronize", "Stream", "stream", "current_stream"):
        setattr(module, name, getattr(torch.cpu, name))
    memory = psutil.virtual_memory
    module.current_device = lambda: "cpu"
    module.set_device = lambda *_: None
    module.get_device_name = lambda *_: "cpu"
    module.is_available = lambda: False  # memory snapshots and the like are skipped
    for name in ("empty_cache", "reset_peak_memory_stats", "ipc_collect"):
        setattr(module, name, lambda *_: None)
    for name in ("memory_allocated", "max_memory_allocated", "memory_reserved", "max_memory_reserved"):
        setattr(module, name, lambda *_: 0)
    module.mem_get_info = lambda *_: (memory().available, memory().total)
    module.get_rng_state = torch.get_rng_state
    module.set_rng_state = torch.set_rng_state
    module.manual_seed = module.manual_seed_all = torch.manual_seed
    return module


DEVICE = _device()


@PlatformRegistry.register(platform="lcpo_cpu")
class CpuPlatform(PlatformBase):
    """A CPU that calls itself one GPU per worker."""

    device_name = "cpu"
    vendor_name = "cpu"
    device_module = DEVICE

    def is_available(self):
        return True

    def current_device(self):
        return "cpu"  # what `tensor.to` wants; an index would mean an accelerator

    def device_count(self):
        return 1

    def set_device(self, device_index):
        pass

    def synchronize(self, device_index=None):
        pass

    def manual_seed(self, seed):
        torch.manual_seed(seed)

    def manual_seed_all(self, seed):
        torch.manual_seed(seed)

    def set_allocator_settings(self, settings):
        pass

    def empty_cache(self):
        pass

    def get_device_capability(self, device_index=0):
        return None, None

    def communication_backend_name(self):
        return "gloo"

    def visible_devices_envvar(self):
        return "CUDA_VISIBLE_DEVICES"

    def ray_resource_name(self):
        return "GPU"

    def ray_noset_envvars(self):
        return []

    def is_ipc_supported(self):
        return False

    def nvtx_range(self, msg):
        return contextlib.nullcontext()

    def profiler_start(self):
        pass

    def profiler_stop(self):
        pass

    def cudart(self):
        return None


def _gloo(timeout_second=None, backend=None):
    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group(
            backend="gloo",
            rank=int(os.environ.get("RANK", 0)),
            world_size=int(os.environ.get("WORLD_SIZE", 1)),
            timeout=timedelta(seconds=timeout_second or 300),
            init_method=os.environ.get("DIST_INIT_METHOD"),
        )


class Unpinned(fsdp_utils.CPUOffloadPolicy):
    """verl asks for pinned memory, which only an accelerator has."""

    def __init__(self, pin_memory=False):
        super().__init__(pin_memory=False)


distributed.initialize_global_process_group_ray = _gloo
fsdp_utils.CPUOffloadPolicy = Unpinned


class HfServer:
    """A model that answers concurrent `generate` calls in batches; seeds follow from (seed, step, prompt, copy)."""

    def __init__(self, path, seed):
        from lcpo.engines.local import LocalEngine

        self.engine = LocalEngine.load(path)
        self.seed, self.step, self.waiting, self.running = seed, 0, [], None
        self.copies = Counter()
        self.seen = []

    async def ready(self):
        return True

    async def load(self, state, step):
        self.engine.model.load_state_dict(state, strict=False)
        self.step, self.copies = int(step or 0), Counter()

    async def wake_up(self):
        return None

    async def sleep(self):
        return None

    async def asked(self):
        """The prompts and caps of all requests so far, for tests."""
        return self.seen

    async def generate(self, request_id, prompt_ids, sampling_params, image_data=None, video_data=None, **_):
        future = asyncio.get_running_loop().create_future()
        self.waiting.append((list(prompt_ids), dict(sampling_params), future))
        if self.running is None:
            self.running = asyncio.get_running_loop().create_task(self._serve())
        ids = await future
        return TokenOutput(
            token_ids=ids, log_probs=None, stop_reason="completed", extra_fields={"global_steps": self.step}
        )

    async def _serve(self):
        try:
            while self.waiting:
                await asyncio.sleep(WAIT)
                batch, self.waiting = self.waiting, []
                found = await asyncio.to_thread(self._sample, [(ids, asked) for ids, asked, _ in batch])
                for (_, _, future), ids in zip(batch, found, strict=True):
                    future.set_result(ids)
        finally:
            self.running = None

    def _sample(self, requests):
        from lcpo.engines.base import Request, Segment

        asked = []
        for ids, how in requests:
            copy = self.copies[repr(ids)]
            self.copies[repr(ids)] += 1
            seed = zlib.crc32(repr((self.seed, self.step, ids, copy)).encode())
            cap, temperature = int(how["max_tokens"]), float(how["temperature"])
            asked.append(Request(Segment(tuple(ids), ""), cap, seed=seed, temperature=temperature))
            self.seen.append((ids, cap))
        return [list(generation.written.ids) for generation in self.engine.generate(asked)]


class HfReplica(RolloutReplica):
    """One server per worker."""

    async def launch_servers(self):
        name = f"hf_server_{self.replica_rank}"
        actor = ray.remote(num_cpus=0, max_concurrency=2000)(HfServer)
        server = actor.options(name=name).remote(self.model_config.path, self.config.seed + self.replica_rank)
        await server.ready.remote()
        self.servers, self._server_handle, self._server_address = [server], server, name


class HfAdapter(BaseRollout):
    """Sends the weights of a worker to its server."""

    async def resume(self, tags):
        pass

    async def release(self):
        pass

    async def update_weights(self, weights, wire_format="named_tensors", global_steps=None, **_):
        state = {name: tensor.detach().cpu().float().clone() for name, tensor in weights}
        server = ray.get_actor(f"hf_server_{torch.distributed.get_rank()}")
        await server.load.remote(state, global_steps)


_ROLLOUT_REGISTRY[("hf", "async")] = f"{__name__}.HfAdapter"
RolloutReplicaRegistry.register("hf", lambda: HfReplica)
