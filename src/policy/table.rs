//! One table of a TOML file, read member by member, with a place for every complaint.

use std::fmt::Display;
use std::ops::RangeInclusive;

use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use super::complaint::{Complaints, Source};

/// A table that is being read. [`Entry::end`] complains of what nobody has asked for.
pub(super) struct Entry<'i, 'c> {
    table: DeTable<'i>,
    start: usize,
    source: Source<'c>,
    complaints: &'c mut Complaints,
    known: Vec<&'static str>,
}

impl<'i, 'c> Entry<'i, 'c> {
    pub(super) fn of(
        table: Spanned<DeTable<'i>>,
        source: Source<'c>,
        complaints: &'c mut Complaints,
    ) -> Self {
        let start = table.span().start;
        Self { table: table.into_inner(), start, source, complaints, known: Vec::new() }
    }

    /// The line that the table begins in, from 1.
    pub(super) fn line(&self) -> usize {
        self.source.text[..self.start].matches('\n').count() + 1
    }

    /// Where a member's value stands; the table where there is none.
    pub(super) fn place_of(&self, name: &str) -> usize {
        self.table.get(name).map_or(self.start, |value| value.span().start)
    }

    /// Complains of a member.
    pub(super) fn complain(&mut self, name: &str, text: impl Display) {
        self.complaints.at(self.source, self.place_of(name), format!("{name}: {text}"));
    }

    /// A text that `read` takes.
    pub(super) fn text<T>(
        &mut self,
        name: &'static str,
        is_required: bool,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let value = self.take(name, is_required)?;
        let read = value.as_str().ok_or_else(|| "must be a text".to_owned()).and_then(read);
        read.map_err(|fault| self.complain(name, fault)).ok()
    }

    /// A whole number.
    pub(super) fn number(&mut self, name: &'static str, range: RangeInclusive<u64>) -> Option<u64> {
        let value = self.take(name, true)?;
        self.whole(name, &value, range)
    }

    /// A whole number that may be left out.
    pub(super) fn number_or_none(
        &mut self,
        name: &'static str,
        range: RangeInclusive<u64>,
    ) -> Option<u64> {
        let value = self.take(name, false)?;
        self.whole(name, &value, range)
    }

    fn whole(
        &mut self,
        name: &str,
        value: &DeValue<'_>,
        range: RangeInclusive<u64>,
    ) -> Option<u64> {
        let number = value.as_integer().and_then(whole).filter(|number| range.contains(number));
        if number.is_none() {
            let (least, most) = (range.start(), range.end());
            self.complain(name, format!("must be a whole number from {least} to {most}"));
        }
        number
    }

    /// A list of texts, without doubles; empty where it is not there.
    pub(super) fn texts<T: PartialEq>(
        &mut self,
        name: &'static str,
        most: usize,
        is_required: bool,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Vec<T>> {
        let Some(value) = self.take(name, is_required) else {
            return (!is_required).then(Vec::new);
        };
        let Some(list) = value.as_array().filter(|list| !list.is_empty() && list.len() <= most)
        else {
            self.complain(name, format!("must be a list of 1 to {most} texts"));
            return None;
        };
        let (mut values, mut is_whole) = (Vec::with_capacity(list.len()), true);
        for item in list.iter() {
            let text = item.get_ref().as_str().ok_or_else(|| "must be texts".to_owned());
            let fault = match text.and_then(&read) {
                Ok(value) if values.contains(&value) => "stands there twice".to_owned(),
                Ok(value) => {
                    values.push(value);
                    continue;
                }
                Err(fault) => fault,
            };
            self.complaints.at(self.source, item.span().start, format!("{name}: {fault}"));
            is_whole = false;
        }
        is_whole.then_some(values)
    }

    /// The tables that `[[name]]` begins.
    pub(super) fn tables(&mut self, name: &'static str, most: usize) -> Vec<Spanned<DeTable<'i>>> {
        self.known.push(name);
        let Some(value) = self.table.get(name).cloned() else {
            return Vec::new();
        };
        let DeValue::Array(list) = value.into_inner() else {
            self.complain(name, format!("must be tables, each begun by [[{name}]]"));
            return Vec::new();
        };
        if list.len() > most {
            self.complain(name, format!("there are more than {most}"));
            return Vec::new();
        }
        let mut tables = Vec::with_capacity(list.len());
        for item in list {
            let span = item.span();
            match item.into_inner() {
                DeValue::Table(table) => tables.push(Spanned::new(span, table)),
                _ => self.complain(name, format!("must be tables, each begun by [[{name}]]")),
            }
        }
        tables
    }

    /// Complains of every member that is not known.
    pub(super) fn end(self) {
        let Self { table, source, complaints, known, .. } = self;
        for (name, _) in table.iter().filter(|(name, _)| !known.contains(&&**name.get_ref())) {
            let text =
                format!("{} is not known here; known are: {}", name.get_ref(), known.join(", "));
            complaints.at(source, name.span().start, text);
        }
    }

    fn take(&mut self, name: &'static str, is_required: bool) -> Option<DeValue<'i>> {
        self.known.push(name);
        let value = self.table.get(name).map(|value| value.get_ref().clone());
        if value.is_none() && is_required {
            self.complain(name, "is missing");
        }
        value
    }
}

/// TOML's numbers may have any size.
fn whole(number: &DeInteger<'_>) -> Option<u64> {
    u64::from_str_radix(number.as_str(), number.radix()).ok()
}
