//! What the host sees: version 1 of the interface. It is the same for each rule.

use core::ptr::{addr_of, addr_of_mut};

use crate::{judge as rule, Vote};

const ROOM: usize = 4 << 10; // a vote has less
const ANSWER: usize = 1 << 10;

static mut INPUT: [u8; ROOM] = [0; ROOM];
static mut OUTPUT: [u8; ANSWER] = [0; ANSWER];

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    core::arch::wasm32::unreachable()
}

/// Says which version of the interface this is.
#[no_mangle]
pub extern "C" fn marimba_rules_1() {}

/// Tells where a vote of `size` bytes goes; 0 if there is no room for it.
#[no_mangle]
pub extern "C" fn room(size: usize) -> usize {
    if size > ROOM {
        return 0;
    }
    unsafe { addr_of_mut!(INPUT) as usize }
}

/// Judges the vote in the room. Returns 0 if it is admitted, or where the answer
/// is.
#[no_mangle]
pub extern "C" fn judge(length: usize) -> usize {
    // The host calls one function at a time, and has written the vote before.
    let input = unsafe { &*addr_of!(INPUT) };
    let number = |at: usize| u32::from_le_bytes([input[at], input[at + 1], input[at + 2], input[at + 3]]);
    let long = |at: usize| number(at) as i64 | (number(at + 4) as i64) << 32;
    let mut texts = &input[48..length];
    let mut text = |at: usize| {
        let (text, rest) = texts.split_at(number(at) as usize);
        texts = rest;
        text
    };
    let vote = Vote {
        at: long(0),
        cast_at: if number(24) & 1 != 0 { Some(long(8)) } else { None },
        year: number(16) as i32,
        rank: number(20) as i32,
        name: core::str::from_utf8(text(28)).unwrap_or(""),
        album: core::str::from_utf8(text(32)).unwrap_or(""),
        voter: text(36),
    };
    match rule(&vote) {
        Ok(()) => 0,
        Err(no) => answer(&[no.rule, no.field, "message", no.message]),
    }
}

/// Writes a refusal: its kind, its length, and texts that have their lengths
/// before them.
fn answer(texts: &[&str]) -> usize {
    let output = unsafe { &mut *addr_of_mut!(OUTPUT) };
    let mut end = 8;
    for text in texts {
        output[end..end + 4].copy_from_slice(&(text.len() as u32).to_le_bytes());
        output[end + 4..end + 4 + text.len()].copy_from_slice(text.as_bytes());
        end += 4 + text.len();
    }
    output[..4].copy_from_slice(&1u32.to_le_bytes());
    output[4..8].copy_from_slice(&(end as u32 - 8).to_le_bytes());
    output.as_ptr() as usize
}
