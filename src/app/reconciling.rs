//! The background look-ups as a process of their own, which can be watched like any other.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::{Parts, StartError, bind_error, engine};
use crate::admin;
use crate::clock::Clock;
use crate::config::Settings;
use crate::engine::Engine;
use crate::readiness;
use crate::reconciler::Reconciler;
use crate::shutdown::Draining;
use crate::telemetry::Telemetry;

/// A reconciler at work, with its health and its metrics over HTTP.
pub struct Reconciling {
    admin_address: SocketAddr,
    draining: Draining,
    engine: Engine,
    work: JoinHandle<()>,
    admin: JoinHandle<()>,
}

/// Starts one. It takes no calls: of all listeners it has the admin one alone.
///
/// # Errors
/// A [`StartError`]; nothing is left bound.
pub async fn reconcile(
    settings: Settings,
    clock: Arc<dyn Clock>,
    telemetry: Telemetry,
) -> Result<Reconciling, StartError> {
    let parts = Parts::of(&settings, clock.clone(), telemetry)?;
    reconcile_over(settings, clock, parts).await
}

/// Starts one over any transport and store.
///
/// # Errors
/// As [`reconcile`].
pub async fn reconcile_over(
    settings: Settings,
    clock: Arc<dyn Clock>,
    parts: Parts,
) -> Result<Reconciling, StartError> {
    let telemetry = parts.telemetry.clone();
    let unbound = |fault| bind_error(&settings.admin_listen, fault);
    let listener = TcpListener::bind(settings.admin_listen).await.map_err(unbound)?;
    let admin_address = listener.local_addr().map_err(unbound)?;
    let draining = parts.draining.clone();
    let (store, keys) = (parts.store.clone(), parts.keys.checks());
    let (readiness, monitor) = readiness::checked(store, keys, draining.clone()).await;
    let states = admin::States {
        readiness: readiness.clone(),
        upstream: parts.upstream_state.clone(),
        key: settings.zentra_key.clone(),
        account: (settings.account.clone(), settings.environment()),
    };
    states.show(&telemetry);
    let engine = engine(&settings, clock, parts);
    engine.spawn(monitor.run(|_| async {}));
    let (key, end) = (engine.zentra().key().clone(), draining.clone());
    engine.spawn(async move {
        tokio::select! {
            () = end.begun() => {}
            () = key.watch() => {}
        }
    });
    let reconciler = Reconciler::new(engine.clone(), settings.reconciler);
    let work = tokio::spawn(reconciler.run(draining.clone()));
    let admin = tokio::spawn(admin::serve(listener, readiness, telemetry));
    Ok(Reconciling { admin_address, draining, engine, work, admin })
}

impl Reconciling {
    /// Where health over HTTP is served.
    #[must_use]
    pub fn admin_address(&self) -> SocketAddr {
        self.admin_address
    }

    /// Ends the work. A pass is not waited for: another process begins where this one left off. What
    /// is being stored is, so that it is told of.
    ///
    /// # Errors
    /// Where the work had ended abnormally before.
    pub async fn shut_down(self) -> Result<(), tokio::task::JoinError> {
        self.draining.begin();
        let ended = self.work.await;
        self.engine.finish().await;
        self.admin.abort();
        ended
    }

    /// Returns only where the work ends abnormally.
    pub async fn broken(&mut self) -> &'static str {
        match (&mut self.work).await {
            // What they panicked with may be anything.
            Err(_) => "the look-ups broke off",
            Ok(()) => "the look-ups ended",
        }
    }
}
