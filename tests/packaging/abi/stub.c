/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The header's functions without a body, so that the compiler describes their
 * types: Rust's debug information describes Rust's. */

#include <witness/swnclient.h>

#define UNUSED __attribute__((unused))

int swnc_init_state(UNUSED TALLOC_CTX *mem_ctx, UNUSED struct loadparm_context *lp_ctx,
		    UNUSED struct swnc_state **out)
{
	return 0;
}

int swnc_set_debug_callback(UNUSED void *private_data, UNUSED int level,
			    UNUSED void (*cb)(void *private_data, int level, const char *msg))
{
	return 0;
}

struct tevent_req *swnc_register_send(UNUSED TALLOC_CTX *mem_ctx, UNUSED struct tevent_context *ev,
				      UNUSED struct loadparm_context *lp_ctx,
				      UNUSED struct swnc_state *state,
				      UNUSED struct cli_credentials *creds,
				      UNUSED struct swn_registration_info *info)
{
	return NULL;
}

int swnc_register_recv(UNUSED struct tevent_req *req)
{
	return 0;
}

struct tevent_req *swnc_wait_notification_send(UNUSED TALLOC_CTX *mem_ctx,
					       UNUSED struct tevent_context *ev,
					       UNUSED struct swnc_state *state,
					       UNUSED struct swn_registration_info *info)
{
	return NULL;
}

int swnc_wait_notification_recv(UNUSED struct tevent_req *req, UNUSED TALLOC_CTX *mem_ctx,
				UNUSED struct swn_notification **out)
{
	return 0;
}

struct tevent_req *swnc_unregister_send(UNUSED TALLOC_CTX *mem_ctx, UNUSED struct tevent_context *ev,
					UNUSED struct swnc_state *state,
					UNUSED struct swn_registration_info *info)
{
	return NULL;
}

int swnc_unregister_recv(UNUSED struct tevent_req *req)
{
	return 0;
}
