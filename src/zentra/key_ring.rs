//! Zentra's key in use, which changes when its file does.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use http::HeaderValue;
use secrecy::SecretString;
use tokio::time::{sleep, timeout};

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
/// How long one reading may take. A file on a mount that hangs is never read to its end.
const READING_TIMEOUT: Duration = Duration::from_millis(500);
/// Readings that hang at once, each of which holds a thread; no more are begun.
const MOST_HANGING: usize = 8;
/// How often the file is looked at once readings hang; what doubling the interval ends at.
const LONGEST_INTERVAL: Duration = Duration::from_secs(300);

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
    /// How many readings have begun.
    begun: AtomicU64,
    /// One clone for each reading that has not ended.
    hanging: Arc<()>,
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
        let reading = tokio::sync::Mutex::new(None);
        Self { current, source, reading, begun: AtomicU64::new(0), hanging: Arc::default() }
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
    /// more. Where a reading hangs, no call waits for another.
    pub(super) async fn is_newer_than(&self, generation: u64) -> bool {
        if self.generation() == generation && self.hanging() == 0 {
            self.read_for_one_refused(generation).await;
        }
        self.generation() != generation
    }

    /// One reading that begins from now on, be it on behalf of another call.
    async fn read_for_one_refused(&self, generation: u64) {
        let begun = self.begun.load(Ordering::Relaxed);
        let mut told = self.reading.lock().await;
        let another_was = self.begun.load(Ordering::Relaxed) != begun;
        if self.generation() != generation || another_was || self.hanging() > 0 {
            return;
        }
        self.read_and_tell(&mut told).await;
    }

    /// Readings that nobody waits for any more, and that have not ended.
    fn hanging(&self) -> usize {
        Arc::strong_count(&self.hanging) - 1
    }

    /// Looks for a new key again and again; ends only where there is no source.
    pub async fn watch(self: Arc<Self>) {
        if self.source.is_none() {
            return;
        }
        let mut interval = INTERVAL;
        loop {
            self.read_and_tell(&mut *self.reading.lock().await).await;
            // A reading that hangs holds a thread: the next one, of a file that may have been
            // replaced, comes later each time.
            interval = match self.hanging() {
                0 => INTERVAL,
                _ => (interval * 2).min(LONGEST_INTERVAL),
            };
            sleep(interval).await;
        }
    }

    async fn read_and_tell(&self, told: &mut Fault) {
        let Some(source) = self.source.clone() else { return };
        self.begun.fetch_add(1, Ordering::Relaxed);
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
        let mut last = self.read(source).await?;
        if last.as_ref().is_ok_and(|key| key.is_same_as(&self.current.load().key)) {
            return Ok(None);
        }
        for _ in 1..MOST_READINGS {
            sleep(SETTLE).await;
            let next = self.read(source).await?;
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

    /// One reading, which may find something that is no key; the outer error is one that hangs.
    async fn read(&self, source: &KeySource) -> Result<Result<SecretKey, String>, String> {
        if self.hanging() >= MOST_HANGING {
            return Err("cannot be read: earlier readings hang".to_owned());
        }
        let source = source.clone();
        let reading = tokio::task::spawn_blocking(move || source());
        let mut reading = Reading { task: Some(reading), hanging: &self.hanging };
        let Ok(text) = timeout(READING_TIMEOUT, reading.text()).await else {
            return Err(format!("cannot be read: not in {} ms", READING_TIMEOUT.as_millis()));
        };
        let text = text.map_err(|fault| format!("cannot be read: {fault}"));
        Ok(text.and_then(|text| SecretKey::new(&text).map_err(|fault| fault.to_string())))
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

/// A reading of the source. It hangs from when nobody waits for it any more until it ends; one that
/// is waited for keeps no call from waiting as well.
struct Reading<'a> {
    task: Option<tokio::task::JoinHandle<io::Result<SecretString>>>,
    hanging: &'a Arc<()>,
}

impl Reading<'_> {
    async fn text(&mut self) -> io::Result<SecretString> {
        let Some(task) = &mut self.task else { return Err(io::Error::other("read already")) };
        let text = task.await;
        self.task = None;
        text.map_err(io::Error::other)?
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        let (Some(task), Ok(runtime)) = (self.task.take(), tokio::runtime::Handle::try_current())
        else {
            return;
        };
        let hanging = Arc::clone(self.hanging);
        runtime.spawn(async move {
            let _ = task.await;
            drop(hanging);
        });
    }
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

    /// The first reading hangs, as on a mount that is gone; the thread ends with the test.
    #[tokio::test]
    async fn a_reading_that_hangs_keeps_no_call_and_the_next_one_takes_the_key() {
        let (go, gone) = std::sync::mpsc::channel::<()>();
        let first = Mutex::new(Some(gone));
        let source: KeySource = Arc::new(move || {
            let first = first.lock().unwrap().take();
            if let Some(gone) = first {
                let _ = gone.recv();
            }
            Ok("sk_sandbox_two".into())
        });
        let ring = Arc::new(KeyRing::new(key("sk_sandbox_one"), Some(source)));
        let began = tokio::time::Instant::now();
        assert!(!ring.is_newer_than(0).await);
        assert!(began.elapsed() >= READING_TIMEOUT && ring.hanging() == 1);
        let began = tokio::time::Instant::now();
        assert!(!ring.is_newer_than(0).await);
        assert!(began.elapsed() < READING_TIMEOUT, "no call waits for a second one");
        // The watch does not give up.
        ring.read_and_tell(&mut *ring.reading.lock().await).await;
        assert_eq!(header(&ring), "Bearer sk_sandbox_two");
        drop(go);
    }

    /// All calls that are refused at one moment wait for the one reading.
    #[tokio::test]
    async fn a_reading_that_goes_well_is_waited_for_by_every_call() {
        let (go, gone) = std::sync::mpsc::channel::<()>();
        let gone = Mutex::new(gone);
        let source: KeySource = Arc::new(move || {
            let _ = gone.lock().unwrap().recv();
            Ok("sk_sandbox_two".into())
        });
        let ring = Arc::new(KeyRing::new(key("sk_sandbox_one"), Some(source)));
        let mut calls = tokio::task::JoinSet::new();
        for _ in 0..16 {
            let ring = ring.clone();
            calls.spawn(async move { ring.is_newer_than(0).await });
        }
        tokio::task::yield_now().await;
        // Whoever comes while it is under way.
        let late = tokio::spawn({
            let ring = ring.clone();
            async move { ring.is_newer_than(0).await }
        });
        tokio::task::yield_now().await;
        drop(go);
        assert_eq!(calls.join_all().await, [true; 16]);
        assert!(late.await.unwrap());
    }

    /// The others do not hang one after the other behind the first one's reading.
    #[tokio::test]
    async fn a_reading_that_hangs_keeps_all_calls_no_longer_than_one() {
        let (go, gone) = std::sync::mpsc::channel::<()>();
        let gone = Mutex::new(gone);
        let source: KeySource = Arc::new(move || {
            let _ = gone.lock().unwrap().recv();
            Err(io::Error::other("gone"))
        });
        let ring = Arc::new(KeyRing::new(key("sk_sandbox_one"), Some(source)));
        let mut calls = tokio::task::JoinSet::new();
        for _ in 0..16 {
            let ring = ring.clone();
            calls.spawn(async move { ring.is_newer_than(0).await });
        }
        let began = tokio::time::Instant::now();
        assert_eq!(calls.join_all().await, [false; 16]);
        assert_eq!((ring.hanging(), ring.begun.load(Ordering::Relaxed)), (1, 1));
        assert!(began.elapsed() < READING_TIMEOUT * 8, "{:?}", began.elapsed());
        drop(go);
    }

    /// Sixteen refused calls, and nothing new: one reading for those who came before it began, and
    /// one for those who came while it was under way.
    #[tokio::test]
    async fn a_key_that_is_the_same_is_not_read_once_for_each_refused_call() {
        let (go, gone) = std::sync::mpsc::channel::<()>();
        let gone = Mutex::new(gone);
        let source: KeySource = Arc::new(move || {
            let _ = gone.lock().unwrap().recv();
            Ok("sk_sandbox_one".into())
        });
        let ring = Arc::new(KeyRing::new(key("sk_sandbox_one"), Some(source)));
        let mut calls = tokio::task::JoinSet::new();
        for _ in 0..16 {
            let ring = ring.clone();
            calls.spawn(async move { ring.is_newer_than(0).await });
        }
        while ring.begun.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        tokio::task::yield_now().await;
        drop(go);
        assert_eq!(calls.join_all().await, [false; 16]);
        assert!(ring.begun.load(Ordering::Relaxed) <= 2);
    }

    #[tokio::test]
    async fn no_more_readings_than_a_few_hang_at_once() {
        let begun = Arc::new(Mutex::new(0));
        let (go, gone) = std::sync::mpsc::channel::<()>();
        let (counted, gone) = (begun.clone(), Mutex::new(gone));
        let source: KeySource = Arc::new(move || {
            *counted.lock().unwrap() += 1;
            let _ = gone.lock().unwrap().recv();
            Err(io::Error::other("gone"))
        });
        let ring = KeyRing::new(key("sk_sandbox_one"), Some(source));
        for _ in 0..MOST_HANGING + 2 {
            ring.read_and_tell(&mut *ring.reading.lock().await).await;
        }
        assert_eq!(*begun.lock().unwrap(), MOST_HANGING);
        drop(go);
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
