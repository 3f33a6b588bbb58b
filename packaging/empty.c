/* SPDX-License-Identifier: GPL-3.0-or-later */
/* libswnclient.so is linked from what cargo builds; meson wants a source. */
typedef int swnclient_has_no_c_source;
