//! The Win32 error codes that witness calls return ([MS-SWN] 2.2.3, [MS-ERREF] 2.2).

use dcerpc_proto::ResponseError;

/// The return value of a witness call.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Status(pub u32);

macro_rules! statuses {
    ($($name:ident = $value:literal, $field:literal, $advice:literal;)*) => {
        impl Status {
            $(#[doc = concat!($field, ": ", $advice, ".")] pub const $name: Self = Self($value);)*

            /// Those that have a name.
            pub const NAMED: &[Self] = &[$(Self::$name),*];

            /// The name [MS-ERREF] gives the code.
            pub fn name(self) -> Option<&'static str> {
                match self { $(Self::$name => Some($field),)* _ => None }
            }

            /// What it means here and what to do about it.
            pub fn advice(self) -> &'static str {
                match self {
                    $(Self::$name => $advice,)*
                    _ => "see [MS-ERREF] and the server's log",
                }
            }
        }
    };
}

statuses! {
    SUCCESS = 0, "ERROR_SUCCESS", "done";
    ACCESS_DENIED = 5, "ERROR_ACCESS_DENIED",
        "the server refuses this user; check user, password and domain of the mount";
    NOT_ENOUGH_MEMORY = 8, "ERROR_NOT_ENOUGH_MEMORY", "the server is out of memory";
    OUTOFMEMORY = 14, "ERROR_OUTOFMEMORY", "the server is out of memory";
    INVALID_PARAMETER = 87, "ERROR_INVALID_PARAMETER",
        "the server does not know itself by this name; mount by the cluster's own name";
    CALL_NOT_IMPLEMENTED = 120, "ERROR_CALL_NOT_IMPLEMENTED",
        "the server does not offer this call";
    ALREADY_EXISTS = 183, "ERROR_ALREADY_EXISTS",
        "the witness has this registration already, and drops it when it goes unused";
    NO_MORE_ITEMS = 259, "ERROR_NO_MORE_ITEMS", "the server has no interface to name";
    MAX_SESSIONS_REACHED = 353, "ERROR_MAX_SESSIONS_REACHED",
        "the witness has as many registrations as it takes";
    NOT_FOUND = 1168, "ERROR_NOT_FOUND", "the witness does not know the registration any more";
    NOT_AUTHENTICATED = 1244, "ERROR_NOT_AUTHENTICATED",
        "the server wants another way to authenticate; see the server's log";
    REVISION_MISMATCH = 1306, "ERROR_REVISION_MISMATCH",
        "the server speaks another version of the witness protocol";
    NO_SYSTEM_RESOURCES = 1450, "ERROR_NO_SYSTEM_RESOURCES",
        "the server has no resources left";
    TIMEOUT = 1460, "ERROR_TIMEOUT", "nothing new; ask again";
    INVALID_STATE = 5023, "ERROR_INVALID_STATE",
        "the server does not serve this address, or no share of a cluster; \
         mount a continuously available share by the cluster's name";
}

impl Status {
    /// Returns the status as an error, unless it is success.
    pub(super) fn into_result(self) -> Result<(), ResponseError<Self>> {
        match self {
            Self::SUCCESS => Ok(()),
            status => Err(ResponseError::Status(status)),
        }
    }
}

impl std::error::Error for Status {}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({}): {}", self.name().unwrap_or("error"), self.0, self.advice())
    }
}

impl std::fmt::Debug for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.name().unwrap_or("error"), self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Status;

    #[test]
    fn a_code_that_a_server_may_return_is_named_with_what_it_means() {
        for (code, name) in [
            (14, "ERROR_OUTOFMEMORY"),
            (183, "ERROR_ALREADY_EXISTS"),
            (259, "ERROR_NO_MORE_ITEMS"),
            (1244, "ERROR_NOT_AUTHENTICATED"),
            (1450, "ERROR_NO_SYSTEM_RESOURCES"),
        ] {
            let text = Status(code).to_string();
            assert!(text.starts_with(&format!("{name} ({code}): the ")), "{text}");
        }
        assert!(Status(9).to_string().starts_with("error (9): "));
    }
}
