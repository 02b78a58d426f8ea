//! The contract of the idempotency store: one list of stories, told of each backend.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::time::timeout;
use zentra_sidecar::idempotency::machine::Format;
use zentra_sidecar::idempotency::{InitAnswer, MemoryStore, Store};

use crate::store_stories::{STORIES, Stage};

/// Something that can hold records.
pub(crate) trait Backend: Send + Sync {
    /// The store of an account, as one process opens it.
    fn open<'a>(&'a self, account: &'a str, format: Format) -> BoxFuture<'a, Arc<dyn Store>>;

    /// Everything is lost.
    fn wipe(&self) -> BoxFuture<'_, ()>;

    /// The worst that can happen to the account's data without loss; the next steps run into it.
    fn disturb<'a>(&'a self, _account: &'a str) -> BoxFuture<'a, ()> {
        async {}.boxed()
    }
}

/// How long a story may take on a machine under load before it counts as hanging.
const PATIENCE: Duration = Duration::from_secs(60);

/// Tells every story, each on an account of its own that was declared new, and names all that
/// fail.
pub(crate) async fn tell_all(backend: Arc<dyn Backend>) {
    let mut failed = Vec::new();
    for (name, story) in STORIES {
        let account = name.replace('_', "-");
        let store = backend.open(&account, Format::default()).await;
        assert_eq!(store.init().await, Ok(InitAnswer::Declared), "{name}");
        let stage = Stage { backend: Arc::clone(&backend), account, store };
        // The panic's own message has been printed by then; who waits for ever says nothing.
        let told = timeout(PATIENCE, tokio::spawn(story(stage))).await;
        if !matches!(told, Ok(Ok(()))) {
            failed.push(*name);
        }
    }
    assert!(failed.is_empty(), "stories that failed: {failed:#?}");
}

/// One memory, shared by all who open the same account.
#[derive(Default)]
pub(crate) struct InMemory(Mutex<HashMap<String, MemoryStore>>);

impl Backend for InMemory {
    fn open<'a>(&'a self, account: &'a str, format: Format) -> BoxFuture<'a, Arc<dyn Store>> {
        let mut stores = self.0.lock().unwrap();
        let store =
            stores.entry(account.to_owned()).or_insert_with(|| MemoryStore::new(|| 1_000_000));
        let store: Arc<dyn Store> = Arc::new(store.seen_by(format));
        async move { store }.boxed()
    }

    fn wipe(&self) -> BoxFuture<'_, ()> {
        self.0.lock().unwrap().values().for_each(MemoryStore::wipe);
        async {}.boxed()
    }
}

#[tokio::test]
async fn the_memory_store_keeps_the_contract() {
    tell_all(Arc::new(InMemory::default())).await;
}
