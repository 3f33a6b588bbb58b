//! The filter as a program for the kernel: classic BPF over `struct seccomp_data`
//! (`linux/seccomp.h`, seccomp(2)).

use libc::{c_long, sock_filter};
use std::io;

/// `AUDIT_ARCH_...` (`linux/audit.h`): calls are numbered otherwise in others.
#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xc000_00b7;

/// Where `struct seccomp_data` has the call's number, the architecture, and the first
/// argument, of which this reads the half that the kernel uses.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const ARGUMENTS: u32 = 16;

/// `BPF_LD | BPF_W | BPF_ABS`, `BPF_ALU | BPF_AND | BPF_K`, `BPF_JMP | BPF_JEQ | BPF_K`,
/// `BPF_RET | BPF_K`.
const LOAD: u16 = 0x20;
const AND: u16 = 0x54;
const JUMP_IF_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;

/// What an argument must be.
#[derive(Debug, Clone)]
pub(super) enum Check {
    /// One of these.
    Is(Vec<u32>),
    /// With all of these bits.
    Has(u32),
    /// With none of these bits.
    HasNone(u32),
    /// Not with all of these bits.
    HasNotAll(u32),
}

/// What becomes of one call.
#[derive(Debug, Clone)]
pub(super) enum Rule {
    /// Each such call is made.
    Allowed,
    /// Where its arguments, counted from 0, are as they must be.
    Where(Vec<(u32, Check)>),
    /// The C library does without, and tries it first: never an error in itself.
    Missing,
}

/// What becomes of a call that is not allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It fails: with ENOSYS, as in a kernel without it, or with EPERM for its arguments.
    Error,
    /// It ends the process.
    Kill,
}

impl Refusal {
    fn verdict(self, errno: i32) -> u32 {
        match self {
            Self::Error => error(errno),
            Self::Kill => libc::SECCOMP_RET_KILL_PROCESS,
        }
    }
}

fn error(errno: i32) -> u32 {
    libc::SECCOMP_RET_ERRNO | (errno.unsigned_abs() & libc::SECCOMP_RET_DATA)
}

fn statement(code: u16, k: u32) -> sock_filter {
    sock_filter { code, jt: 0, jf: 0, k }
}

/// Goes on with the next instruction, or after so many more.
fn jump_if_equal(k: u32, equal: usize, otherwise: usize) -> sock_filter {
    // What is jumped over is one rule, a few instructions long.
    let distance = |count: usize| u8::try_from(count).unwrap_or(u8::MAX);
    sock_filter { code: JUMP_IF_EQUAL, jt: distance(equal), jf: distance(otherwise), k }
}

/// Writes the program. The kernel remembers which calls are always allowed, and runs it
/// for the others only (since Linux 5.11); before, it runs for each call, in this order.
pub(super) fn program(rules: &[(c_long, Rule)], refusal: Refusal) -> Vec<sock_filter> {
    let mut program = vec![
        statement(LOAD, ARCH),
        jump_if_equal(ARCHITECTURE, 1, 0),
        statement(RETURN, libc::SECCOMP_RET_KILL_PROCESS),
        statement(LOAD, NUMBER),
    ];
    for (call, rule) in rules {
        let Ok(number) = u32::try_from(*call) else { continue };
        let body = body(rule, refusal);
        program.push(jump_if_equal(number, 0, body.len()));
        program.extend(body);
    }
    program.push(statement(RETURN, refusal.verdict(libc::ENOSYS)));
    program
}

/// What is done for one call; it ends in a verdict.
fn body(rule: &Rule, refusal: Refusal) -> Vec<sock_filter> {
    let mut body = Vec::new();
    let verdict = match rule {
        Rule::Missing => error(libc::ENOSYS),
        Rule::Allowed => libc::SECCOMP_RET_ALLOW,
        Rule::Where(checks) => {
            for (argument, check) in checks {
                body.push(statement(LOAD, ARGUMENTS + 8 * argument));
                match check {
                    Check::Is(values) => body.extend(
                        values
                            .iter()
                            .enumerate()
                            .map(|(nth, value)| jump_if_equal(*value, values.len() - nth, 0)),
                    ),
                    Check::Has(bits) => {
                        body.extend([statement(AND, *bits), jump_if_equal(*bits, 1, 0)]);
                    }
                    Check::HasNone(bits) => {
                        body.extend([statement(AND, *bits), jump_if_equal(0, 1, 0)]);
                    }
                    Check::HasNotAll(bits) => {
                        body.extend([statement(AND, *bits), jump_if_equal(*bits, 0, 1)]);
                    }
                }
                body.push(statement(RETURN, refusal.verdict(libc::EPERM)));
            }
            libc::SECCOMP_RET_ALLOW
        }
    };
    body.push(statement(RETURN, verdict));
    body
}

/// Hands the program to the kernel, which logs what it refuses.
pub(super) fn install(program: &[sock_filter]) -> io::Result<()> {
    let length = u16::try_from(program.len()).map_err(io::Error::other)?;
    // The kernel copies it, and writes nothing.
    let program = libc::sock_fprog { len: length, filter: program.as_ptr().cast_mut() };
    #[allow(unsafe_code, reason = "neither std nor rustix has seccomp(2)")]
    // SAFETY: `program` is a `struct sock_fprog` of as many instructions as it says; the
    // kernel only reads both, during this call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            libc::SECCOMP_FILTER_FLAG_LOG,
            &raw const program,
        )
    };
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::calls;
    use super::*;
    use libc::{
        SECCOMP_RET_ALLOW as ALLOW, SECCOMP_RET_KILL_PROCESS as KILL, SYS_bpf, SYS_clone,
        SYS_clone3, SYS_execve, SYS_futex, SYS_init_module, SYS_ioctl, SYS_mmap, SYS_mount,
        SYS_mprotect, SYS_prctl, SYS_prlimit64, SYS_process_vm_readv, SYS_ptrace, SYS_read,
        SYS_setns, SYS_socket, SYS_tgkill, SYS_unshare,
    };

    const PID: u32 = 77;

    /// What the kernel's interpreter says of a call.
    fn verdict(program: &[sock_filter], arch: u32, number: i64, arguments: &[u64]) -> u32 {
        let mut data = [0u8; 64];
        data[..4].copy_from_slice(&u32::try_from(number).unwrap().to_ne_bytes());
        data[4..8].copy_from_slice(&arch.to_ne_bytes());
        for (nth, argument) in arguments.iter().enumerate() {
            data[16 + 8 * nth..][..8].copy_from_slice(&argument.to_ne_bytes());
        }
        let (mut at, mut accumulator) = (0, 0);
        loop {
            let it = program[at];
            at += 1;
            match it.code {
                LOAD => {
                    let field = &data[usize::try_from(it.k).unwrap()..][..4];
                    accumulator = u32::from_ne_bytes(field.try_into().unwrap());
                }
                AND => accumulator &= it.k,
                JUMP_IF_EQUAL => at += usize::from(if accumulator == it.k { it.jt } else { it.jf }),
                RETURN => return it.k,
                other => panic!("{other:#x}"),
            }
        }
    }

    fn ask(refusal: Refusal, number: i64, arguments: &[u64]) -> u32 {
        verdict(&program(&calls::list(PID), refusal), ARCHITECTURE, number, arguments)
    }

    #[test]
    fn what_starts_programs_and_changes_the_system_is_refused_and_ends_it_where_that_is_asked_for()
    {
        for call in [
            SYS_execve,
            SYS_ptrace,
            SYS_mount,
            SYS_bpf,
            SYS_init_module,
            SYS_setns,
            SYS_unshare,
            SYS_process_vm_readv,
        ] {
            assert_eq!(ask(Refusal::Error, call, &[]), error(libc::ENOSYS), "{call}");
            assert_eq!(ask(Refusal::Kill, call, &[]), KILL, "{call}");
        }
        for call in [SYS_read, SYS_futex] {
            assert_eq!(ask(Refusal::Kill, call, &[]), ALLOW, "{call}");
        }
    }

    #[test]
    fn arguments_count_where_they_make_a_call_another_one() {
        let thread = 0x3d_0f00;
        let namespace = thread | 0x4000_0000;
        let (private, read, write, execute) = (0, 1, 2, 4);
        for (call, arguments, allowed) in [
            (SYS_socket, &[1, 1][..], true),
            (SYS_socket, &[2, 1], true),
            (SYS_socket, &[10, 2], true),
            (SYS_socket, &[16, 3], true),
            // AF_PACKET, AF_VSOCK.
            (SYS_socket, &[17, 3], false),
            (SYS_socket, &[40, 1], false),
            (SYS_clone, &[thread], true),
            (SYS_clone, &[namespace], false),
            // A fork.
            (SYS_clone, &[17], false),
            (SYS_mmap, &[0, 4096, read | write, private], true),
            (SYS_mmap, &[0, 4096, read | execute, private], true),
            (SYS_mmap, &[0, 4096, write | execute, private], false),
            (SYS_mprotect, &[0, 4096, read | write], true),
            (SYS_mprotect, &[0, 4096, read | execute], false),
            (SYS_prctl, &[15], true),
            // PR_SET_DUMPABLE, PR_SET_SECCOMP.
            (SYS_prctl, &[4], false),
            (SYS_prctl, &[22], false),
            // FIONBIO, SIOCGIFINDEX; SIOCSIFADDR, TIOCSTI.
            (SYS_ioctl, &[3, 0x5421], true),
            (SYS_ioctl, &[3, 0x8933], true),
            (SYS_ioctl, &[3, 0x8916], false),
            (SYS_ioctl, &[3, 0x5412], false),
            (SYS_tgkill, &[u64::from(PID), 78, 6], true),
            (SYS_tgkill, &[1, 1, 6], false),
            (SYS_prlimit64, &[0, 7], true),
            (SYS_prlimit64, &[1, 7], false),
        ] {
            let refused = [(Refusal::Error, error(libc::EPERM)), (Refusal::Kill, KILL)];
            for (refusal, verdict) in refused {
                let expected = if allowed { ALLOW } else { verdict };
                assert_eq!(ask(refusal, call, arguments), expected, "{call} {arguments:?}");
            }
        }
    }

    #[test]
    fn a_call_that_the_c_library_does_without_is_missing_and_ends_nothing() {
        assert_eq!(ask(Refusal::Kill, SYS_clone3, &[]), error(libc::ENOSYS));
    }

    #[test]
    fn calls_with_the_numbers_of_another_architecture_end_it() {
        // AUDIT_ARCH_I386, in which 11 is execve.
        let program = program(&calls::list(PID), Refusal::Error);
        assert_eq!(verdict(&program, 0x4000_0003, 11, &[]), KILL);
    }

    #[test]
    fn no_call_is_listed_twice_and_no_rule_is_longer_than_a_jump() {
        let mut numbers: Vec<_> = calls::list(PID).iter().map(|(call, _)| *call).collect();
        numbers.sort_unstable();
        assert!(numbers.windows(2).all(|pair| pair[0] != pair[1]), "{numbers:?}");
        for (_, rule) in calls::list(PID) {
            assert!(body(&rule, Refusal::Error).len() < usize::from(u8::MAX));
        }
    }
}
