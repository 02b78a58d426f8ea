# shellcheck shell=bash
# What each step of scripts/test does.

check_format() {
  cargo fmt --all --check
}

check_shape() {
  "$(client_python)" scripts/check-shape
}

test_house() {
  run_pytest tests/house
}

check_contract() {
  buf lint
  buf format --diff --exit-code
}

check_dependencies() {
  # The check itself reads what is here; only this line may go to the network.
  cargo fetch --locked
  cargo deny --offline check --hide-inclusion-graph bans licenses sources
}

# The program of the production image: static, and without the simulator, whose commands it must
# not know.
build_production() {
  local program help
  program=$(scripts/image --binary production)
  help=$("$program" --help)
  if grep -wE '^ +(dev|simulate)' <<<"$help"; then
    fail "the production build knows the simulator's commands, see above."
  fi
}

test_chart() {
  run_pytest tests/chart
}

# The images run in a network of their own: the names of the tests mean something there, and no
# port is taken.
test_image() {
  local storage user=()
  storage=$(mktemp -d)
  export BUILDAH_FLAGS="--root $storage/root --runroot $storage/run"
  ENGINE=buildah scripts/image --name zentra-sidecar:test
  ((EUID == 0)) || user=(--user --map-root-user)
  unshare --net --mount ${user[@]+"${user[@]}"} true ||
    fail "this machine lets nobody make a network of its own; the image's tests need one (unshare --net --mount)."
  ZENTRA_SIDECAR_BIN=${ZENTRA_SIDECAR_BIN:-$(sidecar)} PYTHONDONTWRITEBYTECODE=1 \
    unshare --net --mount ${user[@]+"${user[@]}"} \
    "$(client_python)" -m pytest -q -p no:cacheprovider tests/image
  rm -rf "$storage"
}

test_rust() {
  # One build for all: failpoints and mutants are there, and off unless a test asks for them.
  cargo nextest run --locked --all-features --no-fail-fast
}

test_doctests() {
  cargo test --locked --all-features --doc --no-fail-fast
}

# Long enough to show that the fuzzers build, run and know their corpus; `scripts/fuzz` runs them
# for longer.
run_fuzzers() {
  FUZZ_LINES=12 scripts/fuzz "${FUZZ_SECONDS:-10}"
}

test_python() {
  run_pytest tests/clients/python
}

test_node() {
  export ZENTRA_SIDECAR_BIN=${ZENTRA_SIDECAR_BIN:-$(sidecar)}
  node --test --test-reporter=spec tests/clients/node/*.test.mjs
}

check_lints() {
  cargo clippy --locked --all-targets --all-features -- -D warnings
}

run_pytest() {
  ZENTRA_SIDECAR_BIN=${ZENTRA_SIDECAR_BIN:-$(sidecar)} PYTHONDONTWRITEBYTECODE=1 \
    "$(client_python)" -m pytest -q -p no:cacheprovider "$1"
}

# The program as the Rust tests built it; another may be named in ZENTRA_SIDECAR_BIN.
sidecar() {
  echo "$(target_folder)/debug/zentra-sidecar"
}

target_folder() {
  echo "${CARGO_TARGET_DIR:-$PWD/target}"
}
