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
    if let Some(families) = &jail.sockets {
        let other = |family: &Family| {
            let number = match family {
                Family::Unix => libc::AF_UNIX,
                Family::Netlink => libc::AF_NETLINK,
            };
            SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, number as u64).map_err(failed)
        };
        // Denied when it is none of these; without any, always.
        let others: Vec<SeccompCondition> = families.iter().map(other).collect::<Result<_, _>>()?;
        let rule =
            if others.is_empty() { Vec::new() } else { vec![SeccompRule::new(others).map_err(failed)?] };
        rules.insert(libc::SYS_socket, rule);
        if cfg!(target_arch = "x86_64") {
            rules.insert(libc::SYS_socket | X32_BIT, Vec::new());
        }
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
