/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a consumer does, right and wrong. */

#include "consumer.h"

#include <dirent.h>
#include <dlfcn.h>
#include <poll.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static int called;

static void count_call(struct tevent_req *req)
{
	(void)req;
	called++;
}

static void must_not_be_called(struct tevent_req *req)
{
	(void)req;
	CHECK(!"nothing is called after a request was freed");
}

/* Threads of a sanitizer's own, once there is a second one in the program. */
#ifndef TOOL_THREADS
#define TOOL_THREADS 0
#endif

static int count_threads(void)
{
	DIR *dir = opendir("/proc/self/task");
	struct dirent *entry;
	int count = 0;

	CHECK(dir != NULL);
	while ((entry = readdir(dir)) != NULL) {
		count += entry->d_name[0] != '.';
	}
	closedir(dir);
	return count > 1 ? count - TOOL_THREADS : count;
}

int threads(void)
{
	int i, count = 0;

	/* A thread that was joined may be in /proc for a moment yet. */
	for (i = 0; i < 100 && (count = count_threads()) > 1; i++) {
		poll(NULL, 0, 10);
	}
	return count;
}

/* Everything that was on its way has arrived: the library tells in order. */
static void flush(void)
{
	CHECK_ERRNO(do_register("flush"), 0);
	CHECK_ERRNO(do_unregister("flush"), 0);
}

/* The registration is not there: it can be made again. */
static void check_gone(const char *share)
{
	CHECK_ERRNO(unregister_finish(unregister_send(share)), ENOENT);
	CHECK_ERRNO(do_register(share), 0);
	CHECK_ERRNO(do_unregister(share), 0);
}

/* Registers, prints what is notified, unregisters when told to. */
static void got_notifications(struct tevent_req *req);

static void daemon_wait(void)
{
	struct tevent_req *req = wait_send(server.share);

	tevent_req_set_callback(req, got_notifications, NULL);
}

static void got_notifications(struct tevent_req *req)
{
	struct swn_notification *array = NULL;
	int ret = swnc_wait_notification_recv(req, mem, &array);

	TALLOC_FREE(req);
	if (ret == ECANCELED) {
		printf("canceled\n");
		return;
	}
	CHECK_ERRNO(ret, 0);
	print_notifications(array);
	TALLOC_FREE(array);
	daemon_wait();
}

static void unregistered(struct tevent_req *req)
{
	CHECK_ERRNO(swnc_unregister_recv(req), 0);
	TALLOC_FREE(req);
	printf("unregistered\n");
	called++;
}

static void told(struct tevent_context *ctx, struct tevent_fd *fde,
		 uint16_t flags, void *private_data)
{
	const char *command = next_command();

	(void)ctx;
	(void)flags;
	(void)private_data;
	if (strcmp(command, "register") == 0) {
		printf("again %d\n", do_register(server.share));
	} else {
		talloc_free(fde);
		tevent_req_set_callback(unregister_send(server.share),
					unregistered, NULL);
	}
}

static void run_daemon(void)
{
	struct tevent_fd *fde;

	CHECK_ERRNO(do_register(server.share), 0);
	printf("registered\n");
	daemon_wait();
	fde = tevent_add_fd(ev, mem, STDIN_FILENO, TEVENT_FD_READ, told, NULL);
	CHECK(fde != NULL);
	while (called == 0) {
		CHECK(tevent_loop_once(ev) == 0);
	}
}

/* Requests. */

static void run_free_pending_register(void)
{
	struct tevent_req *req = register_send(server.share);

	tevent_req_set_callback(req, must_not_be_called, NULL);
	talloc_free(req);
	flush();
	check_gone(server.share);
}

static void run_free_pending_wait(void)
{
	struct tevent_req *req;

	CHECK_ERRNO(do_register(server.share), 0);
	req = wait_send(server.share);
	tevent_req_set_callback(req, must_not_be_called, NULL);
	talloc_free(req);
	flush();
	/* The registration is as it was. */
	CHECK_ERRNO(do_register(server.share), EEXIST);
	CHECK_ERRNO(do_unregister(server.share), 0);
}

static void run_free_pending_unregister(void)
{
	struct tevent_req *req;

	CHECK_ERRNO(do_register(server.share), 0);
	req = unregister_send(server.share);
	tevent_req_set_callback(req, must_not_be_called, NULL);
	talloc_free(req);
	flush();
	check_gone(server.share);
}

static void run_cancel_register(void)
{
	struct tevent_req *req = register_send(server.share);

	CHECK(tevent_req_cancel(req));
	CHECK_ERRNO(register_finish(req), ECANCELED);
	check_gone(server.share);
}

static void run_cancel_wait(void)
{
	struct tevent_req *req;

	CHECK_ERRNO(do_register(server.share), 0);
	req = wait_send(server.share);
	CHECK(tevent_req_cancel(req));
	CHECK_ERRNO(wait_finish(req), ECANCELED);
	CHECK_ERRNO(do_register(server.share), EEXIST);
	CHECK_ERRNO(do_unregister(server.share), 0);
}

static void run_time_out(void)
{
	struct tevent_req *req = register_send(server.share);

	CHECK(tevent_req_set_endtime(req, ev, tevent_timeval_current()));
	CHECK_ERRNO(register_finish(req), ETIMEDOUT);
	check_gone(server.share);

	CHECK_ERRNO(do_register(server.share), 0);
	req = wait_send(server.share);
	CHECK(tevent_req_set_endtime(req, ev, tevent_timeval_current_ofs(0, 1000)));
	CHECK_ERRNO(wait_finish(req), ETIMEDOUT);
	CHECK_ERRNO(do_unregister(server.share), 0);
}

static void run_wait_twice(void)
{
	struct tevent_req *first;

	CHECK_ERRNO(do_register(server.share), 0);
	first = wait_send(server.share);
	CHECK_ERRNO(wait_finish(wait_send(server.share)), EBUSY);
	CHECK(tevent_req_is_in_progress(first));
	talloc_free(first);
	CHECK_ERRNO(do_unregister(server.share), 0);
}

static void run_unknown(void)
{
	CHECK_ERRNO(wait_finish(wait_send(server.share)), ENOENT);
	CHECK_ERRNO(do_unregister(server.share), ENOENT);
}

static void wait_is_over(struct tevent_req *req)
{
	CHECK_ERRNO(called, 0);
	CHECK_ERRNO(swnc_wait_notification_recv(req, mem, NULL), ECANCELED);
	TALLOC_FREE(req);
	called = 1;
}

static void run_unregister_while_waiting(void)
{
	struct tevent_req *wait, *req;

	CHECK_ERRNO(do_register(server.share), 0);
	wait = wait_send(server.share);
	tevent_req_set_callback(wait, wait_is_over, NULL);
	req = unregister_send(server.share);
	CHECK_ERRNO(unregister_finish(req), 0);
	/* The wait was first. */
	CHECK_ERRNO(called, 1);
	CHECK_ERRNO(wait_finish(wait_send(server.share)), ENOENT);
}

static void run_unregister_while_registering(void)
{
	struct tevent_req *req = register_send(server.share);

	CHECK_ERRNO(do_unregister(server.share), 0);
	CHECK_ERRNO(register_finish(req), ECANCELED);
	check_gone(server.share);
}

static void run_register_twice(void)
{
	struct tevent_req *first = register_send(server.share);
	struct tevent_req *second = register_send(server.share);

	CHECK_ERRNO(register_finish(first), 0);
	CHECK_ERRNO(register_finish(second), EEXIST);
	CHECK_ERRNO(do_register(server.share), EEXIST);

	CHECK_ERRNO(do_unregister(server.share), 0);
	/* A request that joined inherits it from a request that is freed. */
	first = register_send(server.share);
	second = register_send(server.share);
	talloc_free(first);
	CHECK_ERRNO(register_finish(second), 0);
	CHECK_ERRNO(do_unregister(server.share), 0);
}

static void run_names_without_case(void)
{
	char *upper = talloc_strdup(mem, server.share);
	char *c;

	for (c = upper; *c != '\0'; c++) {
		*c = *c >= 'a' && *c <= 'z' ? (char)(*c - 'a' + 'A') : *c;
	}
	CHECK(strcmp(upper, server.share) != 0);
	CHECK_ERRNO(do_register(server.share), 0);
	CHECK_ERRNO(do_register(upper), EEXIST);
	CHECK_ERRNO(do_unregister(upper), 0);
	talloc_free(upper);
}

static void run_recv_misuse(void)
{
	struct swn_notification *array = NULL;
	struct tevent_req *req = register_send(server.share);

	/* Before it has completed, twice, and by another function. */
	CHECK_ERRNO(swnc_register_recv(req), EINVAL);
	CHECK_ERRNO(swnc_unregister_recv(req), EINVAL);
	CHECK(tevent_req_poll(req, ev));
	CHECK_ERRNO(swnc_wait_notification_recv(req, mem, &array), EINVAL);
	CHECK_ERRNO(swnc_register_recv(req), 0);
	CHECK_ERRNO(swnc_register_recv(req), EINVAL);
	talloc_free(req);
	CHECK(array == NULL);
	CHECK_ERRNO(do_unregister(server.share), 0);
}

static void free_in_callback(struct tevent_req *req)
{
	talloc_free(req);
	called++;
}

static void run_free_in_callback(void)
{
	tevent_req_set_callback(register_send(server.share), free_in_callback,
				NULL);
	while (called == 0) {
		CHECK(tevent_loop_once(ev) == 0);
	}
	CHECK_ERRNO(do_unregister(server.share), 0);
}

static void nested(struct tevent_req *req)
{
	talloc_free(req);
	/* A whole life within a callback. */
	CHECK_ERRNO(do_register("nested"), 0);
	CHECK_ERRNO(do_unregister("nested"), 0);
	called++;
}

static void run_nested_loop(void)
{
	tevent_req_set_callback(register_send(server.share), nested, NULL);
	while (called == 0) {
		CHECK(tevent_loop_once(ev) == 0);
	}
	CHECK_ERRNO(do_unregister(server.share), 0);
}

/* tevent_loop_wait ends where there is nothing to wait for, and only there. */
static void run_loop_wait(void)
{
	struct tevent_req *req = register_send(server.share);

	tevent_req_set_callback(req, count_call, NULL);
	CHECK(tevent_loop_wait(ev) == 0);
	CHECK_ERRNO(called, 1);
	CHECK_ERRNO(register_finish(req), 0);
	CHECK_ERRNO(do_unregister(server.share), 0);
}

/* Notifications wait for the next wait. The test sends three. */
static void run_queue(void)
{
	struct swn_notification *array = NULL;
	struct tevent_req *req;

	CHECK_ERRNO(do_register(server.share), 0);
	printf("registered\n");
	CHECK(strcmp(next_command(), "sent") == 0);

	/* Freed between its callback and its recv: nothing is lost. */
	req = wait_send(server.share);
	CHECK(tevent_req_poll(req, ev));
	CHECK(!tevent_req_is_in_progress(req));
	talloc_free(req);
	/* Nor by a recv that cannot give them. */
	req = wait_send(server.share);
	CHECK(tevent_req_poll(req, ev));
	CHECK_ERRNO(swnc_wait_notification_recv(req, mem, NULL), EINVAL);
	talloc_free(req);

	called = 0;
	while (called < 3) {
		req = wait_send(server.share);
		CHECK(tevent_req_poll(req, ev));
		CHECK_ERRNO(swnc_wait_notification_recv(req, mem, &array), 0);
		talloc_free(req);
		called += (int)talloc_array_length(array);
		print_notifications(array);
		TALLOC_FREE(array);
	}
	CHECK_ERRNO(do_unregister(server.share), 0);
}

/* Arguments. */

static void run_null_arguments(void)
{
	struct swn_registration_info *info = make_info(mem, server.share);
	struct cli_credentials *creds = make_creds(mem, server.password);
	struct swn_notification *array = NULL;

	CHECK_ERRNO(swnc_init_state(mem, NULL, NULL), EINVAL);
	CHECK_ERRNO(swnc_register_recv(NULL), EINVAL);
	CHECK_ERRNO(swnc_unregister_recv(NULL), EINVAL);
	CHECK_ERRNO(swnc_wait_notification_recv(NULL, mem, &array), EINVAL);

	/* Without a loop there is nothing to complete on. */
	CHECK(swnc_register_send(mem, NULL, NULL, state, creds, info) == NULL);
	CHECK(swnc_wait_notification_send(mem, NULL, state, info) == NULL);
	CHECK(swnc_unregister_send(mem, NULL, state, info) == NULL);

#define REGISTER(s, c, i)                                                     \
	register_finish(swnc_register_send(mem, ev, NULL, (s), (c), (i)))
	CHECK_ERRNO(REGISTER(NULL, creds, info), EINVAL);
	CHECK_ERRNO(REGISTER(state, NULL, info), EINVAL);
	CHECK_ERRNO(REGISTER(state, creds, NULL), EINVAL);
	CHECK_ERRNO(wait_finish(swnc_wait_notification_send(mem, ev, NULL, info)), EINVAL);
	CHECK_ERRNO(wait_finish(swnc_wait_notification_send(mem, ev, state, NULL)), EINVAL);
	CHECK_ERRNO(unregister_finish(swnc_unregister_send(mem, ev, NULL, info)), EINVAL);
	CHECK_ERRNO(unregister_finish(swnc_unregister_send(mem, ev, state, NULL)), EINVAL);

	info->net_name = NULL;
	CHECK_ERRNO(REGISTER(state, creds, info), EINVAL);
	info->net_name = "";
	CHECK_ERRNO(REGISTER(state, creds, info), EINVAL);
	info->net_name = server.address;
	CHECK_ERRNO(REGISTER(state, creds, info), EINVAL);
	info->net_name = server.net_name;
	info->ip_address = "not an address";
	CHECK_ERRNO(REGISTER(state, creds, info), EINVAL);
	info->ip_address = "fe80::1%no-such-if";
	CHECK_ERRNO(REGISTER(state, creds, info), EINVAL);
	info->ip_address = "10.0.0.1%lo";
	CHECK_ERRNO(REGISTER(state, creds, info), EINVAL);
	info->ip_address = server.address;
	info->share_name = "\xff";
	CHECK_ERRNO(REGISTER(state, creds, info), EINVAL);

	/* No parent is a parent. */
	info->share_name = server.share;
	CHECK_ERRNO(register_finish(swnc_register_send(NULL, ev, NULL, state,
						       creds, info)), 0);
	CHECK_ERRNO(do_unregister(server.share), 0);
	talloc_free(info);
	talloc_free(creds);
	CHECK_ERRNO(swnc_set_debug_callback(NULL, 10, NULL), 0);
}

static int register_with(struct cli_credentials *creds)
{
	struct swn_registration_info *info = make_info(mem, server.share);
	int ret;

	ret = register_finish(swnc_register_send(mem, ev, NULL, state, creds, info));
	talloc_free(info);
	talloc_free(creds);
	return ret;
}

static void run_credentials(void)
{
	struct cli_credentials *creds;

	CHECK_ERRNO(register_with(make_creds(mem, "wrong")), EACCES);
	check_gone(server.share);
	/* The anonymous user, and a user without a password. */
	CHECK_ERRNO(register_with(cli_credentials_init_anon(mem)), EACCES);
	creds = make_creds(mem, NULL);
	CHECK_ERRNO(register_with(creds), EACCES);
	creds = make_creds(mem, server.password);
	CHECK_ERRNO(register_with(creds), 0);
	CHECK_ERRNO(do_unregister(server.share), 0);
}

static bool ccache_was_named;

static void look_for_ccache(void *private_data, int level, const char *msg)
{
	debug_line(private_data, level, msg);
	ccache_was_named = ccache_was_named || strstr(msg, ccache_name()) != NULL;
}

/* Without a KDC that ticket is of no use; the log tells whose it was. */
static void run_credential_cache(void)
{
	CHECK_ERRNO(swnc_set_debug_callback(&server, 10, look_for_ccache), 0);
	CHECK_ERRNO(do_register(server.share), EACCES);
	while (!ccache_was_named) {
		CHECK(tevent_loop_once(ev) == 0);
	}
}

static void run_no_server(void)
{
	struct swn_registration_info *info = make_info(mem, server.share);
	struct cli_credentials *creds = make_creds(mem, server.password);

	info->ip_address = "127.0.0.254";
	CHECK_ERRNO(REGISTER(state, creds, info), ECONNREFUSED);
	info->ip_address = NULL;
	info->net_name = "no.such.host.invalid";
	CHECK_ERRNO(REGISTER(state, creds, info), EHOSTUNREACH);
	talloc_free(info);
	talloc_free(creds);
}

/* States and loops. */

static void run_free_state(void)
{
	struct tevent_req *wait, *req;

	CHECK_ERRNO(do_register(server.share), 0);
	wait = wait_send(server.share);
	req = register_send("second");
	CHECK(count_threads() > 1);
	TALLOC_FREE(state);
	CHECK(threads() == 1);
	CHECK_ERRNO(wait_finish(wait), ECANCELED);
	CHECK_ERRNO(register_finish(req), ECANCELED);
	CHECK_ERRNO(wait_finish(wait_send(server.share)), EINVAL);
	CHECK_ERRNO(swnc_init_state(mem, NULL, &state), 0);
}

static void run_free_loop(void)
{
	struct tevent_req *wait, *req;

	CHECK_ERRNO(do_register(server.share), 0);
	wait = wait_send(server.share);
	tevent_req_set_callback(wait, must_not_be_called, NULL);
	/* On its way to the loop, perhaps, when that goes. */
	req = unregister_send(server.share);
	tevent_req_set_callback(req, must_not_be_called, NULL);
	talloc_free(ev);
	ev = tevent_context_init(mem);
	CHECK(ev != NULL);
	check_gone(server.share);
	CHECK(tevent_req_is_in_progress(req));
	talloc_free(req);
	talloc_free(wait);
}

/* As a signal handler of a daemon does it. */
static void run_free_everything(void)
{
	TALLOC_CTX *all = talloc_new(mem);
	struct tevent_context *own = tevent_context_init(all);
	struct swn_registration_info *info = make_info(all, server.share);
	struct swnc_state *other = NULL;
	struct tevent_req *req;

	CHECK_ERRNO(swnc_init_state(all, NULL, &other), 0);
	req = swnc_register_send(all, own, NULL, other,
				 make_creds(all, server.password), info);
	CHECK(tevent_req_poll(req, own));
	CHECK_ERRNO(swnc_register_recv(req), 0);
	req = swnc_wait_notification_send(all, own, other, info);
	tevent_req_set_callback(req, must_not_be_called, NULL);
	talloc_free(all);
	CHECK(threads() == 1);
}

static void run_two_loops(void)
{
	struct tevent_context *first = ev;
	struct tevent_context *second = tevent_context_init(mem);
	struct tevent_req *wait;

	CHECK_ERRNO(do_register(server.share), 0);
	wait = wait_send(server.share);
	ev = second;
	CHECK_ERRNO(do_register("second"), 0);
	CHECK_ERRNO(do_register(server.share), EEXIST);
	CHECK_ERRNO(do_unregister(server.share), 0);
	/* It completes on its own loop only. */
	CHECK(tevent_req_is_in_progress(wait));
	ev = first;
	CHECK_ERRNO(wait_finish(wait), ECANCELED);
	CHECK_ERRNO(do_unregister("second"), 0);
	talloc_free(second);
}

static void run_two_states(void)
{
	struct swnc_state *first = state, *second = NULL;

	CHECK_ERRNO(swnc_init_state(mem, NULL, &second), 0);
	CHECK_ERRNO(do_register(server.share), 0);
	state = second;
	CHECK_ERRNO(do_register(server.share), 0);
	CHECK_ERRNO(do_unregister(server.share), 0);
	TALLOC_FREE(second);
	state = first;
	CHECK_ERRNO(do_register(server.share), EEXIST);
	CHECK_ERRNO(do_unregister(server.share), 0);
}

/* Processes. */

static void check_child(pid_t child)
{
	int status = 0;

	CHECK(child > 0);
	CHECK(waitpid(child, &status, 0) == child);
	CHECK(WIFEXITED(status));
	CHECK(WEXITSTATUS(status) == EXIT_SUCCESS);
}

/* A child of a process with threads leaves things behind on purpose; under
 * valgrind this ends it without a search for leaks. */
static void leave_child(void)
{
	execlp("true", "true", NULL);
	_exit(EXIT_FAILURE);
}

/* As a daemon goes to the background. */
static void run_fork_before(void)
{
	pid_t child = fork();

	if (child == 0) {
		CHECK(tevent_re_initialise(ev) == 0);
		CHECK_ERRNO(do_register(server.share), 0);
		CHECK_ERRNO(do_unregister(server.share), 0);
		talloc_free(state);
		CHECK(threads() == 1);
		leave_child();
	}
	check_child(child);
}

static void run_fork_after(void)
{
	struct swnc_state *other = NULL;
	struct tevent_req *wait;
	pid_t child;

	CHECK_ERRNO(do_register(server.share), 0);
	wait = wait_send(server.share);
	child = fork();
	if (child == 0) {
		CHECK(tevent_re_initialise(ev) == 0);
		CHECK_ERRNO(do_register("child"), ENOTRECOVERABLE);
		CHECK_ERRNO(wait_finish(wait_send(server.share)), ENOTRECOVERABLE);
		CHECK_ERRNO(do_unregister(server.share), ENOTRECOVERABLE);
		CHECK_ERRNO(swnc_init_state(mem, NULL, &other), ENOTRECOVERABLE);
		CHECK_ERRNO(swnc_set_debug_callback(NULL, 0, NULL), ENOTRECOVERABLE);
		talloc_free(wait);
		talloc_free(state);
		talloc_free(mem);
		leave_child();
	}
	check_child(child);
	/* The parent has noticed nothing. */
	CHECK(tevent_req_is_in_progress(wait));
	CHECK_ERRNO(do_unregister(server.share), 0);
	CHECK_ERRNO(wait_finish(wait), ECANCELED);
}

const struct scenario scenarios[] = {
	{ "daemon", run_daemon },
	{ "free-pending-register", run_free_pending_register },
	{ "free-pending-wait", run_free_pending_wait },
	{ "free-pending-unregister", run_free_pending_unregister },
	{ "cancel-register", run_cancel_register },
	{ "cancel-wait", run_cancel_wait },
	{ "time-out", run_time_out },
	{ "wait-twice", run_wait_twice },
	{ "unknown", run_unknown },
	{ "unregister-while-waiting", run_unregister_while_waiting },
	{ "unregister-while-registering", run_unregister_while_registering },
	{ "register-twice", run_register_twice },
	{ "names-without-case", run_names_without_case },
	{ "recv-misuse", run_recv_misuse },
	{ "free-in-callback", run_free_in_callback },
	{ "nested-loop", run_nested_loop },
	{ "loop-wait", run_loop_wait },
	{ "queue", run_queue },
	{ "null-arguments", run_null_arguments },
	{ "credentials", run_credentials },
	{ "credential-cache", run_credential_cache },
	{ "no-server", run_no_server },
	{ "free-state", run_free_state },
	{ "free-loop", run_free_loop },
	{ "free-everything", run_free_everything },
	{ "two-loops", run_two_loops },
	{ "two-states", run_two_states },
	{ "fork-before", run_fork_before },
	{ "fork-after", run_fork_after },
	{ "many", run_many },
	{ NULL, NULL },
};
