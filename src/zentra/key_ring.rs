//! Zentra's key in use, which changes when its file does.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use http::HeaderValue;
use secrecy::SecretString;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::SecretKey;
use crate::domain::Environment;
use crate::upstream::Credentials;

/// How often the key's file is looked at.
const INTERVAL: Duration = Duration::from_secs(2);
/// The time between two readings of a file that has changed. Who writes it in place may be half
/// done, and the first half of a key looks like a key.
const SETTLE: Duration = Duration::from_millis(25);
/// Readings of a file that goes on changing.
const MOST_READINGS: u32 = 5;

/// Reads the key's text again from where it came.
pub type KeySource = Arc<dyn Fn() -> io::Result<SecretString> + Send + Sync>;

/// The key that requests are signed with.
///
/// A new key is taken only for the same environment: records and upstream keys belong to one, and
/// a process never changes sides.
pub struct KeyRing {
    current: ArcSwap<Current>,
    source: Option<KeySource>,
    /// One reading at a time, so that many refused calls read the file once.
    reading: tokio::sync::Mutex<Fault>,
}

struct Current {
    key: SecretKey,
    header: HeaderValue,
    generation: u64,
}

/// The last complaint about the file, which is logged once and not each time.
type Fault = Option<String>;

impl KeyRing {
    /// Signs with `key`, and with what `source` says later on.
    #[must_use]
    pub fn new(key: SecretKey, source: Option<KeySource>) -> Self {
        let header = key.authorization();
        let current = ArcSwap::from_pointee(Current { key, header, generation: 0 });
        Self { current, source, reading: tokio::sync::Mutex::new(None) }
    }

    /// Which Zentra it is for.
    #[must_use]
    pub fn environment(&self) -> Environment {
        self.current.load().key.environment()
    }

    /// A short name of the key in use, which tells nothing of the key itself.
    #[must_use]
    pub fn id(&self) -> String {
        self.current.load().key.id()
    }

    /// Changes with each new key.
    pub(super) fn generation(&self) -> u64 {
        self.current.load().generation
    }

    /// Whether another key than that of `generation` is in use, after the source was read once
    /// more.
    pub(super) async fn is_newer_than(&self, generation: u64) -> bool {
        if self.generation() == generation {
            self.read_again(generation).await;
        }
        self.generation() != generation
    }

    /// Looks for a new key again and again; ends only where there is no source.
    pub async fn watch(self: Arc<Self>) {
        if self.source.is_none() {
            return;
        }
        let mut ticks = interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.read_again(self.generation()).await;
        }
    }

    async fn read_again(&self, generation: u64) {
        let Some(source) = self.source.clone() else { return };
        let mut told = self.reading.lock().await;
        if self.generation() != generation {
            return;
        }
        let fault = match self.read_settled(&source).await {
            Ok(Some(key)) => self.take(key).err(),
            Ok(None) => None,
            Err(fault) => Some(fault),
        };
        if let Some(fault) = &fault
            && *told != Some(fault.clone())
        {
            tracing::error!(fault, "the file of Zentra's key is wrong; the last good key stays");
        }
        *told = fault;
    }

    /// The key that the source has come to rest at; none where it is the one in use.
    async fn read_settled(&self, source: &KeySource) -> Result<Option<SecretKey>, String> {
        let mut last = read(source).await;
        if last.as_ref().is_ok_and(|key| key.is_same_as(&self.current.load().key)) {
            return Ok(None);
        }
        for _ in 1..MOST_READINGS {
            sleep(SETTLE).await;
            let next = read(source).await;
            let agree = match (&last, &next) {
                (Ok(one), Ok(other)) => one.is_same_as(other),
                (Err(one), Err(other)) => one == other,
                _ => false,
            };
            if agree {
                return next.map(Some);
            }
            last = next;
        }
        Err("it changes all the time".to_owned())
    }

    fn take(&self, key: SecretKey) -> Result<(), String> {
        let current = self.current.load();
        if key.is_same_as(&current.key) {
            return Ok(());
        }
        if key.environment() != current.key.environment() {
            return Err("it holds a key of another environment".to_owned());
        }
        tracing::info!(key_id = key.id(), "a new key of Zentra's is in use");
        let (header, generation) = (key.authorization(), current.generation + 1);
        self.current.store(Arc::new(Current { key, header, generation }));
        Ok(())
    }
}

async fn read(source: &KeySource) -> Result<SecretKey, String> {
    let source = source.clone();
    let text = tokio::task::spawn_blocking(move || source()).await.map_err(io::Error::other);
    let text = text.and_then(|text| text).map_err(|fault| format!("cannot be read: {fault}"))?;
    SecretKey::new(&text).map_err(|fault| fault.to_string())
}

impl Credentials for KeyRing {
    fn authorization(&self) -> HeaderValue {
        self.current.load().header.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    fn key(text: &str) -> SecretKey {
        SecretKey::new(&text.into()).ok().unwrap()
    }

    /// A ring over a "file" that tests write to.
    fn ring() -> (Arc<KeyRing>, Arc<Mutex<String>>) {
        let file = Arc::new(Mutex::new("sk_sandbox_one".to_owned()));
        let read = file.clone();
        let source: KeySource = Arc::new(move || Ok(read.lock().unwrap().as_str().into()));
        (Arc::new(KeyRing::new(key("sk_sandbox_one"), Some(source))), file)
    }

    fn header(ring: &KeyRing) -> String {
        ring.authorization().to_str().unwrap().to_owned()
    }

    #[tokio::test]
    async fn a_refused_key_is_read_once_more() {
        let (ring, file) = ring();
        assert!(!ring.is_newer_than(0).await);
        *file.lock().unwrap() = "sk_sandbox_two\n".to_owned();
        assert!(ring.is_newer_than(0).await);
        assert_eq!(header(&ring), "Bearer sk_sandbox_two");
        assert!(!ring.is_newer_than(1).await);
    }

    #[tokio::test]
    async fn a_wrong_file_leaves_the_last_good_key() {
        let (ring, file) = ring();
        for text in ["", "pk_sandbox_two", "sk_live_two", "sk_sandbox_"] {
            *file.lock().unwrap() = text.to_owned();
            assert!(!ring.is_newer_than(0).await, "{text}");
        }
        assert_eq!(header(&ring), "Bearer sk_sandbox_one");
    }

    /// Each reading finds a little more of the new key: none of the halves is ever signed with.
    #[tokio::test]
    async fn a_key_that_is_being_written_is_waited_for() {
        let readings = Mutex::new(["", "sk_sandbox_tw", "sk_sandbox_two_whole"].into_iter());
        let source: KeySource = Arc::new(move || {
            let next = readings.lock().unwrap().next();
            Ok(next.unwrap_or("sk_sandbox_two_whole").into())
        });
        let ring = KeyRing::new(key("sk_sandbox_one"), Some(source));
        assert!(ring.is_newer_than(0).await);
        assert_eq!((header(&ring).as_str(), ring.generation()), ("Bearer sk_sandbox_two_whole", 1));
    }

    #[tokio::test]
    async fn the_watch_takes_a_new_key_without_a_call() {
        let (ring, file) = ring();
        let watch = tokio::spawn(ring.clone().watch());
        *file.lock().unwrap() = "sk_sandbox_two".to_owned();
        while header(&ring) != "Bearer sk_sandbox_two" {
            tokio::task::yield_now().await;
        }
        watch.abort();
    }

    #[test]
    fn the_id_names_the_key_and_tells_nothing_of_it() {
        let (one, two) = (key("sk_sandbox_one").id(), key("sk_sandbox_two").id());
        assert_ne!(one, two);
        assert_eq!(one.len(), 8);
        assert_eq!(one, key(" sk_sandbox_one\n").id());
    }
}
