# mailraft - a Raft server in C.
#
#   make            builds bin/mailraftd and bin/mailraft-relay
#   make run        installs what is missing, builds, and starts three nodes here
#   make test       installs what is missing, builds, and runs every test
#   make help       lists the rest
#
# CC=clang, SANITIZE=thread or SANITIZE=address,undefined, and WERROR=1 may be added to any of them. All products go to
# .build/<compiler>-<variant>/; only the plain variant is copied to bin/.

VERSION := 0.1.0
PREFIX  ?= /usr/local
CC      := $(if $(filter default,$(origin CC)),gcc,$(CC))

comma    := ,
VARIANT  := $(if $(SANITIZE),$(subst $(comma),-,$(SANITIZE)),plain)
COMPILER := $(notdir $(firstword $(CC)))
B        := .build/$(COMPILER)-$(VARIANT)

WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes \
            $(if $(WERROR),-Werror)
CFLAGS   ?= -O2 -g
# Asserts stay on in what is released: NDEBUG is never defined.
override CFLAGS += -std=c11 -D_GNU_SOURCE -fno-omit-frame-pointer -pthread $(WARNINGS) \
            $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-sanitize-recover=all)
CPPFLAGS += -Isrc -Iinclude -I$(B)/generated -DMAILRAFT_VERSION='"$(VERSION)"'
LDFLAGS  += -pthread $(if $(SANITIZE),-fsanitize=$(SANITIZE))

LIBS     := -ljson-c -lprotobuf-c -lxxhash -lsodium -lJudy
SIM_LIBS := -lxxhash -lsodium -lJudy

# The seam: what touches the machine. The simulator links its own in their place.
SEAM     := src/base/clock.c src/base/random.c src/base/thread.c src/base/disk.c src/base/log.c src/base/memory.c
MAIL     := $(wildcard src/mail/*.c)
# Of serve/, what the simulator replaces or has no use for, with service.c, in whose place the tests' programs have
# their own; and the rest.
SERVE    := $(addprefix src/serve/,address.c clients.c config.c connections.c json_strict.c output.c service.c)
DESK     := $(filter-out $(SERVE),$(wildcard src/serve/*.c))
CORE     := $(filter-out $(SEAM),$(wildcard src/base/*.c)) $(wildcard src/raft/*.c) $(wildcard src/storage/*.c) $(DESK)
PROTO_O  := $(B)/generated/raft_message.pb-c.o

objects   = $(patsubst %.c,$(B)/%.o,$(1))

CORE_O   := $(call objects,$(CORE))
# The relay stands apart: of the rest it needs what is under everything, and where a host is.
RELAY_O  := $(call objects,$(wildcard src/relay/*.c))
REAL_O   := $(CORE_O) $(call objects,$(SEAM) $(MAIL) $(SERVE)) $(PROTO_O)
SIM_O    := $(call objects,$(filter-out test/sim/main.c,$(wildcard test/sim/*.c)) src/serve/service.c)

# One x_test.c per x.c: those of raft/ and storage/ run on the simulator's virtual disk, clock and network, the others
# on the real ones.
tests_of  = $(wildcard $(patsubst %,test/unit/%_test.c,$(notdir $(basename $(wildcard $(addsuffix /*.c,$(1)))))))
UNIT_SIM_TESTS := $(call tests_of,src/raft src/storage test/sim) test/unit/crash_test.c
UNIT_TESTS     := $(filter-out $(UNIT_SIM_TESTS),$(wildcard test/unit/*_test.c))
SCENARIOS      := $(wildcard test/scenarios/*.c)
# Parts of others' tests that chaos takes over are compiled with its own check_fail behind check.h's plain macros.
CHAOS_O  := $(patsubst %.c,$(B)/chaos_parts/%.o,$(wildcard test/chaos/*.c) \
              $(addprefix test/,cluster/cluster.c cluster/process.c sim/history.c sim/store_model.c sim/linearizable.c))
CLUSTER_TESTS  := $(filter-out test/cluster/preload.c test/cluster/counterd.c,$(wildcard test/cluster/*.c))
# Criterion does not run under the thread sanitizer; there, test/check.h gives the same macros a runner of our own.
CHECK_O  := $(if $(findstring thread,$(SANITIZE)),$(B)/test/check.o)
CHECK_L  := $(if $(findstring thread,$(SANITIZE)),,-lcriterion)

PROGRAMS := $(B)/mailraftd $(B)/mailraft-relay
TESTS    := $(B)/unit $(B)/unit_sim $(B)/scenarios $(B)/cluster $(B)/counterd $(B)/chaos

# Debian's names of what building and running need, and what tests need beside it.
RUN_PACKAGES  := $(if $(filter gcc clang,$(COMPILER)),$(COMPILER)) libc6-dev libjson-c-dev libprotobuf-c-dev \
                 protobuf-c-compiler libxxhash-dev libsodium-dev libjudy-dev util-linux
TEST_PACKAGES := $(RUN_PACKAGES) libcriterion-dev libhiredis-dev redis-tools python3-redis nodejs npm \
                  iproute2 iptables
FUZZ_PACKAGES := $(RUN_PACKAGES) clang libclang-rt-14-dev
BENCH_PACKAGES := $(RUN_PACKAGES) uthash-dev libglib2.0-dev libhiredis-dev redis-tools etcd-server nghttp2-client

# make sim SEEDS=n FIRST_SEED=m runs the seeds m to m+n-1; make sim SEED=s runs one and prints its trace, without the
# faults that WITHOUT names (test/sim/plan.h), or with none from UNTIL on, in simulated microseconds.
SEEDS      ?= 1000
FIRST_SEED ?= 0
TEST_SEEDS ?= 300
# Tests with processes wait more than they work.
CLUSTER_JOBS ?= 4
# make chaos SECONDS=n SEED=s
CHAOS_SECONDS      := $(or $(SECONDS),180)
TEST_CHAOS_SECONDS ?= 15

# The packages must be there before anything else is looked at, so what follows them is another make. It builds with
# all cores, unless the first one was told how many.
MAKE_ALL := $(MAKE) --no-print-directory
JOBS      = $(if $(findstring -j,$(MAKEFLAGS)),,-j$(shell nproc))

.DELETE_ON_ERROR:
.PHONY: all programs tests run test test-unit test-sim test-cluster test-chaos sim sim-mutants chaos fuzz \
        fuzz-programs fuzz-corpus fuzz-seeds lint packages bench clean install help

all: programs

programs: $(PROGRAMS)
ifeq ($(VARIANT),plain)
	@for program in $(notdir $(PROGRAMS)); do \
	    cmp -s $(B)/$$program bin/$$program || install -m 755 $(B)/$$program bin/$$program; done
endif

tests: programs $(TESTS) $(B)/sim $(B)/preload.so $(B)/bench $(B)/proposerd

# All that testing in every way needs (.ci/run).
packages:
	@bin/install-packages $(sort $(TEST_PACKAGES) $(FUZZ_PACKAGES) cppcheck patch)

run:
	@bin/install-packages $(RUN_PACKAGES)
	@$(MAKE_ALL) $(JOBS) programs
	@MAILRAFTD=$(B)/mailraftd exec bin/cluster --conf conf

test:
	@bin/install-packages $(TEST_PACKAGES)
	@$(MAKE_ALL) $(JOBS) tests
	@$(MAKE_ALL) test-unit
	@$(MAKE_ALL) test-sim
	@$(MAKE_ALL) test-cluster
	@$(MAKE_ALL) test-chaos

test-unit: $(B)/unit $(B)/unit_sim
	@test/run "unit tests" $(B)/unit.log $(B)/unit
	@test/run "unit tests on the simulator" $(B)/unit_sim.log $(B)/unit_sim

test-sim: $(B)/scenarios $(B)/sim
	@test/run "scenarios" $(B)/scenarios.log $(B)/scenarios
	@test/run "simulated runs" $(B)/sim.log $(B)/sim --seeds $(TEST_SEEDS) --first-seed $(FIRST_SEED) --also test/sim/seeds

test-cluster: programs $(B)/cluster $(B)/counterd $(B)/preload.so
	@test/cluster/clients/install .build/clients
	@MAILRAFTD=$(B)/mailraftd MAILRAFT_RELAY=$(B)/mailraft-relay COUNTERD=$(B)/counterd PRELOAD=$(B)/preload.so \
	    CLIENTS=.build/clients test/run "tests with processes" $(B)/cluster.log $(B)/cluster -j$(CLUSTER_JOBS)

# So many seconds of faults; what comes before and after takes some more.
test-chaos: $(B)/chaos $(PROGRAMS) $(B)/preload.so
	@MAILRAFTD=$(B)/mailraftd MAILRAFT_RELAY=$(B)/mailraft-relay PRELOAD=$(B)/preload.so \
	    test/run "chaos" $(B)/chaos.log $(B)/chaos --seconds $(TEST_CHAOS_SECONDS) --keep $(B)/chaos-kept

chaos:
	@bin/install-packages $(TEST_PACKAGES)
	@$(MAKE_ALL) $(JOBS) $(B)/chaos $(PROGRAMS) $(B)/preload.so
	@MAILRAFTD=$(B)/mailraftd MAILRAFT_RELAY=$(B)/mailraft-relay PRELOAD=$(B)/preload.so \
	    $(B)/chaos --seconds $(CHAOS_SECONDS) $(if $(SEED),--seed $(SEED)) --keep $(B)/chaos-kept

# The simulator, tested by planted faults: MUTANTS="name name" plants these alone.
sim-mutants:
	@bin/install-packages $(RUN_PACKAGES) patch
	@$(MAKE_ALL) $(JOBS) $(B)/sim
	@+B=$(B) test/sim/mutants/run $(MUTANTS)

sim: $(B)/sim
	@$(B)/sim $(if $(SEED),--seed $(SEED) $(addprefix --without ,$(WITHOUT)) $(addprefix --until ,$(UNTIL)),\
	    --seeds $(SEEDS) --first-seed $(FIRST_SEED))

$(B)/mailraftd: $(B)/src/mailraftd.o $(REAL_O)
	$(CC) $(LDFLAGS) -o $@ $^ $(LIBS)

$(B)/mailraft-relay: $(B)/src/mailraft-relay.o $(RELAY_O) \
                     $(call objects,$(wildcard src/base/*.c) $(addprefix src/mail/,bell.c resolve.c stream.c))
	$(CC) $(LDFLAGS) -o $@ $^ $(SIM_LIBS)

$(B)/unit: $(call objects,$(UNIT_TESTS) $(addprefix test/unit/,post.c desk.c real_redis.c beside_redis.c store.c) \
                          test/counter.c test/transcript.c) $(REAL_O) $(RELAY_O) $(CHECK_O)
	$(CC) $(LDFLAGS) -o $@ $^ $(LIBS) $(CHECK_L)

$(B)/unit_sim: $(call objects,$(UNIT_SIM_TESTS) test/unit/stage.c test/unit/counting.c test/counter.c) \
               $(CORE_O) $(SIM_O) $(CHECK_O)
	$(CC) $(LDFLAGS) -o $@ $^ $(SIM_LIBS) $(CHECK_L)

# Named scenarios: whole nodes on the simulator, or one on its stage.
$(B)/scenarios: $(call objects,$(SCENARIOS) test/unit/stage.c test/counter.c) $(CORE_O) $(SIM_O) $(CHECK_O)
	$(CC) $(LDFLAGS) -o $@ $^ $(SIM_LIBS) $(CHECK_L)

$(B)/sim: $(call objects,test/sim/main.c test/counter.c) $(CORE_O) $(SIM_O)
	$(CC) $(LDFLAGS) -o $@ $^ $(SIM_LIBS)

$(B)/cluster: $(call objects,$(CLUSTER_TESTS)) $(REAL_O) $(CHECK_O)
	$(CC) $(LDFLAGS) -o $@ $^ $(LIBS) $(CHECK_L) -lhiredis

$(B)/chaos: $(CHAOS_O)
	$(CC) $(LDFLAGS) -o $@ $^ -lxxhash -lhiredis

$(B)/chaos_parts/%.o: %.c $(B)/flags
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) -DCHECK_PLAIN_RUNNER=1 $(CFLAGS) -Itest -MMD -MP -c -o $@ $<

# mailraftd with a counter to serve, for the tests alone.
$(B)/counterd: $(call objects,src/mailraftd.c test/cluster/counterd.c test/counter.c) \
               $(filter-out $(B)/src/serve/service.o,$(REAL_O))
	$(CC) $(LDFLAGS) -o $@ $^ $(LIBS)

# Between the program and the C library: a disk or a name server that hangs, or fails. Never with a sanitizer of its
# own.
$(B)/preload.so: test/cluster/preload.c $(B)/flags
	$(CC) -std=c11 -D_GNU_SOURCE $(WARNINGS) -O2 -g -shared -fPIC -o $@ $<

$(B)/bench: $(call objects,$(filter-out test/bench/proposerd.c,$(wildcard test/bench/*.c))) $(REAL_O)
	$(CC) $(LDFLAGS) -o $@ $^ $(LIBS) -lhiredis

# mailraftd with a service that proposes to its own node.
$(B)/proposerd: $(call objects,src/mailraftd.c test/bench/proposerd.c) $(filter-out $(B)/src/serve/service.o,$(REAL_O))
	$(CC) $(LDFLAGS) -o $@ $^ $(LIBS)

# Fuzz targets: clang's fuzzer, with sanitizers, whatever CC and SANITIZE were asked for. What it learns stays in
# .build/fuzz/corpus, what it finds in .build/fuzz/found. Clock, random numbers, log, disk and sockets are the targets'
# own (test/fuzz/fuzz.h), and of raft/ only what reads bytes is needed.
F             := .build/fuzz
FUZZ_TARGETS  := $(patsubst test/fuzz/%_fuzz.c,%,$(wildcard test/fuzz/*_fuzz.c))
FUZZ_SECONDS   = $(or $(SECONDS),60)
FUZZ_FLAGS    := -Isrc -Iinclude -Itest -I$(F)/generated -DMAILRAFT_VERSION='"$(VERSION)"' -std=c11 -D_GNU_SOURCE \
                 -pthread -O1 -g -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
FUZZ_LIBRARY  := $(filter-out $(addprefix src/,base/clock.c base/random.c base/disk.c base/log.c mail/stream.c \
                 serve/service.c serve/clients.c),$(wildcard $(addsuffix /*.c,src/base src/mail src/storage src/serve))) \
                 src/raft/configuration.c $(filter-out %_fuzz.c %/seeds.c,$(wildcard test/fuzz/*.c)) test/transcript.c
FUZZ_LIBRARY_O := $(patsubst %.c,$(F)/%.o,$(FUZZ_LIBRARY)) $(F)/generated/raft_message.pb-c.o

fuzz-programs: $(addprefix $(F)/,$(FUZZ_TARGETS))

fuzz:
	@bin/install-packages $(FUZZ_PACKAGES)
	@$(MAKE_ALL) $(JOBS) fuzz-programs
	@test/fuzz/run $(F) test/fuzz/corpus $(FUZZ_SECONDS) $(or $(TARGET),$(FUZZ_TARGETS))

# For CI: what was checked in, and a little more.
fuzz-corpus:
	@$(MAKE_ALL) fuzz SECONDS=$(or $(SECONDS),3)

fuzz-seeds: $(F)/seeds
	$(F)/seeds test/fuzz/corpus

$(F)/lib.a: $(FUZZ_LIBRARY_O)
	@rm -f $@
	ar crs $@ $^

$(addprefix $(F)/,$(FUZZ_TARGETS)): $(F)/%: $(F)/test/fuzz/%_fuzz.o $(F)/lib.a
	clang -fsanitize=fuzzer,address,undefined -pthread -o $@ $^ $(LIBS)

$(F)/seeds: $(F)/test/fuzz/seeds.o $(F)/lib.a
	clang -fsanitize=address,undefined -pthread -o $@ $^ $(LIBS)

$(F)/generated/raft_message.pb-c.c: src/mail/raft_message.proto
	@mkdir -p $(@D)
	protoc-c --c_out=$(@D) --proto_path=src/mail $<

$(F)/generated/raft_message.pb-c.o: $(F)/generated/raft_message.pb-c.c
	clang $(FUZZ_FLAGS) -w -MMD -MP -c -o $@ $<

# What writes and reads numbers by the ten thousand has nothing to tell the fuzzer, and telling it takes most of the
# time.
$(addprefix $(F)/src/,base/bytes.o base/buffer.o): private FUZZ_FLAGS += -fno-sanitize=fuzzer-no-link
$(addprefix $(F)/src/serve/,kv_snapshot.o keyspace.o): private FUZZ_FLAGS += -fno-sanitize-coverage=trace-cmp

$(F)/flags: FORCE
	@mkdir -p $(@D); echo '$(FUZZ_FLAGS) $(WARNINGS)' | cmp -s - $@ || echo '$(FUZZ_FLAGS) $(WARNINGS)' > $@

$(F)/%.o: %.c $(F)/flags | $(F)/generated/raft_message.pb-c.c
	@mkdir -p $(@D)
	clang $(FUZZ_FLAGS) $(WARNINGS) -MMD -MP -c -o $@ $<

# What a compiler does not warn of. The generated code and what it includes are not looked into, and memory that is filled
# where the caller does not see it is not believed to be empty.
lint: $(B)/generated/raft_message.pb-c.c
	@bin/install-packages cppcheck
	cppcheck -q -j $(shell nproc) --std=c11 --enable=warning,performance,portability --error-exitcode=1 --inline-suppr \
	    --suppress=ctuuninitvar $(CPPFLAGS) -Itest -D_GNU_SOURCE \
	    $(addprefix --include=,$(firstword $(wildcard /usr/include/*/sys/queue.h /usr/include/sys/queue.h))) \
	    $(addprefix -DPROTOBUF_C_,VERSION_NUMBER=1004001 MIN_COMPILER_VERSION=1000000 _BEGIN_DECLS= _END_DECLS=) \
	    src test/fuzz test/sim

# Beside other tables, which nothing else needs.
TABLES_O := $(call objects,$(wildcard test/bench/tables/*.c))

$(TABLES_O): private override CFLAGS += $$(pkg-config --cflags glib-2.0 | sed 's/-I/-isystem /g') -Itest/bench

$(B)/tables: $(TABLES_O) $(call objects,test/bench/figures.c) $(REAL_O)
	$(CC) $(LDFLAGS) -o $@ $^ $(LIBS) -lglib-2.0

ifdef TABLES
bench:
	@bin/install-packages $(BENCH_PACKAGES)
	@$(MAKE_ALL) $(JOBS) $(B)/tables
	$(B)/tables $(if $(QUICK),--quick)
else
bench:
	@bin/install-packages $(BENCH_PACKAGES)
	@$(MAKE_ALL) $(JOBS) programs $(B)/bench $(B)/proposerd
	$(B)/bench $(if $(QUICK),--quick) $(if $(LOG),--log) $(if $(RESP),--resp) $(if $(SERVICE),--service) \
	    $(B)/mailraftd $(B)/proposerd $(B)
endif

$(B)/generated/raft_message.pb-c.c: src/mail/raft_message.proto
	@mkdir -p $(@D)
	protoc-c --c_out=$(@D) --proto_path=src/mail $<

# Generated code is not ours to warn about.
$(PROTO_O): $(B)/generated/raft_message.pb-c.c
	$(CC) $(CPPFLAGS) $(CFLAGS) -w -MMD -MP -c -o $@ $<

$(call objects,$(MAIL)) $(call objects,$(wildcard test/unit/*_test.c)): | $(B)/generated/raft_message.pb-c.c

# The flags a product was made with are part of what it is made from.
$(B)/flags: FORCE
	@mkdir -p $(@D); echo '$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS)' | cmp -s - $@ || \
	    echo '$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS)' > $@
FORCE:

$(B)/%.o: %.c $(B)/flags
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -Itest -MMD -MP -c -o $@ $<

-include $(shell find $(B) $(F) -name '*.d' 2>/dev/null)

install: programs
	install -d "$(DESTDIR)$(PREFIX)/bin" "$(DESTDIR)$(PREFIX)/share/doc/mailraft"
	install -m 755 $(B)/mailraftd "$(DESTDIR)$(PREFIX)/bin/mailraftd"
	install -m 755 $(B)/mailraft-relay "$(DESTDIR)$(PREFIX)/bin/mailraft-relay"
	install -m 755 bin/cluster "$(DESTDIR)$(PREFIX)/bin/mailraft-cluster"
	install -m 644 README.md LICENSE conf/all-settings.json "$(DESTDIR)$(PREFIX)/share/doc/mailraft/"

clean:
	rm -rf .build bin/mailraftd bin/mailraft-relay

help:
	@echo 'make                      bin/mailraftd, and bin/mailraft-relay, which bin/cluster puts between its nodes'
	@echo 'make run                  installs what is missing, builds, and starts three nodes here'
	@echo 'make test                 installs what is missing, builds, and runs every test; a part of them alone:'
	@echo '                          make test-unit, make test-sim (TEST_SEEDS=$(TEST_SEEDS)), make test-cluster,'
	@echo '                          make test-chaos (TEST_CHAOS_SECONDS=$(TEST_CHAOS_SECONDS))'
	@echo 'make sim SEEDS=n          simulates n clusters (FIRST_SEED=0 unless given)'
	@echo 'make sim SEED=s           simulates one, and prints its trace; WITHOUT=kill,loss,7-20: without those kinds'
	@echo '                          of faults and those numbers, UNTIL=us: without any from then on'
	@echo 'make sim-mutants          plants faults, one at a time, into copies, and tells how soon the simulator finds each;'
	@echo '                          MUTANTS="name name" these alone'
	@echo 'make chaos SECONDS=n      real nodes under everything that may happen to machines; SEED=s, or the one it draws'
	@echo 'make fuzz SECONDS=n       bytes that clang'"'"'s fuzzer thinks of, for n seconds ($(FUZZ_SECONDS)) each target, two at a time;'
	@echo '                          TARGET=x for one of: $(FUZZ_TARGETS)'
	@echo 'make fuzz-corpus          the same for 3 seconds each; make fuzz-seeds writes what they begin with anew'
	@echo 'make lint                 what cppcheck has to say'
	@echo 'make bench                measures; QUICK=1 for a look, LOG=1 for the replicated log alone, RESP=1 for'
	@echo '                          the reading of requests, SERVICE=1 for what clients get, beside redis-server and'
	@echo '                          etcd, TABLES=1 for what could hold the data'
	@echo 'make install PREFIX=dir   mailraftd, mailraft-relay and mailraft-cluster (PREFIX=$(PREFIX) unless given;'
	@echo '                          DESTDIR too)'
	@echo 'make clean                removes all that was built'
	@echo
	@echo 'With any of them: CC=clang, SANITIZE=thread or SANITIZE=address,undefined, WERROR=1'
