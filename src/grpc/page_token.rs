//! Page tokens: opaque to callers, and good for one list and one page size.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::domain::{Fault, ListPage, Violations};

/// The page size where the caller gives none.
const DEFAULT_SIZE: u32 = 20;
/// Zentra's documented maximum.
const MAX_SIZE: u32 = 100;
/// The last page that a token can name.
const MAX_NUMBER: u32 = 10_000_000;

/// Reads a page size and token; `list` names what is listed, so that a token is good for it only.
pub(super) fn read(
    list: &str,
    page_size: i32,
    page_token: &str,
    violations: &mut Violations,
) -> Option<ListPage> {
    let size = match u32::try_from(page_size) {
        Ok(0) => Ok(DEFAULT_SIZE),
        Ok(size) => Ok(size.min(MAX_SIZE)),
        Err(_) => Err(Fault::PageSize),
    };
    let size = violations.check("page_size", size);
    if page_token.is_empty() {
        return Some(ListPage { number: 1, size: size? });
    }
    let page = decode(list, page_token)
        // The size may be left out on the following pages, but not changed.
        .filter(|page| page_size <= 0 || size.is_none_or(|size| size == page.size))
        .ok_or(Fault::PageToken);
    violations.check("page_token", page).filter(|_| size.is_some())
}

/// The token of the page behind `page`; empty where there is none.
pub(super) fn next(list: &str, page: ListPage, has_more: bool) -> String {
    if !has_more || page.number >= MAX_NUMBER {
        return String::new();
    }
    URL_SAFE_NO_PAD.encode(format!("1/{}/{}/{list}", page.number + 1, page.size))
}

fn decode(list: &str, token: &str) -> Option<ListPage> {
    if token.len() > 512 {
        return None;
    }
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
    let mut parts = text.splitn(4, '/');
    if parts.next() != Some("1") {
        return None;
    }
    let number = parts.next()?.parse().ok().filter(|it| (2..=MAX_NUMBER).contains(it))?;
    let size = parts.next()?.parse().ok().filter(|it| (1..=MAX_SIZE).contains(it))?;
    (parts.next()? == list).then_some(ListPage { number, size })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn page(list: &str, size: i32, token: &str) -> Result<ListPage, String> {
        let mut violations = Violations::default();
        let page = read(list, size, token, &mut violations);
        assert_eq!(page.is_some(), violations.is_empty());
        page.ok_or(violations.to_string())
    }

    #[test]
    fn sizes_have_a_default_and_a_maximum() {
        assert_eq!(page("charges", 0, ""), Ok(ListPage { number: 1, size: 20 }));
        assert_eq!(page("charges", 7, ""), Ok(ListPage { number: 1, size: 7 }));
        assert_eq!(page("charges", i32::MAX, ""), Ok(ListPage { number: 1, size: 100 }));
        assert!(page("charges", -1, "").is_err_and(|text| text.starts_with("page_size")));
    }

    #[test]
    fn a_token_leads_to_the_next_page_of_its_own_list() {
        let first = ListPage { number: 1, size: 7 };
        let token = next("tokens/cus_1", first, true);
        let second = Ok(ListPage { number: 2, size: 7 });
        assert_eq!(page("tokens/cus_1", 7, &token), second);
        assert_eq!(page("tokens/cus_1", 0, &token), second);
        for (list, size) in [("tokens/cus_2", 7), ("charges", 7), ("tokens/cus_1", 8)] {
            assert!(page(list, size, &token).is_err_and(|text| text.starts_with("page_token")));
        }
        assert_eq!(next("charges", first, false), "");
    }

    proptest! {
        #[test]
        fn no_token_that_was_not_handed_out_does_harm(token in "\\PC{0,40}|[A-Za-z0-9_-]{0,40}") {
            let _ = page("charges", 0, &token);
        }
    }
}
