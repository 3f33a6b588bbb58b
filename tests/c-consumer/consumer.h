/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the scenarios share: see consumer.c. */

#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include <talloc.h>
/* For nested loops. */
#define TEVENT_DEPRECATED 1
#include <tevent.h>

#include <credentials.h>
#include <param.h>
#include <witness/swnclient.h>

struct server {
	const char *net_name;
	const char *share;
	const char *address;
	const char *user;
	const char *password;
};

struct scenario {
	const char *name;
	void (*run)(void);
};

extern const struct scenario scenarios[];
extern struct tevent_context *ev;
extern struct swnc_state *state;
extern TALLOC_CTX *mem;
extern struct server server;

#define CHECK(condition)                                                      \
	do {                                                                  \
		if (!(condition)) {                                           \
			fail(__FILE__, __LINE__, #condition);                 \
		}                                                             \
	} while (0)

#define CHECK_ERRNO(call, should)                                             \
	do {                                                                  \
		int check_ret = (call);                                       \
		if (check_ret != (should)) {                                  \
			fail_errno(__FILE__, __LINE__, #call, check_ret,      \
				   should);                                   \
		}                                                             \
	} while (0)

void fail(const char *file, int line, const char *what)
	__attribute__((noreturn));
void fail_errno(const char *file, int line, const char *what, int is, int should)
	__attribute__((noreturn));

struct swn_registration_info *make_info(TALLOC_CTX *ctx, const char *share);
struct cli_credentials *make_creds(TALLOC_CTX *ctx, const char *password);
/* The credential cache that make_creds uses, or NULL. */
const char *ccache_name(void);

/* A request for a share of the server's. */
struct tevent_req *register_send(const char *share);
struct tevent_req *wait_send(const char *share);
struct tevent_req *unregister_send(const char *share);

/* Runs the loop until the request has completed, and frees it: its result. */
int register_finish(struct tevent_req *req);
int wait_finish(struct tevent_req *req);
int unregister_finish(struct tevent_req *req);

int do_register(const char *share);
int do_unregister(const char *share);

void print_notifications(struct swn_notification *array);
const char *next_command(void);
void debug_line(void *private_data, int level, const char *msg);

/* A scenario of its own file. */
void run_many(void);

/* How many threads this process has, once there are no more than one, or
 * after a while. */
int threads(void);
