# For people who work on regcache, in an environment of their own with: pip install -e '.[test,adapters,lint]'
# On a machine that has nothing yet: sh tools/test

PYTHON ?= python3

.PHONY: build test pure lint format sanitize sanitize-threads fuzz coverage docs clean

build:
	$(PYTHON) setup.py build_ext --inplace

test: build
	$(PYTHON) -m pytest

pure:
	REGCACHE_PURE=1 $(PYTHON) -m pytest

lint:
	ruff check .
	ruff format --check .
	cython-lint regcache
	mypy
	$(PYTHON) -m tools.check_types
	zizmor --offline --quiet --persona=pedantic .github

format:
	ruff check --fix .
	ruff format .

# The address sanitizer has to be there before Python is. What Python itself never frees is not looked at.
sanitize:
	REGCACHE_SANITIZE=address,undefined $(PYTHON) setup.py build_ext --inplace
	LD_PRELOAD="$$($${CC:-cc} -print-file-name=libasan.so) $$($${CC:-cc} -print-file-name=libubsan.so)" \
	ASAN_OPTIONS=detect_leaks=0 PYTHONMALLOC=malloc $(PYTHON) -m pytest

# Forks are left out: the thread sanitizer does not live through them.
sanitize-threads:
	REGCACHE_SANITIZE=thread $(PYTHON) setup.py build_ext --inplace
	TSAN_OPTIONS="suppressions=$(CURDIR)/tests/stress/tsan.supp:die_after_fork=0" \
	LD_PRELOAD="$$($${CC:-cc} -print-file-name=libtsan.so)" $(PYTHON) -m pytest tests/stress tests/select \
	    tests/cache/test_slot.py tests/cache/test_herd.py \
	    tests/codec/test_snapshot.py tests/codec/test_errors.py tests/codec/test_limits.py

fuzz:
	tests/fuzz/run 60

coverage:
	REGCACHE_COVERAGE=1 $(PYTHON) setup.py build_ext --inplace
	$(PYTHON) -m coverage run -m pytest
	$(PYTHON) -m coverage report

docs:
	$(PYTHON) -m sphinx -b html -W --keep-going -q -d build/doctrees docs build/site

clean:
	rm -rf build dist *.egg-info
	find regcache -name '*.so' -delete
	rm -f regcache/codec/compiled/codec.c regcache/cache/compiled/*.c regcache/select/compiled/*.c
