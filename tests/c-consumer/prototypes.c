/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What swnclient-sys/src/ffi/bindings.rs says of the functions that it calls,
 * once more in C: the compiler compares it with the headers of the system.
 */

#include <talloc.h>
#include <tevent.h>
#include <credentials.h>
#include <gen_ndr/samr.h>

#define SAME(function, ...) \
	_Static_assert(__builtin_types_compatible_p( \
		__typeof__(&function), __VA_ARGS__), #function)

SAME(_talloc_zero, void *(*)(const void *, size_t, const char *));
SAME(_talloc_zero_array, void *(*)(const void *, size_t, unsigned, const char *));
SAME(_talloc_free, int (*)(void *, const char *));
SAME(_talloc_set_destructor, void (*)(const void *, int (*)(void *)));
SAME(talloc_strndup, char *(*)(const void *, const char *, size_t));
SAME(talloc_check_name, void *(*)(const void *, const char *));

SAME(_tevent_create_immediate, struct tevent_immediate *(*)(TALLOC_CTX *, const char *));
SAME(_tevent_schedule_immediate,
     void (*)(struct tevent_immediate *, struct tevent_context *,
	      tevent_immediate_handler_t, void *, const char *, const char *));
SAME(_tevent_add_fd,
     struct tevent_fd *(*)(struct tevent_context *, TALLOC_CTX *, int, uint16_t,
			   tevent_fd_handler_t, void *, const char *, const char *));
SAME(tevent_fd_set_flags, void (*)(struct tevent_fd *, uint16_t));

SAME(_tevent_req_create,
     struct tevent_req *(*)(TALLOC_CTX *, void *, size_t, const char *, const char *));
SAME(_tevent_req_data, void *(*)(struct tevent_req *));
SAME(_tevent_req_done, void (*)(struct tevent_req *, const char *));
SAME(_tevent_req_error, bool (*)(struct tevent_req *, uint64_t, const char *));
SAME(_tevent_req_oom, void (*)(struct tevent_req *, const char *));
SAME(tevent_req_post, struct tevent_req *(*)(struct tevent_req *, struct tevent_context *));
SAME(tevent_req_defer_callback, void (*)(struct tevent_req *, struct tevent_context *));
#undef tevent_req_set_cancel_fn
#undef tevent_req_set_cleanup_fn
SAME(tevent_req_set_cancel_fn, void (*)(struct tevent_req *, bool (*)(struct tevent_req *)));
SAME(tevent_req_set_cleanup_fn,
     void (*)(struct tevent_req *, void (*)(struct tevent_req *, enum tevent_req_state)));
SAME(tevent_req_is_in_progress, bool (*)(struct tevent_req *));
SAME(tevent_req_is_error, bool (*)(struct tevent_req *, enum tevent_req_state *, uint64_t *));
SAME(tevent_req_received, void (*)(struct tevent_req *));
_Static_assert(TEVENT_REQ_USER_ERROR == 3, "");
_Static_assert(TEVENT_REQ_TIMED_OUT == 4, "");
_Static_assert(TEVENT_REQ_NO_MEMORY == 5, "");
_Static_assert(TEVENT_REQ_RECEIVED == 6, "");

SAME(cli_credentials_init, struct cli_credentials *(*)(TALLOC_CTX *));
SAME(cli_credentials_get_workstation, const char *(*)(struct cli_credentials *));
SAME(cli_credentials_get_kerberos_state,
     enum credentials_use_kerberos (*)(struct cli_credentials *));
SAME(cli_credentials_get_username, const char *(*)(struct cli_credentials *));
SAME(cli_credentials_get_realm, const char *(*)(struct cli_credentials *));
SAME(cli_credentials_get_password, const char *(*)(struct cli_credentials *));
SAME(cli_credentials_get_ccache_name_obtained,
     bool (*)(struct cli_credentials *, TALLOC_CTX *, char **, enum credentials_obtained *));
SAME(cli_credentials_get_ntlm_username_domain,
     void (*)(struct cli_credentials *, TALLOC_CTX *, const char **, const char **));
SAME(cli_credentials_get_nt_hash,
     struct samr_Password *(*)(struct cli_credentials *, TALLOC_CTX *));
_Static_assert(CRED_USE_KERBEROS_DISABLED == 0, "");
_Static_assert(CRED_USE_KERBEROS_REQUIRED == 2, "");
_Static_assert(sizeof(struct samr_Password) == 16, "");

int main(void)
{
	struct cli_credentials *creds = cli_credentials_init(NULL);

	/* It tells whether it succeeded in some releases only. */
	if (creds == NULL) {
		cli_credentials_set_conf(creds, NULL);
	}
	talloc_free(creds);
	return 0;
}
