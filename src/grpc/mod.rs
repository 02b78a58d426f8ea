//! The inbound side: gRPC in, domain commands out, and back. The only maker of `tonic::Status`.

mod asked;
mod call;
mod deadline;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod gate;
mod held;
mod page_token;
mod request_body;
mod requests;
mod responses;
mod server;
mod service;
mod status;
mod strangers;
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

    impl zeroize::Zeroize for Card {
        fn zeroize(&mut self) {
            let Self { number, expiry_month, expiry_year, cvv, holder_name } = self;
            number.zeroize();
            expiry_month.zeroize();
            expiry_year.zeroize();
            cvv.zeroize();
            holder_name.zeroize();
        }
    }

    impl zeroize::Zeroize for BankAccount {
        fn zeroize(&mut self) {
            let Self { account_number, bank_code, account_name } = self;
            account_number.zeroize();
            bank_code.zeroize();
            account_name.zeroize();
        }
    }

    // Whatever becomes of the call, refused before anybody looks at it included.
    impl Drop for Card {
        fn drop(&mut self) {
            zeroize::Zeroize::zeroize(self);
        }
    }

    impl Drop for BankAccount {
        fn drop(&mut self) {
            zeroize::Zeroize::zeroize(self);
        }
    }

    impl zeroize::ZeroizeOnDrop for Card {}
    impl zeroize::ZeroizeOnDrop for BankAccount {}

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

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::os::unix::fs::FileExt as _;

    use super::proto::{BankAccount, Card};

    /// Longer than what an allocator writes over in memory that is given back.
    const LENGTH: usize = 256;

    #[test]
    fn what_a_message_held_is_wiped_with_it_whatever_became_of_the_call() {
        let memory = std::fs::File::open("/proc/self/mem").unwrap();
        // What stands where a text stood.
        let left = |place: usize| {
            let mut bytes = [0; LENGTH];
            memory.read_exact_at(&mut bytes, u64::try_from(place).unwrap()).unwrap();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let secret = |digit: &str| digit.repeat(LENGTH);
        let card = Card {
            number: secret("4"),
            expiry_month: 12,
            expiry_year: 2030,
            cvv: secret("7"),
            holder_name: secret("Z"),
        };
        let account = BankAccount {
            account_number: secret("1"),
            bank_code: "058".to_owned(),
            account_name: secret("N"),
        };
        let places = [
            (&card.number, "4444"),
            (&card.cvv, "7777"),
            (&card.holder_name, "ZZZZ"),
            (&account.account_number, "1111"),
            (&account.account_name, "NNNN"),
        ]
        .map(|(text, part)| (text.as_ptr().addr(), part));
        assert!(places.iter().all(|(place, part)| left(*place).contains(part)));
        drop((card, account));
        for (place, part) in places {
            assert!(!left(place).contains(part), "{part} is left");
        }
    }
}
