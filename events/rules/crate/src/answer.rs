//! What is answered about a vote, and how it is written down.

use crate::bytes::Buf;
use crate::time;

/// Room enough for every answer.
pub const ROOM: usize = 8 << 10;

/// The kinds of answers, as they are written.
pub mod kind {
    /// The vote is refused: its code, its field, and names and values in turn.
    pub const REFUSAL: u32 = 1;
    /// The vote is admitted as the roster spells it.
    pub const SPELLING: u32 = 2;
    /// A well-formed vote.
    pub const BALLOT: u32 = 3;
    /// What the host has given cannot be used: why.
    pub const FAULT: u32 = 4;
}

/// Says that a refusal is in the answer.
pub struct Refused;

/// A value that a message names.
#[derive(Clone, Copy)]
pub enum Value<'a> {
    /// A text.
    Text(&'a [u8]),
    /// A whole number.
    Number(i64),
    /// A rank in hundredths.
    Rank(i32),
    /// A time in milliseconds.
    Time(i64),
    /// A character, shown as U+0000.
    Character(u32),
    /// A place in a text and what is wrong there.
    Place(&'a [u8], &'static str),
}

/// Writes a refusal in place of what the answer holds: a stable code, the field
/// that it is about ("" for the whole), and the values that a message about it
/// names.
pub fn refuse(answer: &mut Buf, code: &str, field: &[u8], values: &[(&str, Value)]) -> Refused {
    begin(answer, kind::REFUSAL);
    text(answer, &Value::Text(code.as_bytes()));
    text(answer, &Value::Text(field));
    for (name, value) in values {
        text(answer, &Value::Text(name.as_bytes()));
        text(answer, value);
    }
    end(answer);
    Refused
}

/// Writes what is wrong with what the host has given.
pub fn fault(answer: &mut Buf, say: &Value) {
    begin(answer, kind::FAULT);
    write(answer, say);
    end(answer);
}

/// Begins an answer.
pub fn begin(answer: &mut Buf, kind: u32) {
    answer.cut(0);
    answer.push_u32(kind);
    answer.push_u32(0);
}

/// Ends an answer: its length is known now.
pub fn end(answer: &mut Buf) {
    answer.set_u32(4, answer.len() as u32 - 8);
}

/// Writes a text behind its length.
fn text(answer: &mut Buf, value: &Value) {
    let at = answer.len();
    answer.push_u32(0);
    write(answer, value);
    answer.set_u32(at, (answer.len() - at) as u32 - 4);
}

fn write(out: &mut Buf, value: &Value) {
    match *value {
        Value::Text(text) => out.add(text),
        Value::Number(n) => out.push_decimal(n, 1),
        Value::Rank(rank) => write_rank(out, rank),
        Value::Time(at) => time::write(out, at),
        Value::Character(c) => {
            out.add(b"U+");
            let digits = (32 - c.leading_zeros() + 3) / 4;
            for digit in (0..digits.max(4)).rev() {
                out.push(b"0123456789ABCDEF"[(c >> (4 * digit) & 15) as usize]);
            }
        }
        Value::Place(before, say) => {
            let lines = before.iter().filter(|&&b| b == b'\n').count();
            let column = before.iter().rev().take_while(|&&b| b != b'\n').count();
            out.add(b"line ");
            out.push_decimal(lines as i64 + 1, 1);
            out.add(b", byte ");
            out.push_decimal(column as i64 + 1, 1);
            out.add(b": ");
            out.add(say.as_bytes());
        }
    }
}

/// Writes hundredths as the shortest decimal: 950 is "9.5".
fn write_rank(out: &mut Buf, rank: i32) {
    let part = i64::from(rank % 100);
    out.push_decimal(i64::from(rank / 100), 1);
    if part != 0 {
        out.push(b'.');
        match part % 10 {
            0 => out.push_decimal(part / 10, 1),
            _ => out.push_decimal(part, 2),
        }
    }
}
