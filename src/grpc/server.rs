//! The gRPC services, put together and served behind listeners.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::service::Routes;
use tonic_health::ServingStatus;
use tonic_health::server::{HealthReporter, health_reporter};

use super::CallSettings;
use super::gate::Gate;
use super::proto::{self, payment_service_server::PaymentServiceServer};
use super::service::Payments;
use crate::clock::Clock;
use crate::gateway::Gateway;
use crate::listen::{Connections, Listener};
use crate::shutdown::Draining;

/// The largest request, in bytes. The largest that the contract allows takes about 2 KiB.
pub(super) const MAX_MESSAGE_BYTES: usize = 64 * 1024;

/// The largest request of health or reflection, in bytes: a name.
const MAX_ASIDE_BYTES: usize = 4 * 1024;

/// What health knows: the process as a whole, and the service.
const WATCHED: [&str; 2] = ["", "zentra.gateway.v1.PaymentService"];
/// What reflection lists: what is served, which is less than what the contract describes.
const SERVED: [&str; 4] = [
    "zentra.gateway.v1.PaymentService",
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
];

/// The gRPC services, ready to be put behind listeners.
#[derive(Clone)]
pub struct Server {
    gate: Gate<Routes>,
    health: HealthReporter,
    draining: Draining,
    closing: CancellationToken,
    under_way: TaskTracker,
}

impl Server {
    /// Puts the services together. They are NOT_SERVING until [`Server::set_serving`].
    ///
    /// # Errors
    /// Where the compiled contract cannot be read, which a build would have shown.
    pub async fn new(
        gateway: Gateway,
        settings: CallSettings,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, tonic_reflection::server::Error> {
        let (health, health_service) = health_reporter();
        let (under_way, draining) = (settings.under_way.clone(), settings.draining.clone());
        let payments =
            PaymentServiceServer::new(Payments { gateway, settings: settings.clone(), clock })
                .max_decoding_message_size(MAX_MESSAGE_BYTES);
        let reflection = || {
            use tonic_reflection::pb;
            let builder = tonic_reflection::server::Builder::configure()
                .include_reflection_service(false)
                .register_encoded_file_descriptor_set(proto::FILE_DESCRIPTOR_SET)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
                .register_encoded_file_descriptor_set(pb::v1::FILE_DESCRIPTOR_SET)
                .register_encoded_file_descriptor_set(pb::v1alpha::FILE_DESCRIPTOR_SET)
                // The details of errors, so that tools such as grpcurl can show them.
                .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET);
            SERVED.into_iter().fold(builder, |builder, name| builder.with_service_name(name))
        };
        let mut routes = Routes::builder();
        let reflection_v1 = reflection().build_v1()?;
        let reflection_v1alpha = reflection().build_v1alpha()?;
        routes
            .add_service(payments)
            .add_service(health_service.max_decoding_message_size(MAX_ASIDE_BYTES))
            .add_service(reflection_v1.max_decoding_message_size(MAX_ASIDE_BYTES))
            .add_service(reflection_v1alpha.max_decoding_message_size(MAX_ASIDE_BYTES));
        let closing = CancellationToken::new();
        let gate = Gate::new(routes.routes().prepare(), settings);
        let server = Self { gate, health, draining, closing, under_way };
        server.set_serving(false).await;
        Ok(server)
    }

    /// Tells health checks, those that watch included, whether calls are taken.
    pub async fn set_serving(&self, serving: bool) {
        let status = if serving { ServingStatus::Serving } else { ServingStatus::NotServing };
        for service in WATCHED {
            self.health.set_service_status(service, status).await;
        }
    }

    /// Closes the listeners, and ends the streams of those that watch health, after what they
    /// were told last. Until then calls that come are told that the sidecar ends, which a closed
    /// listener could not say.
    pub async fn close(&self) {
        self.closing.cancel();
        let mut health = self.health.clone();
        for service in WATCHED {
            health.clear_service_status(service).await;
        }
    }

    /// Returns when no call is under way, once draining has begun. Health and reflection are no
    /// calls: their streams may stay open for ever, and nothing is lost with them.
    pub async fn calls_ended(&self) {
        self.under_way.close();
        self.under_way.wait().await;
    }

    /// Serves one listener until [`Server::close`] and every connection of it has ended, which a
    /// peer that says nothing may put off.
    ///
    /// Once the end begins, every connection is told goodbye (GOAWAY): calls under way end on it,
    /// and the next one makes its client connect anew, to another sidecar where there is one.
    pub async fn serve(self, listener: Listener, door: Connections) {
        listener.serve(self.gate, door, self.draining, self.closing).await;
    }
}
