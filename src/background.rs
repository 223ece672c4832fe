//! Threads that work beside the answers, and make way for them.
//!
//! A list of a million names takes a third of a second to read and compile. Where there are no more processors than busy
//! threads, that is a third of a second on a processor that answers need too.

/// The niceness of such a thread, at least.
///
/// Linux lets a thread that wakes up run at once if it had less than its share. One that answers for a moment and sleeps for
/// a moment has about its share beside a thread of the same weight, so now and then it waits, and then for long: the
/// next time anybody looks is the timer's, up to 4 ms later. Of the wake-ups beside the thread, those that took more than
/// 100 us were 1.4 % with the same weight and 0.5 % with a tenth of it and the slice below (in one run each, on a busy
/// machine). It is a third, so that under full load, where all processors are wanted by who answers, a seventh of one is
/// left: lists come into force then too, if later.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 5;

/// How long such a thread may run in one go, in nanoseconds: the longest there is. Since version 6.12 Linux has whoever runs
/// keep its processor for its slice, even if it is nice, unless the one that wakes up has a shorter one. It gets no more
/// of the processor by that.
#[cfg(target_os = "linux")]
const SLICE_NANOSECONDS: u64 = 100_000_000;

/// From now on this thread makes way for others, for as long as it lives. Nothing happens where the system doesn't know or
/// allow it, or if whoever started the program had it scheduled in a way of their own.
pub fn make_way() {
    #[cfg(target_os = "linux")]
    if let Some(now) = linux::scheduling()
        && i64::from(now.sched_policy) == i64::from(nix::libc::SCHED_OTHER)
    {
        let sched_nice = now.sched_nice.max(NICENESS);
        linux::schedule(&nix::libc::sched_attr { sched_nice, sched_runtime: SLICE_NANOSECONDS, ..now });
    }
}

/// The two system calls, which no library has for threads that aren't real-time ones.
#[cfg(target_os = "linux")]
mod linux {
    use nix::libc::{SYS_sched_getattr, SYS_sched_setattr, c_uint, pid_t, sched_attr, syscall};

    const THIS_THREAD: pid_t = 0;
    const NO_FLAGS: c_uint = 0;

    /// How this thread is scheduled.
    pub(super) fn scheduling() -> Option<sched_attr> {
        let size = size_of::<sched_attr>() as u32;
        let mut now = sched_attr {
            size,
            sched_policy: 0,
            sched_flags: 0,
            sched_nice: 0,
            sched_priority: 0,
            sched_runtime: 0,
            sched_deadline: 0,
            sched_period: 0,
        };
        #[expect(unsafe_code, reason = "the call writes to one struct, of the size that it is told")]
        // SAFETY: see the reason above.
        let result = unsafe { syscall(SYS_sched_getattr, THIS_THREAD, &raw mut now, size, NO_FLAGS) };
        (result == 0).then_some(now)
    }

    /// Has it scheduled otherwise, if the system allows it.
    pub(super) fn schedule(wanted: &sched_attr) {
        #[expect(unsafe_code, reason = "the call reads one struct, whose size stands in it")]
        // SAFETY: see the reason above.
        let _ = unsafe { syscall(SYS_sched_setattr, THIS_THREAD, std::ptr::from_ref(wanted), NO_FLAGS) };
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_thread_makes_way_and_no_other() {
        let before = linux::scheduling().unwrap();
        let made_way = std::thread::spawn(|| {
            make_way();
            // What it starts is like it.
            let started = std::thread::spawn(|| linux::scheduling().unwrap()).join().unwrap();
            (linux::scheduling().unwrap(), started)
        });
        let (own, started) = made_way.join().unwrap();
        let expected = before.sched_nice.max(NICENESS);
        assert_eq!((own.sched_policy, own.sched_nice), (before.sched_policy, expected));
        assert_eq!(started.sched_nice, expected);
        // Older kernels take no note of it.
        assert!([0, SLICE_NANOSECONDS].contains(&own.sched_runtime), "{}", own.sched_runtime);
        let after = linux::scheduling().unwrap();
        assert_eq!((after.sched_nice, after.sched_runtime), (before.sched_nice, before.sched_runtime));
    }
}
