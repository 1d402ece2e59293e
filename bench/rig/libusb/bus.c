/* Which phones are on the bus: sockets in a directory. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include "fakeusb.h"

int connect_phone(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int s = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s < 0)
		return -1;
	strncpy(a.sun_path, path, sizeof a.sun_path - 1);
	if (connect(s, (struct sockaddr *)&a, sizeof a) < 0) {
		int e = errno;
		close(s);
		errno = e;
		return -1;
	}
	return s;
}

API libusb_device *libusb_ref_device(libusb_device *d)
{
	d->ref++;
	return d;
}

API void libusb_unref_device(libusb_device *d)
{
	if (d && --d->ref == 0)
		free(d);
}

/* Brings ctx->devs up to date with the directory (ctx->lock held).  Devices
 * that went away are moved to `left`, with the list's reference. */
void bus_scan(libusb_context *ctx, struct list *left)
{
	DIR *dir = opendir(env.dir);
	struct dirent *e;
	for (struct list *l = ctx->devs.next; l != &ctx->devs; l = l->next)
		OWNER(l, libusb_device, link)->seen = 0;
	while (dir && (e = readdir(dir))) {
		unsigned bus, addr, pid;
		char serial[128], path[300];
		size_t n = strlen(e->d_name);
		struct stat sb;
		if (n < 6 || strcmp(e->d_name + n - 5, ".sock"))
			continue;
		if (sscanf(e->d_name, "%u-%u-%x-%127[^\n]", &bus, &addr, &pid, serial) != 4)
			continue;
		serial[strlen(serial) - 5] = 0;
		snprintf(path, sizeof path, "%s/%s", env.dir, e->d_name);
		if (stat(path, &sb) < 0 || !S_ISSOCK(sb.st_mode))
			continue;
		libusb_device *d = NULL;
		for (struct list *l = ctx->devs.next; l != &ctx->devs; l = l->next) {
			libusb_device *x = OWNER(l, libusb_device, link);
			if (!strcmp(x->path, path) && x->ino == sb.st_ino &&
			    x->ctim.tv_sec == sb.st_ctim.tv_sec && x->ctim.tv_nsec == sb.st_ctim.tv_nsec) {
				d = x;
				break;
			}
		}
		if (!d) {
			d = calloc(1, sizeof *d);
			if (!d)
				break;
			d->ref = 1;
			d->ctx = ctx;
			d->bus = bus;
			d->addr = addr;
			d->pid = pid;
			strcpy(d->serial, serial);
			if (strlen(path) >= sizeof d->path) { /* no socket can have that name */
				free(d);
				continue;
			}
			strcpy(d->path, path);
			d->ino = sb.st_ino;
			d->ctim = sb.st_ctim;
			d->config = 1; /* PTP: a daemon has to choose another */
			d->vmode = 1;
			d->epconfig = -1;
			int s = connect_phone(path); /* without a listener it is a stale file */
			if (s >= 0)
				close(s);
			else if (errno == ECONNREFUSED)
				d->gone = 1;
			list_add_tail(&ctx->devs, &d->link);
		}
		d->seen = 1;
	}
	if (dir)
		closedir(dir);
	for (struct list *l = ctx->devs.next, *nx; l != &ctx->devs; l = nx) {
		nx = l->next;
		libusb_device *d = OWNER(l, libusb_device, link);
		if (!d->seen) {
			list_del(l);
			list_add_tail(left, l);
		}
	}
}

void bus_drop(struct list *left)
{
	while (!list_empty(left)) {
		libusb_device *d = OWNER(left->next, libusb_device, link);
		list_del(&d->link);
		libusb_unref_device(d);
	}
}

API ssize_t libusb_get_device_list(libusb_context *ctx, libusb_device ***list)
{
	struct list left;
	ssize_t n = 0;
	ctx = context_or_default(ctx);
	if (!ctx)
		return LIBUSB_ERROR_INVALID_PARAM;
	list_init(&left);
	pthread_mutex_lock(&ctx->lock);
	bus_scan(ctx, &left);
	if (env.hotplug) /* the callbacks still have to be told of these */
		for (struct list *l = left.next, *nx; l != &left; l = nx) {
			nx = l->next;
			libusb_device *d = OWNER(l, libusb_device, link);
			d->gone = 1;
			if (d->listed) {
				list_del(l);
				list_add_tail(&ctx->devs, l);
			}
		}
	for (struct list *l = ctx->devs.next; l != &ctx->devs; l = l->next)
		n++;
	libusb_device **v = calloc(n + 1, sizeof *v);
	n = 0;
	for (struct list *l = ctx->devs.next; v && l != &ctx->devs; l = l->next) {
		libusb_device *d = OWNER(l, libusb_device, link);
		if (!d->gone)
			v[n++] = libusb_ref_device(d);
	}
	pthread_mutex_unlock(&ctx->lock);
	bus_drop(&left);
	if (!v)
		return LIBUSB_ERROR_NO_MEM;
	*list = v;
	return n;
}

API void libusb_free_device_list(libusb_device **list, int unref)
{
	if (!list)
		return;
	for (int i = 0; unref && list[i]; i++)
		libusb_unref_device(list[i]);
	free(list);
}

API uint8_t libusb_get_bus_number(libusb_device *d) { return d->bus; }
API uint8_t libusb_get_device_address(libusb_device *d) { return d->addr; }
API uint8_t libusb_get_port_number(libusb_device *d) { return d->addr; }

API int libusb_get_port_numbers(libusb_device *d, uint8_t *p, int n)
{
	if (n < 1)
		return LIBUSB_ERROR_OVERFLOW;
	p[0] = d->addr;
	return 1;
}

API libusb_device *libusb_get_parent(libusb_device *d) { return NULL; }
API int libusb_get_device_speed(libusb_device *d) { return env.speed; }
