/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A thousand registrations from one loop, all waiting. Prints "registered",
 * then "NUMBER ADDRESS" for each share move, and at the end the longest times
 * that the loop's thread was kept busy.
 */

#include "consumer.h"

#include <time.h>
#include <unistd.h>

#define COUNT 1000

struct share {
	unsigned int number;
	struct swn_registration_info *info;
};

static unsigned int registered;
static bool stopped;

/* In nanoseconds: of the clock, and of this thread's use of a CPU. */
struct times {
	int64_t wall;
	int64_t cpu;
};

static struct times turn_start, longest_turn, longest_send;

static int64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	CHECK(clock_gettime(clock, &now) == 0);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static struct times times_now(void)
{
	struct times now = {
		.wall = clock_ns(CLOCK_MONOTONIC),
		.cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID),
	};

	return now;
}

static void keep_longest(struct times *longest, struct times start)
{
	struct times now = times_now();

	now.wall -= start.wall;
	now.cpu -= start.cpu;
	longest->wall = now.wall > longest->wall ? now.wall : longest->wall;
	longest->cpu = now.cpu > longest->cpu ? now.cpu : longest->cpu;
}

/* A turn is what lies between two times that the loop waits. */
static void trace(enum tevent_trace_point point, void *private_data)
{
	(void)private_data;
	if (point == TEVENT_TRACE_AFTER_WAIT) {
		turn_start = times_now();
	} else if (point == TEVENT_TRACE_BEFORE_WAIT && turn_start.wall != 0) {
		keep_longest(&longest_turn, turn_start);
	}
}

static void got_notifications(struct tevent_req *req);

static void wait_for(struct share *share)
{
	struct tevent_req *req;

	req = swnc_wait_notification_send(mem, ev, state, share->info);
	CHECK(req != NULL);
	tevent_req_set_callback(req, got_notifications, share);
}

static void got_notifications(struct tevent_req *req)
{
	struct share *share = tevent_req_callback_data(req, struct share);
	struct swn_notification *array = NULL;
	char text[INET6_ADDRSTRLEN];
	size_t i;
	int ret = swnc_wait_notification_recv(req, share, &array);

	TALLOC_FREE(req);
	if (ret == ECANCELED) {
		return;
	}
	CHECK_ERRNO(ret, 0);
	for (i = 0; i < talloc_array_length(array); i++) {
		struct sockaddr_storage *addr = array[i].share_move.addr;

		CHECK(array[i].type == SWN_NOTIFICATION_SHARE_MOVE);
		CHECK(getnameinfo((struct sockaddr *)addr, sizeof(*addr), text,
				  sizeof(text), NULL, 0, NI_NUMERICHOST) == 0);
		printf("%u %s\n", share->number, text);
	}
	TALLOC_FREE(array);
	wait_for(share);
}

static void done_register(struct tevent_req *req)
{
	struct share *share = tevent_req_callback_data(req, struct share);

	CHECK_ERRNO(swnc_register_recv(req), 0);
	TALLOC_FREE(req);
	wait_for(share);
	registered++;
	if (registered == COUNT) {
		printf("registered\n");
	}
}

static void told(struct tevent_context *ctx, struct tevent_fd *fde,
		 uint16_t flags, void *private_data)
{
	(void)ctx;
	(void)fde;
	(void)flags;
	(void)private_data;
	stopped = true;
}

void run_many(void)
{
	struct cli_credentials *creds = make_creds(mem, server.password);
	struct tevent_fd *fde;
	unsigned int i;

	fde = tevent_add_fd(ev, mem, STDIN_FILENO, TEVENT_FD_READ, told, NULL);
	CHECK(fde != NULL);
	CHECK_ERRNO(swnc_set_debug_callback(NULL, 0, NULL), 0);
	for (i = 0; i < COUNT; i++) {
		char name[16];
		struct share *share = talloc_zero(mem, struct share);
		struct tevent_req *req;
		struct times start;

		CHECK(share != NULL);
		snprintf(name, sizeof(name), "share%u", i);
		share->number = i;
		share->info = make_info(share, name);
		start = times_now();
		req = swnc_register_send(mem, ev, NULL, state, creds, share->info);
		keep_longest(&longest_send, start);
		CHECK(req != NULL);
		tevent_req_set_callback(req, done_register, share);
	}
	tevent_set_trace_callback(ev, trace, NULL);
	while (!stopped) {
		CHECK(tevent_loop_once(ev) == 0);
	}
	tevent_set_trace_callback(ev, NULL, NULL);
	printf("longest turn of the loop: %" PRId64 " us, %" PRId64 " us of CPU time\n",
	       longest_turn.wall / 1000, longest_turn.cpu / 1000);
	printf("longest swnc_register_send: %" PRId64 " us, %" PRId64 " us of CPU time\n",
	       longest_send.wall / 1000, longest_send.cpu / 1000);
}
