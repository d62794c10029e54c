# The short front of Meson and Ninja. B: build folder; T: seconds a fuzz target; V=1 shows commands.
B ?= build
T ?= 60
DESTDIR ?=
MESON_FLAGS ?=
TEST_FLAGS ?=
PYTHON ?= python3

.PHONY: all run check test lint san tsan fuzz bench clients install clean tidy deps

all: $(B)/build.ninja
	@ninja -C $(B)

# Installs what is missing, builds, starts a throw-away post house and sends a message through it.
run: deps all
	@$(PYTHON) tools/demo $(B)/posthouse

# Everything that must hold before a change lands: the linters, then all tests.
check: deps lint test

test: $(B)/build.ninja
	@ninja -C $(B)
	@meson test -C $(B) --no-rebuild --print-errorlogs $(TEST_FLAGS)

lint: deps $(B)/build.ninja
	@tools/lint $(B)

# All tests again under AddressSanitizer and UndefinedBehaviorSanitizer.
san: deps
	@$(MAKE) --no-print-directory test B=$(B)-san TEST_FLAGS="--timeout-multiplier 5" \
		MESON_FLAGS="-Db_sanitize=address,undefined -Db_lundef=false -Dbuildtype=debugoptimized"

# The unit tests of the rooms that threads meet in, under ThreadSanitizer.
tsan: deps
	@$(MAKE) --no-print-directory $(B)-tsan/build.ninja B=$(B)-tsan \
		MESON_FLAGS="-Db_sanitize=thread -Db_lundef=false -Dbuildtype=debugoptimized"
	@meson test -C $(B)-tsan --print-errorlogs --timeout-multiplier 5 $$(meson test -C $(B)-tsan --list 2>/dev/null | \
		sed -nE 's,.* / ((io|store|mailbox|imap|delivery)/.*),\1,p')

# Every fuzz target for T seconds each: make fuzz T=60, or one of them: make fuzz ONLY=config
fuzz: deps
	@tools/fuzz $(B)-fuzz $(T) $(ONLY)

# The real clients that take long, and those with windows. Those of `make check` are among the system tests. What
# cannot be installed is skipped.
clients: deps all
	@tools/deps.sh windows || true
	@meson test -C $(B) --benchmark --suite clients --verbose

bench: deps all
	@meson test -C $(B) --benchmark --no-suite clients --verbose

install: all
	@DESTDIR=$(DESTDIR) meson install -C $(B) --no-rebuild

tidy: deps
	@git ls-files 'src/*.[ch]' 'tests/*.[ch]' 'fuzz/*.[ch]' 'bench/*.[ch]' | xargs clang-format -i

deps:
	@tools/deps.sh

clean:
	@rm -rf $(B) $(B)-san $(B)-tsan $(B)-fuzz

$(B)/build.ninja: | deps
	@meson setup $(B) $(MESON_FLAGS)
