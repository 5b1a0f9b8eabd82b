//! Which system calls a jailed process is refused: a seccomp filter made from its jail. An edge file by
//! what it names; it owns nothing.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};

use super::{Jail, JailError};
use crate::process::Family;

/// On x86-64 the same calls answer under a second set of numbers, which a deny list must name too.
const X32_BIT: i64 = 0x4000_0000;
/// Some of those calls (execve, ptrace, sendmsg) have numbers of their own there; nobody here uses any.
const X32_OWN: std::ops::RangeInclusive<i64> = 512..=547;

/// Calls that no room needs and attackers do: debugging and reading others, mounting, kernel code,
/// keys of the kernel, clocks, and the two large attack surfaces io_uring and userfaultfd.
const DENIED: &[i64] = &[
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_kcmp,
    libc::SYS_pidfd_getfd,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    libc::SYS_quotactl,
    libc::SYS_acct,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_kexec_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_fanotify_init,
    libc::SYS_move_pages,
    libc::SYS_migrate_pages,
    libc::SYS_reboot,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_syslog,
    libc::SYS_personality,
    libc::SYS_vhangup,
    libc::SYS_lookup_dcookie,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_kexec_file_load,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_modify_ldt,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_uselib,
    #[cfg(target_arch = "x86_64")]
    libc::SYS__sysctl,
];

/// The protocols of the internet that Landlock knows, or that carry names: MPTCP and SCTP would reach the
/// ports that it keeps closed.
const PROTOCOLS: [i32; 3] = [libc::IPPROTO_IP, libc::IPPROTO_TCP, libc::IPPROTO_UDP];
/// Of the rest some (SCTP, DCCP) are chosen by their type alone, with no protocol named.
const OTHER_TYPES: [i32; 5] =
    [libc::SOCK_RAW, libc::SOCK_RDM, libc::SOCK_SEQPACKET, libc::SOCK_DCCP, SOCK_PACKET];
/// Long replaced by the family of that name, and still there.
const SOCK_PACKET: i32 = 10;
/// What is left of a type without its flags (close-on-exec, non-blocking).
const TYPE_MASK: u64 = 0xf;

/// The filter, and how many calls it denies.
pub fn program(jail: &Jail) -> Result<(BpfProgram, usize), JailError> {
    let failed = |error: seccompiler::BackendError| JailError::Seccomp(error.to_string());
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    let mut denied: Vec<i64> = DENIED.to_vec();
    if jail.execute.is_empty() {
        denied.extend([libc::SYS_execve, libc::SYS_execveat]);
    }
    for &call in &denied {
        rules.insert(call, Vec::new());
        if cfg!(target_arch = "x86_64") {
            rules.insert(call | X32_BIT, Vec::new());
        }
    }
    for (call, denied) in [(libc::SYS_socket, sockets(&jail.sockets)?)].into_iter().chain(fast_open()?) {
        if cfg!(target_arch = "x86_64") {
            rules.insert(call | X32_BIT, denied.clone());
        }
        rules.insert(call, denied);
    }
    if cfg!(target_arch = "x86_64") {
        rules.extend(X32_OWN.map(|call| (call | X32_BIT, Vec::new())));
    }
    // A new user namespace would give every capability back, inside it.
    let new_user = libc::CLONE_NEWUSER as u64;
    let condition =
        SeccompCondition::new(0, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(new_user), new_user)
            .map_err(failed)?;
    rules.insert(libc::SYS_clone, vec![SeccompRule::new(vec![condition]).map_err(failed)?]);
    let answer = SeccompAction::Errno(libc::EPERM as u32);
    let arch = std::env::consts::ARCH.try_into().map_err(failed)?;
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, answer, arch).map_err(failed)?;
    Ok((filter.try_into().map_err(failed)?, denied.len()))
}

/// Which sockets are denied: of another family, or of the internet and of another kind.
fn sockets(families: &[Family]) -> Result<Vec<SeccompRule>, JailError> {
    if families.is_empty() {
        // A call without rules is denied whatever its arguments.
        return Ok(Vec::new());
    }
    let numbers = |family: &Family| match family {
        Family::Unix => vec![libc::AF_UNIX],
        Family::Netlink => vec![libc::AF_NETLINK],
        Family::Internet => vec![libc::AF_INET, libc::AF_INET6],
    };
    let allowed: Vec<i32> = families.iter().flat_map(numbers).collect();
    let mut denied = vec![allowed.iter().map(|family| is(0, SeccompCmpOp::Ne, *family)).collect::<Vec<_>>()];
    if families.contains(&Family::Internet) {
        for family in [libc::AF_INET, libc::AF_INET6] {
            let here = || is(0, SeccompCmpOp::Eq, family);
            let others = PROTOCOLS.iter().map(|protocol| is(2, SeccompCmpOp::Ne, *protocol));
            denied.push(std::iter::once(here()).chain(others).collect());
            for kind in OTHER_TYPES {
                denied.push(vec![here(), is(1, SeccompCmpOp::MaskedEq(TYPE_MASK), kind)]);
            }
        }
    }
    denied.into_iter().map(rule).collect()
}

/// Data with the first packet connects without asking Landlock.
fn fast_open() -> Result<Vec<(i64, Vec<SeccompRule>)>, JailError> {
    let calls = [(libc::SYS_sendto, 3), (libc::SYS_sendmsg, 2), (libc::SYS_sendmmsg, 3)];
    let flag = libc::MSG_FASTOPEN;
    let denied =
        |(call, at)| Ok((call, vec![rule(vec![is(at, SeccompCmpOp::MaskedEq(flag as u64), flag)])?]));
    calls.into_iter().map(denied).collect()
}

/// All of the conditions hold.
fn rule(conditions: Vec<Result<SeccompCondition, JailError>>) -> Result<SeccompRule, JailError> {
    let conditions = conditions.into_iter().collect::<Result<_, _>>()?;
    SeccompRule::new(conditions).map_err(|error| JailError::Seccomp(error.to_string()))
}

fn is(argument: u8, compared: SeccompCmpOp, value: i32) -> Result<SeccompCondition, JailError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, compared, value as u64)
        .map_err(|error| JailError::Seccomp(error.to_string()))
}
