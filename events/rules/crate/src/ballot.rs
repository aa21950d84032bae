//! Ballots: a vote as JSON has it, and a well-formed vote as this crate takes
//! and gives it.

use crate::answer::{self, kind, refuse, Refused, Value};
use crate::bytes::{first_char, i64_at, u32_at, Buf, BROKEN};
use crate::json::{decode, Fault, Json, Kind, Str, MISPLACED};
use crate::text::{clean, MAX_ALBUM, MAX_NAME, MAX_VOTER};
use crate::time;
use crate::unicode::is_space;

/// The bytes before the texts of a ballot.
pub const HEAD: usize = 48;

/// Flag: the sender states when the vote was cast.
pub const HAS_CAST_AT: u32 = 1;

const MAX_ID: usize = 64;
const MAX_CONTEST: usize = 63;
const MAX_RANK: i64 = 100_000_000; // hundredths
const MAX_YEAR: i64 = 9999;

/// A well-formed vote. In bytes it is: `at` and `cast_at` in milliseconds (64
/// bits), year, rank in hundredths, flags, the lengths of name, album, voter, id
/// and contest (32 bits each); then those five texts. The least byte of a number
/// is first.
#[derive(Clone, Copy, Default)]
pub struct Ballot<'a> {
    /// When the vote was received.
    pub at: i64,
    /// When it was cast, as its sender states it.
    pub cast_at: i64,
    /// The year.
    pub year: i32,
    /// The rank in hundredths.
    pub rank: i32,
    /// HAS_CAST_AT or nothing.
    pub flags: u32,
    /// The band.
    pub name: &'a [u8],
    /// The album; may be empty.
    pub album: &'a [u8],
    /// To `judge` the voter's key, from `read` the voter as given; may be empty.
    pub voter: &'a [u8],
    /// The id; may be empty.
    pub id: &'a [u8],
    /// The contest; may be empty.
    pub contest: &'a [u8],
}

impl<'a> Ballot<'a> {
    /// Takes a ballot from its bytes; `None` if they are too few.
    pub fn from_bytes(bytes: &'a [u8]) -> Option<Self> {
        let mut rest = bytes.get(HEAD..)?;
        let mut text = |at: usize| {
            let length = u32_at(bytes, at) as usize;
            let text = rest.get(..length)?;
            rest = rest.get(length..)?;
            Some(text)
        };
        Some(Ballot {
            at: i64_at(bytes, 0),
            cast_at: i64_at(bytes, 8),
            year: u32_at(bytes, 16) as i32,
            rank: u32_at(bytes, 20) as i32,
            flags: u32_at(bytes, 24),
            name: text(28)?,
            album: text(32)?,
            voter: text(36)?,
            id: text(40)?,
            contest: text(44)?,
        })
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Field {
    Name,
    Album,
    Year,
    Rank,
    Id,
    Contest,
    Voter,
    CastAt,
}

const FIELDS: usize = 8;

impl Field {
    fn name(self) -> &'static str {
        ["name", "album", "year", "rank", "id", "contest", "voter", "cast_at"][self as usize]
    }

    /// Whether JSON may write the field as a number.
    fn is_number(self) -> bool {
        matches!(self, Field::Year | Field::Rank)
    }

    /// The field that a key names, in any case.
    fn of(key: &Str) -> Option<Self> {
        if key.escaped {
            let mut room = [0; MAX_SHOWN];
            let raw = decode(key, &mut Buf::new(&mut room)).len();
            return Field::of(&Str { raw: room.get(..raw)?, escaped: false, sound: true });
        }
        let key = key.raw;
        let named = KEYS.iter().find(|(name, _)| key.eq_ignore_ascii_case(name.as_bytes()));
        named.map(|&(_, field)| field)
    }
}

const KEYS: [(&str, Field); 12] = [
    ("name", Field::Name),
    ("artist", Field::Name),
    ("band", Field::Name),
    ("album", Field::Album),
    ("year", Field::Year),
    ("rank", Field::Rank),
    ("ranked", Field::Rank),
    ("id", Field::Id),
    ("contest", Field::Contest),
    ("voter", Field::Voter),
    ("cast_at", Field::CastAt),
    ("castat", Field::CastAt),
];

/// Reads a vote from JSON: one object and nothing else. The answer is a ballot
/// or the refusal of the first fault, in the order: the JSON, its members one by
/// one, the fields in the order of the table of the vote. A strict reader refuses
/// unknown fields, and numbers where a text belongs; another passes over the
/// former and takes the latter as they are written. `room` must be as long as the
/// text.
pub fn read(text: &[u8], strict: bool, room: &mut [u8], answer: &mut Buf) {
    let _ = try_read(text, strict, room, answer); // a refusal is in the answer
}

fn try_read(text: &[u8], strict: bool, room: &mut [u8], answer: &mut Buf) -> Result<(), Refused> {
    let text = match text {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => return Err(refuse(answer, "body_not_utf8", b"", &[])),
        [0xef, 0xbb, 0xbf, text @ ..] => text,
        _ => text,
    };
    let mut json = Json::new(text);
    if json.peek() == Kind::End {
        return Err(refuse(answer, "body_empty", b"", &[]));
    }
    let mut sheet = Sheet { values: [None; FIELDS], seen: [false; FIELDS], refused: false };
    let read = sheet.read(&mut json, strict, answer).and_then(|()| match json.peek() {
        Kind::End => Ok(()),
        Kind::Other => Err(MISPLACED),
        _ => Err("something is behind the JSON value"),
    });
    if let Err(fault) = read {
        let place = Value::Place(json.before(), fault);
        return Err(refuse(answer, "body_malformed", b"", &[("reason", place)]));
    }
    if sheet.refused {
        return Err(Refused);
    }
    sheet.fill(room, answer)
}

/// The most bytes that are shown of a key.
const MAX_SHOWN: usize = 40;

struct Sheet<'a> {
    values: [Option<Str<'a>>; FIELDS],
    seen: [bool; FIELDS],
    refused: bool, // the answer is the first refusal
}

impl<'a> Sheet<'a> {
    /// Reads an object. An error is about JSON's grammar.
    fn read(&mut self, json: &mut Json<'a>, strict: bool, answer: &mut Buf) -> Result<(), Fault> {
        if json.peek() != Kind::Object {
            json.skip(0)?;
            self.refuse(answer, "body_malformed", b"", &[("reason", Value::Text(b"not a JSON object"))]);
            return Ok(());
        }
        json.open(b'{')?;
        while let Some(key) = json.member()? {
            match Field::of(&key) {
                None => {
                    json.skip(1)?;
                    if strict && !self.refused {
                        refuse_unknown(answer, &key);
                        self.refused = true;
                    }
                }
                Some(field) if self.seen[field as usize] => {
                    json.skip(1)?;
                    self.refuse(answer, "field_repeated", field.name().as_bytes(), &[]);
                }
                Some(field) => {
                    self.seen[field as usize] = true;
                    self.value(field, json, strict, answer)?;
                }
            }
        }
        Ok(())
    }

    /// Reads the value of a field.
    fn value(&mut self, field: Field, json: &mut Json<'a>, strict: bool, answer: &mut Buf) -> Result<(), Fault> {
        let bare = |raw| Str { raw, escaped: false, sound: true };
        let name = field.name().as_bytes();
        let value = match json.peek() {
            Kind::String => json.string()?,
            Kind::Number if field.is_number() || !strict => bare(json.number()?),
            Kind::Truth if !field.is_number() && !strict => bare(json.literal()?),
            Kind::Null => return json.literal().map(drop),
            _ => {
                json.skip(1)?;
                let expected: &[u8] = if field.is_number() { b"string | number" } else { b"string" };
                self.refuse(answer, "field_type", name, &[("expected", Value::Text(expected))]);
                return Ok(());
            }
        };
        if !value.sound {
            self.refuse(answer, "text_not_utf8", name, &[]);
        }
        self.values[field as usize] = Some(value);
        Ok(())
    }

    /// Refuses, unless that has been done.
    fn refuse(&mut self, answer: &mut Buf, code: &str, field: &[u8], values: &[(&str, Value)]) {
        if !self.refused {
            refuse(answer, code, field, values);
            self.refused = true;
        }
    }

    fn raw(&self, field: Field) -> Str<'a> {
        self.values[field as usize].unwrap_or(Str { raw: &[], escaped: false, sound: true })
    }

    /// Writes the ballot, or returns why there is none.
    fn fill(&self, room: &mut [u8], out: &mut Buf) -> Result<(), Refused> {
        let mut room = Buf::new(room);
        answer::begin(out, kind::BALLOT);
        let head = out.len();
        out.add(&[0; HEAD]);

        let mut from = out.len();
        clean("name", decode(&self.raw(Field::Name), &mut room), MAX_NAME, out)?;
        if out.len() == from {
            return Err(refuse(out, "field_missing", b"name", &[]));
        }
        out.set_u32(head + 28, (out.len() - from) as u32);

        from = out.len();
        clean("album", decode(&self.raw(Field::Album), &mut room), MAX_ALBUM, out)?;
        out.set_u32(head + 32, (out.len() - from) as u32);

        let year =
            read_year(decode(&self.raw(Field::Year), &mut room)).map_err(|code| refuse(out, code, b"year", &[]))?;
        let rank =
            read_rank(decode(&self.raw(Field::Rank), &mut room)).map_err(|code| refuse(out, code, b"rank", &[]))?;

        // The id and the contest are checked before the voter, and stand behind it.
        let id = self.raw(Field::Id);
        if !is_id(decode(&id, &mut room)) {
            return Err(refuse(out, "id_malformed", b"id", &[("max", Value::Number(MAX_ID as i64))]));
        }
        let contest = self.raw(Field::Contest);
        if !is_contest(decode(&contest, &mut room)) {
            return Err(refuse(out, "contest_malformed", b"contest", &[]));
        }
        from = out.len();
        let voter = decode(&self.raw(Field::Voter), &mut room);
        clean("voter", voter, MAX_VOTER, out)?;
        out.cut(from);
        out.add(voter); // as it was given: the key is made of that
        out.set_u32(head + 36, voter.len() as u32);
        for (field, at) in [(id, 40), (contest, 44)] {
            let text = decode(&field, &mut room);
            out.add(text);
            out.set_u32(head + at, text.len() as u32);
        }

        let cast_at = decode(&self.raw(Field::CastAt), &mut room);
        if !cast_at.is_empty() {
            let cast_at = match time::read(cast_at) {
                Some(time) if (1970..=MAX_YEAR).contains(&time::year_of(time.at)) => time.at,
                _ => return Err(refuse(out, "cast_at_malformed", b"cast_at", &[])),
            };
            out.set_u32(head + 24, HAS_CAST_AT);
            out.set_u32(head + 8, cast_at as u32);
            out.set_u32(head + 12, (cast_at >> 32) as u32);
        }
        out.set_u32(head + 16, year as u32);
        out.set_u32(head + 20, rank as u32);
        answer::end(out);
        Ok(())
    }
}

/// Refuses an unknown key, and shows as much of it as helps, with U+FFFD for
/// each run of bytes that are not UTF-8.
fn refuse_unknown(answer: &mut Buf, key: &Str) {
    let mut decoded = [0; MAX_SHOWN + 4]; // enough to see that there is more
    let mut decoded = Buf::new(&mut decoded);
    let key = decode(key, &mut decoded);
    let mut room = [0; 3 * MAX_SHOWN + 3]; // each byte may become U+FFFD, and three dots follow
    let mut shown = Buf::new(&mut room);
    let mut end = key.len();
    if end > MAX_SHOWN {
        end = MAX_SHOWN;
        while end > 0 && key.get(end).map_or(false, |b| b & 0xc0 == 0x80) {
            end -= 1;
        }
    }
    let mut rest = key.get(..end).unwrap_or(&[]);
    let mut broken = false;
    while let Some((c, size)) = first_char(rest) {
        let again = broken;
        broken = c == BROKEN && size == 1;
        if !(again && broken) {
            shown.push_char(c);
        }
        rest = rest.get(size..).unwrap_or(&[]);
    }
    if end < key.len() {
        shown.add("…".as_bytes());
    }
    refuse(answer, "field_unknown", shown.bytes(), &[]);
}

/// Takes 1 to 9999 in decimal digits, leading zeros allowed. An error is a code.
fn read_year(text: &[u8]) -> Result<i32, &'static str> {
    let text = trim(text);
    if text.is_empty() {
        return Err("field_missing");
    }
    match digits(text, 10) {
        Some(n @ 1..=MAX_YEAR) => Ok(n as i32),
        _ => Err("year_malformed"),
    }
}

/// Takes a plain decimal of at most two places: "3", "03", "9.5".
fn read_rank(text: &[u8]) -> Result<i32, &'static str> {
    let text = trim(text);
    if text.is_empty() {
        return Err("field_missing");
    }
    match hundredths(text) {
        Some(n @ 0..=MAX_RANK) => Ok(n as i32),
        _ => Err("rank_malformed"),
    }
}

/// The hundredths of a plain decimal of at most two places.
pub fn hundredths(text: &[u8]) -> Option<i64> {
    let (whole, places) = match text.iter().position(|&b| b == b'.') {
        None => return digits(text, 10).map(|n| n * 100),
        Some(point) => (text.get(..point)?, text.get(point + 1..)?),
    };
    let part = digits(places, 2)?;
    Some(digits(whole, 10)? * 100 + if places.len() == 1 { part * 10 } else { part })
}

/// Reads 1 to `most` ASCII digits.
fn digits(text: &[u8], most: usize) -> Option<i64> {
    if text.is_empty() || text.len() > most {
        return None;
    }
    text.iter().try_fold(0, |n, &b| if b.is_ascii_digit() { Some(n * 10 + i64::from(b - b'0')) } else { None })
}

/// A text without the white space at its ends.
fn trim(text: &[u8]) -> &[u8] {
    let (mut from, mut to, mut at) = (text.len(), 0, 0);
    while let Some((c, size)) = first_char(text.get(at..).unwrap_or(&[])) {
        if !is_space(c) {
            from = from.min(at);
            to = at + size;
        }
        at += size;
    }
    text.get(from..to).unwrap_or(&[])
}

/// Whether a text may be a vote's id, or is none.
fn is_id(text: &[u8]) -> bool {
    text.len() <= MAX_ID && text.iter().all(|&b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'-'))
}

/// Whether a text may be a contest's id, or is none.
fn is_contest(text: &[u8]) -> bool {
    text.len() <= MAX_CONTEST
        && text.first() != Some(&b'-')
        && text.last() != Some(&b'-')
        && text.iter().all(|&b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}
