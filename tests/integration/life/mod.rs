//! The life of the process beside its calls: its connections, its background work, its end.

mod connections;
mod http2;
mod proxy;
mod reconciler;
