//! The filter: calls by their numbers, and what they may not ask.

use nix::libc;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen::Dword, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, apply_filter,
};
use std::{collections::BTreeMap, env::consts::ARCH};

/// A rule of the filter by the number of its call.
type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// A call's name in the C library's words, and its number on this processor.
type Call = (&'static str, i64);

/// Calls, each with its name: a processor that lacks one doesn't compile this.
macro_rules! calls {
    ($(libc::$name:ident),* $(,)?) => { [$((stringify!($name), libc::$name)),*] };
}

/// Refused whatever they ask. Every processor that there is a filter for has these; by their tables, which a test looks into,
/// and tried on x86-64 alone.
const REFUSED: [Call; 73] = calls![
    // Programs to start; what other processes do and have in memory.
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    // The kernel itself, and interfaces in which holes were found again and again.
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
    libc::SYS_syslog,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_personality,
    libc::SYS_lookup_dcookie,
    libc::SYS_nfsservctl,
    libc::SYS_vhangup,
    libc::SYS_acct,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_quotactl,
    libc::SYS_fanotify_init,
    libc::SYS_fanotify_mark,
    libc::SYS_remap_file_pages,
    libc::SYS_migrate_pages,
    libc::SYS_move_pages,
    libc::SYS_mknodat,
    // Other views of the file system, and ways round its permissions.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
    // The clock and the name of the machine.
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    // Keys of others.
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    // Somebody else's rights.
    libc::SYS_setuid,
    libc::SYS_setgid,
    libc::SYS_setreuid,
    libc::SYS_setregid,
    libc::SYS_setresuid,
    libc::SYS_setresgid,
    libc::SYS_setfsuid,
    libc::SYS_setfsgid,
    libc::SYS_setgroups,
    libc::SYS_capset,
    // Messages and memory between processes that nothing here uses.
    libc::SYS_mq_open,
    libc::SYS_shmget,
    libc::SYS_shmat,
    libc::SYS_semget,
    libc::SYS_msgget,
];

/// The same for calls that only this processor has.
#[cfg(target_arch = "x86_64")]
const REFUSED_HERE: [Call; 9] = calls![
    libc::SYS_fork,
    libc::SYS_vfork,
    libc::SYS_mknod,
    libc::SYS_iopl,
    libc::SYS_ioperm,
    libc::SYS_modify_ldt,
    libc::SYS_kexec_file_load,
    libc::SYS_uselib,
    libc::SYS_ustat,
];
/// The newer processors have one table, in which calls that others took the place of are missing. The C library's names have a
/// gap there.
#[cfg(not(target_arch = "x86_64"))]
const REFUSED_HERE: [Call; 1] = [("SYS_kexec_file_load", 294)];

/// Families of sockets that are used: between processes (to the service manager, a collector), over IP, and to the kernel,
/// for the hardware addresses of clients.
const FAMILIES: [i32; 4] = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];

/// A second set of numbers for the same calls, for programs with short pointers; most kernels have none.
#[cfg(target_arch = "x86_64")]
const ALSO: Option<i64> = Some(0x4000_0000);
#[cfg(not(target_arch = "x86_64"))]
const ALSO: Option<i64> = None;

/// Puts the filters in force for this thread and those it starts. Returns how many calls they refuse.
pub(super) fn apply() -> Result<usize, String> {
    let (filters, count) = filters()?;
    filters.iter().try_for_each(|filter| apply_filter(filter)).map_err(|error| error.to_string())?;
    Ok(count)
}

/// The filters, and how many calls they refuse.
fn filters() -> Result<(Vec<BpfProgram>, usize), String> {
    let arch = TargetArch::try_from(ARCH).map_err(|_| format!("not for processors of the kind {ARCH}"))?;
    let compile = |rules: Rules, errno: i32| -> Result<BpfProgram, String> {
        let doubled = rules.iter().filter_map(|(call, rules)| Some((call + ALSO?, rules.clone())));
        let rules = doubled.chain(rules.clone()).collect();
        let refusal = SeccompAction::Errno(errno.unsigned_abs());
        let filter =
            SeccompFilter::new(rules, SeccompAction::Allow, refusal, arch).map_err(|error| error.to_string())?;
        filter.try_into().map_err(|error: seccompiler::BackendError| error.to_string())
    };
    let refused = refused()?;
    // What it asks lies in memory, where a filter can't look. The C library then takes the older call, which is looked at.
    let as_if_unknown = Rules::from([(libc::SYS_clone3, Vec::new())]);
    let families = Rules::from([(libc::SYS_socket, vec![other_family()?])]);
    let count = refused.len() + as_if_unknown.len() + families.len();
    let filters = vec![
        compile(refused, libc::EPERM)?,
        compile(as_if_unknown, libc::ENOSYS)?,
        compile(families, libc::EAFNOSUPPORT)?,
    ];
    Ok((filters, count))
}

fn refused() -> Result<Rules, String> {
    let always = REFUSED.into_iter().chain(REFUSED_HERE).map(|(_, call)| (call, Vec::new()));
    let mut rules: Rules = always.collect();
    let masked = |argument, mask: i32, value: i32| {
        let mask = SeccompCmpOp::MaskedEq(u64::from(mask.unsigned_abs()));
        rule([condition(argument, mask, u64::from(value.unsigned_abs()))?])
    };
    let (write, execute) = (libc::PROT_WRITE, libc::PROT_EXEC);
    // A new process; a new thread is fine. All these processors have the flags in the first argument.
    rules.insert(libc::SYS_clone, vec![masked(0, libc::CLONE_THREAD, 0)?]);
    // Memory that can be written and executed, and memory that was written to be executed.
    rules.insert(libc::SYS_mmap, vec![masked(2, write | execute, write | execute)?]);
    rules.insert(libc::SYS_mprotect, vec![masked(2, execute, execute)?]);
    rules.insert(libc::SYS_pkey_mprotect, vec![masked(2, execute, execute)?]);
    Ok(rules)
}

/// A socket of a family that isn't used.
fn other_family() -> Result<SeccompRule, String> {
    let others: Result<Vec<_>, _> =
        FAMILIES.iter().map(|family| condition(0, SeccompCmpOp::Ne, u64::from(family.unsigned_abs()))).collect();
    SeccompRule::new(others?).map_err(|error| error.to_string())
}

fn condition(argument: u8, operator: SeccompCmpOp, value: u64) -> Result<SeccompCondition, String> {
    SeccompCondition::new(argument, Dword, operator, value).map_err(|error| error.to_string())
}

fn rule<const N: usize>(conditions: [SeccompCondition; N]) -> Result<SeccompRule, String> {
    SeccompRule::new(conditions.into()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{io, net::UdpSocket, process::Command, thread};

    /// A filter of calls by their names, for any processor, as seccompiler's own tables have them.
    fn by_name(calls: &[&str], arch: TargetArch) -> Result<BpfProgram, seccompiler::Error> {
        let calls: Vec<_> = calls.iter().map(|name| serde_json::json!({ "syscall": name })).collect();
        let filter = serde_json::json!({ "mismatch_action": "allow", "match_action": { "errno": 1 }, "filter": calls });
        let all = serde_json::json!({ "all": filter }).to_string();
        let mut compiled = seccompiler::compile_from_json(all.as_bytes(), arch)?;
        Ok(compiled.remove("all").unwrap_or_default())
    }

    #[test]
    fn every_processor_has_the_calls_and_they_are_what_they_are_called() {
        let name = |(name, _): &Call| name.strip_prefix("SYS_").unwrap();
        let others = ["clone", "clone3", "mmap", "mprotect", "pkey_mprotect", "socket", "kexec_file_load"];
        let everywhere: Vec<&str> = REFUSED.iter().map(name).chain(others).collect();
        for arch in [TargetArch::x86_64, TargetArch::aarch64, TargetArch::riscv64] {
            by_name(&everywhere, arch).unwrap_or_else(|error| panic!("{arch:?}: {error}"));
        }
        // The number of each is the one that its name has here.
        let here = TargetArch::try_from(ARCH).unwrap();
        for call in REFUSED.iter().chain(&REFUSED_HERE) {
            let rules = Rules::from([(call.1, Vec::new())]);
            let (allow, refuse) = (SeccompAction::Allow, SeccompAction::Errno(1));
            let own: BpfProgram = SeccompFilter::new(rules, allow, refuse, here).unwrap().try_into().unwrap();
            assert_eq!(format!("{own:?}"), format!("{:?}", by_name(&[name(call)], here).unwrap()), "{call:?}");
        }
        let kexec = |arch| by_name(&["kexec_file_load"], arch).unwrap();
        for arch in [TargetArch::aarch64, TargetArch::riscv64] {
            let rules = Rules::from([(294, Vec::new())]);
            let filter = SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(1), arch).unwrap();
            let own: BpfProgram = filter.try_into().unwrap();
            assert_eq!(format!("{own:?}"), format!("{:?}", kexec(arch)));
        }
    }

    /// In a thread of its own, since nothing takes a filter off again.
    #[test]
    fn what_is_refused_fails_and_what_is_needed_works() {
        let tried = thread::spawn(|| {
            assert!(apply().unwrap() > REFUSED.len());
            let command = Command::new("/bin/true").status();
            let raw = socket2::Socket::new(socket2::Domain::PACKET, socket2::Type::RAW, None);
            // Threads, sockets, files, time.
            assert_eq!(thread::spawn(|| 7).join().unwrap(), 7);
            UdpSocket::bind("127.0.0.1:0").unwrap();
            assert!(tempfile::tempfile().is_ok());
            (command, raw)
        });
        let (command, raw) = tried.join().unwrap();
        assert_eq!(command.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        assert_eq!(raw.unwrap_err().raw_os_error(), Some(libc::EAFNOSUPPORT));
        // Other threads are as free as before.
        assert!(Command::new("/bin/true").status().unwrap().success());
    }
}
