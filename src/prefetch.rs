//! Asks for memory before it is needed.

use std::mem::MaybeUninit;

/// Has the processor fetch what `place` lies in, without waiting for it. Where a batch of look-ups beyond the processor's
/// caches is in work, this is what keeps them from being waited for one after the other: of a list of five million names
/// a blocked question is decided in half the time (`cargo bench --bench policy`).
#[inline(always)]
pub fn prefetch<T>(place: &T) {
    ask_for(std::ptr::from_ref(place).cast());
}

/// The same for one of many. Nothing happens if there is none at `index`.
#[inline(always)]
pub fn prefetch_at<T>(places: &[T], index: usize) {
    ask_for(places.as_ptr().wrapping_add(index).cast());
}

/// Has the system lay out `room`, before anything is written to it, in pages of 2 MiB as far as that goes. What lies
/// beyond the processor's caches waits for the table of its pages too, and asking before doesn't help with that one: the
/// processor looks up only a few pages at a time. Nothing happens where there are no such pages.
pub fn lay_out_large<T>(room: &mut [MaybeUninit<T>]) {
    /// Less is found again in the processor's own table of pages.
    const WORTH_IT_BYTES: usize = 4 << 20;
    let bytes = size_of_val(room);
    if bytes >= WORTH_IT_BYTES {
        advise_large(room.as_mut_ptr().cast(), bytes);
    }
}

#[cfg(target_os = "linux")]
fn advise_large(start: *mut std::ffi::c_void, bytes: usize) {
    use nix::sys::mman::{MmapAdvise, madvise};
    /// Advice begins at a page.
    const PAGE_BYTES: usize = 4096;
    let before = start.addr() % PAGE_BYTES;
    let Some(page) = std::ptr::NonNull::new(start.wrapping_byte_sub(before)) else { return };
    #[expect(unsafe_code, reason = "this advice changes no octet, so any memory may be advised")]
    // SAFETY: see the reason above.
    let advised = unsafe { madvise(page, bytes + before, MmapAdvise::MADV_HUGEPAGE) };
    // A kernel without them, or with other pages, refuses, and nothing is lost.
    _ = advised;
}

#[cfg(not(target_os = "linux"))]
fn advise_large(_start: *mut std::ffi::c_void, _bytes: usize) {}

#[inline(always)]
fn ask_for(address: *const i8) {
    #[cfg(target_arch = "x86_64")]
    #[expect(unsafe_code, reason = "a hint reads nothing, so any address is sound")]
    // SAFETY: see the reason above; SSE is part of every x86-64.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(address);
    }
    // Elsewhere Rust has no stable word for it.
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_laid_out_large_is_as_any_other() {
        for (bytes, from) in [(9 << 20, 0), (9 << 20, 12_345), (1 << 10, 0), (0, 0)] {
            let mut octets: Vec<u8> = Vec::with_capacity(bytes);
            octets.resize(from, 1);
            lay_out_large(octets.spare_capacity_mut());
            octets.resize(bytes, 2);
            octets.shrink_to_fit();
            assert!(octets[..from].iter().all(|octet| *octet == 1) && octets[from..].iter().all(|octet| *octet == 2));
            assert_eq!(octets.len(), bytes);
        }
    }
}
