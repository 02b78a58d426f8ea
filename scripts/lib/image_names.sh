# shellcheck shell=bash
# What images are called. Needs steps.sh.

# The whole name of an image: image_name NAME TARGET VERSION [ARCH]
#
# NAME is [HOST[:PORT]/]PATH[:TAG]; VERSION is its tag where it has none. A development image has -dev
# after its path. ARCH, where it is asked for by name, is after the tag: two architectures under one
# name would replace each other in a registry.
image_name() {
  local name=$1 target=$2 tag=$3 arch=${4-} suffix=
  [[ $name != *@* ]] || fail "an image is built under a name and a tag, not a digest: '$name'."
  # A colon before the last slash stands before a registry's port.
  if [[ ${name##*/} == *:* ]]; then
    tag=${name##*:}
    name=${name%:*}
  fi
  [[ -n ${name##*/} && -n $tag ]] || fail "'$1' is no name of an image."
  [[ $target != dev ]] || suffix=-dev
  echo "$name$suffix:$tag${arch:+-$arch}"
}
