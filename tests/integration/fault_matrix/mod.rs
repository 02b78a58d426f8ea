//! The fault matrix over real processes: the real binary with its failpoints, real servers, and
//! the simulator's ledger compared with what callers were told. Each test names its row.

mod gate;
mod lab;
mod sidecar;
mod told;
mod traces;

mod admission;
mod answers;
mod audited;
mod callers;
mod canary;
mod circuit;
mod cost;
mod counted;
mod crashes;
mod definitions;
mod duplicates;
mod formats;
mod key_rotation;
mod limits;
mod links;
mod metrics;
mod observers;
mod open_outcomes;
mod pauses;
mod policy;
mod production_build;
mod reconciling;
mod refunds;
mod refusals;
mod rest_refunds;
mod restarts;
mod sampling;
mod scopes;
mod second_answers;
mod settling;
mod stops;
mod store_faults;
mod store_loss;
mod tokens;
mod tries;
