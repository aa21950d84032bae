//! Unicode's normal forms C and KD, marks and small letters, by tables that
//! events/rules/tables makes of Go's own.
//!
//! What is normalized is normalized as golang.org/x/text/unicode/norm does it,
//! which follows UAX #15 with its stream-safe text: after 30 characters that do
//! not start anything, a combining grapheme joiner is put in.

use crate::bytes::{first_char, Chars};
use crate::tables::{BLOCKS, FIRST, GROUPS, LOWER, PLANE1, POOL, SECOND, TOP, WHOLE};

// Bits of a property, as events/rules/tables has them.
const PLAIN: u16 = 0x8000;
const MARK: u16 = 0x0100;
const SECOND_OF_PAIR: u16 = 0x0200;
const CANONICAL: u8 = 0x80;

const JOINER: u32 = 0x034f;
const MOST_NON_STARTERS: usize = 30;

// Hangul is composed by arithmetic.
const SYLLABLES: u32 = 0xac00;
const LEADS: u32 = 0x1100;
const VOWELS: u32 = 0x1161;
const TAILS: u32 = 0x11a7; // one before the first
const LEAD_COUNT: u32 = 19;
const VOWEL_COUNT: u32 = 21;
const TAIL_COUNT: u32 = 28;
const SYLLABLE_COUNT: u32 = LEAD_COUNT * VOWEL_COUNT * TAIL_COUNT;

/// The properties of a character: a place in the pool, or PLAIN and more, or 0.
pub fn property(c: u32) -> u16 {
    let c = c as usize;
    let group = match TOP.get(c >> 10) {
        Some(&group) => group as usize,
        None if (0xe0100..=0xe01ef).contains(&c) => return PLAIN | MARK,
        None => return 0,
    };
    let block = GROUPS.get(group << 6 | c >> 4 & 63).map_or(0, |&block| block as usize);
    BLOCKS.get(block << 4 | c & 15).copied().unwrap_or(0)
}

/// The canonical combining class of a character of a property.
fn class(property: u16) -> u8 {
    if property & PLAIN != 0 {
        property as u8
    } else {
        0
    }
}

/// Whether a character of a property, which must have no decomposition, is of
/// category Mn.
pub fn is_mark(property: u16) -> bool {
    property & (PLAIN | MARK) == PLAIN | MARK
}

/// Whether a character is white space.
pub fn is_space(c: u32) -> bool {
    if c < 0x80 {
        return c == 0x20 || c.wrapping_sub(0x09) < 5;
    }
    matches!(c, 0x85 | 0xa0 | 0x1680 | 0x2000..=0x200a | 0x2028 | 0x2029 | 0x202f | 0x205f | 0x3000)
}

/// The small letter of a character that has no decomposition.
pub fn lower(c: u32) -> u32 {
    if c < 0x80 {
        return if (0x41..=0x5a).contains(&c) { c + 0x20 } else { c };
    }
    let behind = LOWER.partition_point(|&(first, ..)| first <= c);
    match behind.checked_sub(1).and_then(|at| LOWER.get(at)) {
        Some(&(first, last, stride, delta)) if c <= last && (stride == 1 || (c - first) % stride == 0) => {
            c.wrapping_add(delta as u32)
        }
        _ => c,
    }
}

/// What a pair composes to.
fn compose(first: u32, second: u32) -> Option<u32> {
    if first.wrapping_sub(LEADS) < LEAD_COUNT && second.wrapping_sub(VOWELS) < VOWEL_COUNT {
        return Some(SYLLABLES + ((first - LEADS) * VOWEL_COUNT + (second - VOWELS)) * TAIL_COUNT);
    }
    let syllable = first.wrapping_sub(SYLLABLES);
    let tail = second.wrapping_sub(TAILS);
    if syllable < SYLLABLE_COUNT && syllable % TAIL_COUNT == 0 && (1..TAIL_COUNT).contains(&tail) {
        return Some(first + tail);
    }
    if property(second) & (PLAIN | SECOND_OF_PAIR) != PLAIN | SECOND_OF_PAIR {
        return None;
    }
    // All of a pair is in one plane.
    let plane = second >> 16;
    if first >> 16 != plane || plane > 1 {
        return None;
    }
    let (mut low, mut high) = if plane == 0 { (0, PLANE1) } else { (PLANE1, SECOND.len()) };
    let wanted = (second as u16, first as u16);
    while low < high {
        let middle = (low + high) / 2;
        let found = (SECOND.get(middle).copied()?, FIRST.get(middle).copied()?);
        if found == wanted {
            return WHOLE.get(middle).map(|&whole| plane << 16 | u32::from(whole));
        }
        if found < wanted {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    None
}

/// The normal forms.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Composed, and not changed for compatibility.
    C,
    /// Taken apart, and changed for compatibility.
    KD,
}

/// A segment is what is put in order and composed together: what starts it, and
/// what hangs on that. A decomposition has 18 characters at most, of which the
/// first may start it, and 30 more hang on it at most, with a joiner behind.
const SEGMENT: usize = 64;

struct Segment {
    chars: [u32; SEGMENT],
    classes: [u8; SEGMENT],
    len: usize,
}

impl Segment {
    /// Takes in a character that has no decomposition, where its class puts it.
    fn insert(&mut self, c: u32, class: u8) {
        let mut at = self.len;
        if at == SEGMENT {
            return;
        }
        while class > 0 && at > 0 && self.classes[at - 1] > class {
            self.chars[at] = self.chars[at - 1];
            self.classes[at] = self.classes[at - 1];
            at -= 1;
        }
        self.chars[at] = c;
        self.classes[at] = class;
        self.len += 1;
    }

    /// Takes in what a form makes of a character.
    fn take(&mut self, c: u32, form: Form) {
        each_part(c, form, |part, property| self.insert(part, class(property)));
    }

    /// Composes what composes.
    fn compose(&mut self) {
        let (mut start, mut kept) = (0, 1);
        for at in 1..self.len {
            let before = self.classes[kept - 1];
            let mut blocked = false;
            if before == 0 {
                start = kept - 1;
            } else {
                blocked = start != kept - 1 && before >= self.classes[at];
            }
            if !blocked {
                if let Some(whole) = compose(self.chars[start], self.chars[at]) {
                    self.chars[start] = whole;
                    self.classes[start] = 0;
                    continue;
                }
            }
            self.chars[kept] = self.chars[at];
            self.classes[kept] = self.classes[at];
            kept += 1;
        }
        self.len = self.len.min(kept);
    }
}

/// What the pool has of a property, and whether it is canonical. It is empty for
/// a character without a decomposition.
fn entry(property: u16) -> (Chars<'static>, bool) {
    if property & PLAIN != 0 {
        return (Chars(&[]), false);
    }
    let from = property as usize + 1;
    let head = POOL.get(property as usize).copied().unwrap_or(0);
    let parts = POOL.get(from..from + (head & !CANONICAL) as usize).unwrap_or(&[]);
    (Chars(parts), head & CANONICAL != 0)
}

/// Gives what a form takes a character apart to, with the properties of each
/// part, in canonical order.
pub fn each_part(c: u32, form: Form, mut give: impl FnMut(u32, u16)) {
    if c < 0xa0 {
        return give(c, 0);
    }
    let property = self::property(c);
    if property == 0 {
        let syllable = c.wrapping_sub(SYLLABLES);
        if syllable < SYLLABLE_COUNT {
            let tail = syllable % TAIL_COUNT;
            let parts = [
                LEADS + syllable / TAIL_COUNT / VOWEL_COUNT,
                VOWELS + syllable / TAIL_COUNT % VOWEL_COUNT,
                TAILS + tail,
            ];
            for &part in parts.iter().take(if tail == 0 { 2 } else { 3 }) {
                give(part, self::property(part));
            }
            return;
        }
    }
    let (parts, canonical) = entry(property);
    if parts.0.is_empty() || !canonical && form == Form::C {
        return give(c, property);
    }
    for part in parts {
        let property = self::property(part);
        // Parts of a canonical decomposition may be taken apart for compatibility.
        let (further, _) = entry(property);
        if form == Form::C || further.0.is_empty() {
            give(part, property);
            continue;
        }
        for part in further {
            give(part, self::property(part));
        }
    }
}

/// Whether a character of a property, which must have no decomposition, starts
/// something.
fn starts(property: u16) -> bool {
    class(property) == 0 && property & (PLAIN | SECOND_OF_PAIR) != PLAIN | SECOND_OF_PAIR
}

/// How many characters that start nothing a character begins and ends with, when
/// it is taken apart for compatibility; whatever the form is, so that joiners
/// are put in at the same places.
fn non_starters(c: u32) -> (usize, usize) {
    let (mut lead, mut trail, mut started) = (0, 0, false);
    if c >= 0xc0 {
        each_part(c, Form::KD, |_, property| {
            if starts(property) {
                started = true;
                trail = 0;
            } else {
                lead += usize::from(!started);
                trail += 1;
            }
        });
    }
    (lead, trail)
}

/// Text in a normal form, character by character. White space in it comes out as
/// single spaces, and none at the ends.
pub struct Normal<'a> {
    words: Words<'a>,
    form: Form,
    ahead: Option<u32>, // taken from words, and not of this segment
    run: usize,         // of characters that start nothing
    segment: Segment,
    at: usize,
}

impl<'a> Normal<'a> {
    /// The normal form of a text, which must be UTF-8.
    pub fn new(text: &'a [u8], form: Form) -> Self {
        Normal {
            words: Words::new(text),
            form,
            ahead: None,
            run: 0,
            segment: Segment { chars: [0; SEGMENT], classes: [0; SEGMENT], len: 0 },
            at: 0,
        }
    }

    /// Reads the next segment.
    fn fill(&mut self) {
        self.segment.len = 0;
        self.at = 0;
        while let Some(c) = self.ahead.take().or_else(|| self.words.next()) {
            let (lead, trail) = non_starters(c);
            self.run += lead;
            if self.run > MOST_NON_STARTERS {
                self.run = 0;
                self.segment.insert(JOINER, 0);
                self.ahead = Some(c);
                break;
            }
            if lead == 0 {
                self.run = trail;
                if self.segment.len > 0 {
                    self.ahead = Some(c);
                    break;
                }
            }
            self.segment.take(c, self.form);
        }
        if self.form == Form::C {
            self.segment.compose();
        }
    }
}

impl Iterator for Normal<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        if self.at == self.segment.len {
            self.fill();
        }
        let c = self.segment.chars.get(..self.segment.len)?.get(self.at).copied();
        self.at += 1;
        c
    }
}

/// The characters of a text, with each white space as one space and none at the
/// ends.
pub struct Words<'a> {
    rest: &'a [u8],
    any: bool,   // something came before
    space: bool, // white space came before
}

impl<'a> Words<'a> {
    /// The words of a text.
    pub fn new(text: &'a [u8]) -> Self {
        Words { rest: text, any: false, space: false }
    }
}

impl Iterator for Words<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        loop {
            let (c, size) = match self.rest.first() {
                Some(&b @ 0..=0x7f) => (u32::from(b), 1),
                _ => first_char(self.rest)?,
            };
            if !is_space(c) {
                if self.space && self.any {
                    self.space = false;
                    return Some(0x20);
                }
                self.space = false;
                self.any = true;
                self.rest = self.rest.get(size..).unwrap_or(&[]);
                return Some(c);
            }
            self.space = true;
            self.rest = self.rest.get(size..).unwrap_or(&[]);
        }
    }
}
