# One command each for the demo and the tests; both set themselves up. Needs python3.11 with pip, JDK 17 and Maven.
PYTHON ?= python3.11
UV_VERSION := 0.13.9
MVN ?= mvn -q -B -ntp -Dstyle.color=never
UV := .uv/bin/uv
BIN := .venv/bin

# A finished step leaves a stamp that carries the hash of its inputs; another branch or an edit names another stamp, and the step runs again.
STAMPS := .venv/stamps
SUM := $(shell command -v sha256sum || echo shasum -a 256)
hash = $(shell cat $(1) | $(SUM) | cut -c1-16)
FILES = $(shell find $(1) -name target -prune -o -type f -print 2>/dev/null | LC_ALL=C sort)
DEPS := $(STAMPS)/dependencies-$(call hash,requirements.lock)
SELF := $(STAMPS)/package-$(call hash,pyproject.toml hatch_build.py)
JAR := $(STAMPS)/jar-$(call hash,operators/jvm/pom.xml $(call FILES,operators/jvm/src/main))
BROKER := $(STAMPS)/broker-$(call hash,operators/jvm/broker/pom.xml)
ZOOKEEPER := $(STAMPS)/zookeeper-$(call hash,operators/jvm/zookeeper/pom.xml)
CRD := $(STAMPS)/crd-$(call hash,docker/kubernetes/pom.xml)
WARM := $(STAMPS)/kernels-$(call hash,$(shell grep -rlE '\bnjit\b' --include=*.py schemas features models operators jobs | LC_ALL=C sort))
done = @mkdir -p $(STAMPS) && rm -f $(STAMPS)/$(1)-* && touch $@

.DEFAULT_GOAL := help
.PHONY: help setup demo test check lint types layers java python bench bench-peers fuzz chaos lock wheel clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "  make %-11s %s\n", $$1, $$2}'

setup: ## the environment in .venv, the job's jar, a Kafka broker's jars (quick when nothing changed)
	@$(MAKE) -s --no-print-directory -j3 $(SELF) $(JAR) $(BROKER) $(ZOOKEEPER) $(CRD)
	@$(MAKE) -s --no-print-directory $(WARM)

demo: setup ## customers of a public data set scored and saved, live: Kafka, Flink, Redis (two and a half minutes; JOB=clv: lifetime value; JOB=next_app: the next app)
	@$(BIN)/keepline demo --job $(or $(JOB),churn)

test: setup ## everything that CI checks: lint, types, layers, Java tests, Python tests
	@$(MAKE) -s --no-print-directory check java python

check: lint types layers schemas

lint:
	@echo "── lint" && $(BIN)/ruff check -q . && $(BIN)/ruff format -q --check .
	@told=$$($(BIN)/deptry . --no-ansi 2>&1) || { echo "$$told"; exit 1; }

types:
	@echo "── types" && $(BIN)/mypy --no-error-summary

layers:
	@echo "── layers" && $(BIN)/lint-imports --no-logo

.PHONY: schemas
schemas:
	@echo "── schemas" && $(BIN)/python -m tests.schemas.compatibility

java:
	@echo "── Java tests" && $(MVN) -f operators/jvm/pom.xml test

python:
	@echo "── Python tests" && $(BIN)/pytest -q -n 2 --dist loadfile

bench: setup ## events per second and latency, printed
	@$(BIN)/python -m tests.benchmarks

bench-peers: setup ## Keepline beside its peers, interleaved, every output checked; writes docs/benchmarks.md (FLAGS=--quick: fewer events, rounds and points)
	@$(BIN)/python -m tests.benchmarks.peers --markdown $(FLAGS)

fuzz: setup ## damaged records by the million through decoder and operator: make fuzz CASES=10000000 [SEED=1]
	@$(BIN)/python -m tests.fuzz --cases $(or $(CASES),1000000) $(if $(SEED),--seed $(SEED))

# The rounds run from an environment of their own with the wheel in it; of this tree they see only tests/.
CHAOS := build/chaos
CHAOS_ENV := $(CHAOS)/environment
chaos: setup wheel ## faults against the whole job from the wheel: make chaos [ROUNDS=100] [SEED=..] [ONLY=fault,..] [MINUTES=..] [ADD=1] [PAGE=1]
	@mkdir -p $(CHAOS)/sources && ln -sfn $(CURDIR)/tests $(CHAOS)/sources/tests
	@test -x $(CHAOS_ENV)/bin/python || $(UV) venv -q --python $(PYTHON) $(CHAOS_ENV)
	@VIRTUAL_ENV=$(CHAOS_ENV) $(UV) pip install -q --require-hashes -r requirements.lock
	@VIRTUAL_ENV=$(CHAOS_ENV) $(UV) pip install -q --no-deps --reinstall-package keepline dist/keepline-*.whl
	@$(CHAOS_ENV)/bin/python -P -m keepline.jobs.stack.warm
	@PYTHONPATH=$(CURDIR)/$(CHAOS)/sources KEEPLINE_BROKER_JARS=$(CURDIR)/operators/jvm/broker/target/kafka-libs \
		KEEPLINE_ZOOKEEPER_JARS=$(CURDIR)/operators/jvm/zookeeper/target/zookeeper-libs $(CHAOS_ENV)/bin/python -P -m tests.chaos --rounds $(or $(ROUNDS),100) $(if $(SEED),--seed $(SEED)) $(if $(ONLY),--only $(ONLY)) \
		$(if $(BACKEND),--backend $(BACKEND)) $(if $(PARALLELISM),--parallelism $(PARALLELISM)) $(if $(MINUTES),--minutes $(MINUTES)) \
		$(if $(ADD),--add) $(if $(PAGE),--page)

lock: $(UV) ## requirements.lock anew from pyproject.toml; versions stay unless they must move (UPGRADE=1: newest)
	@$(UV) pip compile -q pyproject.toml --group stack --group dev --universal --python-version 3.11 --generate-hashes --no-header \
		$(if $(UPGRADE),--upgrade) -o requirements.lock

wheel: $(UV) ## dist/keepline-*.whl with the jar inside
	@$(MAKE) -s --no-print-directory $(JAR)
	@$(UV) build -q --wheel --out-dir dist .

clean: ## remove everything that setup and the builds made
	rm -rf .venv .uv dist build operators/jvm/target operators/jvm/broker/target operators/jvm/zookeeper/target docker/kubernetes/target tests/benchmarks/peers/java/target .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	find schemas features models operators jobs tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(UV):
	@echo "setup: uv $(UV_VERSION)"
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is not on the PATH: install Python 3.11, or name it: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 1; }
	@PIP_ROOT_USER_ACTION=ignore $(PYTHON) -m pip install -q --disable-pip-version-check --no-deps --target .uv uv==$(UV_VERSION)

$(DEPS): | $(UV)
	@echo "setup: Python packages"
	@test -x $(BIN)/python || $(UV) venv -q --allow-existing --python $(PYTHON) .venv
	@VIRTUAL_ENV=.venv $(UV) pip install -q --require-hashes -r requirements.lock
	$(call done,dependencies)

# The build tool is in the lock file too, so nothing is fetched without a hash.
$(SELF): $(DEPS)
	@VIRTUAL_ENV=.venv $(UV) pip install -q --no-deps --no-build-isolation -e .
	$(call done,package)

$(JAR): | mvn
	@echo "setup: the job's jar"
	@$(MVN) -f operators/jvm/pom.xml package -DskipTests
	$(call done,jar)

$(BROKER): | mvn
	@echo "setup: a Kafka broker's jars"
	@$(MVN) -f operators/jvm/broker/pom.xml package
	$(call done,broker)

$(ZOOKEEPER): | mvn
	@echo "setup: a ZooKeeper server's jars"
	@$(MVN) -f operators/jvm/zookeeper/pom.xml package
	$(call done,zookeeper)

$(CRD): | mvn
	@echo "setup: the Kubernetes operator's definitions"
	@$(MVN) -f docker/kubernetes/pom.xml package
	$(call done,crd)

.PHONY: mvn
mvn:
	@command -v mvn >/dev/null || { echo "mvn is not on the PATH: install Maven and JDK 17 (Debian: apt-get install maven openjdk-17-jdk-headless)"; exit 1; }

$(WARM): $(SELF)
	@echo "setup: compiled kernels"
	@$(BIN)/python -m keepline.jobs.stack.warm
	$(call done,kernels)
