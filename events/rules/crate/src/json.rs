//! JSON (RFC 8259), read member by member. Nothing is built of it, and nesting
//! takes no stack: a bit for each level tells objects from arrays.
//!
//! Strings may hold bytes that are not UTF-8, and halves of surrogate pairs:
//! whoever uses the string is told.

use crate::bytes::{first_char, Buf, BROKEN};

/// What is wrong with the text, at the place that the reader stands at.
pub type Fault = &'static str;

/// The text ends too early.
pub const CUT_OFF: Fault = "unexpected EOF";
/// A character that has no meaning where it stands.
pub const MISPLACED: Fault = "invalid character";
/// More levels than anybody needs.
pub const TOO_DEEP: Fault = "exceeded max depth";

/// The most levels of nesting.
const MOST_LEVELS: usize = 10_000;

/// A reader of JSON.
pub struct Json<'a> {
    text: &'a [u8],
    /// Where the reader stands.
    pub at: usize,
    opened: bool, // just now: no comma comes before the first member or element
}

/// What a value is, by its first byte.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An object.
    Object,
    /// An array.
    Array,
    /// A string.
    String,
    /// A number.
    Number,
    /// true or false.
    Truth,
    /// null.
    Null,
    /// The text is at its end.
    End,
    /// Nothing that begins a value.
    Other,
}

/// A string between its quotes, as it is written.
#[derive(Clone, Copy)]
pub struct Str<'a> {
    /// The bytes between the quotes.
    pub raw: &'a [u8],
    /// Whether some are escapes.
    pub escaped: bool,
    /// Whether it is UTF-8 when it is decoded.
    pub sound: bool,
}

impl<'a> Json<'a> {
    /// A reader at the beginning of a text.
    pub fn new(text: &'a [u8]) -> Self {
        Json { text, at: 0, opened: false }
    }

    /// What stands before the reader's place.
    pub fn before(&self) -> &'a [u8] {
        self.text.get(..self.at).unwrap_or(self.text)
    }

    fn byte(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// Passes over white space and returns what comes next.
    pub fn peek(&mut self) -> Kind {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.byte() {
            self.at += 1;
        }
        match self.byte() {
            None => Kind::End,
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::Array,
            Some(b'"') => Kind::String,
            Some(b'-' | b'0'..=b'9') => Kind::Number,
            Some(b't' | b'f') => Kind::Truth,
            Some(b'n') => Kind::Null,
            Some(_) => Kind::Other,
        }
    }

    /// Passes over white space and a byte, if that comes next.
    pub fn pass(&mut self, byte: u8) -> bool {
        self.peek();
        let there = self.byte() == Some(byte);
        self.at += usize::from(there);
        there
    }

    /// Passes over white space and a byte that must come next.
    pub fn expect(&mut self, byte: u8) -> Result<(), Fault> {
        if self.pass(byte) {
            return Ok(());
        }
        Err(self.wrong())
    }

    /// What is wrong where something else was expected.
    fn wrong(&self) -> Fault {
        if self.at >= self.text.len() {
            CUT_OFF
        } else {
            MISPLACED
        }
    }

    /// Passes over the brace or bracket that an object or array must begin with.
    pub fn open(&mut self, bracket: u8) -> Result<(), Fault> {
        self.expect(bracket)?;
        self.opened = true;
        Ok(())
    }

    /// Passes to the value of the next member of the object that is open, and
    /// returns its key; `None` behind the last.
    pub fn member(&mut self) -> Result<Option<Str<'a>>, Fault> {
        if !self.next(b'}')? {
            return Ok(None);
        }
        self.peek();
        let key = self.string()?;
        self.expect(b':')?;
        Ok(Some(key))
    }

    /// Passes to the next element of the array that is open, and returns whether
    /// there is one.
    pub fn element(&mut self) -> Result<bool, Fault> {
        self.next(b']')
    }

    fn next(&mut self, end: u8) -> Result<bool, Fault> {
        let first = core::mem::replace(&mut self.opened, false);
        if self.pass(end) {
            return Ok(false);
        }
        if !first {
            self.expect(b',')?;
        }
        Ok(true)
    }

    /// Reads a string.
    pub fn string(&mut self) -> Result<Str<'a>, Fault> {
        if self.byte() != Some(b'"') {
            return Err(self.wrong());
        }
        self.at += 1;
        let from = self.at;
        let (mut escaped, mut sound) = (false, true);
        loop {
            let rest = self.text.get(self.at..).unwrap_or(&[]);
            let plain = rest.iter().position(|&b| !(b' '..0x80).contains(&b) || b == b'"' || b == b'\\');
            let plain = plain.unwrap_or(rest.len());
            self.at += plain;
            let rest = rest.get(plain..).unwrap_or(&[]);
            match first_char(rest) {
                None => return Err(CUT_OFF),
                Some((0x22, _)) => break,
                Some((0x5c, _)) => {
                    escaped = true;
                    let (c, size) = escape(rest).map_err(|(fault, at)| {
                        self.at += at;
                        fault
                    })?;
                    sound &= c.is_some();
                    self.at += size;
                }
                Some((c, _)) if c < 0x20 => return Err(MISPLACED),
                Some((c, size)) => {
                    sound &= c != BROKEN || size > 1;
                    self.at += size;
                }
            }
        }
        let raw = self.text.get(from..self.at).unwrap_or(&[]);
        self.at += 1;
        Ok(Str { raw, escaped, sound })
    }

    /// Reads a number and returns it as it is written.
    pub fn number(&mut self) -> Result<&'a [u8], Fault> {
        let from = self.at;
        if self.byte() == Some(b'-') {
            self.at += 1;
        }
        match self.byte() {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.byte() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.byte() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(self.text.get(from..self.at).unwrap_or(&[]))
    }

    fn digits(&mut self) -> Result<(), Fault> {
        let from = self.at;
        while let Some(b'0'..=b'9') = self.byte() {
            self.at += 1;
        }
        if self.at == from {
            return Err(self.wrong());
        }
        Ok(())
    }

    /// Reads true, false or null and returns it as it is written.
    pub fn literal(&mut self) -> Result<&'a [u8], Fault> {
        let whole: &[u8] = match self.byte() {
            Some(b't') => b"true",
            Some(b'f') => b"false",
            _ => b"null",
        };
        let from = self.at;
        for &wanted in whole {
            if self.byte() != Some(wanted) {
                return Err(self.wrong());
            }
            self.at += 1;
        }
        Ok(self.text.get(from..self.at).unwrap_or(&[]))
    }

    /// Passes over a value, `level` levels deep in the text.
    pub fn skip(&mut self, level: usize) -> Result<(), Fault> {
        match self.peek() {
            Kind::Object | Kind::Array => self.skip_nested(level),
            _ => self.skip_single(),
        }
    }

    fn skip_single(&mut self) -> Result<(), Fault> {
        match self.peek() {
            Kind::String => self.string().map(drop),
            Kind::Number => self.number().map(drop),
            Kind::Truth | Kind::Null => self.literal().map(drop),
            _ => Err(self.wrong()),
        }
    }

    fn skip_nested(&mut self, level: usize) -> Result<(), Fault> {
        let mut objects = [0u8; MOST_LEVELS / 8];
        let mut depth = 0;
        loop {
            match self.peek() {
                Kind::Object | Kind::Array => {
                    if level + depth == MOST_LEVELS {
                        return Err(TOO_DEEP);
                    }
                    let object = self.byte() == Some(b'{');
                    let bit = 1 << (depth % 8);
                    if let Some(byte) = objects.get_mut(depth / 8) {
                        *byte = if object { *byte | bit } else { *byte & !bit };
                    }
                    depth += 1;
                    self.at += 1;
                    self.opened = true;
                    if self.next_of(object)? {
                        continue;
                    }
                    depth -= 1;
                }
                _ => self.skip_single()?,
            }
            // A value has ended, and with it perhaps those around it.
            loop {
                if depth == 0 {
                    return Ok(());
                }
                let inner = depth - 1;
                let object = objects.get(inner / 8).map_or(false, |byte| byte >> (inner % 8) & 1 != 0);
                if self.next_of(object)? {
                    break;
                }
                depth -= 1;
            }
        }
    }

    /// Passes to the next value of an object or array, and returns whether there
    /// is one.
    fn next_of(&mut self, object: bool) -> Result<bool, Fault> {
        if object {
            return self.member().map(|key| key.is_some());
        }
        self.element()
    }
}

/// Reads an escape: the character, or `None` for half of a surrogate pair; and
/// the length.
fn escape(text: &[u8]) -> Result<(Option<u32>, usize), (Fault, usize)> {
    let c = match text.get(1) {
        None => return Err((CUT_OFF, 0)),
        Some(b'u') => {
            let unit = unit(text).ok_or((MISPLACED, 0))?;
            if !(0xd800..0xe000).contains(&unit) {
                return Ok((Some(unit), 6));
            }
            let low = text.get(6..).and_then(unit_escaped);
            return match low {
                Some(low @ 0xdc00..=0xdfff) if unit < 0xdc00 => {
                    Ok((Some(0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00)), 12))
                }
                _ => Ok((None, 6)),
            };
        }
        Some(&c @ (b'"' | b'\\' | b'/')) => c,
        Some(b'b') => 0x08,
        Some(b'f') => 0x0c,
        Some(b'n') => b'\n',
        Some(b'r') => b'\r',
        Some(b't') => b'\t',
        Some(_) => return Err((MISPLACED, 0)),
    };
    Ok((Some(u32::from(c)), 2))
}

/// The four hexadecimal digits behind \u.
fn unit(text: &[u8]) -> Option<u32> {
    let mut n = 0;
    for at in 2..6 {
        let digit = (*text.get(at)? as char).to_digit(16)?;
        n = n << 4 | digit;
    }
    Some(n)
}

fn unit_escaped(text: &[u8]) -> Option<u32> {
    if text.starts_with(b"\\u") {
        unit(text)
    } else {
        None
    }
}

/// Decodes a string. Without escapes it is as it is written; otherwise it is
/// written to `room`, as much of it as fits, with U+FFFD for what is not UTF-8.
pub fn decode<'b>(s: &Str<'b>, room: &'b mut Buf) -> &'b [u8] {
    if !s.escaped {
        return s.raw;
    }
    room.cut(0);
    let mut rest = s.raw;
    while let Some((mut c, mut size)) = first_char(rest) {
        if c == 0x5c {
            if let Ok((decoded, length)) = escape(rest) {
                c = decoded.unwrap_or(BROKEN);
                size = length;
            }
        }
        room.push_char(c);
        if room.full {
            break;
        }
        rest = rest.get(size..).unwrap_or(&[]);
    }
    room.bytes()
}
