/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The smallest program that compiles, links and runs with what pkg-config says. */

#include <witness/swnclient.h>

int main(void)
{
	/* Without a place for the state there must be an error. */
	return swnc_init_state(NULL, NULL, NULL) == 0;
}
