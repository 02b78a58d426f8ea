//! The inbound side: gRPC in, domain commands out, and back. The only maker of `tonic::Status`.

mod arriving;
mod call;
mod deadline;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod gate;
mod page_token;
mod request_body;
mod requests;
mod responses;
mod server;
mod service;
mod status;
mod told;
mod trace;

pub use call::CallSettings;
pub use deadline::Deadlines;
pub use server::Server;

/// The generated code of the public contract.
pub mod proto {
    #![expect(clippy::all, clippy::allow_attributes, clippy::too_many_lines, reason = "generated")]
    tonic::include_proto!("zentra.gateway.v1");

    /// The compiled contract, for reflection.
    pub const FILE_DESCRIPTOR_SET: &[u8] =
        include_bytes!(concat!(env!("OUT_DIR"), "/gateway_descriptor.bin"));

    impl std::fmt::Debug for Card {
        /// Shows nothing of the card.
        fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            formatter.write_str("Card { .. }")
        }
    }

    impl std::fmt::Debug for BankAccount {
        /// Shows nothing of the account.
        fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            formatter.write_str("BankAccount { .. }")
        }
    }
}
