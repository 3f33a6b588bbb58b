/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A consumer of libswnclient: registers, waits in a loop and unregisters as a
 * daemon does, and misuses the library in every way that must be safe.
 *
 *   consumer SCENARIO NET_NAME SHARE ADDRESS USER PASSWORD
 *   consumer list
 *
 * With CONSUMER_CCACHE in the environment it uses Kerberos, with the tickets of
 * that cache; USER and PASSWORD are not used then.
 *
 * Exits with 0 where everything was as the interface says. What it prints is
 * for the test that drives it.
 */

#include "consumer.h"

struct tevent_context *ev;
struct swnc_state *state;
TALLOC_CTX *mem;
struct server server;

void fail(const char *file, int line, const char *what)
{
	fprintf(stderr, "%s:%d: %s\n", file, line, what);
	exit(EXIT_FAILURE);
}

void fail_errno(const char *file, int line, const char *what, int is, int should)
{
	fprintf(stderr, "%s:%d: %s is %d (%s), should be %d (%s)\n", file, line,
		what, is, strerror(is), should, strerror(should));
	exit(EXIT_FAILURE);
}

void debug_line(void *private_data, int level, const char *msg)
{
	CHECK(private_data == &server);
	CHECK(strstr(msg, server.password) == NULL);
	fprintf(stderr, "<%d> ", level);
	/* As a careless caller does it. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-security"
	fprintf(stderr, msg);
#pragma GCC diagnostic pop
	fputc('\n', stderr);
}

struct swn_registration_info *make_info(TALLOC_CTX *ctx, const char *share)
{
	struct swn_registration_info *info;

	info = talloc_zero(ctx, struct swn_registration_info);
	CHECK(info != NULL);
	info->net_name = talloc_strdup(info, server.net_name);
	info->share_name = talloc_strdup(info, share);
	info->ip_address = talloc_strdup(info, server.address);
	info->net_name_req = true;
	info->share_name_req = true;
	info->ip_address_req = true;
	return info;
}

static void use_ccache(struct cli_credentials *creds, const char *name)
{
	/* One for the whole process: it leaves something behind. */
	static struct loadparm_context *lp_ctx;
	const char *error = NULL;

	if (lp_ctx == NULL) {
		lp_ctx = loadparm_init(NULL);
	}
	CHECK(lp_ctx != NULL);
	cli_credentials_set_kerberos_state(creds, CRED_USE_KERBEROS_REQUIRED,
					   CRED_SPECIFIED);
	CHECK_ERRNO(cli_credentials_set_ccache(creds, lp_ctx, name,
					       CRED_SPECIFIED, &error), 0);
}

struct cli_credentials *make_creds(TALLOC_CTX *ctx, const char *password)
{
	struct cli_credentials *creds = cli_credentials_init(ctx);

	CHECK(creds != NULL);
	if (ccache_name() != NULL) {
		use_ccache(creds, ccache_name());
		return creds;
	}
	cli_credentials_set_kerberos_state(creds, CRED_USE_KERBEROS_DISABLED,
					   CRED_SPECIFIED);
	cli_credentials_set_username(creds, server.user, CRED_SPECIFIED);
	cli_credentials_set_password(creds, password, CRED_SPECIFIED);
	cli_credentials_set_domain(creds, "", CRED_SPECIFIED);
	return creds;
}

const char *ccache_name(void)
{
	return getenv("CONSUMER_CCACHE");
}

/* What it is given is gone before the request completes. */
struct tevent_req *register_send(const char *share)
{
	TALLOC_CTX *tmp = talloc_new(mem);
	struct tevent_req *req;

	req = swnc_register_send(mem, ev, NULL, state,
				 make_creds(tmp, server.password),
				 make_info(tmp, share));
	CHECK(req != NULL);
	talloc_free(tmp);
	return req;
}

struct tevent_req *wait_send(const char *share)
{
	struct swn_registration_info *info = make_info(mem, share);
	struct tevent_req *req;

	req = swnc_wait_notification_send(mem, ev, state, info);
	CHECK(req != NULL);
	talloc_free(info);
	return req;
}

struct tevent_req *unregister_send(const char *share)
{
	struct swn_registration_info *info = make_info(mem, share);
	struct tevent_req *req = swnc_unregister_send(mem, ev, state, info);

	CHECK(req != NULL);
	talloc_free(info);
	return req;
}

int register_finish(struct tevent_req *req)
{
	int ret;

	CHECK(tevent_req_poll(req, ev));
	ret = swnc_register_recv(req);
	talloc_free(req);
	return ret;
}

int wait_finish(struct tevent_req *req)
{
	struct swn_notification *array = NULL;
	int ret;

	CHECK(tevent_req_poll(req, ev));
	ret = swnc_wait_notification_recv(req, mem, &array);
	talloc_free(req);
	if (ret == 0) {
		print_notifications(array);
	}
	talloc_free(array);
	return ret;
}

int unregister_finish(struct tevent_req *req)
{
	int ret;

	CHECK(tevent_req_poll(req, ev));
	ret = swnc_unregister_recv(req);
	talloc_free(req);
	return ret;
}

int do_register(const char *share)
{
	return register_finish(register_send(share));
}

int do_unregister(const char *share)
{
	return unregister_finish(unregister_send(share));
}

static void print_address(const char *what, struct sockaddr_storage *addr)
{
	char text[INET6_ADDRSTRLEN];

	/* It must be a whole one. */
	CHECK(talloc_get_size(addr) == sizeof(struct sockaddr_storage));
	CHECK(getnameinfo((struct sockaddr *)addr, sizeof(*addr), text,
			  sizeof(text), NULL, 0, NI_NUMERICHOST) == 0);
	printf("%s %s\n", what, text);
}

void print_notifications(struct swn_notification *array)
{
	size_t i, count = talloc_array_length(array);

	CHECK(count > 0);
	for (i = 0; i < count; i++) {
		struct swn_notification *n = &array[i];

		switch (n->type) {
		case SWN_NOTIFICATION_RESOURCE_CHANGE:
			CHECK(talloc_parent(n->resource_change.name) == array);
			printf("resource-change %s %d\n", n->resource_change.name,
			       n->resource_change.state);
			break;
		case SWN_NOTIFICATION_CLIENT_MOVE:
			CHECK(talloc_parent(n->client_move.addr) == array);
			print_address("client-move", n->client_move.addr);
			break;
		case SWN_NOTIFICATION_SHARE_MOVE:
			CHECK(talloc_parent(n->share_move.addr) == array);
			print_address("share-move", n->share_move.addr);
			break;
		case SWN_NOTIFICATION_IP_CHANGE:
			CHECK(talloc_parent(n->ip_change.addr) == array);
			print_address("ip-change", n->ip_change.addr);
			break;
		default:
			CHECK(!"a notification type of the interface");
		}
	}
}

/* What the test says next, a word on a line; "" at the end. */
const char *next_command(void)
{
	static char line[64];

	if (fgets(line, sizeof(line), stdin) == NULL) {
		return "";
	}
	line[strcspn(line, "\n")] = '\0';
	return line;
}

/* What Samba's libraries make once for the whole process, and never free. */
static size_t warm_up(void)
{
	TALLOC_CTX *ctx = talloc_new(NULL);

	CHECK(tevent_context_init(ctx) != NULL);
	CHECK((cli_credentials_get_nt_hash(make_creds(ctx, "any"), ctx) == NULL) ==
	      (ccache_name() != NULL));
	talloc_free(ctx);
	return talloc_total_blocks(NULL);
}

int main(int argc, char *argv[])
{
	const struct scenario *scenario;
	size_t blocks;

	if (argc == 2 && strcmp(argv[1], "list") == 0) {
		for (scenario = scenarios; scenario->name != NULL; scenario++) {
			printf("%s\n", scenario->name);
		}
		return EXIT_SUCCESS;
	}
	CHECK(argc == 7);
	setvbuf(stdout, NULL, _IOLBF, 0);
	server.net_name = argv[2];
	server.share = argv[3];
	server.address = argv[4];
	server.user = argv[5];
	server.password = argv[6];

	talloc_enable_null_tracking();
	blocks = warm_up();
	mem = talloc_new(NULL);
	ev = tevent_context_init(mem);
	CHECK(ev != NULL);
	tevent_loop_allow_nesting(ev);
	CHECK_ERRNO(swnc_set_debug_callback(&server, 10, debug_line), 0);
	CHECK_ERRNO(swnc_init_state(mem, NULL, &state), 0);

	for (scenario = scenarios; scenario->name != NULL; scenario++) {
		if (strcmp(scenario->name, argv[1]) == 0) {
			break;
		}
	}
	CHECK(scenario->name != NULL);
	scenario->run();

	/* The state first: nothing of the library's may be left then but what
	 * hangs below the loop. */
	talloc_free(state);
	CHECK(threads() == 1);
	talloc_free(mem);
	if (talloc_total_blocks(NULL) != blocks) {
		talloc_report_full(NULL, stderr);
		CHECK(!"talloc's report is empty");
	}
	talloc_disable_null_tracking();
	printf("passed\n");
	return EXIT_SUCCESS;
}
