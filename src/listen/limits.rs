//! What a peer can make grow, and how far.

use std::time::Duration;

/// How long a new connection may take until it speaks HTTP/2: the TLS handshake included.
pub(super) const HANDSHAKE: Duration = Duration::from_secs(10);
/// TLS handshakes at once. They hold no place among the connections, so that those who never say
/// who they are keep nobody out who did. Of more, one gives way: the oldest of the address that
/// has most, so that silent ones keep no newcomer out either.
pub(super) const MAX_HANDSHAKES: usize = 256;
/// Connections at once of those who may not call. They are there to be told so, and take no place
/// of those who may.
pub(super) const MAX_UNWELCOME: usize = 16;
/// How long such a connection stays, and how long it then has to go.
pub(super) const UNWELCOME_STAY: (Duration, Duration) =
    (Duration::from_secs(10), Duration::from_secs(1));
/// Calls on such a connection: who makes more of them has not come to be told so.
pub(super) const MAX_UNWELCOME_CALLS: u64 = 100;
/// How long a connection may be without a call.
pub(super) const IDLE: Duration = Duration::from_secs(15 * 60);
/// How long calls have to end, after a goodbye because of the connection's age or idleness. No call takes
/// longer, so that none fails.
pub const AGE_GRACE: Duration = Duration::from_secs(11 * 60);
/// How far ages differ by chance, so that those who came together do not go together.
pub(super) const AGE_JITTER: std::ops::Range<f64> = 0.9..1.1;
/// How long a peer that floods has for its last answers, after the goodbye.
pub(super) const FLOOD_GRACE: Duration = Duration::from_secs(1);
/// Frames that ask for an acknowledgement (PING, SETTINGS), or for nothing at all (PRIORITY, and
/// types that nobody knows), between two answers of this side.
pub(super) const MAX_ASKED: u64 = 10;
/// More of them by time: a client may ping once in this long, for as long as it likes.
pub(super) const ASKED_INTERVAL: Duration = Duration::from_secs(1);
/// How often a connection is looked at for answers that its peer does not take, and for bytes that
/// it does not read. It is closed where they have waited for a whole turn: 10 to 20 s.
pub(super) const TAKING_TURN: Duration = Duration::from_secs(10);
/// The pause after the system refused a new connection, for want of file descriptors say.
pub(super) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long a connection that comes once the end has begun waits for its greeting. Meanwhile a
/// client that balances its load takes another sidecar, and one that knows no other keeps its
/// call back in place of spending an attempt on a refusal.
pub(super) const LATE_GREETING: Duration = Duration::from_millis(250);
/// How long such a connection then stays: for the calls that waited for it to be told why.
pub(super) const LATE_STAY: Duration = Duration::from_millis(100);
/// The time between two log lines about failed handshakes.
pub(super) const TELL_INTERVAL: Duration = Duration::from_secs(1);

/// Calls at once on one connection.
pub(super) const MAX_CONCURRENT_STREAMS: u32 = 1024;
/// Of those, calls of health and reflection.
pub(super) const MAX_ASIDE: usize = 16;
/// The largest metadata of a request, in bytes as HTTP/2 counts them.
pub const MAX_METADATA_BYTES: u32 = 16 * 1024;
/// Streams that a peer may reset before they are taken up (CVE-2023-44487). This and the next are what
/// the library takes where nothing is said; they are said so that a new default moves nothing.
pub(super) const MAX_PENDING_RESETS: usize = 20;
/// Streams that this side may have to reset on a connection (CVE-2025-8671).
pub(super) const MAX_LOCAL_RESETS: usize = 1024;
/// What a peer may send before it is read, in bytes, on a stream and on a connection.
pub(super) const WINDOW_BYTES: (u32, u32) = (64 * 1024, 1024 * 1024);
/// What is kept for a peer that does not read, in bytes a stream.
pub(super) const MAX_SEND_BUFFER_BYTES: usize = 64 * 1024;
/// How often a silent connection is asked whether it lives.
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(60);
/// How long it has to answer.
pub(super) const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// The limits that operators choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Connections at once, over all listeners.
    pub connections: usize,
    /// How long a connection is used before its peer is asked to make a new one.
    pub age: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self { connections: 1024, age: Duration::from_secs(30 * 60) }
    }
}
