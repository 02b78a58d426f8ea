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

# The production image has no simulator: the crate has to build without it, and the program must
# not know its commands.
build_production() {
  cargo build --locked --no-default-features
  local help
  help=$("$(target_folder)/debug/zentra-sidecar" --help)
  if grep -wE '^ +(dev|simulate)' <<<"$help"; then
    fail "the production build knows the simulator's commands, see above."
  fi
}

test_rust() {
  # One build for all: failpoints and mutants are there, and off unless a test asks for them.
  cargo nextest run --locked --all-features --no-fail-fast
}

test_doctests() {
  cargo test --locked --all-features --doc --no-fail-fast
}

test_python() {
  run_pytest tests/clients/python
}

test_node() {
  export ZENTRA_SIDECAR_BIN=${ZENTRA_SIDECAR_BIN:-$(sidecar)}
  node --test --test-reporter=spec tests/clients/node/*.test.mjs
}

test_observability() {
  run_pytest tests/observability
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
