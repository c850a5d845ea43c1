# millstream - make help lists the targets. Needs GNU make, gcc or clang, and the packages of tools/packages.txt.

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

LIBS := -luring -lxxhash -lz -lzstd -lre2 -lpcre2-8 -lsimdjson -lstdc++ -ldl -lm -pthread

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
TEST_KIT := $(patsubst %.c,$(BUILD)/%.o,$(filter-out tests/test_%.c tests/stress_%.c tests/fuzz_%.c,$(wildcard tests/*.c)))
BENCHES := $(patsubst bench/%.cc,%,$(wildcard bench/bench_*.cc))

.PHONY: all lib deps test unit stress fuzz bench lint ci demo help install clean examples docs
.DEFAULT_GOAL := all
.SECONDARY:

all: deps $(LIB) $(SO) $(CMD)          ## build the library and the command

deps:
	@tools/install-packages.sh build

$(GEN)/lexer.c: core/sql/lexer.re
	@mkdir -p $(GEN)
	re2c -W --no-debug-info -o $@ $<
$(GEN)/%.o: $(GEN)/%.c
	$(CC) $(CPPFLAGS) $(CFLAGS_SOFT) -Wno-unused-variable -fvisibility=hidden -MMD -MP -c $< -o $@
$(BUILD)/%_avx2.o: ARCH := -march=x86-64-v3
$(BUILD)/%_avx512.o: ARCH := -march=x86-64-v3 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512cd -mprefer-vector-width=512
$(BUILD)/kernels/%.o: kernels/%.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS_OWN) -O3 -MMD -MP -c $< -o $@
$(BUILD)/tests/%.o: tests/%.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS_SOFT) -MMD -MP -c $< -o $@
$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS_OWN) -MMD -MP -c $< -o $@
$(BUILD)/%.o: %.cc
	@mkdir -p $(@D)
	$(CXX) $(CPPFLAGS) $(CXXFLAGS_OWN) -MMD -MP -c $< -o $@

$(LIB): $(OBJ)
	@rm -f $@
	ar rcs $@ $^
$(SO): $(OBJ)
	$(CXX) $(OPT) -shared -Wl,-soname,libmillstream.so -Wl,--exclude-libs,ALL -o $@ $^ $(LIBS)
$(CMD): $(patsubst %.c,$(BUILD)/%.o,$(wildcard tools/*.c)) $(LIB)
	$(CC) $(OPT) -o $@ $^ $(LIBS)

$(BUILD)/tests/%: $(BUILD)/tests/%.o $(TEST_KIT) $(LIB)
	$(CC) $(OPT) -o $@ $< $(TEST_KIT) $(LIB) $(if $(filter test_%,$*),-lcriterion) $(if $(filter fuzz_%,$*),-fsanitize=fuzzer) $(LIBS)
$(BUILD)/bench/%: $(BUILD)/bench/%.o $(LIB)
	$(CXX) $(OPT) -o $@ $< $(LIB) -lbenchmark $(LIBS)

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
