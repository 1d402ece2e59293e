/* What a Linux kernel shows of a phone besides libusb's view: an entry in a
 * directory that stands for /sys/bus/usb/devices, and an event on the netlink
 * socket.  Daemons that find their phones there need both.  The events go to
 * everybody in the network namespace, so this must run in one of its own. */
#include <errno.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include "phone.h"

#define KERNEL_EVENTS 1
#define UDEV_EVENTS   2

static void tell(const struct phone *ph, const char *action)
{
	char b[400];
	struct sockaddr_nl to = { .nl_family = AF_NETLINK, .nl_groups = KERNEL_EVENTS | UDEV_EVENTS };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);
	int n = snprintf(b, sizeof b, "%s@/devices/rig/1-%d%cACTION=%s%cDEVPATH=/devices/rig/1-%d%c"
		"SUBSYSTEM=usb%cDEVTYPE=usb_device%cPRODUCT=5ac/%x/1502%cBUSNUM=001%cDEVNUM=%03d%c",
		action, ph->addr, 0, action, 0, ph->addr, 0, 0, 0, PRODUCT, 0, 0, ph->addr, 0);
	/* ESRCH and ECONNREFUSED: there is no listener. */
	if ((fd < 0 || sendto(fd, b, n, 0, (struct sockaddr *)&to, sizeof to) < 0) && errno != ESRCH &&
	    errno != ECONNREFUSED)
		perror("phone: netlink");
	if (fd >= 0)
		close(fd);
}

void kernel_add(const struct phone *ph)
{
	char path[300];
	if (!opt.sys)
		return;
	snprintf(path, sizeof path, "%s/1-%d", opt.sys, ph->addr);
	mkdir(path, 0755);
	strcat(path, "/uevent");
	FILE *f = fopen(path, "w");
	if (!f)
		die(path);
	fprintf(f, "DEVTYPE=usb_device\nDRIVER=usb\nPRODUCT=5ac/%x/1502\nBUSNUM=001\nDEVNUM=%03d\n", PRODUCT, ph->addr);
	fclose(f);
	tell(ph, "add");
}

void kernel_remove(const struct phone *ph)
{
	char path[300];
	if (!opt.sys)
		return;
	snprintf(path, sizeof path, "%s/1-%d/uevent", opt.sys, ph->addr);
	unlink(path);
	*strrchr(path, '/') = 0;
	rmdir(path);
	tell(ph, "remove");
}
