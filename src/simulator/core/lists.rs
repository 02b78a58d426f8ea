//! Pages of lists: `page` and `limit`, or `offset` and `limit`; the newest first.

use serde_json::{Map, Value};

use super::answer::{Data, Pagination};
use super::fields::Fields;
use super::{Answer, Request};

const USUAL_LIMIT: u64 = 20;
const MOST_LIMIT: u64 = 100;
const FARTHEST: u64 = 1_000_000_000;

/// The page that a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    limit: u64,
    offset: u64,
}

impl Page {
    /// Reads the query: `limit` up to 100 (20), `page` from 1, or `offset` from 0.
    pub(crate) fn of(request: &Request) -> Result<Self, Answer> {
        let map: Map<String, Value> = ["page", "limit", "offset"]
            .into_iter()
            .filter_map(|name| Some((name.to_owned(), Value::String(request.parameter(name)?))))
            .collect();
        let mut fields = Fields::new(&map, "");
        let limit = fields.whole("limit", (1, MOST_LIMIT)).unwrap_or(USUAL_LIMIT);
        let page = fields.whole("page", (1, FARTHEST)).unwrap_or(1);
        let offset = fields.whole("offset", (0, FARTHEST)).unwrap_or((page - 1) * limit);
        let faults = fields.finish();
        if faults.is_empty() { Ok(Self { limit, offset }) } else { Err(Answer::faults(&faults)) }
    }

    /// The page's objects out of all of them, which come oldest first.
    pub(crate) fn cut<'a, T: 'a>(
        self,
        all: impl DoubleEndedIterator<Item = &'a T> + Clone,
        show: impl Fn(&T) -> Value,
    ) -> Answer {
        let total = all.clone().count() as u64;
        let before = usize::try_from(self.offset).unwrap_or(usize::MAX);
        let most = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let items = all.rev().skip(before).take(most).map(show).collect();
        let page = self.offset / self.limit.max(1) + 1;
        let Self { limit, offset } = self;
        Answer { status: 200, data: Data::Page(items, Pagination { page, limit, offset, total }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Method;

    fn page(query: &str) -> Result<Page, Answer> {
        Page::of(&Request::new(Method::GET, &format!("/x?{query}"), "sk", None))
    }

    #[test]
    fn the_newest_come_first_and_the_last_page_is_short() {
        let numbers = [1, 2, 3, 4, 5];
        let answer = page("page=2&limit=3").unwrap().cut(numbers.iter(), |n| Value::from(*n));
        let Data::Page(items, pagination) = answer.data else { panic!("no page") };
        assert_eq!(items, [2, 1]);
        assert_eq!(pagination, Pagination { page: 2, limit: 3, offset: 3, total: 5 });
    }

    #[test]
    fn an_offset_does_as_well() {
        assert_eq!(page("offset=7&limit=5"), Ok(Page { limit: 5, offset: 7 }));
        assert_eq!(page(""), Ok(Page { limit: 20, offset: 0 }));
    }

    #[test]
    fn limits_beyond_a_hundred_are_refused() {
        let refused = page("limit=101&page=0").unwrap_err();
        assert_eq!((refused.status, refused.code()), (422, Some("invalid_format")));
    }
}
