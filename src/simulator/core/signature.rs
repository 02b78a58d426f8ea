//! The signature of a webhook.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::SignatureForm;

/// The value of `x-zentra-signature` for this body, signed at `unix_seconds`.
#[must_use]
pub fn sign(form: SignatureForm, secret: &str, unix_seconds: i64, body: &[u8]) -> String {
    match form {
        SignatureForm::Hex => hex::encode(hmac(secret.as_bytes(), &[body])),
        SignatureForm::Timestamped => {
            let time = unix_seconds.to_string();
            let mac = hmac(secret.as_bytes(), &[time.as_bytes(), b".", body]);
            format!("t={time},v1={}", hex::encode(mac))
        }
    }
}

/// HMAC-SHA256 over the parts, one after the other.
pub(crate) fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    // HMAC takes keys of any length: `new_from_slice` has no way to fail.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return [0; 32];
    };
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, test case 2.
    const RFC: &str = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";

    #[test]
    fn the_bare_form_is_the_hmac_of_the_body() {
        let body = b"what do ya want for nothing?";
        assert_eq!(sign(SignatureForm::Hex, "Jefe", 1, body), RFC);
    }

    #[test]
    fn the_timestamped_form_signs_the_time_too() {
        let signed = sign(SignatureForm::Timestamped, "Jefe", 1_700_000_000, b"{}");
        let bare = sign(SignatureForm::Hex, "Jefe", 0, b"1700000000.{}");
        assert_eq!(signed, format!("t=1700000000,v1={bare}"));
    }
}
