# The targets a person needs; CI calls the same ones.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run test test-programs check format soak bench report peers lock clean
PARALLEL := -n 3 --dist loadgroup --no-loadscope-reorder
# Each of many processes would compile all modules again if the environment forbade to keep them.
export PYTHONDONTWRITEBYTECODE :=

run: $(VENV)/run.stamp            ## start the mirror on 127.0.0.1:5000
	$(BIN)/entrepot serve

test: $(VENV)/test.stamp          ## the tests that need no program built from source (5 minutes)
	$(BIN)/python -m pytest $(PARALLEL) -m "not alone and not programs and not soak"
	$(BIN)/python -m pytest -m "alone and not programs and not soak" || [ $$? -eq 5 ]  # 5: none

test-programs: $(VENV)/test.stamp ## programs built from source, packaging, fuzzing, longer loops
	$(BIN)/python -m pytest $(PARALLEL) -m "programs and not alone and not soak"
	$(BIN)/python -m pytest -m "programs and alone and not soak" || [ $$? -eq 5 ]  # 5: none

check: $(VENV)/test.stamp         ## format, lint, types, architecture
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/architecture

format: $(VENV)/test.stamp        ## rewrite the sources in the one style
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

soak: $(VENV)/test.stamp          ## the full measurements behind docs/evidence/
	$(BIN)/python -m pytest -m soak

bench: $(VENV)/test.stamp peers   ## measure beside the peers (about 40 minutes on a quiet machine)
	$(BIN)/python -m benchmarks

report: $(VENV)/test.stamp peers  ## every case of the bench once, reduced (about 3 minutes)
	$(BIN)/python -m benchmarks --quick

peers:                            ## install what the bench measures; the table names who is missing
	-.ci/install-packages nginx-light docker-registry wrk
	-.ci/install-packages docker.io containerd iproute2

lock: $(VENV)/test.stamp          ## renew the locked dependencies from the bounds in pyproject.toml
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate --python-version 3.11 --upgrade --extra build pyproject.toml -o locks/run.txt
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate --python-version 3.11 --upgrade --extra build --extra test pyproject.toml -o locks/test.txt

clean:                            ## forget the environment; keep data/
	rm -rf $(VENV)

# A stamp is renewed when the bounds or the locks change, so a second call costs nothing.
$(VENV)/run.stamp: pyproject.toml locks/run.txt
	@echo "installing into $(VENV), about half a minute; later calls start at once"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r locks/run.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	touch $@

$(VENV)/test.stamp: $(VENV)/run.stamp locks/test.txt
	$(BIN)/python -m pip install --quiet --require-hashes -r locks/test.txt
	touch $@
