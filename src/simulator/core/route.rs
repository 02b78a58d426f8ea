//! The nine routes and their names.

use http::Method;
use serde::Serialize;

/// A route of Zentra's payments API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Route {
    /// `POST /charges`
    CreateCharge,
    /// `GET /charges`
    ListCharges,
    /// `GET /charges/:reference`
    GetCharge,
    /// `POST /charges/:reference/verify`
    VerifyCharge,
    /// `POST /refunds`
    CreateRefund,
    /// `GET /refunds/:reference`
    GetRefund,
    /// `POST /tokens/card`
    TokenizeCard,
    /// `POST /tokens/bank-account`
    TokenizeBankAccount,
    /// `GET /customers/:customer_id/tokens`
    ListTokens,
}

impl Route {
    /// Every route.
    pub const ALL: [Self; 9] = [
        Self::CreateCharge,
        Self::ListCharges,
        Self::GetCharge,
        Self::VerifyCharge,
        Self::CreateRefund,
        Self::GetRefund,
        Self::TokenizeCard,
        Self::TokenizeBankAccount,
        Self::ListTokens,
    ];

    /// The name used by the control API, such as `create_charge`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::CreateCharge => "create_charge",
            Self::ListCharges => "list_charges",
            Self::GetCharge => "get_charge",
            Self::VerifyCharge => "verify_charge",
            Self::CreateRefund => "create_refund",
            Self::GetRefund => "get_refund",
            Self::TokenizeCard => "tokenize_card",
            Self::TokenizeBankAccount => "tokenize_bank_account",
            Self::ListTokens => "list_tokens",
        }
    }

    /// The route of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|route| route.name() == name)
    }

    /// Whether the route reads only.
    #[must_use]
    pub fn is_read(self) -> bool {
        matches!(self, Self::ListCharges | Self::GetCharge | Self::GetRefund | Self::ListTokens)
    }
}

/// A route, and what its path names: a reference or a customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The route.
    pub route: Route,
    /// The reference or customer id of the path, decoded; empty where the path has none.
    pub subject: String,
}

impl Target {
    /// Finds the route of a request, if there is one.
    #[must_use]
    pub fn of(method: &Method, path: &str) -> Option<Self> {
        let rest = path.strip_prefix("/api/v1/payments/")?;
        let segments: Vec<String> = rest.split('/').map(decode).collect::<Option<_>>()?;
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let (route, subject) = match (method.as_str(), segments.as_slice()) {
            ("POST", ["charges"]) => (Route::CreateCharge, ""),
            ("GET", ["charges"]) => (Route::ListCharges, ""),
            ("GET", ["charges", reference]) => (Route::GetCharge, *reference),
            ("POST", ["charges", reference, "verify"]) => (Route::VerifyCharge, *reference),
            ("POST", ["refunds"]) => (Route::CreateRefund, ""),
            ("GET", ["refunds", reference]) => (Route::GetRefund, *reference),
            ("POST", ["tokens", "card"]) => (Route::TokenizeCard, ""),
            ("POST", ["tokens", "bank-account"]) => (Route::TokenizeBankAccount, ""),
            ("GET", ["customers", customer, "tokens"]) => (Route::ListTokens, *customer),
            _ => return None,
        };
        Some(Self { route, subject: subject.to_owned() })
    }
}

/// Undoes percent-encoding. `None` where it is broken or not UTF-8.
pub(crate) fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let pair = [rest.next()?, rest.next()?];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&pair).ok()?, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_path_finds_its_route() {
        let find = |method: Method, path: &str| {
            Target::of(&method, &format!("/api/v1/payments/{path}"))
                .map(|target| (target.route, target.subject))
        };
        let got = |route, subject: &str| Some((route, subject.to_owned()));
        assert_eq!(find(Method::POST, "charges"), got(Route::CreateCharge, ""));
        assert_eq!(find(Method::GET, "charges/a%3Ab"), got(Route::GetCharge, "a:b"));
        assert_eq!(find(Method::POST, "charges/a/verify"), got(Route::VerifyCharge, "a"));
        assert_eq!(find(Method::GET, "customers/c/tokens"), got(Route::ListTokens, "c"));
        assert_eq!(find(Method::DELETE, "charges"), None);
        assert_eq!(find(Method::GET, "charges/a/b"), None);
        assert_eq!(find(Method::GET, "charges/%zz"), None);
        assert_eq!(Target::of(&Method::GET, "/charges"), None);
    }

    #[test]
    fn names_lead_back_to_their_route() {
        assert!(Route::ALL.into_iter().all(|route| Route::named(route.name()) == Some(route)));
    }
}
