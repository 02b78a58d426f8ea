//! The addresses of Zentra's routes, as requests and the transport take them.

use std::sync::Arc;

use http::Uri;
use url::Url;

use super::BaseUrl;
use super::routes::Route;

/// The address of a route in both of its forms.
#[derive(Clone, Debug)]
pub(super) struct Address {
    pub(super) uri: Uri,
    pub(super) url: Arc<Url>,
}

/// The addresses below one of Zentra's. Those of the routes that nothing varies are made once.
pub(super) struct Addresses {
    base_url: BaseUrl,
    create_charge: Option<Address>,
    create_refund: Option<Address>,
    tokenize_card: Option<Address>,
    tokenize_bank_account: Option<Address>,
}

impl Addresses {
    pub(super) fn below(base_url: BaseUrl) -> Self {
        let made = |route| made(&base_url, route);
        Self {
            create_charge: made(Route::CreateCharge),
            create_refund: made(Route::CreateRefund),
            tokenize_card: made(Route::TokenizeCard),
            tokenize_bank_account: made(Route::TokenizeBankAccount),
            base_url,
        }
    }

    /// The address of a route; none where [`BaseUrl::route`] has none.
    pub(super) fn of(&self, route: Route<'_>) -> Option<Address> {
        match route {
            Route::CreateCharge => self.create_charge.clone(),
            Route::CreateRefund => self.create_refund.clone(),
            Route::TokenizeCard => self.tokenize_card.clone(),
            Route::TokenizeBankAccount => self.tokenize_bank_account.clone(),
            Route::ListCharges(_)
            | Route::GetCharge(_)
            | Route::VerifyCharge(_)
            | Route::GetRefund(_)
            | Route::ListTokens(..) => made(&self.base_url, route),
        }
    }
}

fn made(base_url: &BaseUrl, route: Route<'_>) -> Option<Address> {
    let (segments, query) = route.parts();
    let url = base_url.route(&segments, &query)?;
    Some(Address { uri: url.as_str().parse().ok()?, url: Arc::new(url) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{CustomerId, Environment, ListPage, Reference};

    #[test]
    fn both_forms_of_every_address_are_its_routes() {
        let base_url = BaseUrl::new(None, Environment::Sandbox).unwrap();
        let addresses = Addresses::below(base_url.clone());
        let (reference, customer) =
            (Reference::new("a:b.c_d-e").unwrap(), CustomerId::new("cus_1").unwrap());
        let page = ListPage { number: 2, size: 10 };
        for route in [
            Route::CreateCharge,
            Route::ListCharges(page),
            Route::GetCharge(&reference),
            Route::VerifyCharge(&reference),
            Route::CreateRefund,
            Route::GetRefund(reference.as_str()),
            Route::TokenizeCard,
            Route::TokenizeBankAccount,
            Route::ListTokens(&customer, page),
        ] {
            let (segments, query) = route.parts();
            let url = base_url.route(&segments, &query).unwrap();
            let address = addresses.of(route).unwrap();
            assert_eq!(*address.url, url, "{route:?}");
            assert_eq!(address.uri.to_string(), url.as_str(), "{route:?}");
        }
        assert!(addresses.of(Route::GetRefund("..")).is_none());
    }
}
