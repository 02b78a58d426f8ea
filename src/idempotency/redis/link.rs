//! One connection at a time to the server that has the account's data, and the running of scripts
//! on it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Cmd, RedisResult, Value};
use tokio::time::{Instant, sleep, timeout_at};

use super::failure::Remedy;
use super::locator::Locator;
use crate::idempotency::store::{Refusal, StoreError};

/// How long to wait before asking again while data moves or a master is being chosen.
const PAUSE: Duration = Duration::from_millis(10);

/// A connection that many steps share, and its number among those made.
#[derive(Clone)]
struct Numbered {
    connection: MultiplexedConnection,
    number: u64,
}

#[derive(Default)]
struct Current {
    connection: Option<Numbered>,
    made: u64,
}

pub(super) struct Link {
    pub(super) locator: Locator,
    step_timeout: Duration,
    current: Mutex<Current>,
    /// Held while connecting, so that a hundred steps make one connection.
    connecting: tokio::sync::Mutex<()>,
}

impl Link {
    pub(super) fn new(locator: Locator, step_timeout: Duration) -> Self {
        Self {
            locator,
            step_timeout,
            current: Mutex::default(),
            connecting: tokio::sync::Mutex::default(),
        }
    }

    /// Runs a script, wherever the data is by now, within the limit of one step; `by_text` is the
    /// same for a server that does not know the script. It may run more than once: scripts are safe
    /// to repeat.
    pub(super) async fn run(
        &self,
        command: &Cmd,
        by_text: impl Fn() -> Cmd + Sync,
    ) -> Result<Value, StoreError> {
        self.bounded(async |link, broken| link.attempts(command, &by_text, broken).await).await
    }

    /// Runs a plain command.
    pub(super) async fn command(&self, command: &Cmd) -> Result<Value, StoreError> {
        self.run(command, || command.clone()).await
    }

    /// How long a step may take.
    pub(super) fn step_timeout(&self) -> Duration {
        self.step_timeout
    }

    async fn bounded(
        &self,
        run: impl AsyncFnOnce(&Self, &mut Option<StoreError>) -> Result<Value, StoreError>,
    ) -> Result<Value, StoreError> {
        let deadline = Instant::now() + self.step_timeout;
        let mut last = None;
        match timeout_at(deadline, run(self, &mut last)).await {
            Ok(result) => result,
            Err(_) => {
                // A server that hangs may have been replaced: the next step looks.
                self.forget(None);
                let millis = u64::try_from(self.step_timeout.as_millis()).unwrap_or(u64::MAX);
                Err(last.unwrap_or(StoreError::TimedOut(millis)))
            }
        }
    }

    /// Tries until something answers; `last` is what a time-out in a pause between two tries is
    /// to be blamed on, and never hides that a try may have been applied.
    async fn attempts(
        &self,
        command: &Cmd,
        by_text: &(dyn Fn() -> Cmd + Sync),
        last: &mut Option<StoreError>,
    ) -> Result<Value, StoreError> {
        let mut doubtful = false;
        loop {
            if last.is_none() {
                *last = Some(StoreError::Unreachable("connecting took too long".to_owned()));
            }
            let connected = match self.held() {
                Some(held) => Ok(held),
                // In a box, as it is seldom needed and far larger than all the rest of a step.
                None => Box::pin(self.connection()).await,
            };
            let held = match connected {
                Ok(held) => held,
                Err(error) => {
                    blame(last, doubtful, error);
                    sleep(PAUSE).await;
                    continue;
                }
            };
            // While it runs, running out of time means that it may have been applied.
            let before = last.take();
            let mut result = send(&held, command).await;
            if matches!(&result, Err(error) if Remedy::of(error) == Remedy::SendText) {
                result = send(&held, &by_text()).await;
            }
            let error = match result {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            *last = before;
            match Remedy::of(&error) {
                Remedy::SendText => {
                    let refusal = Refusal::by_server(error.code(), &error.to_string());
                    return Err(StoreError::Refused(refusal));
                }
                Remedy::Refuse(refusal) => return Err(refused(doubtful, refusal)),
                Remedy::Unreadable(text) => return Err(StoreError::Unreadable(text)),
                Remedy::Locate(refusal) => {
                    self.forget(Some(held.number));
                    blame(last, doubtful, StoreError::Refused(refusal));
                }
                Remedy::TryAgain(refusal) => {
                    blame(last, doubtful, StoreError::Refused(refusal));
                }
                Remedy::Reconnect(text) => {
                    self.forget(Some(held.number));
                    doubtful = true;
                    *last = Some(StoreError::Broken(text));
                }
            }
            sleep(PAUSE).await;
        }
    }

    async fn connection(&self) -> Result<Numbered, StoreError> {
        if let Some(held) = self.held() {
            return Ok(held);
        }
        let _connecting = self.connecting.lock().await;
        if let Some(held) = self.held() {
            return Ok(held);
        }
        let connection = self.locator.connect().await?;
        let mut current = self.lock();
        current.made += 1;
        let number = current.made;
        let held = Numbered { connection, number };
        current.connection = Some(held.clone());
        Ok(held)
    }

    fn held(&self) -> Option<Numbered> {
        self.lock().connection.clone()
    }

    /// Drops the connection of this number, or whichever there is.
    fn forget(&self, number: Option<u64>) {
        let mut current = self.lock();
        let is_it = |held: &Numbered| number.is_none_or(|it| it == held.number);
        if current.connection.as_ref().is_some_and(is_it) {
            current.connection = None;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn send(held: &Numbered, command: &Cmd) -> RedisResult<Value> {
    let mut connection = held.connection.clone();
    let value = connection.send_packed_command(command).await?;
    if let Value::ServerError(error) = value {
        return Err(error.into());
    }
    Ok(value)
}

fn blame(last: &mut Option<StoreError>, doubtful: bool, error: StoreError) {
    let applied = last.as_ref().is_some_and(StoreError::may_be_applied);
    if !(doubtful && applied) {
        *last = Some(error);
    }
}

/// A refusal after a try that may have been applied is no proof that nothing was.
fn refused(doubtful: bool, refusal: Refusal) -> StoreError {
    match doubtful {
        true => StoreError::Broken(refusal.to_string()),
        false => StoreError::Refused(refusal),
    }
}
