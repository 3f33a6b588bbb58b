/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A consumer of libswnclient with the credentials of a real cluster: registers,
 * waits for one client move and unregisters.
 *
 *   kerberos NET_NAME SHARE ADDRESS required CCACHE
 *   kerberos NET_NAME SHARE ADDRESS required USER PASSWORD
 *   kerberos NET_NAME SHARE ADDRESS disabled USER PASSWORD
 *
 * Prints "registered", "client-move" and "unregistered", or what it was refused
 * with.
 */

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <talloc.h>
#include <tevent.h>
#include <credentials.h>
#include <param.h>
#include <witness/swnclient.h>

#define CHECK(condition)                                                       \
	do {                                                                   \
		if (!(condition)) {                                            \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__,     \
				#condition);                                   \
			exit(EXIT_FAILURE);                                    \
		}                                                              \
	} while (0)

static void debug_line(void *private_data, int level, const char *msg)
{
	(void)private_data;
	fprintf(stderr, "<%d> %s\n", level, msg);
}

static struct cli_credentials *make_creds(TALLOC_CTX *ctx, int argc, char *argv[])
{
	struct cli_credentials *creds = cli_credentials_init(ctx);
	bool required = strcmp(argv[4], "required") == 0;

	CHECK(creds != NULL);
	CHECK(required || strcmp(argv[4], "disabled") == 0);
	cli_credentials_set_kerberos_state(
		creds,
		required ? CRED_USE_KERBEROS_REQUIRED : CRED_USE_KERBEROS_DISABLED,
		CRED_SPECIFIED);
	if (argc == 6) {
		struct loadparm_context *lp = loadparm_init_global(false);
		const char *error = NULL;

		CHECK(cli_credentials_set_ccache(creds, lp, argv[5],
						 CRED_SPECIFIED, &error) == 0);
		return creds;
	}
	cli_credentials_set_username(creds, argv[5], CRED_SPECIFIED);
	cli_credentials_set_password(creds, argv[6], CRED_SPECIFIED);
	cli_credentials_set_domain(creds, "", CRED_SPECIFIED);
	return creds;
}

int main(int argc, char *argv[])
{
	struct tevent_context *ev;
	struct swnc_state *state;
	struct swn_registration_info *info;
	struct swn_notification *told = NULL;
	struct tevent_req *req;
	TALLOC_CTX *mem = talloc_new(NULL);
	int ret;

	CHECK(argc == 6 || argc == 7);
	setvbuf(stdout, NULL, _IOLBF, 0);
	ev = tevent_context_init(mem);
	CHECK(ev != NULL);
	CHECK(swnc_set_debug_callback(NULL, 10, debug_line) == 0);
	CHECK(swnc_init_state(mem, NULL, &state) == 0);
	info = talloc_zero(mem, struct swn_registration_info);
	CHECK(info != NULL);
	info->net_name = argv[1];
	info->share_name = argv[2];
	info->ip_address = argv[3];
	info->net_name_req = true;
	info->share_name_req = true;
	info->ip_address_req = true;

	req = swnc_register_send(mem, ev, NULL, state,
				 make_creds(mem, argc, argv), info);
	CHECK(req != NULL && tevent_req_poll(req, ev));
	ret = swnc_register_recv(req);
	talloc_free(req);
	if (ret != 0) {
		printf("refused: %s\n", strerror(ret));
		return EXIT_FAILURE;
	}
	printf("registered\n");

	req = swnc_wait_notification_send(mem, ev, state, info);
	CHECK(req != NULL && tevent_req_poll(req, ev));
	CHECK(swnc_wait_notification_recv(req, mem, &told) == 0);
	talloc_free(req);
	CHECK(talloc_array_length(told) == 1);
	CHECK(told[0].type == SWN_NOTIFICATION_CLIENT_MOVE);
	printf("client-move\n");

	req = swnc_unregister_send(mem, ev, state, info);
	CHECK(req != NULL && tevent_req_poll(req, ev));
	CHECK(swnc_unregister_recv(req) == 0);
	printf("unregistered\n");
	talloc_free(mem);
	return EXIT_SUCCESS;
}
