//! Threads that work beside the answers, and make way for them.
//!
//! A list of a million names takes a third of a second to read and compile. Where there are no more processors than busy
//! threads, that is a third of a second on a processor that answers need too.
//!
//! Long work is therefore done `aside`, only where a processor has nothing else to do. Who answers then never waits for
//! it, and the system takes a processor with nothing but such work on it for a free one. Where all are busy it would
//! hardly get on, so it is looked after, and gets a share again until there is room.

#[cfg(target_os = "linux")]
use nix::{
    libc::{SCHED_IDLE, SCHED_OTHER, pid_t, sched_attr},
    sys::resource::{Resource::RLIMIT_NICE, getrlimit, setrlimit},
};
use std::{
    sync::{
        Mutex, OnceLock,
        mpsc::{Receiver, RecvTimeoutError, channel},
    },
    thread::Builder,
    time::{Duration, Instant},
};

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

/// That niceness as the limit on it counts: from 1 for 19 upwards.
#[cfg(target_os = "linux")]
const WAY_BACK: u64 = (20 - NICENESS) as u64;

/// How long such a thread may run in one go, in nanoseconds: the longest there is. Since version 6.12 Linux has whoever runs
/// keep its processor for its slice, even if it is nice, unless the one that wakes up has a shorter one. It gets no more
/// of the processor by that.
#[cfg(target_os = "linux")]
const SLICE_NANOSECONDS: u64 = 100_000_000;

/// What the system calls take for the thread that asks.
#[cfg(target_os = "linux")]
const THIS_THREAD: pid_t = 0;

/// How often it is looked whether it gets on.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How a thread is scheduled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    /// With a smaller share than others.
    Share,
    /// Only where nobody else wants a processor.
    Idle,
}

impl Way {
    /// How it should go on for a thread that had `spent` of a processor in the `passed` since the last look. One that has
    /// its share beside busy threads gets a fourth or less, one that is alone nearly all.
    fn next(self, spent: Duration, passed: Duration) -> Self {
        match self {
            Self::Share if spent * 2 >= passed => Self::Idle,
            Self::Idle if spent * 4 < passed => Self::Share,
            same => same,
        }
    }
}

/// Does `work` on a thread of this name, which makes way for all others, and returns what comes of it. This thread waits,
/// and sees to it that the other one gets on.
///
/// Where the system lets nobody come back from where processors are idle (see `keep_way_back`), it doesn't go there: on a
/// busy machine it would hardly ever end.
pub fn aside<T: Send>(name: &str, work: impl FnOnce() -> T + Send) -> T {
    // If no thread can be had, it is done here.
    let work = Mutex::new(Some(work));
    let take = || work.lock().ok().and_then(|mut work| work.take());
    std::thread::scope(|scope| {
        let (begin, begun) = channel();
        let (end, ended) = channel::<()>();
        let started = Builder::new().name(name.to_owned()).spawn_scoped(scope, move || {
            let _end = end;
            make_way();
            let _ = begin.send(this_thread());
            take().map(|work| work())
        });
        let outcome = match started {
            Ok(thread) => {
                if let Ok(Some(id)) = begun.recv() {
                    look_after(id, &ended);
                }
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            }
            Err(_) => take().map(|work| work()),
        };
        outcome.expect("work is taken once, by whoever does it")
    })
}

/// Until it ends, has the thread scheduled in the way that suits what it gets.
fn look_after(thread: Thread, ended: &Receiver<()>) {
    if !has_way_back() || !thread.goes(Way::Idle) {
        return;
    }
    let mut way = Way::Idle;
    let (mut at, mut spent) = (Instant::now(), thread.spent());
    while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(LOOK_EVERY) {
        let (now, total) = (Instant::now(), thread.spent());
        let next = way.next(total.saturating_sub(spent), now - at);
        if next != way && thread.goes(next) {
            way = next;
        }
        (at, spent) = (now, total);
    }
}

/// From now on this thread makes way for others, for as long as it lives. Nothing happens where the system doesn't know or
/// allow it, or if whoever started the program had it scheduled in a way of their own.
pub fn make_way() {
    #[cfg(target_os = "linux")]
    if let Some(now) = linux::scheduling()
        && i64::from(now.sched_policy) == i64::from(SCHED_OTHER)
    {
        let sched_nice = now.sched_nice.max(NICENESS);
        linux::schedule(THIS_THREAD, &sched_attr { sched_nice, sched_runtime: SLICE_NANOSECONDS, ..now });
    }
}

/// Has the system let threads of this process come back from where processors are idle to the share that `make_way`
/// leaves them. Root may grant that, before it gives up its rights; others have it if whoever started them granted it
/// (`LimitNICE=` of systemd, `ulimit -e` of a shell).
pub fn keep_way_back() {
    #[cfg(target_os = "linux")]
    if let Ok((soft, hard)) = getrlimit(RLIMIT_NICE)
        && soft < WAY_BACK
    {
        let _ = setrlimit(RLIMIT_NICE, WAY_BACK, hard.max(WAY_BACK));
    }
}

/// True if threads may come back to their share: by the limit, or by a right that the process kept. Found out once, by one
/// that is there for nothing else: what doesn't come back stays where it is.
fn has_way_back() -> bool {
    static FOUND: OnceLock<bool> = OnceLock::new();
    *FOUND.get_or_init(|| {
        let ((begin, begun), (_end, ended)) = (channel(), channel::<()>());
        let tried = Builder::new().name("aside-try".into()).spawn(move || {
            let _ = begin.send(this_thread());
            let _ = ended.recv();
        });
        let thread = tried.ok().and_then(|_| begun.recv().ok().flatten());
        thread.is_some_and(|thread| thread.goes(Way::Idle) && thread.goes(Way::Share))
    })
}

/// A thread that somebody else looks after.
#[derive(Clone, Copy)]
struct Thread {
    #[cfg(target_os = "linux")]
    id: pid_t,
    /// How it is scheduled where it has a share.
    #[cfg(target_os = "linux")]
    share: sched_attr,
}

/// This one, unless there is no other way for it: the system knows none, or whoever started the program had it scheduled
/// in a way of their own.
#[cfg(target_os = "linux")]
fn this_thread() -> Option<Thread> {
    let share = linux::scheduling()?;
    let is_usual = i64::from(share.sched_policy) == i64::from(SCHED_OTHER);
    is_usual.then(|| Thread { id: nix::unistd::gettid().as_raw(), share })
}

#[cfg(not(target_os = "linux"))]
fn this_thread() -> Option<Thread> {
    None
}

impl Thread {
    /// How long it has run in all.
    #[cfg(target_os = "linux")]
    fn spent(self) -> Duration {
        nix::time::clock_gettime(linux::clock_of(self.id)).map_or(Duration::ZERO, Duration::from)
    }

    #[cfg(not(target_os = "linux"))]
    fn spent(self) -> Duration {
        Duration::ZERO
    }

    /// Has it scheduled in that way; false if the system refuses.
    #[cfg(target_os = "linux")]
    fn goes(self, way: Way) -> bool {
        let wanted = match way {
            Way::Share => self.share,
            Way::Idle => sched_attr { sched_policy: SCHED_IDLE as u32, sched_runtime: 0, ..self.share },
        };
        linux::schedule(self.id, &wanted)
    }

    #[cfg(not(target_os = "linux"))]
    fn goes(self, _way: Way) -> bool {
        false
    }
}

/// The two system calls, which no library has for threads that aren't real-time ones.
#[cfg(target_os = "linux")]
mod linux {
    use super::THIS_THREAD;
    use nix::{
        libc::{SYS_sched_getattr, SYS_sched_setattr, c_uint, pid_t, sched_attr, syscall},
        time::ClockId,
    };

    const NO_FLAGS: c_uint = 0;
    /// What the kernel's number of a clock says of it: a thread's, not a process's, and counts what the scheduler gave.
    const OF_A_THREAD: i32 = 4;
    const BY_THE_SCHEDULER: i32 = 2;

    /// The clock that tells how long this thread ran. Its number is part of the kernel's interface (clock_getcpuclockid(3)
    /// and pthread_getcpuclockid(3) make it in the same way, the latter of a thread that only its starter knows).
    pub(super) fn clock_of(thread: pid_t) -> ClockId {
        ClockId::from_raw(!thread << 3 | OF_A_THREAD | BY_THE_SCHEDULER)
    }

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

    /// Has a thread scheduled otherwise; false if the system refuses.
    pub(super) fn schedule(thread: pid_t, wanted: &sched_attr) -> bool {
        #[expect(unsafe_code, reason = "the call reads one struct, whose size stands in it")]
        // SAFETY: see the reason above.
        let result = unsafe { syscall(SYS_sched_setattr, thread, std::ptr::from_ref(wanted), NO_FLAGS) };
        result == 0
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

    #[test]
    fn work_goes_where_processors_are_idle_and_comes_back_if_it_gets_too_little() {
        let (share, idle) = (Way::Share, Way::Idle);
        for (before, spent, after) in [
            // Beside others who want as much it has its share.
            (share, 0, share),
            (share, 9, share),
            (share, 10, idle),
            (share, 20, idle),
            // A packet now and then is no reason to come back.
            (idle, 20, idle),
            (idle, 5, idle),
            (idle, 4, share),
            (idle, 0, share),
        ] {
            let next = before.next(Duration::from_millis(spent), Duration::from_millis(20));
            assert_eq!(next, after, "{before:?} {spent}");
        }
    }

    #[test]
    fn work_aside_is_done_by_another_thread_and_what_comes_of_it_returned() {
        let here = std::thread::current().id();
        let mut borrowed = vec![1];
        let (there, name) = aside("aside", || {
            borrowed.push(2);
            (std::thread::current().id(), std::thread::current().name().map(str::to_owned))
        });
        assert_ne!(there, here);
        assert_eq!((borrowed, name.as_deref()), (vec![1, 2], Some("aside")));
        let caught = std::panic::catch_unwind(|| aside("aside", || panic!("as it is")));
        assert_eq!(caught.unwrap_err().downcast_ref(), Some(&"as it is"));
    }

    #[test]
    fn long_work_keeps_to_idle_processors_if_it_can_come_back() {
        let policy = || i64::from(linux::scheduling().unwrap().sched_policy);
        let usual = i64::from(SCHED_OTHER);
        if policy() != usual {
            // Whoever runs the tests has them scheduled in a way of their own.
            return;
        }
        keep_way_back();
        let may = has_way_back();
        aside("aside", || {
            let deadline = Instant::now() + Duration::from_secs(if may { 60 } else { 0 });
            while policy() == usual && Instant::now() < deadline {
                std::thread::yield_now();
            }
            // Only root, and who was granted it, may.
            assert_eq!(policy() == i64::from(SCHED_IDLE), may);
        });
        // The thread that waited is as before.
        assert_eq!(policy(), usual);
    }

    #[test]
    fn a_threads_clock_tells_what_it_spent() {
        let this = this_thread().unwrap();
        let before = this.spent();
        let enough = before + Duration::from_millis(3);
        while this.spent() < enough {
            std::hint::spin_loop();
        }
        let whole = nix::time::clock_gettime(nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap();
        assert!(before < enough && enough <= Duration::from(whole));
    }
}
