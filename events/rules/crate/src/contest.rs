//! What a contest admits.

use crate::answer::{self, kind, refuse, Refused, Value};
use crate::ballot::Ballot;
use crate::bytes::Buf;
use crate::json::{decode, Fault, Json, Kind};
use crate::roster::{Builder, Roster, Size, MAX_FOLDED};
use crate::text::fold;
use crate::time::{self, Time};

/// Stands for an album that is not in the roster.
pub const NO_ALBUM: u32 = u32::MAX;

/// The longest text of a roster, decoded.
const MAX_TEXT: usize = 4 << 10;

/// A contest. Its JSON is that of `GET /v1/contests/{contest}`; members that
/// have no bearing on a vote are passed over.
pub struct Contest<'a> {
    terms: Terms,
    roster: Roster<'a>,
}

#[derive(Clone, Copy, Default)]
struct Terms {
    open_roster: bool,
    album_required: bool,
    voter_required: bool,
    rank_max: i32, // hundredths
    year_min: i32,
    year_max: i32, // 0 is the year after the vote's receipt
    opens_at: Option<Time>,
    closes_at: Option<Time>,
}

/// What is wrong with a contest, and how far it was read.
pub struct NoContest {
    /// What is wrong.
    pub fault: Fault,
    /// The place.
    pub at: usize,
}

/// Room for texts while a contest is read.
pub struct Scratch {
    text: [u8; MAX_TEXT],
    folded: [u8; MAX_FOLDED],
}

impl Default for Scratch {
    fn default() -> Self {
        Scratch::new()
    }
}

impl Scratch {
    /// Empty room.
    pub const fn new() -> Self {
        Scratch { text: [0; MAX_TEXT], folded: [0; MAX_FOLDED] }
    }
}

/// Returns how much room a contest needs beside its text.
pub fn size(text: &[u8], scratch: &mut Scratch) -> Result<Size, NoContest> {
    let mut builder = Builder::measure();
    read(text, scratch, &mut builder)?;
    Ok(builder.size())
}

impl<'a> Contest<'a> {
    /// Reads a contest whose size was measured.
    pub fn new(text: &[u8], size: Size, room: &'a mut [u8], scratch: &mut Scratch) -> Result<Self, NoContest> {
        let mut builder = Builder::fill(size, room);
        let terms = read(text, scratch, &mut builder)?;
        Ok(Contest { terms, roster: builder.done() })
    }

    /// Judges a vote and returns whether it is admitted as it stands; otherwise
    /// there is an answer. The vote's time of receipt decides whether it came in
    /// time, so that judging again gives the same answer.
    pub fn judge(&self, vote: &Ballot, scratch: &mut Scratch, answer: &mut Buf) -> bool {
        match self.spelling(vote, scratch, answer) {
            Ok(None) => true,
            Ok(Some((band, album))) => {
                answer::begin(answer, kind::SPELLING);
                answer.push_u32(band);
                answer.push_u32(album);
                answer::end(answer);
                false
            }
            Err(Refused) => false,
        }
    }

    /// The band and the album that an admitted vote is for; `None` if the roster
    /// does not have the band.
    fn spelling(&self, vote: &Ballot, scratch: &mut Scratch, answer: &mut Buf) -> Result<Option<(u32, u32)>, Refused> {
        let terms = &self.terms;
        if let Some(opens_at) = terms.opens_at.filter(|t| t.is_after(vote.at)) {
            return Err(refuse(answer, "too_early", b"", &[("opens_at", Value::Time(opens_at.at))]));
        }
        if let Some(closes_at) = terms.closes_at.filter(|t| !t.is_after(vote.at)) {
            return Err(refuse(answer, "too_late", b"", &[("closes_at", Value::Time(closes_at.at))]));
        }
        let found = self.find(vote, scratch, answer)?;
        let year_max = match terms.year_max {
            0 => time::year_of(vote.at) + 1,
            year => i64::from(year),
        };
        if vote.year < terms.year_min || i64::from(vote.year) > year_max {
            let bounds = [("min", Value::Number(i64::from(terms.year_min))), ("max", Value::Number(year_max))];
            return Err(refuse(answer, "year_out_of_range", b"year", &bounds));
        }
        if vote.rank > terms.rank_max {
            let bounds = [("min", Value::Number(0)), ("max", Value::Rank(terms.rank_max))];
            return Err(refuse(answer, "rank_out_of_range", b"rank", &bounds));
        }
        if terms.voter_required && vote.voter.is_empty() {
            return Err(refuse(answer, "voter_missing", b"voter", &[]));
        }
        Ok(found)
    }

    /// Looks for the band and the album in the roster.
    fn find(&self, vote: &Ballot, scratch: &mut Scratch, answer: &mut Buf) -> Result<Option<(u32, u32)>, Refused> {
        if vote.album.is_empty() && self.terms.album_required {
            return Err(refuse(answer, "album_missing", b"album", &[]));
        }
        let mut folded = Buf::new(&mut scratch.folded);
        let known = if fold(vote.name, &mut folded) { self.roster.band(folded.bytes()) } else { None };
        let band = match known {
            Some(band) => band,
            None if self.terms.open_roster => return Ok(None),
            None => return Err(refuse(answer, "band_unknown", b"name", &[("name", Value::Text(vote.name))])),
        };
        if vote.album.is_empty() {
            return Ok(Some((band, NO_ALBUM)));
        }
        folded.cut(0);
        let known = if fold(vote.album, &mut folded) { self.roster.album(band, folded.bytes()) } else { None };
        match known {
            Some(album) => Ok(Some((band, album))),
            None if self.terms.open_roster => Ok(Some((band, NO_ALBUM))),
            None => {
                let values = [("album", Value::Text(vote.album)), ("name", Value::Text(self.roster.name(band)))];
                Err(refuse(answer, "album_unknown", b"album", &values))
            }
        }
    }
}

/// Reads the terms of a contest, and its roster into the builder.
fn read(text: &[u8], scratch: &mut Scratch, roster: &mut Builder) -> Result<Terms, NoContest> {
    let mut json = Json::new(text);
    let mut terms = Terms::default();
    let read = read_terms(&mut json, &mut terms, scratch, roster);
    read.map_err(|fault| NoContest { fault, at: json.at })?;
    Ok(terms)
}

const NOT_EXPECTED: Fault = "a value of another type is expected";
const NO_TEXT: Fault = "a text is not UTF-8 or too long";

fn read_terms(json: &mut Json, terms: &mut Terms, scratch: &mut Scratch, roster: &mut Builder) -> Result<(), Fault> {
    json.open(b'{')?;
    while let Some(key) = json.member()? {
        match key.raw {
            b"open_roster" => terms.open_roster = truth(json)?,
            b"album_required" => terms.album_required = truth(json)?,
            b"voter_required" => terms.voter_required = truth(json)?,
            b"rank_max" => terms.rank_max = hundredths(json)?,
            b"year_min" => terms.year_min = whole(json)?,
            b"year_max" => terms.year_max = whole(json)?,
            b"opens_at" => terms.opens_at = time_of(json)?,
            b"closes_at" => terms.closes_at = time_of(json)?,
            b"bands" => {
                json.open(b'[')?;
                while json.element()? {
                    read_band(json, scratch, roster)?;
                }
            }
            _ => json.skip(1)?,
        }
    }
    if json.peek() != Kind::End {
        return Err("something is behind the contest");
    }
    Ok(())
}

fn read_band(json: &mut Json, scratch: &mut Scratch, roster: &mut Builder) -> Result<(), Fault> {
    let mut band = None;
    json.open(b'{')?;
    while let Some(key) = json.member()? {
        match (key.raw, band) {
            (b"name", None) => {
                let (name, mut folded) = text(json, scratch)?;
                band = Some(roster.band(name, &mut folded).ok_or(NO_TEXT)?);
            }
            (b"aliases", Some(band)) => {
                json.open(b'[')?;
                while json.element()? {
                    let (alias, mut folded) = text(json, scratch)?;
                    roster.band_spelling(band, alias, &mut folded).ok_or(NO_TEXT)?;
                }
            }
            (b"albums", Some(band)) => {
                let mut album = 0;
                json.open(b'[')?;
                while json.element()? {
                    read_album(json, scratch, roster, band, album)?;
                    album += 1;
                }
            }
            (b"name" | b"aliases" | b"albums", _) => return Err("a band has one name, which must come first"),
            _ => json.skip(3)?,
        }
    }
    Ok(())
}

fn read_album(
    json: &mut Json,
    scratch: &mut Scratch,
    roster: &mut Builder,
    band: u32,
    album: u32,
) -> Result<(), Fault> {
    json.open(b'{')?;
    while let Some(key) = json.member()? {
        match key.raw {
            b"title" => read_title(json, scratch, roster, band, album)?,
            b"aliases" => {
                json.open(b'[')?;
                while json.element()? {
                    read_title(json, scratch, roster, band, album)?;
                }
            }
            _ => json.skip(5)?,
        }
    }
    Ok(())
}

fn read_title(
    json: &mut Json,
    scratch: &mut Scratch,
    roster: &mut Builder,
    band: u32,
    album: u32,
) -> Result<(), Fault> {
    let (title, mut folded) = text(json, scratch)?;
    roster.album_spelling(band, album, title, &mut folded).ok_or(NO_TEXT)
}

/// Reads a text, and gives room to fold it.
fn text<'a: 's, 's>(json: &mut Json<'a>, scratch: &'s mut Scratch) -> Result<(&'s [u8], Buf<'s>), Fault> {
    json.peek();
    let s = json.string()?;
    let Scratch { text, folded } = scratch;
    if !s.sound || s.raw.len() > text.len() {
        return Err(NO_TEXT);
    }
    let length = decode(&s, &mut Buf::new(text)).len();
    let text = if s.escaped { text.get(..length).unwrap_or(&[]) } else { s.raw };
    Ok((text, Buf::new(folded)))
}

fn truth(json: &mut Json) -> Result<bool, Fault> {
    match json.peek() {
        Kind::Truth => Ok(json.literal()? == b"true"),
        _ => Err(NOT_EXPECTED),
    }
}

/// Reads a whole number; null is 0.
fn whole(json: &mut Json) -> Result<i32, Fault> {
    let n = hundredths(json)?;
    if n % 100 != 0 {
        return Err(NOT_EXPECTED);
    }
    Ok(n / 100)
}

/// Reads a number of at most two decimals, in hundredths; null is 0.
fn hundredths(json: &mut Json) -> Result<i32, Fault> {
    match json.peek() {
        Kind::Null => return json.literal().map(|_| 0),
        Kind::Number => {}
        _ => return Err(NOT_EXPECTED),
    }
    crate::ballot::hundredths(json.number()?).and_then(|n| i32::try_from(n).ok()).ok_or(NOT_EXPECTED)
}

/// Reads a time; null is none.
fn time_of(json: &mut Json) -> Result<Option<Time>, Fault> {
    if json.peek() == Kind::Null {
        json.literal()?;
        return Ok(None);
    }
    let s = json.string()?;
    let time = if s.escaped { None } else { time::read(s.raw) };
    time.map(Some).ok_or("a time must be as RFC 3339 has it")
}
