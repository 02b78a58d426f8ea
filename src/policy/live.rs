//! The policies of a process: the one in force, and one on trial beside it; each is read again when
//! its folder changes.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{sleep, timeout};

use super::{Complaints, Files, Policy};
use crate::domain::{Account, Environment};

/// How often the folders are looked at. What has changed is taken once two looks agree: who writes
/// it may be half done, and half of a policy may be a policy.
const INTERVAL: Duration = Duration::from_secs(2);
/// Looks at a folder that goes on changing, before somebody is told.
const MOST_LOOKS: u32 = 10;
/// The time between two readings at the start, which waits for no more.
const SETTLE: Duration = Duration::from_millis(50);
/// Readings at the start of a folder that goes on changing.
const MOST_READINGS: u32 = 10;
/// How long a look at a folder is waited for. One on a mount that hangs keeps its thread, and no
/// other is begun.
const LOOK_TIMEOUT: Duration = Duration::from_secs(1);

/// What becomes of decisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A denied call is refused.
    Enforce,
    /// Nothing is refused; decisions are counted and told.
    Observe,
}

/// What a policy is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It decides.
    Active,
    /// It is asked beside the active one.
    Candidate,
}

/// The policies of a process.
pub struct Policies {
    active: Option<Watched>,
    candidate: Option<Watched>,
    mode: Mode,
}

/// A folder, and the last good policy that it held.
pub struct Watched {
    role: Role,
    folder: PathBuf,
    place: (Account, Environment),
    current: ArcSwap<Policy>,
    /// The last complaint, told once and not each time.
    told: Mutex<Told>,
    /// What the last look has shown.
    seen: Mutex<Seen>,
    /// A look at the folder that has not ended.
    look: Mutex<Option<JoinHandle<Result<Files, Complaints>>>>,
    is_stale: AtomicBool,
    taken: AtomicU64,
    refused: AtomicU64,
}

/// What the last look at a folder has shown: its files by their content, or what is wrong with them.
#[derive(Debug, Default)]
struct Seen {
    state: Option<Result<String, Complaints>>,
    /// How many looks in a row have shown something else than the one before.
    restless: u32,
}

/// What the last bad state of the folder was.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Told {
    Nothing,
    Files(String),
    Folder(String),
}

impl Policies {
    /// No policy: all is allowed.
    #[must_use]
    pub fn none() -> Self {
        Self { active: None, candidate: None, mode: Mode::Enforce }
    }

    /// The policies of the settings.
    #[must_use]
    pub fn new(active: Option<Watched>, candidate: Option<Watched>, mode: Mode) -> Self {
        Self { active, candidate, mode }
    }

    /// The policy in force; none where all is allowed.
    #[must_use]
    pub fn active(&self) -> Option<Arc<Policy>> {
        self.active.as_ref().map(Watched::policy)
    }

    /// The policy on trial.
    #[must_use]
    pub fn candidate(&self) -> Option<Arc<Policy>> {
        self.candidate.as_ref().map(Watched::policy)
    }

    /// What becomes of decisions.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Both, as far as they are there.
    pub fn watched(&self) -> impl Iterator<Item = &Watched> {
        [&self.active, &self.candidate].into_iter().flatten()
    }

    /// Looks at the folders again and again; never ends, and reads nothing where there are none.
    pub async fn watch(&self) {
        loop {
            sleep(INTERVAL).await;
            for watched in self.watched() {
                watched.look_again().await;
            }
        }
    }
}

impl Watched {
    /// Reads a folder for the first time. It waits for moments only, on the caller's thread.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn load(
        role: Role,
        folder: &Path,
        place: (Account, Environment),
    ) -> Result<Self, Complaints> {
        let policy = Policy::new(&read_settled(folder)?, place.clone())?;
        Ok(Self {
            role,
            folder: folder.to_owned(),
            place,
            current: ArcSwap::from_pointee(policy),
            told: Mutex::new(Told::Nothing),
            seen: Mutex::default(),
            look: Mutex::new(None),
            is_stale: AtomicBool::new(false),
            taken: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        })
    }

    /// The last good policy.
    #[must_use]
    pub fn policy(&self) -> Arc<Policy> {
        self.current.load_full()
    }

    /// What it is there for.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// Where it is read from.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// True where the folder holds something else than the policy in force, which is no policy.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.is_stale.load(Ordering::Relaxed)
    }

    /// How many times a changed folder was taken, and how many times it was refused.
    #[must_use]
    pub fn reloads(&self) -> (u64, u64) {
        (self.taken.load(Ordering::Relaxed), self.refused.load(Ordering::Relaxed))
    }

    /// Takes what the folder holds now, where that has changed, is a policy, and was there at the
    /// look before this one too.
    pub async fn look_again(&self) {
        let folder = self.folder.clone();
        let waiting = lock(&self.look).take();
        let mut look = waiting.unwrap_or_else(|| spawn_blocking(move || Files::read(&folder)));
        let Ok(read) = timeout(LOOK_TIMEOUT, &mut look).await else {
            *lock(&self.look) = Some(look);
            let text = format!("not read in {} s", LOOK_TIMEOUT.as_secs());
            return self.refuse(Told::Folder(text.clone()), &text);
        };
        let Ok(read) = read else {
            return self.refuse(Told::Folder(String::new()), "the reading gave up");
        };
        let state = read.as_ref().map(Files::hash).map_err(Clone::clone);
        let is_in_force = state.as_ref().is_ok_and(|hash| hash == self.policy().hash());
        let restless = lock(&self.seen).note(state);
        match read {
            // Nothing has to be taken, so nothing has to be waited for.
            Ok(_) if is_in_force => {
                self.is_stale.store(false, Ordering::Relaxed);
                *lock(&self.told) = Told::Nothing;
            }
            _ if restless >= MOST_LOOKS => {
                self.refuse(Told::Folder("restless".to_owned()), "changes all the time");
            }
            _ if restless > 0 => {}
            Ok(files) => self.take(files).await,
            Err(complaints) => {
                let text = complaints.to_string();
                self.refuse(Told::Folder(text.clone()), &text);
            }
        }
    }

    async fn take(&self, files: Files) {
        let hash = files.hash();
        if *lock(&self.told) == Told::Files(hash.clone()) {
            return;
        }
        let place = self.place.clone();
        match spawn_blocking(move || Policy::new(&files, place)).await {
            Ok(Ok(policy)) => {
                let (rules, limits) = (policy.rules().len(), policy.limits().len());
                self.current.store(Arc::new(policy));
                self.is_stale.store(false, Ordering::Relaxed);
                self.taken.fetch_add(1, Ordering::Relaxed);
                *lock(&self.told) = Told::Nothing;
                let role = self.role.as_str();
                tracing::info!(role, rules, limits, policy_hash = hash, "a new policy is in force");
            }
            Ok(Err(complaints)) => self.refuse(Told::Files(hash), &complaints.to_string()),
            Err(_) => self.refuse(Told::Files(hash), "the reading gave up"),
        }
    }

    fn refuse(&self, state: Told, complaints: &str) {
        self.is_stale.store(true, Ordering::Relaxed);
        let mut told = lock(&self.told);
        if *told == state {
            return;
        }
        *told = state;
        drop(told);
        self.refused.fetch_add(1, Ordering::Relaxed);
        let (role, policy) = (self.role.as_str(), self.policy());
        let policy_hash = policy.hash();
        tracing::error!(
            role,
            policy_hash,
            complaints,
            "the policy's folder is wrong; the last good policy stays"
        );
    }
}

impl Seen {
    /// Notes what a look has shown; 0 where it is what the look before has shown, else how many
    /// looks in a row have differed.
    fn note(&mut self, state: Result<String, Complaints>) -> u32 {
        let state = Some(state);
        self.restless = if self.state == state { 0 } else { self.restless + 1 };
        self.state = state;
        self.restless
    }
}

impl Mode {
    /// The word in settings and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Observe => "observe",
        }
    }
}

impl Role {
    /// The word in logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Candidate => "candidate",
        }
    }
}

/// The folder's files, once two readings agree.
#[expect(clippy::disallowed_methods, reason = "the start of the process")]
fn read_settled(folder: &Path) -> Result<Files, Complaints> {
    let pause = || std::thread::sleep(SETTLE);
    settled(|| Files::read(folder), pause).unwrap_or_else(|| {
        let mut complaints = Complaints::default();
        complaints.about(folder.display().to_string(), "changes all the time");
        complaints.or(Files::default())
    })
}

/// The first reading that the next one agrees with; none where none does.
fn settled<T: PartialEq>(mut read: impl FnMut() -> T, pause: impl Fn()) -> Option<T> {
    let mut last = read();
    for _ in 1..MOST_READINGS {
        pause();
        let next = read();
        if next == last {
            return Some(next);
        }
        last = next;
    }
    None
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
