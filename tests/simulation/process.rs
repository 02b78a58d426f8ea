//! The processes: production's gateway, engine and reconciler, each over its own way to the world.

use std::sync::Arc;
use std::time::Duration;

use zentra_sidecar::domain::{Account, Environment};
use zentra_sidecar::engine::{Engine, EngineParts, EngineSettings};
use zentra_sidecar::gateway::{CardData, Gateway};
use zentra_sidecar::idempotency::{FingerprintKeys, Periods};
use zentra_sidecar::readiness;
use zentra_sidecar::reconciler::{Reconciler, ReconcilerSettings};
use zentra_sidecar::shutdown::Draining;
use zentra_sidecar::telemetry::Telemetry;
use zentra_sidecar::zentra::{BaseUrl, KeyRing, SecretKey, Zentra};

use super::life::Life;
use super::store::Link;
use super::upstream::{LIMITS, way};
use super::world::{VirtualClock, World};

/// What every process is started with.
#[derive(Clone)]
pub(crate) struct Settings {
    url: BaseUrl,
    key: Arc<KeyRing>,
    keys: Arc<FingerprintKeys>,
    pub(crate) engine: EngineSettings,
}

/// One life of a process.
#[derive(Clone)]
pub(crate) struct Process {
    pub(crate) life: Arc<Life>,
    pub(crate) engine: Engine,
    pub(crate) gateway: Gateway,
    pub(crate) reconciler: Arc<Reconciler>,
}

/// The account of all runs.
pub(crate) fn account() -> Account {
    Account::new("default").unwrap()
}

impl Settings {
    pub(crate) fn new(lease_ms: u64, waiting_check_ms: u64) -> Self {
        let key = SecretKey::new(&"sk_simulated_1".into()).ok().unwrap();
        let engine = EngineSettings {
            periods: Periods { lease_ms, ..Periods::default() },
            waiting_check: Duration::from_millis(waiting_check_ms),
            ..EngineSettings::default()
        };
        assert!(lease_ms > 2 * u64::try_from(LIMITS.connect_timeout.as_millis()).unwrap());
        Self {
            url: BaseUrl::new(Some("http://127.0.0.1:1"), Environment::Simulated).unwrap(),
            key: Arc::new(KeyRing::new(key, None)),
            keys: Arc::new(FingerprintKeys::ephemeral([7; 32])),
            engine,
        }
    }
}

impl Process {
    pub(crate) async fn start(world: &Arc<World>, number: usize, settings: &Settings) -> Self {
        let life = Life::new(number);
        let store = Arc::new(Link { world: world.clone(), life: life.clone() });
        let clock = Arc::new(VirtualClock(world.started));
        let key = settings.key.clone();
        let upstream = way(world.clone(), life.clone(), key.clone(), clock.clone());
        let zentra = Zentra::new(settings.url.clone(), key, upstream, clock.clone());
        let keys = settings.keys.clone();
        let (checks, draining) = (keys.checks(), Draining::default());
        let parts = EngineParts {
            zentra,
            store: store.clone(),
            keys,
            clock,
            account: account(),
            environment: Environment::Simulated,
            telemetry: Telemetry::quiet(),
            draining: draining.clone(),
        };
        let engine = Engine::new(parts, settings.engine);
        let (ready, _) = readiness::checked(store, checks, draining).await;
        let gateway = Gateway::new(
            engine.clone(),
            CardData::Accept,
            ready,
            std::sync::Arc::new(zentra_sidecar::policy::Policies::none()),
        );
        let reconciler = Reconciler::new(engine.clone(), ReconcilerSettings::default());
        Self { life, engine, gateway, reconciler: Arc::new(reconciler) }
    }
}

/// Between any two steps a process may die or be stopped.
pub(crate) fn chance_of_an_end(world: &World, life: &Life, when: &'static str) {
    let mut inner = world.lock();
    if inner.calm || life.is_dead() || inner.chance.below(1000) >= world.weather.process {
        return;
    }
    let dies = inner.chance.percent(50);
    let ms = inner.chance.weighed(&[(2, 400), (2, 4_000), (3, 11_000), (1, 45_000)]);
    drop(inner);
    if dies {
        world.fault("crash", || format!("process {} {when}", life.number));
        life.kill();
    } else {
        world.fault("stop", || format!("process {} {when} for {ms} ms", life.number));
        life.stop(Duration::from_millis(ms));
    }
}
