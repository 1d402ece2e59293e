/* Plugging and unplugging, and the control socket that asks for it. */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include "phone.h"

void plug(struct phone *ph)
{
	static int next_addr = 2;
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	char tmp[sizeof a.sun_path];
	if (ph->plugged)
		return;
	ph->addr = next_addr; /* another address each time, as a kernel does */
	next_addr = next_addr >= 127 ? 2 : next_addr + 1;
	if (snprintf(ph->path, sizeof ph->path, "%s/1-%d-%x-%s.sock", opt.dir, ph->addr, PRODUCT, ph->serial) >=
	    (int)sizeof ph->path ||
	    snprintf(tmp, sizeof tmp, "%s/.p%d-%d", opt.dir, getpid(), ph->index) >= (int)sizeof tmp) {
		errno = ENAMETOOLONG;
		die(opt.dir);
	}
	/* Bound under another name first: when it appears on the bus, it listens. */
	ph->e = (struct ep){ K_PHONE, socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0) };
	strcpy(a.sun_path, tmp);
	unlink(tmp);
	if (ph->e.fd < 0 || bind(ph->e.fd, (struct sockaddr *)&a, sizeof a) < 0 || chmod(tmp, 0666) < 0 ||
	    listen(ph->e.fd, 64) < 0 || rename(tmp, ph->path) < 0)
		die(ph->path);
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = ph };
	epoll_ctl(epfd, EPOLL_CTL_ADD, ph->e.fd, &e);
	ph->plugged = 1;
	kernel_add(ph);
}

void unplug(struct phone *ph)
{
	if (!ph->plugged)
		return;
	unlink(ph->path);
	epoll_ctl(epfd, EPOLL_CTL_DEL, ph->e.fd, NULL);
	close(ph->e.fd);
	ph->plugged = 0;
	while (ph->hosts)
		host_free(ph->hosts);
	for (int i = 0; i < 8; i++) { /* the lock files of claimed interfaces */
		char lock[200];
		snprintf(lock, sizeof lock, "%s.if%d", ph->path, i);
		unlink(lock);
	}
	mux_reset(ph);
	kernel_remove(ph);
}

static int hang_up(struct ep *e)
{
	epoll_ctl(epfd, EPOLL_CTL_DEL, e->fd, NULL);
	close(e->fd);
	free(e);
	return 1;
}

int control(struct ep *e)
{
	char b[256], reply[4096], cmd[32] = "";
	int n = recv(e->fd, b, sizeof b - 1, 0), i = -1, touched = 0;
	if (n <= 0)
		return n < 0 && errno == EAGAIN ? 0 : hang_up(e);
	b[n] = 0;
	sscanf(b, "%31s %d", cmd, &i);
	struct phone *ph = i >= 0 && i < opt.count ? &phones[i] : NULL;
	if (!strcmp(cmd, "total")) {
		n = totals_json(reply, sizeof reply);
	} else if (ph && !strcmp(cmd, "stats")) {
		n = stats_json(reply, sizeof reply, ph);
	} else if (ph && !strcmp(cmd, "plug")) {
		plug(ph);
		n = sprintf(reply, "{\"ok\":1}");
	} else if (ph && !strcmp(cmd, "unplug")) {
		unplug(ph);
		touched = 1;
		n = sprintf(reply, "{\"ok\":1}");
	} else {
		n = sprintf(reply, "{\"error\":\"commands: total, stats N, plug N, unplug N\"}");
	}
	if (send(e->fd, reply, n, MSG_NOSIGNAL) < 0)
		return hang_up(e);
	return touched;
}
