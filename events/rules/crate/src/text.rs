//! Names and titles: as they are kept, and as they are compared.

use crate::answer::{refuse, Refused, Value};
use crate::bytes::{is_utf8, Buf};
use crate::unicode::{each_part, is_mark, is_space, lower, property, Form, Normal, Words};

/// The longest name of a band, in characters.
pub const MAX_NAME: usize = 120;
/// The longest title of an album, in characters.
pub const MAX_ALBUM: usize = 160;
/// The longest voter, in characters.
pub const MAX_VOTER: usize = 128;

/// Writes a text as it is kept: composed, trimmed, and with each inner run of
/// white space as one space. Text that cannot be shown safely is refused, and so
/// is text of more than `max` characters; then the answer is the refusal. The
/// text may be empty.
pub fn clean(field: &str, text: &[u8], max: usize, answer: &mut Buf) -> Result<(), Refused> {
    if text.len() <= max && is_plain(text) {
        answer.add(text);
        return Ok(());
    }
    let field = field.as_bytes();
    if !is_utf8(text) {
        return Err(refuse(answer, "text_not_utf8", field, &[]));
    }
    // Composition never lengthens a text more than threefold, and a text far over
    // the limit need not be composed to know that it is.
    let mut long = text.len() > 16 * max;
    if !long {
        let written = if is_composed(text) {
            write(Words::new(text), max, answer)
        } else {
            write(Normal::new(text, Form::C), max, answer)
        };
        match written {
            Ok(count) => long = count > max,
            Err(c) => return Err(refuse(answer, "text_forbidden", field, &[("character", Value::Character(c))])),
        }
    }
    if long {
        return Err(refuse(answer, "text_too_long", field, &[("max", Value::Number(max as i64))]));
    }
    Ok(())
}

/// Writes characters, `max` at most, and returns how many there are; or the
/// first that is forbidden, however far behind it is.
fn write(chars: impl Iterator<Item = u32>, max: usize, out: &mut Buf) -> Result<usize, u32> {
    let mut count = 0;
    for c in chars {
        if is_control(c) || is_bidi_control(c) {
            return Err(c);
        }
        if count < max {
            out.push_char(c);
        }
        count += 1;
    }
    Ok(count)
}

/// Whether a text is ASCII that is as it would be kept, as nearly all are.
fn is_plain(text: &[u8]) -> bool {
    let mut space = true;
    for &c in text {
        if !(b' '..0x7f).contains(&c) || c == b' ' && space {
            return false;
        }
        space = c == b' ';
    }
    text.is_empty() || !space
}

fn is_control(c: u32) -> bool {
    c < 0x20 || (0x7f..0xa0).contains(&c)
}

fn is_bidi_control(c: u32) -> bool {
    matches!(c, 0x202a..=0x202e | 0x2066..=0x2069)
}

/// Writes the form in which two spellings of one band or album are equal:
/// without case, marks or differences in white space. Returns whether the text
/// is UTF-8 and all of it went in: what is not is equal to nothing.
pub fn fold(text: &[u8], out: &mut Buf) -> bool {
    if fold_plain(text, out) {
        return true;
    }
    let mut folding = Folding { from: out.len(), out, space: false };
    if !folding.low(text) {
        if !is_utf8(text) {
            return false;
        }
        for c in Normal::new(text, Form::KD) {
            folding.part(c, property(c));
        }
    }
    !folding.out.full
}

/// Folds ASCII that is as it would be kept; of another text nothing is written.
fn fold_plain(text: &[u8], out: &mut Buf) -> bool {
    let place = match out.free(text.len()) {
        Some(place) => place,
        None => return false,
    };
    let mut space = true;
    for (to, &c) in place.iter_mut().zip(text) {
        if !(b' '..0x7f).contains(&c) || c == b' ' && space {
            return false;
        }
        space = c == b' ';
        *to = c.to_ascii_lowercase();
    }
    if space && !text.is_empty() {
        return false;
    }
    out.take(text.len());
    true
}

struct Folding<'a, 'b> {
    out: &'a mut Buf<'b>,
    from: usize,
    space: bool, // white space has come, and nothing behind it
}

impl Folding<'_, '_> {
    /// Folds a text of characters below U+0300, as nearly all are: no mark stands
    /// by itself there, so each is taken apart for itself. Of another text
    /// nothing is written.
    fn low(&mut self, text: &[u8]) -> bool {
        let mut rest = text.iter();
        while let Some(&b) = rest.next() {
            match b {
                0x21..=0x7f => self.put(u32::from(b.to_ascii_lowercase())),
                0..=0x20 => self.part(u32::from(b), 0),
                0xc2..=0xcb => match rest.next() {
                    Some(&tail @ 0x80..=0xbf) => {
                        let c = u32::from(b & 0x1f) << 6 | u32::from(tail & 0x3f);
                        each_part(c, Form::KD, |part, property| self.part(part, property));
                    }
                    _ => return self.undo(),
                },
                _ => return self.undo(),
            }
        }
        true
    }

    fn undo(&mut self) -> bool {
        self.out.cut(self.from);
        self.space = false;
        false
    }

    /// Writes the folded form of a character that has been taken apart.
    fn part(&mut self, c: u32, property: u16) {
        if is_mark(property) {
            return;
        }
        let c = lower(c);
        if is_space(c) {
            self.space = true;
            return;
        }
        self.put(c);
    }

    /// Writes what is no space.
    fn put(&mut self, c: u32) {
        if self.space && self.out.len() > self.from {
            self.out.push(b' ');
        }
        self.space = false;
        self.out.push_char(c);
    }
}

/// Whether all of a text is below U+0300: what is there is composed, and nothing
/// combines.
fn is_composed(text: &[u8]) -> bool {
    text.iter().all(|&b| b < 0xcc)
}
