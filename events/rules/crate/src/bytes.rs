//! Bytes: a bounded place to write them, numbers in them, and UTF-8.

/// A place for a bounded number of bytes. What does not fit is left out, and
/// `full` tells so.
pub struct Buf<'a> {
    bytes: &'a mut [u8],
    len: usize,
    /// Whether something was left out.
    pub full: bool,
}

impl<'a> Buf<'a> {
    /// An empty place.
    pub fn new(bytes: &'a mut [u8]) -> Self {
        Buf { bytes, len: 0, full: false }
    }

    /// What was written.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&[])
    }

    /// How many bytes were written.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Forgets what was written behind `len`.
    pub fn cut(&mut self, len: usize) {
        self.len = self.len.min(len);
        self.full = false;
    }

    /// Room for so many bytes, which are not written yet; `None` if there is none.
    pub fn free(&mut self, size: usize) -> Option<&mut [u8]> {
        self.bytes.get_mut(self.len..)?.get_mut(..size)
    }

    /// Counts so many bytes of that room as written.
    pub fn take(&mut self, size: usize) {
        self.len = self.bytes.len().min(self.len + size);
    }

    /// Writes one byte.
    pub fn push(&mut self, byte: u8) {
        match self.bytes.get_mut(self.len) {
            Some(place) => {
                *place = byte;
                self.len += 1;
            }
            None => self.full = true,
        }
    }

    /// Writes all of some bytes, or none.
    pub fn add(&mut self, bytes: &[u8]) {
        match self.free(bytes.len()) {
            Some(place) => {
                place.copy_from_slice(bytes);
                self.len += bytes.len();
            }
            None => self.full = true,
        }
    }

    /// Writes a character as UTF-8.
    pub fn push_char(&mut self, c: u32) {
        if c < 0x80 {
            return self.push(c as u8);
        }
        let low = |shift: u32| 0x80 | (c >> shift & 0x3f) as u8;
        match c {
            0..=0x7ff => self.add(&[0xc0 | (c >> 6) as u8, low(0)]),
            0x800..=0xffff => self.add(&[0xe0 | (c >> 12) as u8, low(6), low(0)]),
            _ => self.add(&[0xf0 | (c >> 18) as u8, low(12), low(6), low(0)]),
        }
    }

    /// Writes a number of 16 bits, the least byte first.
    pub fn push_u16(&mut self, n: u16) {
        self.add(&n.to_le_bytes());
    }

    /// Writes a number of 32 bits, the least byte first.
    pub fn push_u32(&mut self, n: u32) {
        self.add(&n.to_le_bytes());
    }

    /// Writes a number of 64 bits, the least byte first.
    pub fn push_i64(&mut self, n: i64) {
        self.add(&n.to_le_bytes());
    }

    /// Writes over the number of 32 bits at a place.
    pub fn set_u32(&mut self, at: usize, n: u32) {
        if let Some(place) = self.bytes.get_mut(at..self.len).and_then(|rest| rest.get_mut(..4)) {
            place.copy_from_slice(&n.to_le_bytes());
        }
    }

    /// Writes a number in decimal digits, at least `width` of them.
    pub fn push_decimal(&mut self, n: i64, width: usize) {
        if n < 0 {
            self.push(b'-');
        }
        let mut digits = [b'0'; 20];
        let mut left = n.unsigned_abs();
        let mut from = digits.len();
        for (at, digit) in digits.iter_mut().enumerate().rev() {
            if left == 0 {
                break;
            }
            *digit = b'0' + (left % 10) as u8;
            left /= 10;
            from = at;
        }
        let from = from.min(digits.len() - width.clamp(1, digits.len()));
        self.add(digits.get(from..).unwrap_or(&[]));
    }
}

/// The number of 32 bits at a place, or 0 where there is none.
pub fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut n = [0; 4];
    if let Some(found) = bytes.get(at..).and_then(|rest| rest.get(..4)) {
        n.copy_from_slice(found);
    }
    u32::from_le_bytes(n)
}

/// The number of 64 bits at a place, or 0 where there is none.
pub fn i64_at(bytes: &[u8], at: usize) -> i64 {
    u32_at(bytes, at) as i64 | (u32_at(bytes, at + 4) as i64) << 32
}

/// What stands for a byte that is no UTF-8.
pub const BROKEN: u32 = 0xfffd;

/// The first character of some bytes and its length; a byte that does not begin
/// one is taken alone, as `BROKEN` of length 1. Empty bytes have none.
pub fn first_char(bytes: &[u8]) -> Option<(u32, usize)> {
    let lead = *bytes.first()?;
    let tail = |at: usize, low: u8, high: u8| match bytes.get(at) {
        Some(&b) if b >= low && b <= high => Some(u32::from(b & 0x3f)),
        _ => None,
    };
    // The second byte's bounds keep out overlong forms, surrogates and what is past
    // the last code point.
    let found = match lead {
        0..=0x7f => Some((u32::from(lead), 1)),
        0xc2..=0xdf => tail(1, 0x80, 0xbf).map(|b| (u32::from(lead & 0x1f) << 6 | b, 2)),
        0xe0..=0xef => {
            let low = if lead == 0xe0 { 0xa0 } else { 0x80 };
            let high = if lead == 0xed { 0x9f } else { 0xbf };
            match (tail(1, low, high), tail(2, 0x80, 0xbf)) {
                (Some(b), Some(c)) => Some((u32::from(lead & 0x0f) << 12 | b << 6 | c, 3)),
                _ => None,
            }
        }
        0xf0..=0xf4 => {
            let low = if lead == 0xf0 { 0x90 } else { 0x80 };
            let high = if lead == 0xf4 { 0x8f } else { 0xbf };
            match (tail(1, low, high), tail(2, 0x80, 0xbf), tail(3, 0x80, 0xbf)) {
                (Some(b), Some(c), Some(d)) => Some((u32::from(lead & 0x07) << 18 | b << 12 | c << 6 | d, 4)),
                _ => None,
            }
        }
        _ => None,
    };
    Some(found.unwrap_or((BROKEN, 1)))
}

/// Whether bytes are UTF-8.
pub fn is_utf8(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while let Some((c, size)) = first_char(rest) {
        if size == 1 && c < 0x80 {
            // Most text is ASCII.
            let plain = rest.iter().position(|&b| b >= 0x80).unwrap_or(rest.len());
            rest = rest.get(plain..).unwrap_or(&[]);
            continue;
        }
        if c == BROKEN && size == 1 {
            return false;
        }
        rest = rest.get(size..).unwrap_or(&[]);
    }
    true
}

/// The characters of some bytes.
#[derive(Clone)]
pub struct Chars<'a>(pub &'a [u8]);

impl Iterator for Chars<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let (c, size) = first_char(self.0)?;
        self.0 = self.0.get(size..).unwrap_or(&[]);
        Some(c)
    }
}
