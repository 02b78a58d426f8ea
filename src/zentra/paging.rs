//! Reads a list in any of the forms that Zentra's documentation shows.

use serde_json::Value;

use super::fields::{Fields, Unreadable};
use crate::domain::{ListPage, Page};

/// Reads `data` (a list, or `{items, pagination}`) with the pagination beside or inside it.
pub(super) fn read<T>(
    data: &Value,
    beside: Option<&Value>,
    asked: ListPage,
    item: impl Fn(&Value) -> Result<T, Unreadable>,
) -> Result<Page<T>, Unreadable> {
    let inside = data.as_object().map(|_| Fields::of(data, "list")).transpose()?;
    let list = match inside {
        Some(fields) => fields.get("items"),
        None => Some(data),
    };
    let list = list.and_then(Value::as_array).ok_or(Unreadable("list"))?;
    let pagination = beside.or_else(|| inside.and_then(|fields| fields.get("pagination")));
    let has_more = match pagination {
        Some(pagination) => more_behind(Fields::of(pagination, "pagination")?, asked),
        None => None,
    };
    Ok(Page {
        items: list.iter().map(item).collect::<Result<_, _>>()?,
        // Without any word on it, a full page may have another behind it.
        has_more: has_more.unwrap_or(list.len() >= asked.size as usize),
    })
}

fn more_behind(pagination: Fields<'_>, asked: ListPage) -> Option<bool> {
    if let Some(has_more) = pagination.get("has_more").and_then(Value::as_bool) {
        return Some(has_more);
    }
    let asked_page = u64::from(asked.number);
    let pages = pagination.first(&["pages", "total_pages"]).and_then(Value::as_u64);
    let total = pagination.get("total").and_then(Value::as_u64);
    pages
        .map(|pages| asked_page < pages)
        .or_else(|| total.map(|total| asked_page * u64::from(asked.size) < total))
}
