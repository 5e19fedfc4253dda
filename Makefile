# The targets for people. CI calls the same targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)

.DEFAULT_GOAL := help
.PHONY: help run test programs test-programs check audit format soak bench report docs peers built-peers lock sbom wheelhouse image version release clean
# More processes than cores: many tests wait for clocks and for other processes.
PARALLEL := -n 4 --dist loadgroup --no-loadscope-reorder
# Python keeps compiled modules: otherwise each of many processes would compile all of them again.
export PYTHONDONTWRITEBYTECODE :=

help:                             ## list the targets (this is the default)
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(VENV)/run.stamp            ## start the mirror on 127.0.0.1:5000
	$(BIN)/entrepot serve

# `make check` runs tests/architecture: it is about the sources, and not about what they do.
test: $(VENV)/test.stamp          ## run the tests (about 4 minutes)
	$(BIN)/python -m pytest $(PARALLEL) --ignore=tests/architecture -m "not programs and not soak"

programs: $(VENV)/test.stamp      ## build what test-programs needs (once, 15 minutes)
	$(BIN)/python -m tests.programs

test-programs: programs $(VENV)/docs.stamp  ## run the tests with other programs, and longer loops
	$(BIN)/python -m pytest $(PARALLEL) -m "programs and not alone and not soak"
	$(BIN)/python -m pytest $(PARALLEL) --hypothesis-profile=many -m "not programs and not soak" tests/property
	$(BIN)/python -m pytest -m "programs and alone and not soak" || [ $$? -eq 5 ]  # 5: none

check: $(VENV)/test.stamp         ## check format, lint, security, types and architecture
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/bandit --quiet --recursive --configfile pyproject.toml registry
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/architecture

# Fails without a database of vulnerabilities, too: .ci/audit says which of the two it was.
audit: $(VENV)/test.stamp         ## look up known vulnerabilities of what is locked
	.ci/audit $(BIN)/pip-audit locks/run.txt locks/test.txt locks/docs.txt

format: $(VENV)/test.stamp        ## format the sources
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

soak: $(VENV)/test.stamp          ## run the full measurements for docs/evidence/
	$(BIN)/python -m pytest -m soak

bench: $(VENV)/test.stamp peers   ## measure beside other caches (about 80 minutes)
	$(BIN)/python -m benchmarks

report: $(VENV)/test.stamp peers  ## run the bench once, at reduced size (about 4 minutes)
	$(BIN)/python -m benchmarks --quick

docs: $(VENV)/docs.stamp          ## build the documents as a site: dist/site/index.html
	NO_MKDOCS_2_WARNING=1 $(VENV)/docs/bin/mkdocs build --quiet --strict

peers:                            ## install the programs that the bench measures
	-.ci/install-packages nginx-light docker-registry wrk
	-.ci/install-packages docker.io containerd iproute2

built-peers: $(VENV)/test.stamp   ## build the other programs that the bench measures (once, 25 minutes)
	$(BIN)/python -m benchmarks.built_peers

lock: $(VENV)/test.stamp          ## lock the newest dependencies within their bounds
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate --python-version 3.11 --upgrade --extra build pyproject.toml -o locks/run.txt
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate --python-version 3.11 --upgrade --extra build --extra test pyproject.toml -o locks/test.txt
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate --python-version 3.11 --upgrade --extra docs --constraints locks/test.txt pyproject.toml -o locks/docs.txt
	echo "pip>=25,<27" | $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate --python-version 3.11 --upgrade - -o locks/pip.txt
	$(MAKE) sbom

# Licences are read from the installed packages, so those have to be as locked.
sbom: $(VENV)/test.stamp          ## write the SBOM of what is locked
	$(BIN)/python .ci/sbom.py locks/run.txt >locks/entrepot.cdx.json.new
	mv locks/entrepot.cdx.json.new locks/entrepot.cdx.json

wheelhouse: $(VENV)/run.stamp     ## write dist/install/: what installs without a network
	config/wheelhouse/pack $(BIN)/python dist/install

# Why `docker build` has failed: the daemon, the base image, or a step of the build.
IMAGE_BASE = $(or $(BASE),$(shell sed -n 's/^ARG BASE=//p' Dockerfile))
EXPLAIN_BUILD = \
  if ! docker version >/dev/null 2>&1; then \
    echo "the Docker daemon does not answer: start it, or let this user use it (docker version says more)"; \
  elif ! { docker image inspect $(IMAGE_BASE) || docker pull $(IMAGE_BASE); } >/dev/null 2>&1; then \
    echo "the base image $(IMAGE_BASE) cannot be pulled: name an image with Python >= 3.11: make image BASE=my/python:3.12"; \
  else \
    echo "the build failed (see above): if pip cannot download, name a package index: make image PIP_FLAGS=\"--index-url https://pypi.lan/simple\"; docs/airgap.md says more"; \
  fi

image:                            ## write dist/install/: the container image, after a try
	docker build $(if $(BASE),--build-arg BASE=$(BASE)) $(if $(PIP_FLAGS),--build-arg PIP_FLAGS="$(PIP_FLAGS)") \
	  --tag entrepot:$(VERSION) --tag entrepot:latest . \
	  || { $(EXPLAIN_BUILD) >&2; false; }
	docker run --rm --network none entrepot:$(VERSION) config check \
	  || { echo "the image was built, but Entrepôt does not run in it (see above): name another base image with Python >= 3.11: make image BASE=my/python:3.12" >&2; false; }
	mkdir -p dist/install
	rm -f dist/install/entrepot-image-*.tar
	docker save --output dist/install/entrepot-image-$(VERSION).tar entrepot:$(VERSION) entrepot:latest
	chmod 644 dist/install/entrepot-image-$(VERSION).tar
	cd dist/install && sha256sum -- *.tar >SHA256SUMS

version:                          ## name the next version: make version NEW=0.2.0
	$(PYTHON) config/release/version.py $(NEW)
	$(MAKE) sbom

# Not every shell replaces ~ behind an equals sign.
KEY = $(patsubst ~/%,$(HOME)/%,$(RELEASE_KEY))

release: $(VENV)/run.stamp        ## write dist/release/: sdist, wheel, chart, signed checksums
	config/release/check "$(KEY)"
	rm -rf dist/release
	config/release/build $(BIN)/python dist/release
	config/release/sign dist/release "$(KEY)" || { rm -rf dist/release; false; }
	@echo "dist/release/ has version $(VERSION); now tag it, and publish these files: git tag --sign v$(VERSION)"

clean:                            ## delete the virtual environment, but not data/
	rm -rf $(VENV)

# Each stamp file is newer than the bounds and locks that were installed. So make installs again only
# when one of these files has changed.
$(VENV)/run.stamp: pyproject.toml locks/run.txt
	@echo "installing into $(VENV), about half a minute; later calls start at once"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r locks/run.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	touch $@

$(VENV)/test.stamp: $(VENV)/run.stamp locks/test.txt
	$(BIN)/python -m pip install --quiet --require-hashes -r locks/test.txt
	touch $@

# In an environment of its own: libraries of ours import some of its packages if they are there.
$(VENV)/docs.stamp: locks/docs.txt
	$(PYTHON) -m venv $(VENV)/docs
	$(VENV)/docs/bin/python -m pip install --quiet --require-hashes -r locks/docs.txt
	touch $@
