# SPDX-License-Identifier: BSD-2-Clause
# make builds everything. make help lists the other targets.

O ?= build
CC ?= gcc
CLANG ?= clang
# Ubuntu's bpftool looks for one of the running kernel; any other makes the same skeleton.
BPFTOOL ?= $(or $(shell bpftool version >/dev/null 2>&1 && echo bpftool),\
	$(lastword $(wildcard /usr/lib/linux-tools/*/bpftool)),bpftool)
V ?= 0
Q := $(if $(filter 1,$(V)),,@)
say = $(if $(filter 1,$(V)),,@printf '  %-7s %s\n' $(1) $(2))

VERSION := $(shell tools/version.sh)
LIBS := libbpf lmdb zlib libnl-3.0 libnl-route-3.0 libmnl libevent json-c libcap-ng
# SOUND=no leaves out the codecs: rtpxd plays no sound files and does not re-packetize Opus, and
# makeann and extractaudio are not built.
SOUND ?= yes
HAVE_SOUND := $(filter-out no,$(SOUND))
# --as-needed links a program with the libraries that it uses.
LIBS += $(if $(HAVE_SOUND),opus speex sndfile soxr spandsp libbcg729 libpcap libsrtp2)
# AMR=no leaves out AMR and AMR-WB, which some distributions have not.
AMR ?= yes
HAVE_AMR := $(if $(HAVE_SOUND),$(filter-out no,$(AMR)))
LIBS += $(if $(HAVE_AMR),opencore-amrnb opencore-amrwb vo-amrwbenc)
LDFLAGS += -Wl,--as-needed
LDLIBS += -lm
# REPLICATE=no leaves out the standby, and with it hiredis and OpenSSL.
REPLICATE ?= yes
HAVE_REDIS := $(filter-out no,$(REPLICATE))
LIBS += $(if $(HAVE_REDIS),hiredis libevent_openssl openssl)

CFLAGS ?= -O2 -g
CFLAGS += -std=gnu11 -Wall -Wextra -Wshadow -Wmissing-prototypes -Wstrict-prototypes -Werror \
	-fno-strict-aliasing -Iinclude -Idaemon -I$(O) $(shell pkg-config --cflags $(LIBS) 2>/dev/null)
ASAN := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
# With sanitizers gcc wrongly warns that variables may be uninitialized.
CFLAGS += $(if $(SANITIZE),$(ASAN) -Wno-maybe-uninitialized)
CPPFLAGS += -D_GNU_SOURCE
LDLIBS += $(shell pkg-config --libs $(LIBS) 2>/dev/null)
BPF_CFLAGS := -O2 -g -target bpf -mcpu=v3 -Wall -Werror -Iinclude \
	-I/usr/include/$(shell $(CC) -dumpmachine 2>/dev/null)

# daemon/ORDER names one module a line. A part that is left out has a twin, NAME_none.c.
WITH := $(if $(HAVE_SOUND),media/audio media/sound media/opuspack) $(if $(HAVE_AMR),media/amr) \
	$(if $(HAVE_REDIS),replicate/redis replicate/group)
WITHOUT := $(filter-out $(WITH),media/audio media/sound media/opuspack media/amr replicate/redis \
	replicate/group)
# A part without a twin, for a part that is left out.
ALONE := $(if $(HAVE_SOUND),,media/spx)
DAEMON := $(filter-out daemon/main.c $(WITH:%=daemon/%_none.c) $(WITHOUT:%=daemon/%.c) $(ALONE:%=daemon/%.c),\
	$(wildcard daemon/*.c daemon/*/*.c))
CORE := $(O)/librtpx.a
UNITS := $(filter-out $(if $(HAVE_SOUND),,%test_audio %test_speexpack %test_clips %test_loader %test_player %test_promptcache %test_resizer) $(if $(HAVE_AMR),,%test_amr) \
	$(if $(HAVE_REDIS),,%test_redis),\
	$(patsubst tests/unit/%.c,$(O)/tests/%,$(wildcard tests/unit/test_*.c)))
TOOL_MAINS := tools/rtpxctl.c tools/makeann.c tools/extractaudio.c
TOOLS := $(O)/rtpxctl $(if $(HAVE_SOUND),$(O)/makeann $(O)/extractaudio)
# Parts of extractaudio; the other parts belong to rtpxctl.
SOUND_PARTS := $(if $(HAVE_SOUND),,$(patsubst %,tools/%.c,capture decrypt extraction frame mixer \
	rtpstream))
TOOL_PARTS := $(O)/libtools.a
# Programs that the tests in network namespaces run.
NETNS := $(patsubst tests/netns/%.c,$(O)/netns/%,$(wildcard tests/netns/*.c))
# Programs that the tests of the netfilter module run.
KMOD_TESTS := $(patsubst tests/kmod/%.c,$(O)/kmod-tests/%,$(wildcard tests/kmod/*.c))
BENCH := $(patsubst tests/bench/%.c,$(O)/bench/%,$(wildcard tests/bench/*.c))
BENCH_BPF := $(patsubst tests/bench/%.bpf.c,$(O)/bench/%.bpf.o,$(wildcard tests/bench/*.bpf.c))
BENCH := $(filter-out %.bpf,$(BENCH))
FUZZ := $(patsubst tests/fuzz/%.c,$(O)/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))

# The headers of the running kernel; without them, the newest installed ones of Debian.
DEBIAN_KDIR = $(shell ls -dv /lib/modules/*-amd64/build 2>/dev/null | tail -n 1)
KDIR ?= $(or $(wildcard /lib/modules/$(shell uname -r)/build),$(DEBIAN_KDIR))

.PHONY: all deps docs run demo check check-quick bench soak fuzz clean help units bench-build kmod dkms FORCE
all: $(O)/rtpxd $(O)/relay.bpf.o $(TOOLS)

help:
	@sed -n 's/^## //p' $(firstword $(MAKEFILE_LIST))

## make            build rtpxd, the tools and relay.bpf.o in build/
## make run        install missing packages, build, start the relay in the foreground (root)
## make demo       place one call through the kernel in a network of namespaces (root)
## make check      install missing packages, build, run every test (root)
## make check-quick  build, run a selection of tests that takes two minutes (root)
## make bench      measure beside other relays; takes some minutes (root)
## make fuzz       fuzz the parsers for FUZZ_RUNS runs each
## make kmod       build build/kmod/rtpx.ko for the running kernel,
##                 or for KDIR=/lib/modules/RELEASE/build
## make dkms       install the module's sources below /usr/src, for dkms
## make soak       run the long tests in full and print their figures: a million calls set up
##                 and torn down, restarts, a stopped daemon (root)
## make install    install below PREFIX (/usr/local) and DESTDIR: programs, man pages, unit, documents;
##                 RTPPROXY_LINK=/usr/bin adds a link rtpproxy there
## make uninstall  remove these again, with the same variables
## make dist       build/rtpx-VERSION.tar.gz of the commit that is checked out
## make deb        Debian packages in build/deb/ (root, for missing packages)
## make rpm        RPM packages in build/rpm/
## make docs       draw the pictures of docs/pictures anew (graphviz)
## make clean      remove build/

deps:
	$(Q)tools/deps.sh $(DEPS_FOR)

run: DEPS_FOR := run
run: deps
	$(Q)$(MAKE) --no-print-directory all
	$(Q)tools/run.sh $(O)

demo: DEPS_FOR := test
demo: deps
	$(Q)$(MAKE) --no-print-directory all
	$(Q)tests/demo.sh $(O)

# Without -j on the command line, as many jobs as CPUs. MAKEFLAGS has -j only in a recipe.
jobs = $(if $(filter -j% --jobserver%,$(MAKEFLAGS)),,-j$(shell nproc))

check: DEPS_FOR := test
check: deps
	$(Q)$(MAKE) --no-print-directory $(jobs) all units bench-build fuzz-build
	$(Q)$(MAKE) --no-print-directory $(jobs) O=$(O)/asan SANITIZE=1 units
	$(Q)$(MAKE) --no-print-directory $(jobs) kmod KDIR=$(DEBIAN_KDIR) KCFLAGS=-Werror W=1
	$(Q)tests/run $(O)

check-quick: DEPS_FOR := test
check-quick: deps
	$(Q)$(MAKE) --no-print-directory $(jobs) all units
	$(Q)tests/run -w quick $(O)

bench: DEPS_FOR := test
bench: deps
	$(Q)$(MAKE) --no-print-directory all bench-build
	$(Q)tests/bench/run $(O)
	$(Q)$(MAKE) --no-print-directory kmod KDIR=$(DEBIAN_KDIR)
	$(Q)tests/bench/instructions $(O)

SOAK_CALLS ?= 1000000
soak: DEPS_FOR := test
soak: deps
	$(Q)$(MAKE) --no-print-directory all bench-build
	$(Q)$(MAKE) --no-print-directory O=$(O)/asan SANITIZE=1 units
	$(Q)RTPX_BUILD=$(O) tests/soak/run $(SOAK_CALLS)

FUZZ_RUNS ?= 1000000
fuzz: DEPS_FOR := test
fuzz: deps
	$(Q)$(MAKE) --no-print-directory fuzz-build
	$(Q)tests/fuzz/run $(O) $(FUZZ_RUNS)

units: $(UNITS) $(O)/bpf-packets $(NETNS) $(KMOD_TESTS)
bench-build: $(BENCH) $(BENCH_BPF)
fuzz-build: $(FUZZ)

# Kbuild writes beside the sources, so the sources are copied below $(O).
kmod:
	$(if $(KDIR),,$(error no kernel headers: apt-get install linux-headers-amd64, or name them with KDIR=))
	$(call say,KMOD,$(O)/kmod/rtpx.ko)
	$(Q)mkdir -p $(O)/kmod
	$(Q)ln -sfn $(abspath include) $(O)/kmod/include
	$(Q)cp -u kmod/Kbuild kmod/features.sh kmod/*.[ch] $(O)/kmod
	$(Q)$(MAKE) --no-print-directory -s -C $(KDIR) O= M=$(abspath $(O)/kmod) RTPX_VERSION=$(VERSION) modules

DKMS_SRC = $(DESTDIR)/usr/src/rtpx-$(VERSION)
dkms:
	$(Q)mkdir -p $(DKMS_SRC)/include
	$(Q)cp kmod/Kbuild kmod/features.sh kmod/*.[ch] $(DKMS_SRC) && cp include/*.h $(DKMS_SRC)/include
	$(Q)sed 's/@VERSION@/$(VERSION)/' kmod/dkms.conf >$(DKMS_SRC)/dkms.conf
	@echo 'now: dkms install rtpx/$(VERSION)'

clean:
	$(Q)rm -rf $(O)

# The pictures are in git, so a host needs no graphviz. tests/docs compares them with their sources.
docs:
	$(Q)for picture in docs/pictures/*.dot; do tools/picture.sh $$picture || exit; done

$(O)/%.bpf.o: bpf/%.bpf.c
	$(call say,BPF,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -MMD -MP -c $< -o $@

$(O)/%.skel.h: $(O)/%.bpf.o
	$(call say,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name $* >$@.tmp && mv $@.tmp $@

$(O)/daemon/dataplane/xdp.o $(O)/tests/test_xdp.o: $(O)/relay.skel.h
$(O)/daemon/net/switchboard.o: $(O)/lookup.skel.h
.SECONDARY: $(O)/lookup.bpf.o
# The status page as a C string.
$(O)/page.html.h: daemon/control/page.html
	$(call say,PAGE,$@)
	$(Q)mkdir -p $(@D)
	$(Q)sed 's/[\\"]/\\&/g; s/^/"/; s/$$/\\n"/' $< >$@.tmp && mv $@.tmp $@

$(O)/daemon/control/page.o: $(O)/page.html.h
# Written when the version is another one, so that the objects that show it are built anew.
$(O)/version: FORCE
	$(Q)mkdir -p $(@D)
	$(Q)echo '$(VERSION)' | cmp -s - $@ || echo '$(VERSION)' >$@
VERSIONED := $(addprefix $(O)/,daemon/main.o daemon/options.o daemon/observers.o daemon/banner.o tools/rtpxctl.o)
$(VERSIONED): $(O)/version
$(VERSIONED): CPPFLAGS += -DRTPX_VERSION='"$(VERSION)"'

$(O)/%.o: %.c
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@

$(CORE): $(patsubst %.c,$(O)/%.o,$(DAEMON))
	$(call say,AR,$@)
	$(Q)rm -f $@ && ar rcs $@ $^

$(O)/rtpxd: $(O)/daemon/main.o $(CORE)
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $^ $(LDLIBS) -o $@

$(TOOL_PARTS): $(patsubst %.c,$(O)/%.o,$(filter-out $(TOOL_MAINS) $(SOUND_PARTS),$(wildcard tools/*.c)))
	$(call say,AR,$@)
	$(Q)rm -f $@ && ar rcs $@ $^

$(TOOLS): $(O)/%: $(O)/tools/%.o $(TOOL_PARTS) $(CORE)
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $^ $(LDLIBS) -o $@

# With sanitizers, tests/unit/nomem.c can refuse memory to unit tests.
NOMEM := $(if $(SANITIZE),$(O)/tests/unit/nomem.o)
NOMEM_WRAP := malloc calloc realloc strdup strndup vasprintf asprintf _cmocka_run_group_tests
# A unit test includes the module under test, so the archive supplies only the others.
$(O)/tests/test_%: tests/unit/test_%.c $(CORE) $(O)/relay.skel.h $(NOMEM)
	$(call say,TEST,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -Itests -MMD -MP $< $(NOMEM) $(CORE) $(LDLIBS) -lcmocka \
		$(if $(NOMEM),$(NOMEM_WRAP:%=-Wl,--wrap=%)) -o $@

$(O)/netns/%: tests/netns/%.c $(CORE)
	$(call say,TEST,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -MMD -MP $< $(CORE) $(LDLIBS) -o $@

$(O)/kmod-tests/%: tests/kmod/%.c $(CORE)
	$(call say,TEST,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -Itests -MMD -MP $< $(CORE) $(LDLIBS) -o $@

$(O)/bpf-packets: tests/bpf/packets.c
	$(call say,TEST,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -Itests -MMD -MP $< $(LDLIBS) -o $@

$(O)/bench/%.bpf.o: tests/bench/%.bpf.c
	$(call say,BPF,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -MMD -MP -c $< -o $@

$(O)/bench/%: tests/bench/%.c $(CORE)
	$(call say,BENCH,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -MMD -MP $< $(CORE) $(LDLIBS) -o $@

# The parsers are pure, so a harness includes the sources that it needs.
$(O)/fuzz/%: tests/fuzz/%.c
	$(call say,FUZZ,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(CPPFLAGS) -O1 -g -std=gnu11 -fno-strict-aliasing -Iinclude -Idaemon -Itests \
		-fsanitize=fuzzer $(ASAN) $(LDFLAGS) -MMD -MP $< $(LDLIBS) -o $@

include tools/packaging/install.mk
-include $(shell [ -d $(O) ] && find $(O) \( -path $(O)/deb -o -path $(O)/rpm \) -prune -o -name '*.d' -type f -print)
