//! What the stories share: a sidecar in this process, upstreams that do as they are told, stores,
//! and a reader of the errors that callers get.

#[cfg(feature = "simulator")]
pub(crate) mod collector;
#[cfg(feature = "simulator")]
pub(crate) mod http2;
pub(crate) mod logs;
pub(crate) mod payment;
#[cfg(feature = "simulator")]
pub(crate) mod pki;
pub(crate) mod process;
#[cfg(feature = "simulator")]
pub(crate) mod raw;
pub(crate) mod redis;
pub(crate) mod requests;
pub(crate) mod rig;
pub(crate) mod rotel;
pub(crate) mod sidecar;
pub(crate) mod stub;
pub(crate) mod tap;
pub(crate) mod told;

use std::time::Duration;

/// No story takes longer; a wait that never ends is a failure, not a hung run.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for an event, and fails where it does not come.
pub(crate) async fn soon<T>(event: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, event).await.expect("what was waited for never came")
}
