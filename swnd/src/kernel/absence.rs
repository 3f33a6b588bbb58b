//! Why the kernel has no family `cifs`.

use std::fs;
use std::path::Path;

/// Why there is no family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absence {
    /// The module is not loaded.
    Module,
    /// The module is there, and was built without `CONFIG_CIFS_SWN_UPCALL`.
    Option,
    /// The kernel offers the family in the initial network namespace only, which this
    /// one is not.
    Namespace,
}

impl Absence {
    /// Looks why this process sees no family.
    pub fn find() -> Self {
        Self::find_in(Path::new("/proc"))
    }

    fn find_in(proc: &Path) -> Self {
        let core = proc.join("sys/net/core");
        // The initial namespace alone has this one.
        if core.exists() && !core.join("netdev_max_backlog").exists() {
            return Self::Namespace;
        }
        // The module registers its file system after its family, and takes it back
        // before.
        let filesystems = fs::read_to_string(proc.join("filesystems")).unwrap_or_default();
        match filesystems.lines().any(|line| line.split_whitespace().next_back() == Some("cifs")) {
            true => Self::Option,
            false => Self::Module,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics fails, which is what it is for")]
mod tests {
    use super::*;

    /// A `/proc` with these files, removed at the end.
    struct Proc(std::path::PathBuf);

    impl Proc {
        fn with(name: &str, filesystems: &str, sysctls: &[&str]) -> Self {
            let path = std::env::temp_dir().join(format!("swnd-{name}-{}", std::process::id()));
            fs::create_dir_all(path.join("sys/net/core")).unwrap();
            fs::write(path.join("filesystems"), filesystems).unwrap();
            for sysctl in sysctls {
                fs::write(path.join("sys/net/core").join(sysctl), "1000\n").unwrap();
            }
            Self(path)
        }
    }

    impl Drop for Proc {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_kernel_without_the_file_system_waits_for_its_module() {
        let proc = Proc::with("module", "nodev\tsysfs\n\text4\n", &["netdev_max_backlog"]);
        assert_eq!(Absence::find_in(&proc.0), Absence::Module);
        assert_eq!(Absence::find_in(Path::new("/no/proc")), Absence::Module);
    }

    #[test]
    fn a_module_without_the_family_lacks_the_option() {
        for smb3 in ["nodev\tcifs\nnodev\tsmb3\n", "nodev\tsysfs\nnodev\tcifs"] {
            let proc = Proc::with("option", smb3, &["netdev_max_backlog"]);
            assert_eq!(Absence::find_in(&proc.0), Absence::Option, "{smb3}");
        }
    }

    #[test]
    fn another_network_namespace_has_no_family_whatever_is_loaded() {
        let proc = Proc::with("namespace", "nodev\tcifs\n", &["somaxconn"]);
        assert_eq!(Absence::find_in(&proc.0), Absence::Namespace);
    }
}
