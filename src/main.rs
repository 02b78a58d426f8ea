//! The command `zentra-sidecar`.

fn main() {}
