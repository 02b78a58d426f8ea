//! A store whose clock is a test's: its scripts read the time from a key that the test sets, so
//! that the moments of a simulated run can be gone through again at a real server.

use super::RedisStore;
use crate::idempotency::store::StoreError;

/// The server's own clock must never reach an expiry: so far in its future they are put.
const FAR_MS: u64 = 10_000_000_000_000;

/// What the scripts say of time, and what they say where they are told it.
const RULES: [(&str, &str); 2] = [
    ("redis.call('TIME')", "{ 0, tonumber(redis.call('GET', prefix .. 'clock')) * 1000 }"),
    ("redis.call('PEXPIREAT', key, at)", "redis.call('PEXPIREAT', key, text(at + FAR_MS))"),
];

/// Sets the clock, and forgets what has expired by it. The server does that at its own time, as
/// any script can meet a key just before or just after.
const TELL: &str = "
redis.call('SET', ARGV[1] .. 'clock', ARGV[2])
for _, key in ipairs(redis.call('KEYS', '*')) do
  local at = redis.call('PEXPIRETIME', key)
  if at > 0 and at - FAR_MS <= tonumber(ARGV[2]) then redis.call('DEL', key) end
end";

/// A script's text, as it is where the time is told.
pub(super) fn rewritten(text: &str) -> String {
    let text = RULES.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to));
    text.replace("FAR_MS", &FAR_MS.to_string())
}

impl RedisStore {
    /// The same store, with a clock that stands where [`RedisStore::tell_time`] puts it.
    #[must_use]
    pub fn by_told_clock(mut self) -> Self {
        self.by_told_clock = true;
        self
    }

    /// Sets the clock of a server that holds nothing but this account.
    ///
    /// # Errors
    /// As any step's.
    pub async fn tell_time(&self, now_ms: u64) -> Result<(), StoreError> {
        let mut command = redis::cmd("EVAL");
        let script = TELL.replace("FAR_MS", &FAR_MS.to_string());
        command.arg(script).arg(0).arg(self.names.prefix()).arg(now_ms);
        self.link.command(&command).await.map(|_| ())
    }
}
