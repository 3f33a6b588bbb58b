//! Finds the system's GSSAPI, where Kerberos is wanted.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // Nothing is linked on docs.rs.
    #[cfg(feature = "kerberos")]
    if std::env::var_os("DOCS_RS").is_none() {
        // 1.12: gss_get_mic_iov_length.
        for library in ["krb5-gssapi", "krb5"] {
            if let Err(error) = pkg_config::Config::new().atleast_version("1.12").probe(library) {
                eprintln!(
                    "MIT Kerberos is missing (Debian: libkrb5-dev, Fedora: krb5-devel); to build \
                     without Kerberos, leave out the feature kerberos\n{error}"
                );
                std::process::exit(1);
            }
        }
    }
}
