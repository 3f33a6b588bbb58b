//! The eight entry points. cbindgen writes the header from here.

use super::abi::{
    TALLOC_CTX, cli_credentials, loadparm_context, swn_notification, swn_registration_info,
    swnc_state, tevent_context, tevent_req,
};
use super::guard::{argument, entry};
use super::request::{self, Kind};
use super::{convert, credentials, debug_callback, state};
use libc::{c_char, c_int, c_void};

entry! {
    /// Makes a witness client.
    ///
    /// Nothing is connected and no thread is started before the first
    /// swnc_register_send(), so a daemon may fork until then.
    ///
    /// @param[in] mem_ctx  The talloc parent of the state, or NULL.
    /// @param[in] lp_ctx   Samba's configuration, or NULL. It is not kept.
    /// @param[out] out     The state; talloc_free() ends it.
    ///
    /// @return 0, or EINVAL where out is NULL, ENOMEM, ENOTRECOVERABLE in a process
    ///         that was forked while the library's thread was running.
    fn swnc_init_state(
        mem_ctx: *mut TALLOC_CTX,
        lp_ctx: *mut loadparm_context,
        out: *mut *mut swnc_state,
    ) -> c_int {
        let _ = lp_ctx;
        let mut out = argument(out)?;
        *out.as_mut() = state::new(mem_ctx)?.as_ptr();
        Ok(())
    }

    /// Sets the function that log lines are given to, for the whole process.
    ///
    /// It is called on a thread that runs a tevent context with requests of this
    /// library, from within tevent_loop_once(), and never from within a function of
    /// this library. A message is one line without a line feed; it has no bare %, so
    /// that it may be used as a format string; it never has a password, a hash or a
    /// key.
    ///
    /// @param[in] private_data  Passed to the callback.
    /// @param[in] level         The highest level that is wanted, as Samba counts:
    ///                          0 error, 1 warning, 2 and 3 notice, 4 and 5 info,
    ///                          10 debug.
    /// @param[in] cb            The callback, or NULL for none.
    ///
    /// @return 0, or ENOTRECOVERABLE as with swnc_init_state().
    fn swnc_set_debug_callback(
        private_data: *mut c_void,
        level: c_int,
        cb: Option<unsafe extern "C" fn(private_data: *mut c_void, level: c_int, msg: *const c_char)>,
    ) -> c_int {
        debug_callback::set(cb, private_data, level);
        Ok(())
    }

    /// Registers for notifications.
    ///
    /// The request completes on ev once a witness has accepted the registration, or
    /// the first attempt has failed. After that the library keeps the registration
    /// up by itself: it chooses another witness where one is lost. The credentials
    /// and the configuration are read before this function returns.
    ///
    /// Freeing or cancelling the request before it has completed takes the
    /// registration back.
    ///
    /// @param[in] mem_ctx  The talloc parent of the request.
    /// @param[in] ev       The tevent context that completes the request.
    /// @param[in] lp_ctx   Samba's configuration, or NULL. "netbios name" is what
    ///                     administrators of the cluster see; where smb.conf does
    ///                     not set it, the host's full name is.
    /// @param[in] state    The witness client.
    /// @param[in] creds    What to authenticate with. NTLM, unless its Kerberos
    ///                     state is CRED_USE_KERBEROS_REQUIRED, or it has no
    ///                     password and the state is not CRED_USE_KERBEROS_DISABLED.
    ///                     Kerberos takes its tickets from the cache that creds
    ///                     name (cli_credentials_set_ccache), then gets them with
    ///                     the user's password; without either it takes them from
    ///                     the process's default cache. Samba names a cache only
    ///                     while it has a valid ticket.
    /// @param[in] info     What to be told about.
    ///
    /// @return The request; NULL where memory is short, or ev is NULL.
    fn swnc_register_send(
        mem_ctx: *mut TALLOC_CTX,
        ev: *mut tevent_context,
        lp_ctx: *mut loadparm_context,
        state: *mut swnc_state,
        creds: *mut cli_credentials,
        info: *mut swn_registration_info,
    ) -> *mut tevent_req {
        request::send(Kind::REGISTER, mem_ctx, ev, state, info, |client, info, waker| {
            let credentials = credentials::read(creds)?;
            let client_name = || credentials::netbios_name(creds, lp_ctx);
            client.register(info, credentials, client_name, waker)
        })
    }

    /// The result of swnc_register_send().
    ///
    /// @param[in] req  The request, after it has completed.
    ///
    /// @return 0: the witness has accepted the registration.
    ///         EEXIST: it exists already, or another request has just made it.
    ///         EINVAL: an argument was NULL, net_name is missing or an address,
    ///         ip_address is not an address, or req has not completed.
    ///         EACCES: the server refuses the credentials, or nothing can be done
    ///         with them.
    ///         ECONNREFUSED, EHOSTUNREACH, ETIMEDOUT: the server can't be reached.
    ///         ENOTSUP: no node of the cluster offers a witness.
    ///         EPROTO: the server's answer can't be understood.
    ///         ECANCELED: the request was cancelled, unregistered, or its state freed.
    ///         ENOMEM, EFAULT (a bug; the log has a line), ENOTRECOVERABLE as with
    ///         swnc_init_state().
    fn swnc_register_recv(req: *mut tevent_req) -> c_int {
        request::receive(req, Kind::REGISTER, |_, _| Ok(()))
    }

    /// Waits for notifications of a registration.
    ///
    /// The request completes on ev as soon as there is one. What arrives while no
    /// request waits is kept for the next one. A lost witness connection is no
    /// error: the library registers again.
    ///
    /// @param[in] mem_ctx  The talloc parent of the request.
    /// @param[in] ev       The tevent context that completes the request.
    /// @param[in] state    The witness client.
    /// @param[in] info     The registration.
    ///
    /// @return The request; NULL where memory is short, or ev is NULL.
    fn swnc_wait_notification_send(
        mem_ctx: *mut TALLOC_CTX,
        ev: *mut tevent_context,
        state: *mut swnc_state,
        info: *mut swn_registration_info,
    ) -> *mut tevent_req {
        request::send(Kind::WAIT, mem_ctx, ev, state, info, |client, info, waker| {
            client.wait(info, waker)
        })
    }

    /// The result of swnc_wait_notification_send().
    ///
    /// @param[in] req      The request, after it has completed.
    /// @param[in] mem_ctx  The talloc parent of the array, or NULL.
    /// @param[out] out     One or more notifications in the order received, as a
    ///                     talloc array: talloc_array_length() counts them. The
    ///                     caller frees it.
    ///
    /// @return 0.
    ///         ENOENT: there is no such registration.
    ///         EBUSY: another request waits for it.
    ///         ECANCELED: the request was cancelled, the registration was
    ///         unregistered, or the state freed.
    ///         Any error of swnc_register_recv(): the registration was given up
    ///         because of it; register again.
    ///         EINVAL, ENOMEM, EFAULT, ENOTRECOVERABLE as there. No notification is
    ///         lost by any of them.
    fn swnc_wait_notification_recv(
        req: *mut tevent_req,
        mem_ctx: *mut TALLOC_CTX,
        out: *mut *mut swn_notification,
    ) -> c_int {
        request::receive(req, Kind::WAIT, |info, batch| {
            let mut out = argument(out)?;
            *out.as_mut() = convert::notification_array(mem_ctx, info, batch)?.as_ptr();
            Ok(())
        })
    }

    /// Ends a registration.
    ///
    /// A request that waits for it completes with ECANCELED first. The registration
    /// ends also where this request is freed or cancelled.
    ///
    /// @param[in] mem_ctx  The talloc parent of the request.
    /// @param[in] ev       The tevent context that completes the request.
    /// @param[in] state    The witness client.
    /// @param[in] info     The registration.
    ///
    /// @return The request; NULL where memory is short, or ev is NULL.
    fn swnc_unregister_send(
        mem_ctx: *mut TALLOC_CTX,
        ev: *mut tevent_context,
        state: *mut swnc_state,
        info: *mut swn_registration_info,
    ) -> *mut tevent_req {
        request::send(Kind::UNREGISTER, mem_ctx, ev, state, info, |client, info, waker| {
            client.unregister(info, waker)
        })
    }

    /// The result of swnc_unregister_send().
    ///
    /// @param[in] req  The request, after it has completed.
    ///
    /// @return 0, also where the server is gone.
    ///         ENOENT: there is no such registration.
    ///         EINVAL, ECANCELED, ENOMEM, EFAULT, ENOTRECOVERABLE as with
    ///         swnc_register_recv().
    fn swnc_unregister_recv(req: *mut tevent_req) -> c_int {
        request::receive(req, Kind::UNREGISTER, |_, _| Ok(()))
    }
}
