//! An example of a contest's own rule: live albums are not admitted.
//!
//! To make a rule of your own, copy this folder, write another `judge` below,
//! and leave `door` as it is. README.md in the folder above tells how it is
//! built and how a contest names it.

#![cfg_attr(target_arch = "wasm32", no_std)]

#[cfg(target_arch = "wasm32")]
mod door;

/// A vote that the contest's terms admit. Name and album are as the roster
/// spells them.
pub struct Vote<'a> {
    /// When it was received, in milliseconds since 1970.
    pub at: i64,
    /// When its sender states that it was cast, if they do.
    pub cast_at: Option<i64>,
    /// The year.
    pub year: i32,
    /// The rank in hundredths: 950 is 9.5.
    pub rank: i32,
    /// The band.
    pub name: &'a str,
    /// The album; empty if there is none.
    pub album: &'a str,
    /// The voter's key, which is the same for the same voter; empty if the vote
    /// names no voter.
    pub voter: &'a [u8],
}

/// Why a vote is refused.
pub struct Refusal {
    /// The field that it is about: name, album, year, rank, voter or none.
    pub field: &'static str,
    /// The rule's name, for programs: small letters, digits and underscores.
    pub rule: &'static str,
    /// What people are told.
    pub message: &'static str,
}

/// Judges a vote. It must come to the same end each time it is asked.
pub fn judge(vote: &Vote) -> Result<(), Refusal> {
    let words = || vote.album.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let live = words().any(|word| word.eq_ignore_ascii_case("live") || word.eq_ignore_ascii_case("unplugged"));
    let en_vivo =
        words().zip(words().skip(1)).any(|(a, b)| a.eq_ignore_ascii_case("en") && b.eq_ignore_ascii_case("vivo"));
    if live || en_vivo {
        return Err(Refusal {
            field: "album",
            rule: "no_live_albums",
            message: "Los discos en vivo no entran en este concurso / live albums are not part of this contest",
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(album: &str) -> bool {
        let vote = Vote { at: 0, cast_at: None, year: 1990, rank: 100, name: "Alux Nahual", album, voter: &[] };
        judge(&vote).is_err()
    }

    #[test]
    fn live_albums_are_refused() {
        for album in ["Alto al Fuego (en vivo)", "LIVE", "Unplugged 1999", "EN VIVO", "x En  Vivo"] {
            assert!(refused(album), "{album}");
        }
    }

    #[test]
    fn others_are_admitted() {
        for album in ["", "Alive", "En el Vivo Recuerdo", "Vivo en", "Olivera", "ó en·vivero"] {
            assert!(!refused(album), "{album}");
        }
    }
}
