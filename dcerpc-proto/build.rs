//! Finds the system's GSSAPI, where Kerberos is wanted.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    #[cfg(feature = "kerberos")]
    {
        // 1.12: gss_get_mic_iov_length.
        for library in ["krb5-gssapi", "krb5"] {
            if let Err(error) = pkg_config::Config::new().atleast_version("1.12").probe(library) {
                eprintln!(
                    "MIT Kerberos is missing (Debian: libkrb5-dev, Fedora: krb5-devel); to build \
                     without Kerberos, use --no-default-features\n{error}"
                );
                std::process::exit(1);
            }
        }
    }
}
