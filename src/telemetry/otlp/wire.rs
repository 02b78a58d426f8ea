//! Protobuf's wire form, written field by field into a buffer.
//!
//! Fields of a message may stand in any order, and the same message may be written in parts: a
//! batch of spans is nothing but one span after the other.

/// A number in as many bytes as it needs.
pub(super) fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value > 0x7f {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// How a field's value is written.
#[derive(Clone, Copy)]
enum Form {
    Varint = 0,
    Fixed64 = 1,
    Bytes = 2,
    Fixed32 = 5,
}

fn key(out: &mut Vec<u8>, field: u32, form: Form) {
    varint(out, u64::from(field << 3) | form as u64);
}

/// A whole number, a switch or a name from a closed list; absent where it is zero.
pub(super) fn number(out: &mut Vec<u8>, field: u32, value: u64) {
    if value != 0 {
        some_number(out, field, value);
    }
}

/// The same, there in any case: one of several forms that a value may have.
pub(super) fn some_number(out: &mut Vec<u8>, field: u32, value: u64) {
    key(out, field, Form::Varint);
    varint(out, value);
}

/// Eight bytes.
pub(super) fn fixed64(out: &mut Vec<u8>, field: u32, value: u64) {
    key(out, field, Form::Fixed64);
    out.extend_from_slice(&value.to_le_bytes());
}

/// Four bytes.
pub(super) fn fixed32(out: &mut Vec<u8>, field: u32, value: u32) {
    key(out, field, Form::Fixed32);
    out.extend_from_slice(&value.to_le_bytes());
}

/// Bytes or text; absent where there are none.
pub(super) fn bytes(out: &mut Vec<u8>, field: u32, value: &[u8]) {
    if !value.is_empty() {
        some_bytes(out, field, value);
    }
}

/// The same, there in any case.
pub(super) fn some_bytes(out: &mut Vec<u8>, field: u32, value: &[u8]) {
    length(out, field, value.len());
    out.extend_from_slice(value);
}

/// The key and the length of something that follows.
pub(super) fn length(out: &mut Vec<u8>, field: u32, length: usize) {
    key(out, field, Form::Bytes);
    varint(out, length as u64);
}

/// A message within this one.
///
/// Its length is known when it is written, and stands before it. Most are shorter than 128 bytes,
/// whose length is one byte; what is longer moves by a byte or two, which costs less than to reckon
/// all lengths before.
pub(super) fn message(out: &mut Vec<u8>, field: u32, write: impl FnOnce(&mut Vec<u8>)) {
    key(out, field, Form::Bytes);
    let at = out.len();
    out.push(0);
    write(out);
    let written = out.len() - at - 1;
    match u8::try_from(written) {
        Ok(short) if short < 0x80 => out[at] = short,
        _ => {
            // Behind what was written, and from there to its place: no allocation.
            varint(out, written as u64);
            let prefix = out.len() - (at + 1 + written);
            out[at + 1..].rotate_right(prefix);
            out.remove(at);
        }
    }
}
