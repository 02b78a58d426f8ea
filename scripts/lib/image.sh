# shellcheck shell=bash
# Static programs, and images around them. Needs steps.sh and tools.sh.

IMAGE_FOLDER=${CARGO_TARGET_DIR:-$PWD/target}/images

this_arch() {
  case $(uname -m) in
    x86_64) echo amd64 ;;
    aarch64 | arm64) echo arm64 ;;
    *) fail "there is no image for $(uname -m), only for amd64 and arm64." ;;
  esac
}

rust_target() {
  case $1 in
    amd64) echo x86_64-unknown-linux-gnu ;;
    arm64) echo aarch64-unknown-linux-gnu ;;
    *) fail "the architecture '$1' is neither amd64 nor arm64." ;;
  esac
}

static_program() {
  echo "$IMAGE_FOLDER/$2/$1/zentra-sidecar"
}

# One program without any library of the system's: build_static TARGET ARCH
build_static() {
  local target=$1 arch=$2 triple features=() linker=()
  triple=$(rust_target "$arch")
  [[ $target == dev ]] || features=(--no-default-features)
  if [[ $arch != "$(this_arch)" ]]; then
    # A cross build: `rustup target add` and the other architecture's C compiler.
    rustup target list --installed | grep -qx "$triple" || rustup target add "$triple" >&2
    local compiler=${triple%%-*}-linux-gnu-gcc
    has "$compiler" || apt_install "gcc-${triple%%-*}-linux-gnu" >&2
    linker=("CC_${triple//-/_}=$compiler" "CARGO_TARGET_$(tr 'a-z-' 'A-Z_' <<<"$triple")_LINKER=$compiler")
  fi
  # A program that may lie at any address has a table of the places to be set at its start. Packed
  # (RELR, which glibc's own start reads since 2.36), it takes 7 kB in place of 600; a linker that
  # cannot pack leaves it as it is.
  env ${linker[@]+"${linker[@]}"} \
    RUSTFLAGS='-C target-feature=+crt-static -C link-arg=-Wl,-z,pack-relative-relocs' \
    cargo build --locked --profile image --target "$triple" ${features[@]+"${features[@]}"} >&2
  install -D "${IMAGE_FOLDER%/images}/$triple/image/zentra-sidecar" "$(static_program "$target" "$arch")"
}

# build_image TARGET ARCH TAG
build_image() {
  local target=$1 arch=$2 tag=$3
  install_roots
  install -m 0644 "$TOOLS/roots/certifi/cacert.pem" "$IMAGE_FOLDER/ca-certificates.crt"
  make_sbom "$target" "$arch"
  local common=(--target "$target" --build-arg "TARGETARCH=$arch" --platform "linux/$arch" -f Dockerfile -t "$tag" "$IMAGE_FOLDER")
  if [[ ${ENGINE-} != buildah ]] && docker info >/dev/null 2>&1; then
    docker build "${common[@]}"
  else
    has buildah || apt_install buildah
    # shellcheck disable=SC2086 # several flags
    buildah ${BUILDAH_FLAGS-} --storage-driver vfs bud --isolation chroot --format docker --pull-never "${common[@]}"
  fi
}

# The certificates that Mozilla trusts, pinned, and not those of the machine that builds.
install_roots() {
  make_venv
  [[ -f $TOOLS/roots/certifi/cacert.pem ]] && unchanged roots scripts/tools/roots.txt && return
  rm -rf "$TOOLS/roots"
  pip_install --no-deps --require-hashes --target "$TOOLS/roots" -r scripts/tools/roots.txt
  done_with roots scripts/tools/roots.txt
}

# What the program is made of, in CycloneDX: make_sbom TARGET ARCH
make_sbom() {
  local features=()
  [[ $1 == dev ]] || features=(--no-default-features)
  install_python_packages
  "$(client_python)" scripts/sbom --target "$(rust_target "$2")" ${features[@]+"${features[@]}"} \
    >"$IMAGE_FOLDER/$2/$1/sbom.cdx.json"
}
