/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Prints where everything is: the binary interface for ever. */

#include <stddef.h>
#include <stdio.h>
#include <witness/swnclient.h>

#define SIZE(type) printf("%s %zu\n", #type, sizeof(type))
#define OFFSET(type, member) \
	printf("%s.%s %zu\n", #type, #member, offsetof(type, member))
#define VALUE(constant) printf("%s %d\n", #constant, constant)

int main(void)
{
	SIZE(struct swn_registration_info);
	OFFSET(struct swn_registration_info, net_name);
	OFFSET(struct swn_registration_info, share_name);
	OFFSET(struct swn_registration_info, ip_address);
	OFFSET(struct swn_registration_info, net_name_req);
	OFFSET(struct swn_registration_info, share_name_req);
	OFFSET(struct swn_registration_info, ip_address_req);
	SIZE(struct swn_notification);
	OFFSET(struct swn_notification, type);
	OFFSET(struct swn_notification, resource_change.name);
	OFFSET(struct swn_notification, resource_change.state);
	OFFSET(struct swn_notification, client_move.addr);
	OFFSET(struct swn_notification, share_move.addr);
	OFFSET(struct swn_notification, ip_change.addr);
	VALUE(SWN_NOTIFICATION_RESOURCE_CHANGE);
	VALUE(SWN_NOTIFICATION_CLIENT_MOVE);
	VALUE(SWN_NOTIFICATION_SHARE_MOVE);
	VALUE(SWN_NOTIFICATION_IP_CHANGE);
	VALUE(SWN_RESOURCE_STATE_UNKNOWN);
	VALUE(SWN_RESOURCE_STATE_AVAILABLE);
	VALUE(SWN_RESOURCE_STATE_UNAVAILABLE);
	return 0;
}
