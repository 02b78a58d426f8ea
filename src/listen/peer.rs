//! Who is at the other end of a connection.

use crate::domain::Caller;

/// Who calls, established once for a connection. It goes with every request of it, and is the
/// only word on the matter: metadata never is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The caller's one canonical text.
    pub caller: Caller,
    /// Whether it may call at all. Where not, it is told so in each answer.
    pub is_allowed: bool,
}
