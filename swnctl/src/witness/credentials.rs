//! What `interfaces` and `watch` authenticate with. A password is never an argument:
//! every user sees those.

use crate::options::Authentication;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use swnclient::{Credentials, KerberosCredentials, NtlmCredentials};
use swnd::account::{self, Account};
use zeroize::Zeroizing;

/// How long a password may be, in bytes.
const LENGTH_MAX: u64 = 16 << 10;

/// Returns the credentials that the options name, and asks for a password where one is
/// needed.
///
/// # Errors
/// What is missing, or can't be read.
pub(crate) fn get(options: &Authentication) -> Result<Credentials, String> {
    if let Some(path) = &options.credentials {
        let text = account::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let account = Account::parse(&text);
        let user = account.user.ok_or_else(|| format!("{}: no username=", path.display()))?;
        let password = match account.password {
            Some(password) => password,
            None => password(&user)?,
        };
        return Ok(ntlm(&user, account.domain.as_deref(), &password));
    }
    if let Some(user) = &options.user {
        return Ok(ntlm(user, None, &password(user)?));
    }
    if !cfg!(feature = "kerberos") {
        return Err("give --credentials or --user; this swnctl was built without Kerberos".into());
    }
    let keytab = options.keytab.as_deref();
    let keytab =
        keytab.map(|path| KerberosCredentials::from_keytab(path, options.principal.as_deref()));
    let cache = options.ccache.as_deref().map(KerberosCredentials::from_cache);
    Ok(Credentials::Kerberos(match (cache, keytab) {
        (Some(cache), Some(keytab)) => cache.or(keytab),
        (Some(only), None) | (None, Some(only)) => only,
        (None, None) => KerberosCredentials::from_environment(),
    }))
}

fn ntlm(user: &str, domain: Option<&str>, password: &str) -> Credentials {
    let (of_user, name) = match user.split_once(['\\', '/']) {
        Some((domain, name)) => (Some(domain), name),
        None => (None, user),
    };
    let domain = domain.or(of_user).unwrap_or_default();
    Credentials::Ntlm(NtlmCredentials::from_password(name, domain, password))
}

/// Returns a user's password: from the descriptor that PASSWD_FD names, else from the
/// terminal.
fn password(user: &str) -> Result<Zeroizing<String>, String> {
    if let Ok(descriptor) = std::env::var("PASSWD_FD") {
        let number: u32 =
            descriptor.parse().map_err(|_| format!("PASSWD_FD: {descriptor:?} is no number"))?;
        let file = File::open(format!("/proc/self/fd/{number}"));
        return file.and_then(first_line).map_err(|error| format!("PASSWD_FD: {error}"));
    }
    let terminal = OpenOptions::new().read(true).write(true).open("/dev/tty");
    terminal
        .and_then(|terminal| ask(&terminal, user))
        .map_err(|error| format!("no terminal to ask for a password ({error}): give --credentials"))
}

fn first_line(file: File) -> io::Result<Zeroizing<String>> {
    let mut line = Zeroizing::new(String::with_capacity(512));
    BufReader::new(file.take(LENGTH_MAX)).read_line(&mut line)?;
    let length = line.trim_end_matches(['\r', '\n']).len();
    line.truncate(length);
    Ok(line)
}

fn ask(mut terminal: &File, user: &str) -> io::Result<Zeroizing<String>> {
    let before = tcgetattr(terminal)?;
    let mut silent = before.clone();
    silent.local_modes.remove(LocalModes::ECHO);
    silent.local_modes.insert(LocalModes::ECHONL | LocalModes::ICANON);
    tcsetattr(terminal, OptionalActions::Flush, &silent)?;
    let asked = write!(terminal, "Password of {user}: ");
    let answer = asked.and_then(|()| terminal.try_clone()).and_then(first_line);
    tcsetattr(terminal, OptionalActions::Flush, &before)?;
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_may_name_the_domain() {
        for user in [r"EXAMPLE\alice", "EXAMPLE/alice"] {
            assert_eq!(ntlm(user, None, "secret"), ntlm("alice", Some("EXAMPLE"), "secret"));
        }
    }
}
