//! Listeners and connections: who may connect, who it is, how long a connection lives, and what
//! one peer can make grow. It knows nothing of gRPC and nothing of payments: what it serves is a
//! service of HTTP requests, each of which carries its [`Peer`].

mod connection;
mod frames;
mod limits;
mod peer;
mod places;
mod socket;
pub mod tls;
mod vitals;
mod waiting_room;

pub use limits::{AGE_GRACE, ConnectionLimits, KEEPALIVE_INTERVAL, MAX_METADATA_BYTES};
pub use peer::{Peer, UntakenAnswer};
pub use places::Connections;
pub(crate) use places::network;
pub use socket::{Listener, SocketFile, TrustedUids};
pub use waiting_room::{Key, Seat, WaitingRoom};
