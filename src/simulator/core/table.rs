//! A bounded table: rows in the order of their making, the oldest forgotten when it is full.

use std::collections::VecDeque;

/// Rows numbered from 0; numbers are never reused.
#[derive(Clone, Debug)]
pub(crate) struct Table<T> {
    rows: VecDeque<T>,
    forgotten: u64,
    capacity: usize,
}

impl<T> Table<T> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { rows: VecDeque::new(), forgotten: 0, capacity: capacity.max(1) }
    }

    /// Adds a row; gives its number, and the row that had to make room.
    pub(crate) fn push(&mut self, row: T) -> (u64, Option<T>) {
        let dropped = if self.rows.len() >= self.capacity { self.rows.pop_front() } else { None };
        self.forgotten += u64::from(dropped.is_some());
        self.rows.push_back(row);
        (self.forgotten + self.rows.len() as u64 - 1, dropped)
    }

    pub(crate) fn get(&self, number: u64) -> Option<&T> {
        self.rows.get(usize::try_from(number.checked_sub(self.forgotten)?).ok()?)
    }

    pub(crate) fn get_mut(&mut self, number: u64) -> Option<&mut T> {
        self.rows.get_mut(usize::try_from(number.checked_sub(self.forgotten)?).ok()?)
    }

    /// Oldest first.
    pub(crate) fn iter(&self) -> std::collections::vec_deque::Iter<'_, T> {
        self.rows.iter()
    }

    /// How many rows had to make room since the start.
    pub(crate) fn forgotten(&self) -> u64 {
        self.forgotten
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_row_makes_room_and_numbers_stay() {
        let mut table = Table::new(2);
        assert_eq!(table.push('a'), (0, None));
        assert_eq!(table.push('b'), (1, None));
        assert_eq!(table.push('c'), (2, Some('a')));
        assert_eq!(table.get(0), None);
        assert_eq!(table.get(2), Some(&'c'));
        assert_eq!(table.forgotten(), 1);
    }
}
