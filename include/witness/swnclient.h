/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * libswnclient: a client of the SMB witness protocol [MS-SWN]
 *
 * cbindgen writes this file from swnclient-sys/src/ffi: don't edit it.
 */

#ifndef _WITNESS_SWNCLIENT_H
#define _WITNESS_SWNCLIENT_H

#include <stdbool.h>
#include <sys/socket.h>
#include <talloc.h>
#include <tevent.h>

struct loadparm_context;
struct cli_credentials;

/**
 * What a notification is about: which member of its union is valid.
 */
enum swn_notification_type {
    /**
     * A resource came or went: resource_change.
     */
    SWN_NOTIFICATION_RESOURCE_CHANGE = 0,
    /**
     * The client shall reconnect to another address: client_move.
     */
    SWN_NOTIFICATION_CLIENT_MOVE = 1,
    /**
     * The share is served at another address: share_move.
     */
    SWN_NOTIFICATION_SHARE_MOVE = 2,
    /**
     * The server's addresses changed: ip_change.
     */
    SWN_NOTIFICATION_IP_CHANGE = 3,
};

/**
 * The state of a resource.
 */
enum swn_resource_state {
    /**
     * The witness does not know.
     */
    SWN_RESOURCE_STATE_UNKNOWN = 0,
    /**
     * In service.
     */
    SWN_RESOURCE_STATE_AVAILABLE = 1,
    /**
     * Out of service.
     */
    SWN_RESOURCE_STATE_UNAVAILABLE = 2,
};

/**
 * What the witness client keeps: its registrations, and their notifications
 * that were not taken yet.
 *
 * Made by swnc_init_state(), ended by talloc_free(): all registrations end, the
 * requests that are pending on it complete with ECANCELED, and the library's
 * thread ends with the last state of the process.
 */
struct swnc_state;

/**
 * What to be told about.
 *
 * All six members together name a registration; names are compared without
 * regard to case (ASCII). The library copies what it needs: the caller may free
 * it as soon as a _send function has returned.
 */
struct swn_registration_info {
    /**
     * The server's name as it was mounted: NetBIOS or DNS, never an address.
     */
    const char *net_name;
    /**
     * The share's name without the server, or NULL.
     */
    const char *share_name;
    /**
     * The address of the node that serves the share, as text, or NULL. One that is good on
     * one link only (fe80::/10) has its interface behind it: fe80::1%eth0.
     */
    const char *ip_address;
    /**
     * Notify about the state of the net name.
     */
    bool net_name_req;
    /**
     * Notify about moves of the share.
     */
    bool share_name_req;
    /**
     * Notify about changes of the address.
     */
    bool ip_address_req;
};

/**
 * Which resource changed.
 */
struct swn_resource_change {
    /**
     * A net name or an address, as the witness gives it.
     */
    const char *name;
    /**
     * Its state now.
     */
    enum swn_resource_state state;
};

/**
 * Where to.
 */
struct swn_address {
    /**
     * A whole struct sockaddr_storage; the port is 0. An address that is good on one link
     * only has the scope id of the registration's ip_address.
     */
    struct sockaddr_storage *addr;
};

/**
 * What a witness reports. An element of the array that
 * swnc_wait_notification_recv() gives; names and addresses are talloc children
 * of that array.
 */
struct swn_notification {
    /**
     * Which member of the union is valid.
     */
    enum swn_notification_type type;
    __extension__ union {
        struct swn_resource_change resource_change;
        struct swn_address client_move;
        struct swn_address share_move;
        struct swn_address ip_change;
    };
};

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Makes a witness client.
 *
 * Nothing is connected and no thread is started before the first
 * swnc_register_send(), so a daemon may fork until then.
 *
 * @param[in] mem_ctx  The talloc parent of the state, or NULL.
 * @param[in] lp_ctx   Samba's configuration, or NULL. It is not kept.
 * @param[out] out     The state; talloc_free() ends it.
 *
 * @return 0, or EINVAL where out is NULL, ENOMEM, ENOTRECOVERABLE in a process
 *         that was forked while the library's thread was running.
 */
int swnc_init_state(TALLOC_CTX *mem_ctx,
                    struct loadparm_context *lp_ctx,
                    struct swnc_state **out);

/**
 * Sets the function that log lines are given to, for the whole process.
 *
 * It is called on a thread that runs a tevent context with requests of this
 * library, from within tevent_loop_once(), and never from within a function of
 * this library. A message is one line without a line feed; it has no bare %, so
 * that it may be used as a format string; it never has a password, a hash or a
 * key.
 *
 * @param[in] private_data  Passed to the callback.
 * @param[in] level         The highest level that is wanted, as Samba counts:
 *                          0 error, 1 warning, 2 and 3 notice, 4 and 5 info,
 *                          10 debug.
 * @param[in] cb            The callback, or NULL for none.
 *
 * @return 0, or ENOTRECOVERABLE as with swnc_init_state().
 */
int swnc_set_debug_callback(void *private_data,
                            int level,
                            void (*cb)(void *private_data,
                                       int level,
                                       const char *msg));

/**
 * Registers for notifications.
 *
 * The request completes on ev once a witness has accepted the registration, or
 * the first attempt has failed. After that the library keeps the registration
 * up by itself: it chooses another witness where one is lost. The credentials
 * and the configuration are read before this function returns.
 *
 * Freeing or cancelling the request before it has completed takes the
 * registration back.
 *
 * @param[in] mem_ctx  The talloc parent of the request.
 * @param[in] ev       The tevent context that completes the request.
 * @param[in] lp_ctx   Samba's configuration, or NULL. "netbios name" is what
 *                     administrators of the cluster see; where smb.conf does
 *                     not set it, the host's full name is.
 * @param[in] state    The witness client.
 * @param[in] creds    What to authenticate with. NTLM, unless its Kerberos
 *                     state is CRED_USE_KERBEROS_REQUIRED, or it has no
 *                     password and the state is not CRED_USE_KERBEROS_DISABLED.
 *                     Kerberos takes its tickets from the cache that creds
 *                     name (cli_credentials_set_ccache), then gets them with
 *                     the user's password; without either it takes them from
 *                     the process's default cache. Samba names a cache only
 *                     while it has a valid ticket.
 * @param[in] info     What to be told about.
 *
 * @return The request; NULL where memory is short, or ev is NULL.
 */
struct tevent_req *swnc_register_send(TALLOC_CTX *mem_ctx,
                                      struct tevent_context *ev,
                                      struct loadparm_context *lp_ctx,
                                      struct swnc_state *state,
                                      struct cli_credentials *creds,
                                      struct swn_registration_info *info);

/**
 * The result of swnc_register_send().
 *
 * @param[in] req  The request, after it has completed.
 *
 * @return 0: the witness has accepted the registration.
 *         EEXIST: it exists already, or another request has just made it.
 *         EINVAL: an argument was NULL, net_name is missing or an address,
 *         ip_address is not an address, or req has not completed.
 *         EACCES: the server refuses the credentials, or nothing can be done
 *         with them.
 *         ECONNREFUSED, EHOSTUNREACH, ETIMEDOUT: the server can't be reached.
 *         ENOTSUP: no node of the cluster offers a witness.
 *         EPROTO: the server's answer can't be understood.
 *         ECANCELED: the request was cancelled, unregistered, or its state freed.
 *         ENOMEM, EFAULT (a bug; the log has a line), ENOTRECOVERABLE as with
 *         swnc_init_state().
 */
int swnc_register_recv(struct tevent_req *req);

/**
 * Waits for notifications of a registration.
 *
 * The request completes on ev as soon as there is one. What arrives while no
 * request waits is kept for the next one. A lost witness connection is no
 * error: the library registers again.
 *
 * @param[in] mem_ctx  The talloc parent of the request.
 * @param[in] ev       The tevent context that completes the request.
 * @param[in] state    The witness client.
 * @param[in] info     The registration.
 *
 * @return The request; NULL where memory is short, or ev is NULL.
 */
struct tevent_req *swnc_wait_notification_send(TALLOC_CTX *mem_ctx,
                                               struct tevent_context *ev,
                                               struct swnc_state *state,
                                               struct swn_registration_info *info);

/**
 * The result of swnc_wait_notification_send().
 *
 * @param[in] req      The request, after it has completed.
 * @param[in] mem_ctx  The talloc parent of the array, or NULL.
 * @param[out] out     One or more notifications in the order received, as a
 *                     talloc array: talloc_array_length() counts them. The
 *                     caller frees it.
 *
 * @return 0.
 *         ENOENT: there is no such registration.
 *         EBUSY: another request waits for it.
 *         ECANCELED: the request was cancelled, the registration was
 *         unregistered, or the state freed.
 *         Any error of swnc_register_recv(): the registration was given up
 *         because of it; register again.
 *         EINVAL, ENOMEM, EFAULT, ENOTRECOVERABLE as there. No notification is
 *         lost by any of them.
 */
int swnc_wait_notification_recv(struct tevent_req *req,
                                TALLOC_CTX *mem_ctx,
                                struct swn_notification **out);

/**
 * Ends a registration.
 *
 * A request that waits for it completes with ECANCELED first. The registration
 * ends also where this request is freed or cancelled.
 *
 * @param[in] mem_ctx  The talloc parent of the request.
 * @param[in] ev       The tevent context that completes the request.
 * @param[in] state    The witness client.
 * @param[in] info     The registration.
 *
 * @return The request; NULL where memory is short, or ev is NULL.
 */
struct tevent_req *swnc_unregister_send(TALLOC_CTX *mem_ctx,
                                        struct tevent_context *ev,
                                        struct swnc_state *state,
                                        struct swn_registration_info *info);

/**
 * The result of swnc_unregister_send().
 *
 * @param[in] req  The request, after it has completed.
 *
 * @return 0, also where the server is gone.
 *         ENOENT: there is no such registration.
 *         EINVAL, ECANCELED, ENOMEM, EFAULT, ENOTRECOVERABLE as with
 *         swnc_register_recv().
 */
int swnc_unregister_recv(struct tevent_req *req);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* _WITNESS_SWNCLIENT_H */
