# millstream - make help lists the targets. Needs GNU make, gcc or clang, and the packages of tools/packages.txt.

Q := $(if $(V),,@)
CC ?= gcc
CXX ?= g++
BUILD ?= build
GEN := $(BUILD)/gen
PREFIX ?= /usr/local
SAN ?=
DEBUG ?=
ifeq ($(origin CC),default)
CC := gcc
endif

WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith
ARCH := -march=x86-64-v2
OPT := -O2 -g -fno-omit-frame-pointer -ffp-contract=off
CPPFLAGS += -I. -I$(GEN) -D_GNU_SOURCE
ifneq ($(DEBUG),)
CPPFLAGS += -DMILL_DEBUG=$(DEBUG)
endif
ifeq ($(SAN),asan)
OPT := -O1 -g -fno-omit-frame-pointer -ffp-contract=off -fsanitize=address,undefined -fno-sanitize-recover=undefined -DMILL_SANITIZER
endif
ifeq ($(SAN),tsan)
OPT := -O1 -g -fno-omit-frame-pointer -ffp-contract=off -fsanitize=thread -DMILL_SANITIZER
endif
ifeq ($(SAN),fuzz)
CC := clang
CXX := clang++
OPT := -O1 -g -fno-omit-frame-pointer -ffp-contract=off -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=undefined -DMILL_SANITIZER
endif
CFLAGS_OWN = -std=gnu17 $(OPT) $(ARCH) $(WARN) -fPIC -fvisibility=hidden -pthread
CFLAGS_SOFT = -std=gnu17 $(OPT) $(ARCH) -Wall -fPIC -pthread -Wno-unused-function
CXXFLAGS_OWN = -std=c++17 $(OPT) $(ARCH) -Wall -Wextra -fPIC -fvisibility=hidden -pthread

LIBS := -lxxhash -lnettle -lz -lzstd -luring -lre2 -lpcre2-8 -lstdc++ -ldl -lm -pthread

SRC := $(wildcard core/*.c core/*/*.c io/*.c kernels/*.c)
SHIMS := $(wildcard core/*/*.cc io/*.cc)
GENSRC := $(GEN)/lexer.c
OBJ := $(SRC:%.c=$(BUILD)/%.o) $(SHIMS:%.cc=$(BUILD)/%.o) $(GENSRC:%.c=%.o)
LIB := $(BUILD)/libmillstream.a
SO := $(BUILD)/libmillstream.so
CMD := $(BUILD)/millstream

TEST_UNITS := $(patsubst tests/%.c,%,$(wildcard tests/test_*.c))
TEST_STRESS := $(patsubst tests/%.c,%,$(wildcard tests/stress_*.c))
TEST_FUZZ := $(patsubst tests/%.c,%,$(wildcard tests/fuzz_*.c))
TEST_KIT := $(patsubst %.c,$(BUILD)/%.o,$(filter-out tests/test_%.c tests/stress_%.c tests/fuzz_%.c tests/simulate.c,$(wildcard tests/*.c)))
BENCHES := $(patsubst bench/%.cc,%,$(wildcard bench/bench_*.cc))

.PHONY: FORCE all deps deps-test check test unit stress model sql-quick fuzz bench lint analyze ci demo examples help install clean
.DEFAULT_GOAL := all
.SECONDARY:

all: deps $(LIB) $(SO) $(CMD)          ## build the library and the command

# Order-only: with make -j nothing is compiled before its packages are there.
deps:
	@tools/install-packages.sh build
deps-test: deps
	@tools/install-packages.sh test

$(GEN)/lexer.c: core/sql/lexer.re | deps
	@mkdir -p $(GEN)
	$(Q)re2c -W --no-debug-info -o $@ $<
$(GEN)/%.o: $(GEN)/%.c | deps
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS_SOFT) -Wno-unused-variable -fvisibility=hidden -MMD -MP -c $< -o $@
$(BUILD)/%_avx2.o: ARCH := -march=x86-64-v3
$(BUILD)/%_avx512.o: ARCH := -march=x86-64-v3 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512cd -mpclmul -mprefer-vector-width=512
$(BUILD)/%_avx512vbmi2.o: ARCH := -march=x86-64-v3 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512cd -mpclmul -mprefer-vector-width=512 -mavx512vbmi2
$(BUILD)/kernels/%.o: kernels/%.c | deps
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS_OWN) -O3 -MMD -MP -c $< -o $@
$(BUILD)/tests/%.o: tests/%.c | deps-test
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS_SOFT) -MMD -MP -c $< -o $@
$(BUILD)/%.o: %.c | deps
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS_OWN) -MMD -MP -c $< -o $@
$(BUILD)/%.o: %.cc | deps
	@mkdir -p $(@D)
	$(Q)$(CXX) $(CPPFLAGS) $(CXXFLAGS_OWN) -MMD -MP -c $< -o $@

$(LIB): $(OBJ)
	@rm -f $@
	$(Q)ar rcs $@ $^
$(SO): $(OBJ)
	$(Q)$(CXX) $(OPT) -shared -Wl,-soname,libmillstream.so.0 -Wl,--exclude-libs,ALL -o $@ $^ $(LIBS)
# Queries and peers of millstream bench, and what its reports say of the build.
$(GEN)/bench_files.c: $(wildcard bench/queries/*.sql) bench/peers/duckdb.py bench/results/nexmark_answers.txt tools/embed.sh
	@mkdir -p $(@D)
	$(Q)tools/embed.sh $(filter-out %.sh,$^) > $@
$(GEN)/bench_build.h: FORCE
	@mkdir -p $(@D)
	@printf '#define BENCH_COMMIT "%s"\n#define BENCH_FLAGS "%s"\n' "$$(git describe --always --dirty 2>/dev/null || echo unknown)" '$(OPT) $(ARCH)' > $@.new
	@cmp -s $@ $@.new && rm $@.new || mv $@.new $@
$(BUILD)/tools/bench_machine.o: $(GEN)/bench_build.h
FORCE:
$(CMD): $(patsubst %.c,$(BUILD)/%.o,$(wildcard tools/*.c)) $(GEN)/bench_files.o $(LIB)
	$(Q)$(CC) $(OPT) -o $@ $^ $(LIBS)

$(BUILD)/tests/%: $(BUILD)/tests/%.o $(TEST_KIT) $(LIB)
	$(Q)$(CC) $(OPT) -o $@ $< $(TEST_KIT) $(LIB) $(if $(filter test_%,$*),-lcriterion) $(if $(filter fuzz_%,$*),-fsanitize=fuzzer) $(LIBS)
$(BUILD)/bench/%.o: bench/%.cc
	@tools/install-packages.sh bench
	@mkdir -p $(@D)
	$(Q)$(CXX) $(CPPFLAGS) $(CXXFLAGS_OWN) -MMD -MP -c $< -o $@
$(BUILD)/bench/%: $(BUILD)/bench/%.o $(LIB)
	$(Q)$(CXX) $(OPT) -o $@ $< $(LIB) -lbenchmark $(LIBS)

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)

# ---- tests ----

test: deps-test                        ## build and run all tests (installs what is missing)
	@$(MAKE) --no-print-directory check

check: $(TEST_UNITS:%=$(BUILD)/tests/%) $(TEST_STRESS:%=$(BUILD)/tests/%) $(BUILD)/tests/simulate $(BUILD)/model $(CMD) $(BUILD)/embed
	@BUILD=$(BUILD) tests/run.sh unit stress simulate model sql embed installed

unit: $(TEST_UNITS:%=$(BUILD)/tests/%)  ## only the unit tests
	@BUILD=$(BUILD) tests/run.sh unit

stress: $(TEST_STRESS:%=$(BUILD)/tests/%) $(CMD)   ## only what runs threads: rings and shards
	@BUILD=$(BUILD) tests/run.sh stress shards

simulate: $(BUILD)/tests/simulate      ## the engine in a simulated world: SEEDS=2000 of them; SEED=n replays one
	$(if $(SEED),$(BUILD)/tests/simulate $(SEED),@BUILD=$(BUILD) SEEDS=$(or $(SEEDS),2000) tests/run.sh simulate)

# Plain and optimised in every build: one thread, and tens of millions of states.
$(BUILD)/model: $(wildcard tests/model/*.cc tests/model/*.h) | deps
	@mkdir -p $(@D)
	$(Q)$(CXX) -std=c++17 -O2 -Wall -Wextra -Werror -I. -o $@ $(filter %.cc,$^) -lxxhash

model: $(BUILD)/model                  ## search all interleavings of the step protocol, and of it with each rule broken
	@BUILD=$(BUILD) tests/run.sh model

sql-quick: $(CMD)
	@BUILD=$(BUILD) MILL_QUICK=1 tests/run.sh sql

fuzz:                                  ## short fuzzing of the SQL parser and the CSV decoder (SECONDS_EACH=60)
	@tools/install-packages.sh ci
	@$(MAKE) --no-print-directory BUILD=build-fuzz SAN=fuzz $(TEST_FUZZ:%=build-fuzz/tests/%)
	@BUILD=build-fuzz SECONDS_EACH=$(or $(SECONDS_EACH),60) tests/run.sh fuzz

$(BUILD)/embed: docs/examples/embed.c $(LIB)
	$(Q)$(CC) -std=c17 -O2 -Wall -Wextra -Icore -o $@ $< $(LIB) $(LIBS)

# ---- the rest ----

demo: all                              ## generate NEXMark events, run a window query over them
	@BUILD=$(BUILD) tools/demo.sh

examples: all                          ## the scenarios of all examples, and their runs on generated data, checked (docs/EXAMPLES.md)
	@find docs/examples -name '*.scenario' | sort | xargs $(CMD) test
	@MILL_COMMAND=$(CMD) python3 tests/sql_examples.py

lint:                                  ## include direction, atomics, the world behind env, function length
	@tools/install-packages.sh ci
	@tools/lint.sh

# gcc's analyzer without the checks that cannot see through longjmp, vtables and memory that grows.
analyze: $(GEN)/lexer.c $(GEN)/bench_build.h   ## static analysis: cppcheck, gcc -fanalyzer
	@tools/install-packages.sh ci
	@BUILD=$(BUILD) tools/analyze.sh

ci:                                    ## exactly what CI runs
	@.ci/run

$(BUILD)/bench_memory: bench/bench_memory.c $(LIB)
	$(Q)$(CC) -std=gnu17 -D_GNU_SOURCE -O2 -Wall -Wextra -I. -o $@ $< $(LIB) $(LIBS)

$(BUILD)/bench_expr: bench/bench_expr.c $(LIB)
	$(Q)$(CC) -std=gnu17 -D_GNU_SOURCE -O2 -Wall -Wextra -I. -o $@ $< $(LIB) $(LIBS)

$(BUILD)/bench_bare: bench/bench_bare.c
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu17 -D_GNU_SOURCE $(ARCH) -O2 -Wall -Wextra -o $@ $< -lm

$(BUILD)/bench_json: bench/bench_json.c bench/simdjson_shim.cc $(LIB)
	@tools/install-packages.sh bench
	$(Q)$(CXX) -std=c++17 -O2 -march=native -Wall -c -o $@.o bench/simdjson_shim.cc
	$(Q)$(CC) -std=gnu17 -D_GNU_SOURCE $(ARCH) -O2 -Wall -Wextra -I. -o $@ bench/bench_json.c $@.o $(LIB) -lsimdjson $(LIBS)

$(BUILD)/bench_ring: bench/bench_ring.c $(LIB)
	$(Q)$(CC) $(CPPFLAGS) -std=gnu17 $(ARCH) -O2 -Wall -Wextra -o $@ $< $(LIB) $(LIBS)

bench: all                             ## measure the engine on generated data, answers checked; BENCH="csv ring": parts of it
	@BUILD=$(BUILD) bench/run.sh $(BENCH)

install: all                           ## to PREFIX (default /usr/local)
	install -D -m 755 $(CMD) $(DESTDIR)$(PREFIX)/bin/millstream
	install -D -m 644 $(LIB) $(DESTDIR)$(PREFIX)/lib/libmillstream.a
	install -D -m 755 $(SO) $(DESTDIR)$(PREFIX)/lib/libmillstream.so.0
	ln -sf libmillstream.so.0 $(DESTDIR)$(PREFIX)/lib/libmillstream.so
	install -D -m 644 core/millstream.h $(DESTDIR)$(PREFIX)/include/millstream.h
	install -D -m 644 docs/millstream.1 $(DESTDIR)$(PREFIX)/share/man/man1/millstream.1
	@mkdir -p $(DESTDIR)$(PREFIX)/lib/pkgconfig
	@printf 'prefix=%s\nName: millstream\nDescription: Flink SQL on one machine\nVersion: 0.1.0\nCflags: -I$${prefix}/include\nLibs: -L$${prefix}/lib -lmillstream\nLibs.private: %s\n' '$(PREFIX)' '$(LIBS)' > $(DESTDIR)$(PREFIX)/lib/pkgconfig/millstream.pc

clean:                                 ## remove all builds
	rm -rf build build-*

help:                                  ## this list
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20
