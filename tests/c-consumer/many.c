/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A thousand registrations from one loop, all waiting. Prints "registered",
 * then "NUMBER ADDRESS" for each share move, and at the end how long the loop's
 * thread was kept busy.
 */

#include "consumer.h"

#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define COUNT 1000

struct share {
	unsigned int number;
	struct swn_registration_info *info;
};

static unsigned int registered;
static bool stopped;

/* In nanoseconds: of the clock, and of this thread's use of a CPU. And how often
 * it has gone to sleep by itself; that a busy machine gives its CPU to somebody
 * else does not count. */
struct times {
	int64_t wall;
	int64_t cpu;
	long sleeps;
};

/* How long something took, each time. */
struct series {
	const char *what;
	size_t count;
	struct times taken[1 << 16];
};

/* What will be printed, in a turn that is not measured: a pipe may be full. */
static char *output;
static struct tevent_immediate *printer;
static bool turn_prints;

/* The caller's callback is a part of a turn. */
static struct series turns = { .what = "turn of the loop" };
static struct series sends = { .what = "swnc_register_send" };
static struct times turn_start;

static int64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	CHECK(clock_gettime(clock, &now) == 0);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static struct times times_now(void)
{
	struct rusage usage;

	CHECK(getrusage(RUSAGE_THREAD, &usage) == 0);
	return (struct times){
		.wall = clock_ns(CLOCK_MONOTONIC),
		.cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID),
		.sleeps = usage.ru_nvcsw,
	};
}

static void note(struct series *series, struct times start)
{
	struct times now = times_now();

	CHECK(series->count < sizeof(series->taken) / sizeof(series->taken[0]));
	series->taken[series->count++] = (struct times){
		.wall = now.wall - start.wall,
		.cpu = now.cpu - start.cpu,
		.sleeps = now.sleeps - start.sleeps,
	};
}

static int by_wall(const void *a, const void *b)
{
	int64_t x = ((const struct times *)a)->wall;
	int64_t y = ((const struct times *)b)->wall;

	return (x > y) - (x < y);
}

static void report(struct series *series)
{
	struct times *taken = series->taken;
	size_t i, n = series->count, slept = 0;
	int64_t cpu = 0, sleep = 0;

	CHECK(n > 0);
	qsort(taken, n, sizeof(*taken), by_wall);
	for (i = 0; i < n; i++) {
		cpu = taken[i].cpu > cpu ? taken[i].cpu : cpu;
		slept += taken[i].sleeps > 0;
		sleep = taken[i].sleeps > 0 ? taken[i].wall : sleep;
	}
	printf("%s: %zu times, min %" PRId64 " us, median %" PRId64
	       " us, max %" PRId64 " us; of CPU time max %" PRId64 " us; "
	       "%zu slept, max %" PRId64 " us\n", series->what, n,
	       taken[0].wall / 1000, taken[n / 2].wall / 1000,
	       taken[n - 1].wall / 1000, cpu / 1000, slept, sleep / 1000);
}

/* A turn is what tevent_loop_once does besides waiting. */
static void trace(enum tevent_trace_point point, void *private_data)
{
	(void)private_data;
	switch (point) {
	case TEVENT_TRACE_BEFORE_LOOP_ONCE:
	case TEVENT_TRACE_AFTER_WAIT:
		turn_prints = false;
		turn_start = times_now();
		break;
	case TEVENT_TRACE_AFTER_LOOP_ONCE:
		if (!turn_prints) {
			note(&turns, turn_start);
		}
		break;
	default:
		break;
	}
}

static void print_output(struct tevent_context *ctx, struct tevent_immediate *im,
			 void *private_data)
{
	(void)ctx;
	(void)im;
	(void)private_data;
	turn_prints = true;
	fputs(output, stdout);
	TALLOC_FREE(output);
}

static void print_later(const char *line)
{
	if (output == NULL) {
		output = talloc_strdup(mem, "");
		tevent_schedule_immediate(printer, ev, print_output, NULL);
	}
	output = talloc_strdup_append_buffer(output, line);
	CHECK(output != NULL);
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
	char text[INET6_ADDRSTRLEN], line[INET6_ADDRSTRLEN + 16];
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
		snprintf(line, sizeof(line), "%u %s\n", share->number, text);
		print_later(line);
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
		print_later("registered\n");
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

	printer = tevent_create_immediate(mem);
	CHECK(printer != NULL);
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
		note(&sends, start);
		CHECK(req != NULL);
		tevent_req_set_callback(req, done_register, share);
	}
	tevent_set_trace_callback(ev, trace, NULL);
	while (!stopped) {
		CHECK(tevent_loop_once(ev) == 0);
	}
	tevent_set_trace_callback(ev, NULL, NULL);
	report(&turns);
	report(&sends);
}
