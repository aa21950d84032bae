//! What a WebAssembly host sees: one memory and five functions. README.md in the
//! folder above tells how to call them.
//!
//! An instance is used by one call at a time; that is what makes the statics
//! below safe. The unsafe code of the crate is here, and it is about them and
//! about memory that the host asked for.
#![allow(unsafe_code)]

use core::arch::wasm32::{memory_grow, memory_size};
use core::ptr::{addr_of, addr_of_mut};
use core::slice::{from_raw_parts, from_raw_parts_mut};

use crate::answer::{self, Value, ROOM};
use crate::ballot::{self, Ballot};
use crate::bytes::Buf;
use crate::contest::{self, Contest, NoContest, Scratch};

const PAGE: usize = 64 << 10;

static mut CONTEST: Option<Contest<'static>> = None;
static mut SCRATCH: Scratch = Scratch::new();
static mut ANSWER: [u8; ROOM] = [0; ROOM];

/// Where the host writes what it asks about, and how much fits there. As much
/// again is behind it, for working on it.
static mut INPUT: (usize, usize) = (0, 0);

/// From here on memory is free; 0 before the first is taken.
static mut FREE: usize = 0;

extern "C" {
    /// Where the linker's own part of memory ends.
    static __heap_base: u8;
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    core::arch::wasm32::unreachable()
}

/// Says which version of the interface this is.
#[no_mangle]
pub extern "C" fn marimba_rules_1() {}

/// Returns where the host may write `size` bytes for the next call, or 0 if there
/// is no room for so many. The place may be another one each time.
#[no_mangle]
pub extern "C" fn room(size: usize) -> usize {
    unsafe {
        if size > INPUT.1 {
            let size = (size.max(4 << 10) + 15) & !15;
            match size.checked_mul(2).and_then(|twice| take(twice)) {
                Some(at) => INPUT = (at, size),
                None => return 0,
            }
        }
        INPUT.0
    }
}

/// Reads the contest whose JSON the host has written. Returns 0, or where the
/// answer is. An instance has one contest.
#[no_mangle]
pub extern "C" fn contest(length: usize) -> usize {
    unsafe {
        let (text, _) = input(length);
        let mut answer = Buf::new(&mut *addr_of_mut!(ANSWER));
        let scratch = &mut *addr_of_mut!(SCRATCH);
        let contest = &mut *addr_of_mut!(CONTEST);
        if contest.is_some() {
            return fault(&mut answer, b"there is a contest already");
        }
        let read = contest::size(text, scratch).and_then(|size| {
            let at = take(size.bytes()).ok_or(NoContest { fault: "it does not fit into memory", at: 0 })?;
            Contest::new(text, size, from_raw_parts_mut(at as *mut u8, size.bytes()), scratch)
        });
        match read {
            Ok(it) => {
                *contest = Some(it);
                0
            }
            Err(no) => {
                let before = text.get(..no.at).unwrap_or(text);
                answer::fault(&mut answer, &Value::Place(before, no.fault));
                written()
            }
        }
    }
}

/// Reads the JSON that the host has written as a vote, strictly unless `strict`
/// is 0. Returns where the answer is.
#[no_mangle]
pub extern "C" fn read(length: usize, strict: u32) -> usize {
    unsafe {
        let (text, work) = input(length);
        ballot::read(text, strict != 0, work, &mut Buf::new(&mut *addr_of_mut!(ANSWER)));
        written()
    }
}

/// Judges the ballot that the host has written. Returns 0 if it is admitted as it
/// stands, or where the answer is.
#[no_mangle]
pub extern "C" fn judge(length: usize) -> usize {
    unsafe {
        let (bytes, _) = input(length);
        let mut answer = Buf::new(&mut *addr_of_mut!(ANSWER));
        let (contest, vote) = match (&*addr_of_mut!(CONTEST), Ballot::from_bytes(bytes)) {
            (Some(contest), Some(vote)) => (contest, vote),
            (None, _) => return fault(&mut answer, b"there is no contest"),
            (_, None) => return fault(&mut answer, b"what is to be judged is not a ballot"),
        };
        if contest.judge(&vote, &mut *addr_of_mut!(SCRATCH), &mut answer) {
            return 0;
        }
        written()
    }
}

/// What the host has written, and the room for working on it.
unsafe fn input(length: usize) -> (&'static [u8], &'static mut [u8]) {
    let (at, size) = INPUT;
    if size == 0 {
        return (&[], &mut []);
    }
    let text = from_raw_parts(at as *const u8, length.min(size));
    (text, from_raw_parts_mut((at + size) as *mut u8, size))
}

fn fault(answer: &mut Buf, say: &'static [u8]) -> usize {
    answer::fault(answer, &Value::Text(say));
    written()
}

/// Where answers are.
fn written() -> usize {
    unsafe { addr_of_mut!(ANSWER) as usize }
}

/// Takes memory that nobody has; it is never given back. `None` if the host
/// gives no more.
unsafe fn take(size: usize) -> Option<usize> {
    if FREE == 0 {
        FREE = addr_of!(__heap_base) as usize;
    }
    let from = (FREE + 15) & !15;
    let end = from.checked_add(size)?;
    let missing = end.saturating_sub(memory_size(0) * PAGE);
    if missing > 0 && memory_grow(0, (missing + PAGE - 1) / PAGE) == usize::MAX {
        return None;
    }
    FREE = end;
    Some(from)
}
