/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Loads the library, registers, and unloads it: with a request under way, and
 * again when all is over. Neither may crash.
 */

#include "consumer.h"

#include <dlfcn.h>

static struct swnc_state *other;

void fail(const char *file, int line, const char *what)
{
	fprintf(stderr, "%s:%d: %s\n", file, line, what);
	exit(EXIT_FAILURE);
}

void fail_errno(const char *file, int line, const char *what, int is, int should)
{
	fprintf(stderr, "%s:%d: %s is %d, should be %d\n", file, line, what, is,
		should);
	exit(EXIT_FAILURE);
}

#define LOAD(library, function)                                               \
	__typeof__(&function) p_##function = dlsym((library), #function);     \
	CHECK(p_##function != NULL)

int main(int argc, char *argv[])
{
	TALLOC_CTX *mem = talloc_new(NULL);
	struct tevent_context *ev = tevent_context_init(mem);
	struct cli_credentials *creds = cli_credentials_init(mem);
	struct swn_registration_info info = {
		.net_name = argv[2],
		.share_name = "data",
		.ip_address = argv[3],
		.net_name_req = true,
	};
	struct tevent_req *req;
	void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);

	CHECK(argc == 6);
	CHECK(library != NULL);
	cli_credentials_set_username(creds, argv[4], CRED_SPECIFIED);
	cli_credentials_set_password(creds, argv[5], CRED_SPECIFIED);
	cli_credentials_set_domain(creds, "", CRED_SPECIFIED);
	LOAD(library, swnc_init_state);
	LOAD(library, swnc_register_send);
	LOAD(library, swnc_register_recv);
	LOAD(library, swnc_wait_notification_send);

	CHECK_ERRNO(p_swnc_init_state(mem, NULL, &other), 0);
	req = p_swnc_register_send(mem, ev, NULL, other, creds, &info);
	CHECK(dlclose(library) == 0);
	CHECK(tevent_req_poll(req, ev));
	CHECK_ERRNO(p_swnc_register_recv(req), 0);
	talloc_free(req);

	library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
	CHECK(library != NULL);
	req = p_swnc_wait_notification_send(mem, ev, other, &info);
	CHECK(tevent_req_is_in_progress(req));
	CHECK(dlclose(library) == 0);
	/* Its destructors, and the end of its thread. */
	talloc_free(mem);
	printf("passed\n");
	return EXIT_SUCCESS;
}
