"""The same run on a cluster: verl (Ray, FSDP or Megatron, vLLM or SGLang) with lcpo as its plug-in.

export.py writes the data, settings.py verl's whole configuration, launch.py starts verl's own trainer and brings the
checkpoint back; plugin.py is what verl loads in every process: agent loop, reward manager, advantages, and the trainer
(trainer.py). check.py says whether it did, plan.py what a run takes before it is started.
"""
