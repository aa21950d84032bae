//! Times, in milliseconds since 1970 in UTC.

use crate::bytes::Buf;

const DAY: i64 = 24 * 60 * 60 * 1000;

/// A time as text gives it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Time {
    /// The millisecond that it is in.
    pub at: i64,
    /// Whether it is later than that millisecond's beginning.
    pub within: bool,
}

impl Time {
    /// Whether it is later than a whole millisecond.
    pub fn is_after(self, at: i64) -> bool {
        self.at > at || self.at == at && self.within
    }
}

/// Reads a time as RFC 3339 has it, in capitals, and as Go's time.Parse takes
/// it, which is a little more: hours of one digit, fractions behind a comma.
pub fn read(text: &[u8]) -> Option<Time> {
    let mut rest = Rest(text);
    let year = rest.digits(4, 4)?;
    rest.byte(b"-")?;
    let month = rest.digits(2, 2)?;
    rest.byte(b"-")?;
    let day = rest.digits(2, 2)?;
    rest.byte(b"T")?;
    let hour = rest.digits(1, 2)?;
    rest.byte(b":")?;
    let minute = rest.digits(2, 2)?;
    rest.byte(b":")?;
    let second = rest.digits(2, 2)?;
    let (milli, within) = rest.fraction();
    let offset = rest.offset()?;
    if !rest.0.is_empty()
        || !(1..=12).contains(&month)
        || !(1..=days_in(year, month)).contains(&day)
        || hour > 23
        || minute > 59
        || second > 59
    {
        return None;
    }
    let days = days_of(i64::from(year), i64::from(month), i64::from(day));
    let seconds = i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second) - i64::from(offset);
    Some(Time { at: days * DAY + seconds * 1000 + i64::from(milli), within })
}

struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn byte(&mut self, any: &[u8]) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        if !any.contains(&first) {
            return None;
        }
        self.0 = rest;
        Some(first)
    }

    fn digits(&mut self, least: usize, most: usize) -> Option<i32> {
        let mut n = 0;
        let mut count = 0;
        while count < most {
            match self.0.split_first() {
                Some((digit @ b'0'..=b'9', rest)) => {
                    n = n * 10 + i32::from(digit - b'0');
                    self.0 = rest;
                    count += 1;
                }
                _ => break,
            }
        }
        if count >= least {
            Some(n)
        } else {
            None
        }
    }

    /// The milliseconds of a fraction, and whether there is more of it. Past 9
    /// digits, nothing counts.
    fn fraction(&mut self) -> (i32, bool) {
        let has = matches!(self.0, [b'.' | b',', b'0'..=b'9', ..]);
        if !has {
            return (0, false);
        }
        self.0 = self.0.get(1..).unwrap_or(&[]);
        let (mut milli, mut within, mut unit, mut count) = (0, false, 100, 0);
        while let Some((digit @ b'0'..=b'9', rest)) = self.0.split_first() {
            let digit = i32::from(digit - b'0');
            milli += digit * unit;
            within |= unit == 0 && digit != 0 && count < 9;
            unit /= 10;
            count += 1;
            self.0 = rest;
        }
        (milli, within)
    }

    /// The seconds that local time is ahead. Go takes offsets of 24 hours and of
    /// 60 minutes.
    fn offset(&mut self) -> Option<i32> {
        let sign = match self.byte(b"Z+-")? {
            b'Z' => return Some(0),
            b'+' => 1,
            _ => -1,
        };
        let hours = self.digits(2, 2)?;
        self.byte(b":")?;
        let minutes = self.digits(2, 2)?;
        if hours > 24 || minutes > 60 {
            return None;
        }
        Some(sign * (hours * 3600 + minutes * 60))
    }
}

/// Writes a time to the second, as RFC 3339 has it.
pub fn write(out: &mut Buf, at: i64) {
    let (year, month, day) = date_of(at.div_euclid(DAY));
    let second = at.rem_euclid(DAY) / 1000;
    out.push_decimal(year, 4);
    out.push(b'-');
    out.push_decimal(month, 2);
    out.push(b'-');
    out.push_decimal(day, 2);
    out.push(b'T');
    out.push_decimal(second / 3600, 2);
    out.push(b':');
    out.push_decimal(second / 60 % 60, 2);
    out.push(b':');
    out.push_decimal(second % 60, 2);
    out.push(b'Z');
}

/// The year that a time is in.
pub fn year_of(at: i64) -> i64 {
    date_of(at.div_euclid(DAY)).0
}

fn is_leap(year: i32) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in(year: i32, month: i32) -> i32 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

// Years are counted from March in these two, so that a leap day is a year's last,
// and in eras of 400 years, which have 146,097 days each.

/// The days from 1970-01-01 to a date.
fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = if month > 2 { year } else { year - 1 };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The date that is so many days from 1970-01-01.
fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    (year, month, day)
}
