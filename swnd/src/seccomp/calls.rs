//! The list: what swnd and the libraries under it call, the C library, GSSAPI and its
//! credential caches, and the modules of nsswitch.conf(5). What swnd itself needs is held
//! to it by the tests that start it with `--seccomp kill`.

use super::program::{Check, Rule};
use libc::c_long;

/// `CLONE_THREAD`, and all `CLONE_NEW...`.
const THREAD: u32 = 0x0001_0000;
const NAMESPACES: u32 = 0x7e02_0080;
const WRITE_AND_EXECUTE: u32 = 2 | 4;
const EXECUTE: u32 = 4;
/// `AF_UNIX`, `AF_INET`, `AF_INET6`, `AF_NETLINK`.
const FAMILIES: [u32; 4] = [1, 2, 10, 16];
/// `PR_SET_NAME`, `PR_GET_NAME`, `PR_CAPBSET_READ`, and `PR_SET_VMA`, by which the C
/// library names its memory.
const PRCTL: [u32; 4] = [15, 16, 23, 0x5356_4d41];
/// `TCGETS`, `TIOCGWINSZ`, `FIONREAD`, `FIONBIO`, `FIONCLEX`, `FIOCLEX`; and what an
/// interface is: `SIOCGIFNAME`, `CONF`, `FLAGS`, `ADDR`, `NETMASK`, `MTU`, `INDEX`.
const IOCTL: [u32; 13] = [
    0x5401, 0x5413, 0x541b, 0x5421, 0x5450, 0x5451, 0x8910, 0x8912, 0x8913, 0x8915, 0x891b, 0x8921,
    0x8933,
];

/// Those of each turn first.
const EVENTS: &[c_long] = &[
    libc::SYS_epoll_pwait,
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_recvfrom,
    libc::SYS_sendto,
    libc::SYS_futex,
    libc::SYS_recvmsg,
    libc::SYS_sendmsg,
    libc::SYS_writev,
    libc::SYS_readv,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_create1,
    libc::SYS_eventfd2,
    libc::SYS_ppoll,
    libc::SYS_pselect6,
];

const SOCKETS: &[c_long] = &[
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_bind,
    libc::SYS_connect,
    libc::SYS_getpeername,
    libc::SYS_getsockname,
    libc::SYS_getsockopt,
    libc::SYS_listen,
    libc::SYS_recvmmsg,
    libc::SYS_sendmmsg,
    libc::SYS_setsockopt,
    libc::SYS_shutdown,
];

/// Directories and permissions for the control socket, locks and lengths for credential
/// caches, a file in memory for a long line to the journal.
const FILES: &[c_long] = &[
    libc::SYS_close,
    libc::SYS_close_range,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_fcntl,
    libc::SYS_fdatasync,
    libc::SYS_flock,
    libc::SYS_fstat,
    libc::SYS_fstatfs,
    libc::SYS_fsync,
    libc::SYS_ftruncate,
    libc::SYS_getcwd,
    libc::SYS_getdents64,
    libc::SYS_lseek,
    libc::SYS_memfd_create,
    libc::SYS_mkdirat,
    libc::SYS_newfstatat,
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_pipe2,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_readlinkat,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_statfs,
    libc::SYS_statx,
    libc::SYS_umask,
    libc::SYS_unlinkat,
];

const MEMORY: &[c_long] = &[
    libc::SYS_brk,
    libc::SYS_madvise,
    libc::SYS_membarrier,
    libc::SYS_mlock,
    libc::SYS_mremap,
    libc::SYS_munlock,
    libc::SYS_munmap,
];

const THREADS_SIGNALS_TIME: &[c_long] = &[
    libc::SYS_clock_getres,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_getcpu,
    libc::SYS_gettimeofday,
    libc::SYS_nanosleep,
    libc::SYS_restart_syscall,
    libc::SYS_rseq,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigpending,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_set_robust_list,
    libc::SYS_sigaltstack,
];

const IDENTITY: &[c_long] = &[
    libc::SYS_capget,
    libc::SYS_getegid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getgroups,
    libc::SYS_getpgid,
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_getrandom,
    libc::SYS_getresgid,
    libc::SYS_getresuid,
    libc::SYS_getrusage,
    libc::SYS_getsid,
    libc::SYS_gettid,
    libc::SYS_getuid,
    libc::SYS_sysinfo,
    libc::SYS_uname,
];

/// Credential caches in the kernel's keyring.
#[cfg(feature = "kerberos")]
const KEYRING: &[c_long] = &[libc::SYS_add_key, libc::SYS_keyctl, libc::SYS_request_key];
#[cfg(not(feature = "kerberos"))]
const KEYRING: &[c_long] = &[];

/// What newer architectures have no more.
#[cfg(target_arch = "x86_64")]
const OLD: &[c_long] = &[
    libc::SYS_epoll_wait,
    libc::SYS_poll,
    libc::SYS_select,
    libc::SYS_access,
    libc::SYS_chmod,
    libc::SYS_dup2,
    libc::SYS_getpgrp,
    libc::SYS_getrlimit,
    libc::SYS_lstat,
    libc::SYS_mkdir,
    libc::SYS_open,
    libc::SYS_pipe,
    libc::SYS_readlink,
    libc::SYS_rename,
    libc::SYS_rmdir,
    libc::SYS_stat,
    libc::SYS_time,
    libc::SYS_unlink,
];
#[cfg(not(target_arch = "x86_64"))]
const OLD: &[c_long] = &[];

/// Returns what becomes of each call; those that are not listed are refused. `pid` is
/// this process, which may signal itself only.
pub(super) fn list(pid: u32) -> Vec<(c_long, Rule)> {
    let allowed =
        [EVENTS, OLD, SOCKETS, MEMORY, THREADS_SIGNALS_TIME, FILES, IDENTITY, KEYRING].concat();
    let mut list: Vec<_> = allowed.into_iter().map(|call| (call, Rule::Allowed)).collect();
    let mut only = |call, checks: &[(u32, Check)]| list.push((call, Rule::Where(checks.into())));
    only(libc::SYS_socket, &[(0, Check::Is(FAMILIES.into()))]);
    only(libc::SYS_socketpair, &[(0, Check::Is(FAMILIES.into()))]);
    only(libc::SYS_mmap, &[(2, Check::HasNotAll(WRITE_AND_EXECUTE))]);
    only(libc::SYS_mprotect, &[(2, Check::HasNone(EXECUTE))]);
    // Threads, and neither processes nor namespaces.
    only(libc::SYS_clone, &[(0, Check::Has(THREAD)), (0, Check::HasNone(NAMESPACES))]);
    only(libc::SYS_prctl, &[(0, Check::Is(PRCTL.into()))]);
    only(libc::SYS_ioctl, &[(1, Check::Is(IOCTL.into()))]);
    // abort(3).
    only(libc::SYS_tgkill, &[(0, Check::Is(vec![pid]))]);
    only(libc::SYS_prlimit64, &[(0, Check::Is(vec![0]))]);
    // Its flags are in memory, where no filter sees them: the C library takes clone then.
    list.push((libc::SYS_clone3, Rule::Missing));
    list
}
