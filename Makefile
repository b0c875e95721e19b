# GeoSeg. Every target sets up what it needs; everything lands in .envs/ and build/.
PLUGIN_PYTHON := .envs/plugin/bin/python
RASTERS ?=
LABELS ?=
FIELD ?=
AREA ?=
OUT ?=
UNLABELLED ?=
MINUTES ?=
ADDRESS ?=
RELEASE ?=
export RASTERS LABELS FIELD AREA OUT UNLABELLED MINUTES
address := $(if $(ADDRESS),--address "$(ADDRESS)")

.DEFAULT_GOAL := help
.PHONY: help setup lint format test test-engine test-plugin scan demo run package clean

help:
	@echo "make setup         QGIS, .envs/plugin and .envs/engine"
	@echo "make test          all suites; test-engine and test-plugin run a part"
	@echo "make lint          ruff (lint and format) and mypy"
	@echo "make scan          builds the zip and checks it as the QGIS plugin repository does; RELEASE=1 before an upload"
	@echo "make demo          the whole way through QGIS on a made scene; results in build/demo/"
	@echo '                   or on yours: make demo RASTERS="a.tif b.tif" LABELS=c.gpkg FIELD=class AREA=boxes.gpkg OUT=folder'
	@echo "make run           QGIS with the plugin and the demo project"
	@echo "make package       build/geoseg_plugin.zip; ADDRESS=https://… is the page of the project in it"
	@echo "make clean         remove build/ (the environments stay; remove .envs/ by hand)"

setup:
	@bash scripts/dev/bootstrap.sh

lint: setup
	$(PLUGIN_PYTHON) -m ruff check .
	$(PLUGIN_PYTHON) -m ruff format --check .
	$(PLUGIN_PYTHON) -m mypy training/geoseg_engine
	$(PLUGIN_PYTHON) -m mypy geoseg_plugin scripts/dev scripts/demo/demo.py scripts/demo/demo_in_qgis.py

format:
	$(PLUGIN_PYTHON) -m ruff check --fix .
	$(PLUGIN_PYTHON) -m ruff format .

test: setup
	@bash scripts/dev/run_tests.sh

test-engine: setup
	@bash scripts/dev/run_tests.sh engine

test-plugin: setup
	@bash scripts/dev/run_tests.sh architecture plugin e2e

demo: setup
	@bash scripts/demo/demo.sh

run: setup
	@bash scripts/dev/run_qgis.sh

scan: setup
	@$(PLUGIN_PYTHON) scripts/dev/wheel_lists.py --check $(if $(RELEASE),--release)
	@$(PLUGIN_PYTHON) scripts/dev/scan.py $(address) $(if $(RELEASE),--release)

package:
	@python3 scripts/dev/package.py $(address)

clean:
	rm -rf build .pytest_cache .ruff_cache .mypy_cache
	find . -name __pycache__ -not -path './.envs/*' -prune -exec rm -rf {} +
