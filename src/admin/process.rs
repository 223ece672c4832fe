//! What the system says of this process: its memory, its time on processors, its files. What it doesn't say is left out.

use crate::telemetry::ProcessGauge;
use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage};
use std::fs;

/// Linux tells times in hundredths of a second, however often its own clock ticks (proc(5), USER_HZ).
const TICKS_A_SECOND: f64 = 100.0;

/// Looks at it now.
pub fn process() -> ProcessGauge {
    let file = |path| fs::read_to_string(path).unwrap_or_default();
    let status = file("/proc/self/status");
    ProcessGauge {
        started_at: started_at(&file("/proc/self/stat"), &file("/proc/stat")),
        cpu_seconds: cpu_seconds(),
        resident_bytes: bytes(&status, "VmRSS:"),
        virtual_bytes: bytes(&status, "VmSize:"),
        open_files: open_files(),
        open_files_max: getrlimit(Resource::RLIMIT_NOFILE).ok().map(|(soft, _)| soft),
    }
}

/// Seconds since 1970. `own` tells when after the machine's start, `machine` when that was.
fn started_at(own: &str, machine: &str) -> Option<f64> {
    // The second field is the program's name in parentheses, and may hold anything; the time is the 22nd.
    let (_, after_name) = own.rsplit_once(')')?;
    let ticks: f64 = after_name.split_whitespace().nth(19)?.parse().ok()?;
    let booted: f64 = machine.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    Some(booted + ticks / TICKS_A_SECOND)
}

fn cpu_seconds() -> Option<f64> {
    let usage = getrusage(UsageWho::RUSAGE_SELF).ok()?;
    let times = [usage.user_time(), usage.system_time()];
    Some(times.iter().map(|time| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6).sum())
}

/// A line such as `VmRSS:     1234 kB`.
fn bytes(status: &str, field: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

fn open_files() -> Option<u64> {
    // To look is to have the folder open.
    Some(fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    #[test]
    fn what_the_system_writes_is_read() {
        let own = "77 (a) b (c) S 1 77 77 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 9 0 12345 1000 99 18446744073709551615";
        let machine = "cpu  1 2 3\nintr 9 9\nbtime 1700000000\nprocesses 5\n";
        assert_eq!(started_at(own, machine), Some(1_700_000_123.45));
        for (own, machine) in [("", machine), (own, ""), ("77 (a) S 1", machine), (own, "btime soon\n")] {
            assert_eq!(started_at(own, machine), None, "{own} {machine}");
        }
        let status = "Name:\tVmRSS: 1 kB\nVmSize:\t    2048 kB\nVmRSS:\t     512 kB\nVmSwap:\t 0\n";
        assert_eq!((bytes(status, "VmRSS:"), bytes(status, "VmSize:")), (Some(512 << 10), Some(2 << 20)));
        assert_eq!((bytes(status, "VmSwap:"), bytes(status, "VmData:")), (None, None));
    }

    #[test]
    fn this_process_is_told() {
        let process = process();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64();
        let age = now - process.started_at.unwrap();
        assert!((-1.5..86_400.0).contains(&age), "{age}");
        assert!(process.cpu_seconds.unwrap() >= 0.0);
        let (resident, total) = (process.resident_bytes.unwrap(), process.virtual_bytes.unwrap());
        assert!(1 << 16 < resident && resident <= total, "{resident} {total}");
        let (open, max) = (process.open_files.unwrap(), process.open_files_max.unwrap());
        assert!(3 <= open && open <= max, "{open} {max}");
    }
}
