# VL2: everything a fresh Debian 12 machine needs, in two commands:  sudo make demo   and   sudo make test
PYTHON ?= /usr/bin/python3
VENV := .venv
BIN := $(VENV)/bin
# A newer Python, where the machine has one, runs the rootless tests on os-ken; Debian's own does it elsewhere.
OSKEN_PYTHON ?= $(shell for v in 3.13 3.12; do for p in $$(command -v python$$v) $$HOME/.pyenv/versions/$$v*/bin/python; do \
	[ -x "$$p" ] && "$$p" -c 'import sys; assert sys.version_info >= (3, 12)' 2>/dev/null && { echo $$p; exit; }; done; done; \
	echo $(PYTHON))
OSKEN_VENV := .venv-osken
# The real clients and the real Keystone, which must not share their requirements with the product.
OPENSTACK_VENV := .venv-openstack
PACKAGES := openvswitch-switch mininet iproute2 iputils-ping iputils-arping tcpdump ethtool iperf3 \
	python3-venv python3-dev gcc ruby shellcheck udhcpc isc-dhcp-client bind9-dnsutils ndisc6 \
	qemu-system-x86 busybox-static
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo test test-rootless test-pure test-osken lint lab bench migration chaos tenants paper docs clean packages

help:
	@echo "sudo make demo   install what is needed, bring a data center up, move a VM under traffic, print what happened"
	@echo "sudo make test   install what is needed, run all tests"
	@echo "     make lint   format, lint, types, import contracts"
	@echo "sudo make lab    bring the default lab up and leave it running (vl2 lab down ends it)"
	@echo "sudo make bench  run the measurements and write bench/results"
	@echo "sudo make migration move machines and guests by VL2's way and by others', twenty minutes, and write bench/results"
	@echo "sudo make chaos  let links and switches fail at random for ten minutes on each of three topologies"
	@echo "sudo make tenants let two tenants with the same addresses change everything for ten minutes, count every frame"
	@echo "sudo make paper  run the experiments of the VL2 paper, fifteen minutes, and write bench/vl2_paper/README.md"
	@echo "     make docs   print the generated pages of docs/ from the code"
	@echo "     make clean  end a running lab, remove everything that was built here"

packages:
	@missing=""; for p in $(PACKAGES); do dpkg -s $$p >/dev/null 2>&1 || missing="$$missing $$p"; done; \
	if [ -n "$$missing" ]; then echo "installing:$$missing"; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $$missing >/dev/null; fi

# Ryu 4.34 is a source package of 2019 that today's setuptools cannot build.
$(BIN)/vl2: setup.cfg pyproject.toml build-constraints.txt | packages
	$(PYTHON) -m venv --system-site-packages $(VENV)
	PIP_CONSTRAINT=$(CURDIR)/build-constraints.txt $(BIN)/pip install -q -e '.[test,lint,keystone]'
	@touch $@

$(OSKEN_VENV)/bin/vl2: setup.cfg pyproject.toml | packages
	$(OSKEN_PYTHON) -m venv $(OSKEN_VENV)
	$(OSKEN_VENV)/bin/python -c 'import sys; sys.exit(sys.version_info >= (3, 12))' \
		&& { printf 'setuptools<67.3\n' > $(OSKEN_VENV)/constraints; } || : > $(OSKEN_VENV)/constraints
	PIP_CONSTRAINT=$(CURDIR)/$(OSKEN_VENV)/constraints $(OSKEN_VENV)/bin/pip install -q -e '.[test,osken]'
	@touch $@

$(OPENSTACK_VENV)/bin/openstack: tests/openstack/requirements.txt | packages
	$(PYTHON) -m venv $(OPENSTACK_VENV)
	$(OPENSTACK_VENV)/bin/pip install -q -r tests/openstack/requirements.txt
	@touch $@

demo: $(BIN)/vl2
	$(BIN)/vl2 demo

lab: $(BIN)/vl2
	$(BIN)/vl2 lab up

# Both cores are used, but by what measures loss or time: that has the machine for itself.
SHARED := -n 2 --dist loadfile
test: test-rootless test-osken $(OPENSTACK_VENV)/bin/openstack
	$(BIN)/python -m pytest -q -m 'root and not alone' $(SHARED)
	$(BIN)/python -m pytest -m 'root and alone'

test-rootless: test-pure $(OPENSTACK_VENV)/bin/openstack
	$(BIN)/python -m pytest -q $(SHARED) -m 'not root' --ignore tests/overlay --ignore tests/fabric --ignore tests/identity --ignore tests/project

test-pure: $(BIN)/vl2
	$(BIN)/python -m pytest -q $(SHARED) -m 'not root' tests/overlay tests/fabric tests/identity tests/project --cov --cov-report=term

# Mininet is a package of Debian's own Python, so what builds labs runs on that alone.
test-osken: $(OSKEN_VENV)/bin/vl2
	VL2_FRAMEWORK=os_ken $(OSKEN_VENV)/bin/python -m pytest -q $(SHARED) -m 'not root' --ignore tests/topologies --ignore tests/e2e --ignore tests/bench --ignore tests/openstack

lint: $(BIN)/vl2
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --config setup.cfg
	shellcheck .ci/run topologies/qemu/init.sh

bench: $(BIN)/vl2
	$(BIN)/python -m bench

# matplotlib draws the pictures and is of no use to anybody else.
migration: $(BIN)/vl2
	PIP_CONSTRAINT=$(CURDIR)/build-constraints.txt $(BIN)/pip install -q -e '.[bench]'
	$(BIN)/python -m bench.migration $(if $(MOVES),--moves $(MOVES))
	$(BIN)/python -m bench.report

chaos: $(BIN)/vl2
	$(BIN)/python -m bench.chaos
	$(BIN)/python -m bench.report

tenants: $(BIN)/vl2
	$(BIN)/python -m bench.tenants
	$(BIN)/python -m bench.report

paper: $(BIN)/vl2
	PIP_CONSTRAINT=$(CURDIR)/build-constraints.txt $(BIN)/pip install -q -e '.[bench]'
	$(BIN)/python -m bench.vl2_paper $(if $(ONLY),--only $(ONLY)) $(if $(QUICK),--quick)

docs: $(BIN)/vl2
	$(BIN)/python -m docs.generate

clean:
	-[ ! -x $(BIN)/vl2 ] || [ "$$(id -u)" != 0 ] || $(BIN)/vl2 lab down
	rm -rf $(VENV) $(OSKEN_VENV) $(OPENSTACK_VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
