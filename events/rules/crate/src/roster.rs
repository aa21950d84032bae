//! The roster: which band and which of its albums a text names, whatever its
//! case, marks and spaces.
//!
//! It is an open-addressed hash table in bytes that somebody else owns, so that
//! a WebAssembly instance needs no allocator.

use crate::bytes::{u32_at, Buf};
use crate::text::fold;

/// The longest folded spelling: each of an album's 160 characters may become 33
/// bytes.
pub const MAX_FOLDED: usize = 160 * 33;

/// A slot: the hash, whose the spelling is, what it names, and where its folded
/// text is; that is 0 in an empty slot.
const SLOT: usize = 16;

/// Stands for the contest where bands have their place.
const BANDS: u32 = 0;

/// How much a roster needs.
#[derive(Clone, Copy, Default)]
pub struct Size {
    spellings: usize,
    folded: usize,
    bands: usize,
    names: usize,
}

impl Size {
    fn slots(self) -> usize {
        (self.spellings * 2).next_power_of_two()
    }

    /// The bytes that the roster takes.
    pub fn bytes(self) -> usize {
        self.slots() * SLOT + self.spellings * 4 + self.folded + self.bands * 8 + self.names
    }
}

/// Makes a roster: once to see how much it needs, and again to fill it.
pub struct Builder<'a> {
    size: Size,
    room: &'a mut [u8], // empty while it is measured
    slots: usize,
    texts: usize, // where the next text goes
    names: usize, // where the next band has its name
}

impl<'a> Builder<'a> {
    /// A builder that measures.
    pub fn measure() -> Self {
        Builder { size: Size::default(), room: &mut [], slots: 0, texts: 0, names: 0 }
    }

    /// A builder that fills `room`, which has `size.bytes()` bytes.
    pub fn fill(size: Size, room: &'a mut [u8]) -> Self {
        room.fill(0);
        let names = size.slots() * SLOT;
        Builder { size: Size::default(), room, slots: size.slots(), texts: names + size.bands * 8, names }
    }

    /// How much was put in.
    pub fn size(&self) -> Size {
        self.size
    }

    /// Adds a band by the name that is shown, and returns its number.
    pub fn band(&mut self, name: &[u8], folded: &mut Buf) -> Option<u32> {
        let band = self.size.bands as u32;
        let place = self.text(name)?;
        self.set(self.names, place.0);
        self.set(self.names + 4, name.len() as u32);
        self.names += 8;
        self.size.bands += 1;
        self.size.names += name.len();
        self.band_spelling(band, name, folded)?;
        Some(band)
    }

    /// Adds another spelling of a band.
    pub fn band_spelling(&mut self, band: u32, spelling: &[u8], folded: &mut Buf) -> Option<()> {
        self.spelling(BANDS, spelling, band, folded)
    }

    /// Adds a spelling of a band's album.
    pub fn album_spelling(&mut self, band: u32, album: u32, spelling: &[u8], folded: &mut Buf) -> Option<()> {
        self.spelling(band + 1, spelling, album, folded)
    }

    /// Adds a spelling; of two that are equal, the later one holds. `None` is a
    /// spelling that cannot be folded.
    fn spelling(&mut self, owner: u32, spelling: &[u8], what: u32, folded: &mut Buf) -> Option<()> {
        folded.cut(0);
        if !fold(spelling, folded) {
            return None;
        }
        let text = folded.bytes();
        self.size.spellings += 1;
        self.size.folded += text.len();
        if self.slots == 0 {
            return Some(());
        }
        let hash = hash_of(owner, text);
        let slot = match find(self.room, self.slots, hash, owner, text)? {
            Found::There(slot) => slot,
            Found::Free(slot) => {
                let length = self.text(&(text.len() as u32).to_le_bytes())?;
                self.text(text)?;
                self.set(slot, hash);
                self.set(slot + 4, owner);
                self.set(slot + 12, length.0);
                slot
            }
        };
        self.set(slot + 8, what);
        Some(())
    }

    /// Puts a text behind the others.
    fn text(&mut self, text: &[u8]) -> Option<Place> {
        let at = self.texts;
        if self.slots > 0 {
            self.room.get_mut(at..at + text.len())?.copy_from_slice(text);
        }
        self.texts += text.len();
        Some(Place(at as u32))
    }

    fn set(&mut self, at: usize, n: u32) {
        if let Some(place) = self.room.get_mut(at..).and_then(|rest| rest.get_mut(..4)) {
            place.copy_from_slice(&n.to_le_bytes());
        }
    }

    /// The roster that was filled.
    pub fn done(self) -> Roster<'a> {
        Roster { room: self.room, slots: self.slots }
    }
}

struct Place(u32);

/// A roster.
pub struct Roster<'a> {
    room: &'a [u8],
    slots: usize,
}

impl<'a> Roster<'a> {
    /// The band that a folded text names.
    pub fn band(&self, folded: &[u8]) -> Option<u32> {
        self.find(BANDS, folded)
    }

    /// The album of a band that a folded text names.
    pub fn album(&self, band: u32, folded: &[u8]) -> Option<u32> {
        self.find(band + 1, folded)
    }

    /// A band's name as it is shown.
    pub fn name(&self, band: u32) -> &'a [u8] {
        let at = self.slots * SLOT + band as usize * 8;
        let from = u32_at(self.room, at) as usize;
        let length = u32_at(self.room, at + 4) as usize;
        self.room.get(from..from + length).unwrap_or(&[])
    }

    fn find(&self, owner: u32, folded: &[u8]) -> Option<u32> {
        match find(self.room, self.slots, hash_of(owner, folded), owner, folded)? {
            Found::There(slot) => Some(u32_at(self.room, slot + 8)),
            Found::Free(_) => None,
        }
    }
}

enum Found {
    There(usize),
    Free(usize),
}

/// Looks for a spelling from its hash on. There is always a free slot, since no
/// more than half of them are taken.
fn find(room: &[u8], slots: usize, hash: u32, owner: u32, folded: &[u8]) -> Option<Found> {
    let mut slot = hash as usize;
    for _ in 0..slots {
        slot &= slots - 1;
        let at = slot * SLOT;
        let text = u32_at(room, at + 12) as usize;
        if text == 0 {
            return Some(Found::Free(at));
        }
        if u32_at(room, at) == hash && u32_at(room, at + 4) == owner {
            let length = u32_at(room, text) as usize;
            if room.get(text + 4..text + 4 + length) == Some(folded) {
                return Some(Found::There(at));
            }
        }
        slot += 1;
    }
    None
}

/// FNV-1a, with its low bits stirred once more.
fn hash_of(owner: u32, folded: &[u8]) -> u32 {
    let mut hash = 0x811c_9dc5 ^ owner.wrapping_mul(0x9e37_79b9);
    for &b in folded {
        hash = (hash ^ u32::from(b)).wrapping_mul(0x0100_0193);
    }
    hash ^ hash >> 15
}
