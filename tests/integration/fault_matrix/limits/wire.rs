//! The way between the sidecars and their Redis. In some rounds it loses requests and answers, so that
//! a step may have been applied and nobody knows.

use std::collections::BTreeMap;
use std::io::Result;
use std::sync::{Arc, Mutex, PoisonError};

use rand::RngExt as _;
use rand::rngs::StdRng;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Of so many rounds one has losses in it.
const ROUNDS_A_LOSS: u64 = 3;
/// So many in such a round, at most; and two at least.
const MOST_LOSSES: usize = 6;
/// They hit one of the first packets that are on their way to the store, which hold most of the calls'
/// steps: many at a time.
const AMONG: usize = 30;
const PACKET: usize = 65_536;

/// What becomes of a packet of requests.
#[derive(Clone, Copy)]
enum Loss {
    /// The connection breaks before the store has it.
    Request,
    /// The connection breaks while the store answers.
    Answer,
    /// The store has it, and all that follows; its answers never come.
    Silence,
}

#[derive(Default)]
struct Plan {
    /// Packets since the losses were planned.
    sent: usize,
    losses: BTreeMap<usize, Loss>,
    happened: usize,
}

/// What carries the sidecars' connections to their Redis.
pub(super) struct Wire {
    /// Where they find it.
    pub(super) url: String,
    plan: Arc<Mutex<Plan>>,
    /// Counts the ends of rounds.
    ends: watch::Sender<u64>,
}

impl Wire {
    /// To the Redis at this port; it loses nothing yet.
    pub(super) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("redis://{}", listener.local_addr().unwrap());
        let plan = Arc::<Mutex<Plan>>::default();
        let (ends, round) = watch::channel(0);
        let shared = plan.clone();
        tokio::spawn(async move {
            while let Ok((sidecar, _)) = listener.accept().await {
                let (plan, round) = (shared.clone(), round.clone());
                // A connection that breaks is what this is for.
                tokio::spawn(async move {
                    let store = TcpStream::connect(("127.0.0.1", port)).await?;
                    carry(sidecar, store, &plan, round).await
                });
            }
        });
        Self { url, plan, ends }
    }

    /// Whether something is lost in the round of a seed.
    pub(super) fn is_lossy(seed: u64) -> bool {
        seed % ROUNDS_A_LOSS == 1
    }

    /// What the seed has in mind for its round is lost from now on.
    pub(super) fn lose_some(&self, seed: u64, chance: &mut StdRng) {
        let mut losses = BTreeMap::new();
        for _ in 0..chance.random_range(2..=MOST_LOSSES) {
            let kinds = [Loss::Request, Loss::Answer, Loss::Silence];
            let kind = kinds[chance.random_range(0..kinds.len())];
            losses.insert(chance.random_range(0..AMONG), kind);
        }
        if !Self::is_lossy(seed) {
            losses.clear();
        }
        let mut plan = lock(&self.plan);
        (plan.sent, plan.losses) = (0, losses);
    }

    /// Nothing is lost from now on: what has fallen silent breaks.
    pub(super) fn lose_nothing(&self) {
        lock(&self.plan).losses.clear();
        self.ends.send_modify(|count| *count += 1);
    }

    /// How much was lost, over all rounds.
    pub(super) fn lost(&self) -> usize {
        lock(&self.plan).happened
    }
}

fn lock(plan: &Mutex<Plan>) -> std::sync::MutexGuard<'_, Plan> {
    plan.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What becomes of the packet at hand.
fn next_loss(plan: &Mutex<Plan>) -> Option<Loss> {
    let mut plan = lock(plan);
    let number = plan.sent;
    plan.sent += 1;
    let loss = plan.losses.remove(&number);
    plan.happened += usize::from(loss.is_some());
    loss
}

/// Carries one connection until either end, or a loss, ends it.
async fn carry(
    mut sidecar: TcpStream,
    mut store: TcpStream,
    plan: &Mutex<Plan>,
    mut round: watch::Receiver<u64>,
) -> Result<()> {
    let (mut request, mut answer) = (vec![0; PACKET], vec![0; PACKET]);
    let mut is_silent = false;
    loop {
        tokio::select! {
            length = sidecar.read(&mut request) => {
                let length @ 1.. = length? else { return Ok(()) };
                let loss = next_loss(plan);
                if matches!(loss, Some(Loss::Request)) {
                    return Ok(());
                }
                store.write_all(&request[..length]).await?;
                if matches!(loss, Some(Loss::Answer)) {
                    let _lost = store.read(&mut answer).await?;
                    return Ok(());
                }
                if loss.is_some() {
                    is_silent = true;
                    round.mark_unchanged();
                }
            }
            _ = round.changed(), if is_silent => return Ok(()),
            length = store.read(&mut answer) => {
                let length @ 1.. = length? else { return Ok(()) };
                if !is_silent {
                    sidecar.write_all(&answer[..length]).await?;
                }
            }
        }
    }
}
